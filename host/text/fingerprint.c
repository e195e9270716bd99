/* fingerprint.c - everything that decides ids, hashed. */
#include <stdlib.h>

#include "text/added.h"
#include "text/bpe.h"
#include "text/unigram.h"
#include "base/hash.h"

static void hash_int(sha256 *s, int64_t x) { sha256_add(s, &x, sizeof x); }

static void hash_str(sha256 *s, str x) {
    hash_int(s, (int64_t)x.n);
    sha256_add(s, x.p, x.n);
}

static void hash_form(sha256 *s, const template_form *f) {
    hash_int(s, f->n);
    for (int i = 0; i < f->n; i++) {
        hash_int(s, f->piece[i].id);
        hash_int(s, f->piece[i].pair);
        hash_int(s, f->piece[i].type);
    }
}

static int compare_ids(const void *a, const void *b) {
    return (*(const added_token *const *)a)->id - (*(const added_token *const *)b)->id;
}

/* What WordPiece tokenizers do not have; nothing is added for those. */
static void hash_normalizer(sha256 *s, const normalizer *n) {
    for (int i = 0; i < n->n; i++) {
        const normalize_step *x = &n->step[i];
        if (x->kind == NORMALIZE_BERT) continue;
        const int64_t numbers[] = {
            i, x->kind, x->left, x->right, (int64_t)x->least, (int64_t)x->n_from, (int64_t)x->n_to};
        sha256_add(s, numbers, sizeof numbers);
        sha256_add(s, x->from, x->n_from * sizeof *x->from);
        sha256_add(s, x->to, x->n_to * sizeof *x->to);
        hash_str(s, x->map_text);
    }
}

static void hash_pretokenizer(sha256 *s, const pretokenizer *p) {
    if (p->cut <= CUT_BERT && !p->bytes && !p->mark && !p->prefix_space) return;
    const int64_t numbers[] = {p->cut, p->bytes, p->prefix_space, p->mark, p->scheme, p->at_marks};
    sha256_add(s, numbers, sizeof numbers);
}

static int compare_ranks(const void *a, const void *b) {
    const bpe_merge *x = a, *y = b;
    return x->rank < y->rank ? -1 : x->rank > y->rank;
}

static void hash_bpe(sha256 *s, const bpe_model *m) {
    const int64_t numbers[] = {m->byte_fallback, m->fuse_unk, m->ignore_merges, m->bytes};
    bpe_merge *merge = mem_new(sizeof *merge * (m->n_slots + 1), "merges in order");
    size_t n = 0;
    for (size_t i = 0; i < m->n_slots; i++)
        if (m->slot[i].rank) merge[n++] = m->slot[i];
    qsort(merge, n, sizeof *merge, compare_ranks);
    sha256_add(s, numbers, sizeof numbers);
    for (size_t i = 0; i < n; i++) hash_int(s, (int64_t)merge[i].pair);
    mem_free(merge);
}

/* The order in which added tokens are listed decides nothing: a folder with vocab.txt and the one written from it
 * have the same fingerprint. */
void tokenizer_fingerprint(tokenizer *t) {
    const normalize_options *o = &t->normalizer.step[0].bert; /* all 0 where the first step is another */
    sha256 s;
    uint8_t digest[32];
    const added_token **by_id = mem_new(sizeof *by_id * (size_t)(t->n_added + 1), "added tokens");
    for (int i = 0; i < t->n_added; i++) by_id[i] = &t->added[i];
    qsort(by_id, (size_t)t->n_added, sizeof *by_id, compare_ids);
    sha256_begin(&s);
    hash_str(&s, STR("hone tokenizer 1"));
    hash_int(&s, t->vocab.n);
    for (int id = 0; id < t->vocab.n; id++) hash_str(&s, t->vocab.token[id]);
    const int64_t numbers[] = {t->n_model,
                               t->normalizer.n > 0,
                               t->pretokenizer.cut == CUT_BERT,
                               o->clean_text,
                               o->chinese_chars,
                               o->strip_accents,
                               o->lowercase,
                               t->unk,
                               t->max_chars};
    sha256_add(&s, numbers, sizeof numbers);
    hash_str(&s, t->prefix);
    for (int i = 0; i < t->n_added; i++) {
        const added_token *x = by_id[i];
        hash_str(&s, x->content);
        const int64_t flags[] = {x->id, x->single_word, x->lstrip, x->rstrip, x->normalized, x->special};
        sha256_add(&s, flags, sizeof flags);
    }
    hash_form(&s, &t->single);
    hash_form(&s, &t->pair);
    hash_normalizer(&s, &t->normalizer);
    hash_pretokenizer(&s, &t->pretokenizer);
    if (t->model != &wordpiece_kind) hash_str(&s, str_of(t->model->name));
    if (t->bpe) hash_bpe(&s, t->bpe);
    if (t->unigram) sha256_add(&s, t->unigram->score, sizeof(double) * (size_t)t->n_model);
    if (t->unigram) hash_int(&s, t->unigram->byte_fallback);
    sha256_end(&s, digest);
    sha256_hex(digest, t->sha256);
    mem_free(by_id);
}
