#include <string.h>

#include "data/tokens.h"
#include "data/index.h"
#include "data/lists.h"
#include "data/targets.h"
#include "base/err.h"
#include "base/mem.h"

static void join_words(const rows *r, const columns *c, int64_t i, text *out) {
    list words = {0};
    text_clear(out);
    list_read(&words, r, i, c->text[0], NULL, NULL); /* read before: encoding found no fault in it */
    for (int k = 0; k < words.n; k++) {
        if (k) text_str(out, " ");
        text_add(out, words.item[k].p, words.item[k].n);
    }
    list_free(&words);
}

/* Does the text go on in the next row? */
static int is_line_of_a_text(const rows *r, const dataset_options *o) {
    return o->ends == ENDS_FILE && r->format == ROWS_LINES;
}

void tokens_text(str *first, str *second, const rows *r, const columns *c, const dataset_options *o,
                 int64_t i, text *scratch) {
    const str *row = r->cell + i * r->n_columns;
    *first = row[c->text[0]];
    *second = (str){0};
    if (r->words) {
        join_words(r, c, i, scratch);
        *first = (str){scratch->p ? scratch->p : "", scratch->n};
        return;
    }
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
    const token_source *from;
    token_blocks *to;
} encode_job;

static void append(token_block *b, const encoding *e, int words) {
    if (b->n_ids + e->n >= b->cap) { /* one more may close it */
        const int64_t cap = 2 * b->cap + e->n + 512;
        const size_t old = (size_t)b->cap * sizeof(int32_t), new = (size_t)cap * sizeof(int32_t);
        if (words) b->word = mem_grow(b->word, old, new, "words"), b->tag = mem_grow(b->tag, old, new, "tags");
        b->id = mem_grow(b->id, (size_t)b->cap * sizeof *b->id, (size_t)cap * sizeof *b->id, "token ids");
        b->type = mem_grow(b->type, (size_t)b->cap, (size_t)cap, "token types");
        b->cap = cap;
    }
    memcpy(b->id + b->n_ids, e->id, (size_t)e->n * sizeof *b->id);
    memcpy(b->type + b->n_ids, e->type, (size_t)e->n);
    b->n_ids += e->n;
}

/* The first token of each word has its number and its tag, the others none. */
static void number_words(token_block *b, const encoding *e, const int32_t *tag) {
    int32_t *word = b->word + b->n_ids, *tags = b->tag + b->n_ids;
    int last = -1;
    for (int i = 0; i < e->n; i++) {
        word[i] = tags[i] = -1;
        if (e->special[i] || e->from[i] == last) continue;
        word[i] = last = e->from[i];
        if (tag) tags[i] = tag[last];
    }
}

static hone_status read_tags(int32_t *tag, list *items, const encode_job *job, int64_t row, int n, hone_err *err) {
    const rows *r = job->from->r;
    HONE_TRY(list_read(items, r, row, job->from->c->label, NULL, err));
    if (items->n != n)
        return hone_fail(err, HONE_EDATA, "%s: line %d: %d tags of %d words; expected one of each", r->name, (int)r->line[row],
                         items->n, n);
    for (int k = 0; k < n; k++) {
        tag[k] = (int32_t)str_index_find(&job->to->tags, items->item[k]);
        if (tag[k] < 0) return targets_refuse_label(r, row, items->item[k], job->from->known, err);
    }
    return HONE_OK;
}

static hone_status encode_words(const encode_job *job, token_block *b, encoding *e, list *words, list *tags, int64_t row,
                                hone_err *err) {
    int32_t *tag = NULL;
    HONE_TRY(list_read(words, job->from->r, row, job->from->c->text[0], NULL, err));
    HONE_TRY(tokenizer_encode_words(job->from->t, words->item, words->n, &job->from->o->encode, e, err));
    hone_status status = HONE_OK;
    if (job->from->c->label >= 0) {
        tag = mem_new((size_t)words->n * sizeof *tag + 1, "tags");
        status = read_tags(tag, tags, job, row, words->n, err);
    }
    if (!status) {
        append(b, e, 1);
        b->n_ids -= e->n;
        number_words(b, e, tag);
        b->n_ids += e->n;
    }
    mem_free(tag);
    return status;
}

static void count_row(token_block *b, const encoding *e, int k, int empty) {
    b->length[k] = e->n;
    b->n_truncated += e->n_cut > 0;
    b->n_cut += e->n_cut;
    b->n_unknown += e->n_unknown;
    b->n_empty += empty;
}

