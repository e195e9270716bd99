/* tokens.h - rows to token ids, in blocks over a pool of threads. Internal to host/data. */
#ifndef DATA_TOKENS_H
#define DATA_TOKENS_H
#include "data/columns.h"
#include "data/dataset.h"

#define TOKENS_BLOCK 256 /* rows of a block */

typedef struct {
    int32_t length[TOKENS_BLOCK];
    int32_t *id;   /* [n_ids]; NULL: only counted */
    uint8_t *type; /* [n_ids] */
    int64_t at;    /* its first among all tokens */
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

/* The text of row i, or its pair. Joined text is put into scratch. second.p NULL: no pair. */
void tokens_text(str *first, str *second, const rows *r, const columns *c, const dataset_options *o,
                 int64_t i, text *scratch);

/* What the tokens of rows 0 .. n of a table are made with. */
typedef struct {
    const rows *r;
    const columns *c;
    const dataset_options *o;
    const tokenizer *t;
    int64_t n;
    pool *p; /* NULL: one thread */
} token_source;

/* Encode the rows; the first row that fails is reported, whatever the number of threads. keep 0: tokens are counted and
 * forgotten, for what is too long to be held. tokens_free in any case. */
hone_status tokens_encode(token_blocks *out, const token_source *from, int keep, hone_err *err);
/* All tokens in order, into id and type; those that were not kept are encoded again. */
hone_status tokens_write(const token_blocks *b, const token_source *from, int32_t *id, uint8_t *type, hone_err *err);
void tokens_free(token_blocks *b);
#endif
