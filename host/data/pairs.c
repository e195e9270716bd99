/* pairs.c - documents as tables of sentences, sentences as places among the tokens: a run of them is a run of tokens. */
#include <string.h>

#include "data/cache.h"
#include "data/pairs.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/vec.h"

typedef struct {
    pair_rule r;
    int64_t max_samples, epoch;
    VEC(int64_t) sentence; /* first token of each, and the end of the last */
    VEC(int64_t) document; /* first sentence of each, and the end of the last */
    int64_t n_documents;
    VEC(int64_t) at; /* what was drawn: the data set's arrays */
    VEC(int32_t) label;
    VEC(token_pair) pair;
} source;

void pairs_free(void *p) {
    source *s = p;
    if (!s) return;
    vec_free(&s->sentence);
    vec_free(&s->document);
    vec_free(&s->at);
    vec_free(&s->label);
    vec_free(&s->pair);
    mem_free(s);
}

/* ---- documents ---- */

/* The sentences that begin in tokens from .. end of a line. */
static void add_line(source *s, const int32_t *id, int64_t from, int64_t end) {
    vec_push(&s->sentence, from);
    for (int64_t i = from, ended = 0; s->r.ends && i < end; i++) {
        const int kind = s->r.ends[id[i]];
        if (ended && kind == PAIRS_GOES_ON) vec_push(&s->sentence, i);
        ended = kind == PAIRS_END || (ended && kind == PAIRS_CLOSES);
    }
}

static void find_documents(source *s, const dataset *d) {
    int is_open = 0;
    for (int64_t i = 0; i < d->n; i++) {
        const int has_text = d->at[i + 1] > d->at[i];
        if (has_text && !is_open) vec_push(&s->document, (int64_t)s->sentence.n);
        if (has_text) add_line(s, d->id, d->at[i], d->at[i + 1]);
        is_open = has_text;
    }
    s->n_documents = (int64_t)s->document.n;
    vec_push(&s->document, (int64_t)s->sentence.n);
    vec_push(&s->sentence, d->n_tokens);
}

static hone_status check_documents(const source *s, const char *name, hone_err *err) {
    int64_t longer = 0;
    if (s->n_documents < 2) {
        hone_fail(err, HONE_EDATA, "%s: %lld documents, expected at least 2", name,
                  (long long)s->n_documents);
        return hone_hint(err, "task: pretrain reads a sentence a line, and an empty line between documents");
    }
    for (int64_t i = 0; i < s->n_documents; i++) longer += s->document.p[i + 1] - s->document.p[i] > 1;
    if (longer) return HONE_OK;
    hone_fail(err, HONE_EDATA, "%s: none of %lld documents has two sentences, expected some", name,
              (long long)s->n_documents);
    return hone_hint(err, "split_sentences: true cuts lines, which may be whole paragraphs, into sentences");
}

/* ---- drawing ---- */

typedef struct {
    const source *s;
    uint64_t stream, number; /* of the draws of a document */
} draws;

static int64_t draw_below(draws *w, int64_t n) {
    return (int64_t)rng_below(w->s->r.seed, RNG_PAIR, w->stream, w->number++, (uint64_t)n);
}

static int draw_chance(draws *w, double p) {
    return rng_uniform(w->s->r.seed, RNG_PAIR, w->stream, w->number++) < p;
}

static int64_t tokens_of(const source *s, int64_t from, int64_t end) {
    return s->sentence.p[end] - s->sentence.p[from];
}

/* The end of the sentences from `from` on, at least one, that have so many tokens. */
static int64_t gather(const source *s, int64_t from, int64_t end, int64_t tokens) {
    int64_t i = from + 1;
    while (i < end && tokens_of(s, from, i) < tokens) i++;
    return i;
}

/* A coin for each token that is lost, 64 to a draw. */
static void cut(draws *w, token_pair *p, int64_t most) {
    uint64_t coins = 0;
    for (int64_t lost = 0; p->n[0] + p->n[1] > most; lost++) {
        const int k = p->n[0] > p->n[1] ? 0 : 1;
        if (lost % 64 == 0) coins = rng_bits(w->s->r.seed, RNG_PAIR, w->stream, w->number++);
        p->first[k] += (int64_t)(coins & 1);
        p->n[k]--;
        coins >>= 1;
    }
}

