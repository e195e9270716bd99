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
    int32_t *word, *tag; /* [n_ids] of rows of words, else NULL */
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

/* The text of row i, or its pair; of rows of words the words with blanks between. Joined text is put into scratch. second.p
 * NULL: no pair. */
void tokens_text(str *first, str *second, const rows *r, const columns *c, const dataset_options *o,
                 int64_t i, text *scratch);

/* What the tokens of rows 0 .. n of a table are made with. */
typedef struct {
    const rows *r;
    const columns *c;
    const dataset_options *o;
    const tokenizer *t;
    const labels *known; /* names of the words' tags, where those are read (c->label) */
    int64_t n;
    pool *p; /* NULL: one thread */
} token_source;

/* Where all tokens go; word, tag NULL: no rows of words. */
typedef struct {
    int32_t *id, *word, *tag;
    uint8_t *type;
} token_sink;

/* Encode the rows; of words a list of tags has as many items as that of the words, or the row is refused; the first row that fails is reported, whatever the number of threads. keep 0: tokens are counted and
 * forgotten, for what is too long to be held. tokens_free in any case. */
hone_status tokens_encode(token_blocks *out, const token_source *from, int keep, hone_err *err);
/* All tokens in order; those that were not kept are encoded again. */
hone_status tokens_write(const token_blocks *b, const token_source *from, const token_sink *to, hone_err *err);
void tokens_free(token_blocks *b);
#endif
