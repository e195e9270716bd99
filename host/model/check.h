/* check.h - would transformers load this folder as meant? The acceptance list of `hone export --check`:
 *   1 every tensor of the architecture, with the shape that config.json implies, and no other
 *   2 the header of the weights, with format: pt
 *   3 types of config.json's values, as transformers 5 checks them
 *   4 as many labels as rows of the head
 *   5 ids of the tokenizer below vocab_size, special tokens agree
 *   6 weights in float32
 *   7 the card's YAML
 *   8 no NaN, no infinity
 *   9 the probe of a run gives the logits that are stored with it (train/probe.h, which adds the finding)
 */
#ifndef MODEL_CHECK_H
#define MODEL_CHECK_H
#include "base/arena.h"
#include "base/str.h"

#define CHECK_ITEMS 8

typedef struct {
    int item; /* 1 .. CHECK_ITEMS */
    int passed;
    const char *text; /* what was found, one line; foreign names are escaped */
} finding;

typedef struct {
    arena *a;
    finding *finding; /* at least one an item, in the order of items */
    int n, n_failed;
} check;

/* Judge a folder. Whatever is wrong with it, down to its not being there, is a finding. */
check *check_folder(const char *folder);
/* A finding of somebody who can do more than read. */
void check_add(check *c, int item, int passed, const char *what);
void check_free(check *c); /* NULL is fine */
/* "ok      1 tensors: ..." a line; the last one counts. */
void check_print(const check *c, text *out);
#endif
