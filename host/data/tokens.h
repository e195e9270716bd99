/* tokens.h - rows to token ids, in blocks over a pool of threads. Internal to host/data. */
#ifndef DATA_TOKENS_H
#define DATA_TOKENS_H
#include "data/columns.h"
#include "data/dataset.h"
#include "data/index.h"

#define TOKENS_BLOCK 64 /* rows of a block */

typedef struct {
    int n; /* rows */
    int32_t length[TOKENS_BLOCK];
    int32_t *id;   /* [n_ids] */
    uint8_t *type; /* [n_ids] */
    int32_t *word, *tag; /* [n_ids] of rows of words, else NULL */
    int64_t n_ids, cap;
    int64_t n_truncated, n_cut, n_unknown, n_empty;
    hone_status status; /* of its first row that failed */
    hone_err err;
} token_block;

/* What is kept from one call of tokens_encode to the next, with the same source but for its rows. */
typedef struct {
    int64_t n_blocks, cap;
    token_block *block;
    int n_threads;
    encoding *of_thread;  /* with the words it remembers */
    text *text_of_thread; /* joined texts */
    str_index tags;       /* names of known by number */
} token_blocks;

/* The text of row i, or its pair; of rows of words the words with blanks between. Joined text is put into scratch. second.p
 * NULL: no pair. */
void tokens_text(str *first, str *second, const rows *r, const columns *c, const dataset_options *o,
                 int64_t i, text *scratch);

/* What the tokens of rows 0 .. n of a table's block are made with. */
typedef struct {
    const rows *r;
    const columns *c;
    const dataset_options *o;
    const tokenizer *t;
    const labels *known; /* names of the words' tags, where those are read (c->label) */
    int64_t n;
    int is_last; /* no row follows these */
    pool *p;     /* NULL: one thread */
} token_source;

/* Encode the rows; of words a list of tags has as many items as that of the words, or the row is refused; the first row that
 * fails is reported, whatever the number of threads. out is zeroed at first; tokens_free in any case. */
hone_status tokens_encode(token_blocks *out, const token_source *from, hone_err *err);
void tokens_free(token_blocks *b);
#endif
