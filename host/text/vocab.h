/* vocab.h - a vocabulary: tokens by id, ids by token. */
#ifndef TEXT_VOCAB_H
#define TEXT_VOCAB_H
#include "base/arena.h"
#include "base/str.h"

#define VOCAB_MAX 4000000 /* tokens */

typedef struct {
    str *token; /* by id; p NULL: no token has this id */
    int n;      /* ids are below this */
    int cap, n_slots;
    int32_t *slot; /* open addressing, id + 1 */
    int longest;   /* bytes of the longest token */
} vocab;

void vocab_init(vocab *v, arena *a, int n_expected);
/* 0: the id or the token is there already (the other one is in *clash, an id). The text is borrowed. */
int vocab_add(vocab *v, arena *a, str token, int id, int *clash);
int vocab_find(const vocab *v, const char *p, size_t n); /* -1 */

/* vocab.txt: a token a line, the line's number is the id; CRLF and a byte order mark are accepted with a
 * note. */
hone_status vocab_read(vocab *v, arena *a, const char *path, hone_err *err);
#endif
