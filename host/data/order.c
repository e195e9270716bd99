#include <stdlib.h>

#include "data/order.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/rng.h"

struct order {
    int64_t *sample; /* in the order of the epoch */
    int64_t n;
    int64_t *first; /* [n_batches + 1] into sample */
    int64_t n_batches;
    const int64_t *length_at;
};

static int64_t length_of(const order_options *o, int64_t sample) {
    return o->length_at ? o->length_at[sample + 1] - o->length_at[sample] : 1;
}

/* Fisher-Yates; round tells apart the shuffles of one epoch. */
static void shuffle(int64_t *p, int64_t n, uint64_t seed, int64_t epoch, uint32_t round) {
    for (int64_t i = n - 1; i > 0; i--) {
        const int64_t j =
            (int64_t)rng_below(seed, RNG_ORDER, (uint64_t)epoch << 32 | round, (uint64_t)i, (uint64_t)i + 1);
        const int64_t t = p[i];
        p[i] = p[j];
        p[j] = t;
    }
}

typedef struct {
    int64_t length, place, sample;
} ranked;

static int longest_first(const void *a, const void *b) {
    const ranked *x = a, *y = b;
    if (x->length != y->length) return x->length > y->length ? -1 : 1;
    return x->place < y->place ? -1 : x->place > y->place;
}

/* Samples of a typical batch, to size the mega-batches. */
static int64_t typical_batch(const order_options *o) {
    if (o->max_tokens <= 0) return o->samples_per_batch;
    const int64_t total = o->length_at ? o->length_at[o->n] - o->length_at[0] : o->n;
    const int64_t mean = o->n && total > o->n ? total / o->n : 1;
    return o->max_tokens / mean > 0 ? o->max_tokens / mean : 1;
}

/* transformers' get_length_grouped_indices: shuffled, cut into mega-batches of 50 batches (fewer in a small
 * set), each sorted from long to short, and the longest sample of all brought to the front, so that memory
 * peaks at once. */
static void group_by_length(const order_options *o, int64_t *p) {
    const int64_t batch_samples = typical_batch(o);
    int64_t factor = o->n / (batch_samples * 4);
    if (factor > 50) factor = 50;
    if (factor < 1) factor = 1;
    const int64_t mega = factor * batch_samples;
    ranked *r = mem_new((size_t)(mega < o->n ? mega : o->n) * sizeof *r, "samples by length");
    int64_t longest = 0;
    for (int64_t from = 0; from < o->n; from += mega) {
        const int64_t n = o->n - from < mega ? o->n - from : mega;
        for (int64_t i = 0; i < n; i++) r[i] = (ranked){length_of(o, p[from + i]), i, p[from + i]};
        qsort(r, (size_t)n, sizeof *r, longest_first);
        for (int64_t i = 0; i < n; i++) p[from + i] = r[i].sample;
        if (length_of(o, p[from]) > length_of(o, p[longest])) longest = from;
    }
    const int64_t t = p[0];
    p[0] = p[longest];
    p[longest] = t;
    mem_free(r);
}

/* The samples of each class, and where in its shuffled rounds each class stands. */
typedef struct {
    int n_classes;
    int64_t *member;       /* samples by class */
    int64_t *from, *taken; /* [n_classes + 1], [n_classes] */
    int64_t *round;        /* [n_classes] */
} classes;

static void sort_by_class(classes *c, const order_options *o) {
    int32_t top = -1;
    for (int64_t i = 0; i < o->n; i++)
        if (o->label[i] > top) top = o->label[i];
    c->n_classes = top + 1;
    c->member = mem_new((size_t)o->n * sizeof *c->member, "samples by class");
    c->from = mem_new((size_t)(c->n_classes + 2) * sizeof *c->from, "samples by class");
    c->taken = mem_new((size_t)(c->n_classes + 1) * sizeof *c->taken, "samples by class");
    c->round = mem_new((size_t)(c->n_classes + 1) * sizeof *c->round, "samples by class");
    for (int64_t i = 0; i < o->n; i++)
        if (o->label[i] >= 0) c->from[o->label[i] + 1]++;
    for (int k = 0; k < c->n_classes; k++) c->from[k + 1] += c->from[k];
    for (int64_t i = 0; i < o->n; i++)
        if (o->label[i] >= 0) c->member[c->from[o->label[i]] + c->taken[o->label[i]]++] = i;
    for (int k = 0; k < c->n_classes; k++)
        c->taken[k] = c->from[k + 1] - c->from[k]; /* a round is due at once */
}