static void encode_block_of_words(const encode_job *job, token_block *b, encoding *e, int64_t from) {
    list words = {0}, tags = {0};
    for (int64_t k = 0; k < TOKENS_BLOCK && from + k < job->from->n && !b->status; k++) {
        b->status = sig_check(&b->err);
        if (!b->status) b->status = encode_words(job, b, e, &words, &tags, from + k, &b->err);
        if (!b->status) count_row(b, e, (int)k, !words.n);
    }
    list_free(&words);
    list_free(&tags);
}

static int is_closed(const token_source *from, const encoding *e, int64_t row) {
    switch (from->o->ends) {
    case ENDS_EMPTY:
        return !e->n;
    case ENDS_TEXTS:
        return 1;
    case ENDS_FILE:
        return !is_line_of_a_text(from->r, from->o) || (from->is_last && row == from->n - 1);
    default:
        return 0;
    }
}

static void encode_rows(const token_source *from, token_block *b, int64_t i, encoding *e, text *scratch) {
    for (int64_t k = 0, row; k < TOKENS_BLOCK && (row = i * TOKENS_BLOCK + k) < from->n; k++) {
        str first, second;
        b->status = sig_check(&b->err);
        if (b->status != HONE_OK) return;
        tokens_text(&first, &second, from->r, from->c, from->o, row, scratch);
        b->status = tokenizer_encode(from->t, first, second, &from->o->encode, e, &b->err);
        if (b->status != HONE_OK) return;
        append(b, e, 0);
        count_row(b, e, (int)k, is_blank(first) && is_blank(second));
        if (is_closed(from, e, row)) {
            b->id[b->n_ids] = from->o->end_id;
            b->type[b->n_ids++] = 0;
            b->length[k]++;
        }
    }
}

/* Rows of a block, of texts or of words. */
static void encode_block(void *arg, int64_t i, int thread) {
    const encode_job *job = arg;
    encoding *e = &job->to->of_thread[thread];
    token_block *b = &job->to->block[i];
    if (job->from->r->words) encode_block_of_words(job, b, e, i * TOKENS_BLOCK);
    else encode_rows(job->from, b, i, e, &job->to->text_of_thread[thread]);
}

static void make_threads(token_blocks *b, const token_source *from) {
    if (b->n_threads) return;
    b->n_threads = from->p ? pool_threads(from->p) : 1;
    b->of_thread = mem_new((size_t)b->n_threads * sizeof *b->of_thread, "encodings");
    b->text_of_thread = mem_new((size_t)b->n_threads * sizeof *b->text_of_thread, "joined texts");
    for (int i = 0; from->r->words && i < from->known->n; i++) str_index_add(&b->tags, from->known->name[i], NULL);
}

/* As many empty blocks as n rows need, with the storage of earlier ones. */
static void make_blocks(token_blocks *b, int64_t n) {
    b->n_blocks = (n + TOKENS_BLOCK - 1) / TOKENS_BLOCK;
    if (b->n_blocks > b->cap) {
        b->block = mem_grow(b->block, (size_t)b->cap * sizeof *b->block, (size_t)b->n_blocks * sizeof *b->block, "token blocks");
        b->cap = b->n_blocks;
    }
    for (int64_t i = 0; i < b->n_blocks; i++) {
        const token_block old = b->block[i];
        b->block[i] = (token_block){.id = old.id, .type = old.type, .word = old.word, .tag = old.tag, .cap = old.cap};
        b->block[i].n = (int)(n - i * TOKENS_BLOCK < TOKENS_BLOCK ? n - i * TOKENS_BLOCK : TOKENS_BLOCK);
    }
}

hone_status tokens_encode(token_blocks *out, const token_source *from, hone_err *err) {
    make_threads(out, from);
    make_blocks(out, from->n);
    encode_job job = {from, out};
    if (from->p) pool_run(from->p, out->n_blocks, encode_block, &job);
    else
        for (int64_t i = 0; i < out->n_blocks; i++) encode_block(&job, i, 0);
    for (int64_t i = 0; i < out->n_blocks; i++) {
        if (out->block[i].status == HONE_OK) continue;
        if (err) *err = out->block[i].err;
        return out->block[i].status;
    }
    return HONE_OK;
}

void tokens_free(token_blocks *b) {
    for (int64_t i = 0; i < b->cap; i++) {
        mem_free(b->block[i].id);
        mem_free(b->block[i].type);
        mem_free(b->block[i].word);
        mem_free(b->block[i].tag);
    }
    for (int i = 0; i < b->n_threads; i++) {
        encoding_free(&b->of_thread[i]);
        text_free(&b->text_of_thread[i]);
    }
    mem_free(b->of_thread);
    mem_free(b->text_of_thread);
    str_index_free(&b->tags);
    mem_free(b->block);
    *b = (token_blocks){0};
}
