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
/* Add what the library said of a text to a sum: how many ids, ids, types, offsets in characters. */
void add_encoding(sha256 *sum, const encoding *e, str first, str second);
void sum_text(sha256 *sum, char out[65]);

/* Random text number i into out (cleared); scripts/golden/tokenizer.py makes the same ones. */
void random_text(text *out, uint64_t i);
#define N_RANDOM 20000
#endif
