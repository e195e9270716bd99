#include <string.h>

#include "data/tokens.h"
#include "base/mem.h"

/* Does the text go on in the next row? */
static int is_line_of_a_text(const rows *r, const dataset_options *o) {
    return o->ends == ENDS_FILE && r->format == ROWS_LINES;
}

void tokens_text(str *first, str *second, const rows *r, const columns *c, const dataset_options *o,
                 int64_t i, text *scratch) {
    const str *row = r->cell + i * r->n_columns;
    *first = row[c->text[0]];
    *second = (str){0};
    if (c->n_text == 1 && is_line_of_a_text(r, o)) {
        text_clear(scratch);
        text_add(scratch, first->p, first->n);
        text_str(scratch, "\n");
        *first = (str){scratch->p, scratch->n};
    }
    if (c->n_text == 1) return;
    if (c->n_text == 2 && !o->join_texts) {
        *second = row[c->text[1]];
        if (!second->p) *second = STR("");
        return;
    }
    text_clear(scratch);
    for (int k = 0; k < c->n_text; k++) {
        if (k) text_str(scratch, o->text_column_delimiter ? o->text_column_delimiter : " ");
        text_add(scratch, row[c->text[k]].p, row[c->text[k]].n);
    }
    *first = (str){scratch->p, scratch->n};
}

static int is_blank(str s) {
    for (size_t i = 0; i < s.n; i++)
        if (!strchr(" \t\n\r\v\f", s.p[i])) return 0;
    return 1;
}

typedef struct {
    token_blocks *out;
    const rows *r;
    const columns *c;
    const dataset_options *o;
    const tokenizer *t;
    encoding *of_thread;
    text *text_of_thread;
} encode_job;

static void append(token_block *b, const encoding *e) {
    if (b->n_ids + e->n >= b->cap) { /* one more may close it */
        const int64_t cap = 2 * b->cap + e->n + 4096;
        b->id = mem_grow(b->id, (size_t)b->cap * sizeof *b->id, (size_t)cap * sizeof *b->id, "token ids");
        b->type = mem_grow(b->type, (size_t)b->cap, (size_t)cap, "token types");
        b->cap = cap;
    }
    memcpy(b->id + b->n_ids, e->id, (size_t)e->n * sizeof *b->id);
    memcpy(b->type + b->n_ids, e->type, (size_t)e->n);
    b->n_ids += e->n;
}

static int is_closed(const encode_job *job, const encoding *e, int64_t row) {
    switch (job->o->ends) {
    case ENDS_EMPTY:
        return !e->n;
    case ENDS_TEXTS:
        return 1;
    case ENDS_FILE:
        return !is_line_of_a_text(job->r, job->o) || row == job->out->n - 1;
    default:
        return 0;
    }
}

static void encode_block(void *arg, int64_t i, int thread) {
    const encode_job *job = arg;
    token_block *b = &job->out->block[i];
    encoding *e = &job->of_thread[thread];
    const int64_t from = i * TOKENS_BLOCK;
    for (int64_t k = 0; k < TOKENS_BLOCK && from + k < job->out->n; k++) {
        str first, second;
        b->status = sig_check(&b->err);
        if (b->status != HONE_OK) return;
        tokens_text(&first, &second, job->r, job->c, job->o, from + k, &job->text_of_thread[thread]);
        b->status = tokenizer_encode(job->t, first, second, &job->o->encode, e, &b->err);
        if (b->status != HONE_OK) return;
        append(b, e);
        b->length[k] = e->n;
        if (is_closed(job, e, from + k)) {
            b->id[b->n_ids] = job->o->end_id;
            b->type[b->n_ids++] = 0;
            b->length[k]++;
        }
        b->n_truncated += e->n_cut > 0;
        b->n_cut += e->n_cut;
        b->n_unknown += e->n_unknown;
        b->n_empty += is_blank(first) && is_blank(second);
    }
}

hone_status tokens_encode(token_blocks *out, const rows *r, const columns *c, const dataset_options *o,
                          const tokenizer *t, int64_t n, pool *p, hone_err *err) {
    const int n_threads = p ? pool_threads(p) : 1;
    *out = (token_blocks){.n = n, .n_blocks = (n + TOKENS_BLOCK - 1) / TOKENS_BLOCK};
    out->block = mem_new((size_t)out->n_blocks * sizeof *out->block, "token blocks");
    encode_job job = {out, r, c, o, t, NULL, NULL};
    job.of_thread = mem_new((size_t)n_threads * sizeof *job.of_thread, "encodings");
    job.text_of_thread = mem_new((size_t)n_threads * sizeof *job.text_of_thread, "joined texts");
    if (p) pool_run(p, out->n_blocks, encode_block, &job);
    else
        for (int64_t i = 0; i < out->n_blocks; i++) encode_block(&job, i, 0);
    for (int i = 0; i < n_threads; i++) {
        encoding_free(&job.of_thread[i]);
        text_free(&job.text_of_thread[i]);
    }
    mem_free(job.of_thread);
    mem_free(job.text_of_thread);
    for (int64_t i = 0; i < out->n_blocks; i++) {
        out->n_ids += out->block[i].n_ids;
        if (out->block[i].status == HONE_OK) continue;
        if (err) *err = out->block[i].err;
        return out->block[i].status;
    }
    return HONE_OK;
}

void tokens_free(token_blocks *b) {
    for (int64_t i = 0; i < b->n_blocks; i++) {
        mem_free(b->block[i].id);
        mem_free(b->block[i].type);
    }
    mem_free(b->block);
    *b = (token_blocks){0};
}