/* The next sample of class k: all of its samples once, shuffled, then all again. */
static int64_t draw_from(classes *c, int k, const order_options *o, int64_t epoch) {
    const int64_t n = c->from[k + 1] - c->from[k];
    if (c->taken[k] == n) {
        /* Rounds of all classes share the counter, so the class is part of the round's number. */
        shuffle(c->member + c->from[k], n, o->seed ^ ((uint64_t)(k + 1) << 32), epoch,
                (uint32_t)++c->round[k]);
        c->taken[k] = 0;
    }
    return c->member[c->from[k] + c->taken[k]++];
}

/* As many draws as there are labelled samples; every class once in each round of classes, in shuffled order.
 */
static int64_t balance(const order_options *o, int64_t epoch, int64_t *p) {
    HONE_ASSERT(o->label);
    classes c = {0};
    sort_by_class(&c, o);
    int64_t *turn = mem_new((size_t)(c.n_classes + 1) * sizeof *turn, "classes"), n_turns = 0;
    for (int k = 0; k < c.n_classes; k++)
        if (c.from[k + 1] > c.from[k]) turn[n_turns++] = k;
    const int64_t n = c.from[c.n_classes];
    for (int64_t i = 0; i < n; i++) {
        if (i % n_turns == 0) shuffle(turn, n_turns, o->seed, epoch, (uint32_t)(i / n_turns) + 1);
        p[i] = draw_from(&c, (int)turn[i % n_turns], o, epoch);
    }
    mem_free(turn);
    mem_free(c.member);
    mem_free(c.from);
    mem_free(c.taken);
    mem_free(c.round);
    return n;
}

/* Close batches by count, or before the sample that would go over the budget of tokens. */
static void cut_batches(order *r, const order_options *o) {
    int64_t tokens = 0;
    r->first = mem_new((size_t)(r->n + 2) * sizeof *r->first, "batches");
    for (int64_t i = 0; i < r->n; i++) {
        const int64_t length = length_of(o, r->sample[i]), count = i - r->first[r->n_batches];
        const int full = o->max_tokens > 0 ? tokens + length > o->max_tokens || count == ORDER_SAMPLES_MAX
                                           : count == o->samples_per_batch;
        if (count && full) r->first[++r->n_batches] = i, tokens = 0;
        tokens += length;
    }
    if (!r->n) return;
    const int64_t rest = r->n - r->first[r->n_batches];
    if (!o->drop_last || o->max_tokens > 0 || rest == o->samples_per_batch) r->first[++r->n_batches] = r->n;
}

/* ---- dealing: the samples of a step to its batches ---- */

typedef struct {
    int64_t tokens;
    int batch;
} hand;

static int fewest_first(const void *a, const void *b) {
    const hand *x = a, *y = b;
    if (x->tokens != y->tokens) return x->tokens < y->tokens ? -1 : 1;
    return (x->batch > y->batch) - (x->batch < y->batch);
}

/* Rounds of one sample a batch, from the longest on: the longest of a round to the batch with the fewest tokens so far. Then
 * no two batches differ by more than the longest sample has tokens, and by one sample. */
static void deal_samples(const order_options *o, const int64_t *sample, int64_t n, hand *h, int n_batches,
                         ranked *r, int *batch) {
    for (int64_t i = 0; i < n; i++) r[i] = (ranked){length_of(o, sample[i]), i, sample[i]};
    qsort(r, (size_t)n, sizeof *r, longest_first);
    for (int b = 0; b < n_batches; b++) h[b] = (hand){0, b};
    for (int64_t i = 0; i < n; i++) {
        const int64_t k = i % n_batches;
        if (!k) qsort(h, (size_t)n_batches, sizeof *h, fewest_first);
        h[k].tokens += r[i].length;
        batch[r[i].place] = h[k].batch;
    }
}

/* The samples of batches first .. first + n_batches - 1, each batch's in their order. */
static void deal_step(order *r, const order_options *o, int64_t first, int n_batches, void *room) {
    int64_t *sample = r->sample + r->first[first];
    const int64_t n = r->first[first + n_batches] - r->first[first];
    ranked *by_length = room;
    int64_t *copy = (int64_t *)(by_length + n);
    hand *h = (hand *)(copy + n);
    int *batch = (int *)(h + n_batches);
    deal_samples(o, sample, n, h, n_batches, by_length, batch);
    int64_t at = 0;
    for (int b = 0; b < n_batches; b++) {
        r->first[first + b] = r->first[first] + (b ? at : 0);
        for (int64_t i = 0; i < n; i++)
            if (batch[i] == b) copy[at++] = sample[i];
    }
    for (int64_t i = 0; i < n; i++) sample[i] = copy[i];
}

