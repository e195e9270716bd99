/* simulate.c - time[r]: when GPU r is done with what it has been given so far. */
#include <math.h>

#include "plan/simulate.h"
#include "base/mem.h"
#include "base/rng.h"

typedef struct { /* GPUs first, first + stride, ... : count of them, joined by links of a kind */
    double *time, *next;
    int first, stride, count;
    double bytes_per_s, latency_s;
} group;

static double *at(const group *g, int i) { return &g->time[g->first + i * g->stride]; }

static void meet(const group *g, int i, int k, double bytes) {
    const double both = fmax(*at(g, i), *at(g, k)) + g->latency_s + bytes / g->bytes_per_s;
    *at(g, i) = *at(g, k) = both;
}

/* count - 1 rounds; in each a GPU hears from the one before it. Reduce-scatter and all-gather are alike. */
static void ring(const group *g, double bytes) {
    const double message_s = g->latency_s + bytes / g->count / g->bytes_per_s;
    for (int round = 1; round < g->count; round++) {
        for (int i = 0; i < g->count; i++)
            g->next[i] = fmax(*at(g, i), *at(g, (i + g->count - 1) % g->count)) + message_s;
        for (int i = 0; i < g->count; i++) *at(g, i) = g->next[i];
    }
}

/* Those beyond the last power of two give theirs to a partner first, and hear the result at the end. */
static void halve(const group *g, double bytes, int gathers) {
    int whole = 1;
    while (2 * whole <= g->count) whole *= 2;
    for (int i = whole; !gathers && i < g->count; i++) meet(g, i - whole, i, bytes);
    for (int d = 1; d < whole; d *= 2) {
        const int distance = gathers ? whole / 2 / d : d;
        const double share = gathers ? bytes * d / whole : bytes / (2 * d);
        for (int i = 0; i < whole; i++)
            if (!(i & distance)) meet(g, i, i | distance, share);
    }
    for (int i = whole; gathers && i < g->count; i++) meet(g, i - whole, i, bytes);
}

static void play(const sim_links *l, const group *g, double bytes, int gathers) {
    if (l->halving) halve(g, bytes, gathers);
    else ring(g, bytes);
}

static void inside(const sim_links *l, double *time, double *next, double bytes, int gathers) {
    const int own = l->n < l->per_node ? l->n : l->per_node;
    for (int first = 0; first < l->n; first += own)
        play(l, &(group){time, next, first, 1, own, l->node_bytes_per_s, l->node_latency_s}, bytes, gathers);
}

static void across(const sim_links *l, double *time, double *next, double bytes, int gathers) {
    if (l->n <= l->per_node) return;
    for (int k = 0; k < l->per_node; k++) {
        const group g = {
            time, next, k, l->per_node, l->n / l->per_node, l->net_bytes_per_s, l->net_latency_s};
        play(l, &g, bytes / l->per_node, gathers);
    }
}

static void scatter(const sim_links *l, double *time, double *next, double bytes) {
    inside(l, time, next, bytes, 0);
    across(l, time, next, bytes, 0);
}
static void gather(const sim_links *l, double *time, double *next, double bytes) {
    across(l, time, next, bytes, 1);
    inside(l, time, next, bytes, 1);
}

static double latest(const double *time, int n) {
    double most = 0;
    for (int r = 0; r < n; r++) most = fmax(most, time[r]);
    return most;
}

double sim_sum_seconds(const sim_links *l, double bytes) {
    double *time = mem_new(2 * (size_t)l->n * sizeof *time, "simulated links");
    scatter(l, time, time + l->n, bytes);
    gather(l, time, time + l->n, bytes);
    const double end = latest(time, l->n);
    mem_free(time);
    return end;
}

static double slowness(const sim_step *s, int step, int r) {
    const double u = rng_uniform(s->seed, RNG_BENCH, (uint64_t)step, (uint64_t)r);
    return s->jitter > 0 ? 1 - s->jitter * log1p(-u) : 1;
}

double sim_step_seconds(const sim_links *l, const sim_step *s) {
    const size_t n = (size_t)l->n;
    double *begin = mem_new(4 * n * sizeof *begin, "simulated links"), *time = begin + n, *slow = time + n,
           *next = slow + n;
    for (int step = 0; step < s->n_steps; step++) {
        for (size_t r = 0; r < n; r++) slow[r] = slowness(s, step, (int)r), time[r] = begin[r];
        for (int b = 0; b < s->n_buckets; b++) { /* one after another, on a stream of their own */
            for (size_t r = 0; r < n; r++) time[r] = fmax(time[r], begin[r] + s->bucket[b].ready_s * slow[r]);
            scatter(l, time, next, s->bucket[b].bytes);
            if (!s->scatter) gather(l, time, next, s->bucket[b].bytes);
        }
        for (size_t r = 0; r < n; r++)
            time[r] = fmax(time[r], begin[r] + s->compute_s * slow[r]) + s->update_s * slow[r];
        if (s->scatter) gather(l, time, next, s->gather_bytes);
        for (size_t r = 0; r < n; r++) begin[r] = time[r];
    }
    const double end = latest(begin, l->n);
    mem_free(begin);
    return end / s->n_steps;
}
