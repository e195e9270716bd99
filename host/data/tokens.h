/* tokens.h - rows to token ids, in blocks over a pool of threads. Internal to host/data. */
#ifndef DATA_TOKENS_H
#define DATA_TOKENS_H
#include "data/columns.h"
#include "data/dataset.h"

#define TOKENS_BLOCK 256 /* rows of a block */

typedef struct {
    int32_t length[TOKENS_BLOCK];
    int32_t *id;   /* [n_ids] */
    uint8_t *type; /* [n_ids] */
    int32_t *word, *tag; /* [n_ids] of rows of words, else NULL */
    int64_t n_ids, cap;
    int64_t n_truncated, n_cut, n_unknown, n_empty;
    hone_status status; /* of its first row that failed */
    hone_err err;
} token_block;

typedef struct {
    int64_t n; /* rows */
    int64_t n_blocks;
    token_block *block;
    int64_t n_ids;
} token_blocks;

/* The text of row i, or its pair; of rows of words the words with blanks between. Joined text is put into scratch. second.p
 * NULL: no pair. */
void tokens_text(str *first, str *second, const rows *r, const columns *c, const dataset_options *o,
                 int64_t i, text *scratch);

/* Encode rows 0 .. n; the first row that fails is reported, whatever the number of threads. tokens_free in
 * any case. known: names of the words' tags, where those are read (c->label); a list of them has as many items as that of the
 * words, or the row is refused. */
hone_status tokens_encode(token_blocks *out, const rows *r, const columns *c, const dataset_options *o,
                          const tokenizer *t, const labels *known, int64_t n, pool *p, hone_err *err);
void tokens_free(token_blocks *b);
#endif