static void deal_batches(order *r, const order_options *o) {
    if (o->deal < 2 || o->max_tokens > 0 || !o->length_at) return;
    const size_t most = (size_t)(o->deal * o->samples_per_batch);
    void *room =
        mem_new(most * (sizeof(ranked) + sizeof(int64_t) + sizeof(int)) + (size_t)o->deal * sizeof(hand),
                "samples of a step");
    for (int64_t b = 0; b < r->n_batches; b += o->deal)
        deal_step(r, o, b, (int)(r->n_batches - b < o->deal ? r->n_batches - b : o->deal), room);
    mem_free(room);
}

order *order_new(const order_options *o, int64_t epoch) {
    HONE_ASSERT(o->max_tokens > 0 || o->samples_per_batch > 0);
    order *r = mem_new(sizeof *r, "order of an epoch");
    r->sample = mem_new((size_t)o->n * sizeof *r->sample, "order of an epoch");
    r->n = o->n;
    r->length_at = o->length_at;
    for (int64_t i = 0; i < o->n; i++) r->sample[i] = i;
    if (o->kind == SAMPLING_BALANCED) r->n = balance(o, epoch, r->sample);
    else if (o->kind != SAMPLING_SEQUENTIAL) shuffle(r->sample, o->n, o->seed, epoch, 0);
    if (o->kind == SAMPLING_GROUP_BY_LENGTH && o->n) group_by_length(o, r->sample);
    cut_batches(r, o);
    deal_batches(r, o);
    return r;
}

void order_free(order *o) {
    if (!o) return;
    mem_free(o->sample);
    mem_free(o->first);
    mem_free(o);
}

int64_t order_batches(const order *o) { return o->n_batches; }

const int64_t *order_batch(const order *o, int64_t b, int64_t *n) {
    HONE_ASSERT(b >= 0 && b < o->n_batches);
    *n = o->first[b + 1] - o->first[b];
    return o->sample + o->first[b];
}

void order_largest(const order *o, int64_t *tokens, int64_t *samples) {
    *tokens = *samples = 0;
    for (int64_t b = 0; b < o->n_batches; b++) {
        int64_t here = 0;
        const int64_t n = o->first[b + 1] - o->first[b];
        for (int64_t i = o->first[b]; i < o->first[b + 1]; i++)
            here += o->length_at ? o->length_at[o->sample[i] + 1] - o->length_at[o->sample[i]] : 1;
        if (here > *tokens) *tokens = here;
        if (n > *samples) *samples = n;
    }
}

static int descending(const void *a, const void *b) {
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x > y ? -1 : x < y;
}

void order_bound(const order_options *o, int64_t *tokens, int64_t *samples) {
    *tokens = *samples = 0;
    if (!o->n) return;
    if (o->kind == SAMPLING_SEQUENTIAL) { /* every epoch is the same */
        order *r = order_new(o, 0);
        order_largest(r, tokens, samples);
        order_free(r);
        return;
    }
    int64_t *length = mem_new((size_t)o->n * sizeof *length, "lengths");
    for (int64_t i = 0; i < o->n; i++) length[i] = length_of(o, i);
    qsort(length, (size_t)o->n, sizeof *length, descending);
    if (o->max_tokens <= 0) {
        /* A balanced epoch may hold the longest sample of a small class several times in one batch. */
        const int repeats = o->kind == SAMPLING_BALANCED;
        *samples = o->samples_per_batch < o->n ? o->samples_per_batch : o->n;
        for (int64_t i = 0; i < *samples; i++) *tokens += length[repeats ? 0 : i];
    } else {
        *tokens = o->max_tokens > length[0] ? o->max_tokens : length[0];
        const int64_t shortest = length[o->n - 1] > 0 ? length[o->n - 1] : 1;
        *samples = o->max_tokens / shortest > 1 ? o->max_tokens / shortest : 1;
        if (*samples > o->n) *samples = o->n;
        if (*samples > ORDER_SAMPLES_MAX) *samples = ORDER_SAMPLES_MAX;
    }
    mem_free(length);
}
