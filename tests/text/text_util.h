/* text_util.h - what the tests of host/text share. */
#ifndef TEXT_UTIL_H
#define TEXT_UTIL_H
#include "base/arena.h"
#include "base/hash.h"
#include "golden.h"
#include "text/tokenizer.h"

tokenizer *load_small(const char *name); /* of tests/data/tokenizer */
/* A folder with vocab.txt (copied from a file) and tokenizer_config.json. */
void make_vocab_folder(const char *folder, const char *vocab, const char *config);
/* Offsets into s in characters, as the library counts them, from offsets in bytes. */
void offsets_in_characters(str s, int32_t *offset, size_t n);
/* A SHA-256 of many small parts, which are gathered first; 24 of its digits are kept. */
typedef struct {
    sha256 sum;
    text waiting;
} running_sum;
void sum_begin(running_sum *s);
void sum_add(running_sum *s, const void *p, size_t n);
void sum_end(running_sum *s, char hex[65]);
/* Add what the library said of a text: how many ids, ids, types, offsets in characters. */
void add_encoding(running_sum *s, const encoding *e, str first, str second);

/* Random text number i into out (cleared); scripts/golden/tokenizer.py makes the same ones. */
void random_text(text *out, uint64_t i);
#define N_RANDOM 20000
#endif