static void take_run(const source *s, token_pair *p, int k, int64_t from, int64_t end) {
    p->first[k] = s->sentence.p[from];
    p->n[k] = tokens_of(s, from, end);
}

/* Sentences of another document than k. */
static void draw_other(draws *w, int64_t k, int64_t tokens, token_pair *p) {
    const source *s = w->s;
    int64_t other = draw_below(w, s->n_documents - 1);
    other += other >= k;
    const int64_t from = s->document.p[other], end = s->document.p[other + 1],
                  at = from + draw_below(w, end - from);
    take_run(s, p, 1, at, gather(s, at, end, tokens));
}

/* The pair that begins with sentence `from` of document k; returns the sentence that the next one begins with. */
static int64_t draw_pair(draws *w, int64_t k, int64_t from, token_pair *p, int32_t *label) {
    const source *s = w->s;
    const int64_t most = s->r.length - PAIRS_SPECIAL;
    const int64_t target = draw_chance(w, s->r.p_short) ? 2 + draw_below(w, most - 1) : most;
    const int64_t end = gather(s, from, s->document.p[k + 1], target);
    const int64_t middle = from + 1 + (end - from > 1 ? draw_below(w, end - from - 1) : 0);
    take_run(s, p, 0, from, middle);
    *label = middle == end || draw_chance(w, s->r.p_random) ? PAIRS_RANDOM : PAIRS_FOLLOWS;
    if (*label == PAIRS_RANDOM) draw_other(w, k, target - p->n[0], p);
    else take_run(s, p, 1, middle, end);
    cut(w, p, most);
    return *label == PAIRS_RANDOM ? middle : end;
}

static void draw_document(source *s, int64_t k) {
    draws w = {s, (uint64_t)s->epoch << 40 | (uint64_t)k, 0};
    int64_t end = s->at.p[s->at.n - 1];
    for (int64_t i = s->document.p[k]; i < s->document.p[k + 1];) {
        token_pair p;
        int32_t label;
        if (s->max_samples && (int64_t)s->pair.n == s->max_samples) return;
        i = draw_pair(&w, k, i, &p, &label);
        vec_push(&s->pair, p);
        vec_push(&s->label, label);
        end += p.n[0] + p.n[1] + PAIRS_SPECIAL;
        vec_push(&s->at, end);
    }
}

static void draw_epoch(dataset *d, source *s, int64_t epoch) {
    HONE_ASSERT(epoch >= 0 && epoch < 1 << 24);
    s->epoch = epoch;
    s->at.n = s->label.n = s->pair.n = 0;
    vec_push(&s->at, 0);
    for (int64_t k = 0; k < s->n_documents; k++) draw_document(s, k);
    d->n = (int64_t)s->pair.n;
    d->n_tokens = s->at.p[d->n];
    d->at = s->at.p, d->label = s->label.p, d->pair = s->pair.p;
}

hone_status pairs_begin(dataset *d, const pair_rule *r, int64_t max_samples, int64_t epoch, const char *name,
                        hone_err *err) {
    dataset_owner *w = d->owner;
    HONE_ASSERT(!w->pairs && r->length >= PAIRS_LENGTH_MIN);
    source *s = w->pairs = mem_new(sizeof *s, "documents");
    s->r = *r;
    s->max_samples = max_samples;
    find_documents(s, d);
    HONE_TRY(check_documents(s, name, err));
    d->line = NULL, d->target = NULL;
    d->max_length = r->length;
    d->cls = r->cls, d->sep = r->sep;
    draw_epoch(d, s, epoch);
    return HONE_OK;
}

void dataset_epoch(dataset *d, int64_t epoch) {
    source *s = d->owner ? ((dataset_owner *)d->owner)->pairs : NULL;
    if (s && s->epoch != epoch) draw_epoch(d, s, epoch);
}
