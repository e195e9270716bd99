/* sample.c - the figures are of fp32 as they come from the device; sums are made in double, in the order of ids. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "train/sample.h"
#include "base/rng.h"

sampler *sampler_new(arena *a, int vocab) {
    sampler *s = ARENA_NEW(a, sampler);
    s->vocab = vocab;
    s->seen = ARENA_ARRAY(a, (size_t)vocab, uint8_t);
    s->sorted = ARENA_ARRAY(a, (size_t)vocab, float);
    return s;
}

void sample_penalize(const sampler *s, float *x, const int32_t *id, int n, double penalty) {
    const float by = (float)penalty;
    for (int i = 0; i < n; i++) {
        float *y = &x[id[i]];
        if (!s->seen[id[i]]) *y = *y < 0 ? *y * by : *y / by;
        s->seen[id[i]] = 1;
    }
    for (int i = 0; i < n; i++) s->seen[id[i]] = 0;
}

void sample_forbid(float *x, const int32_t *token, int n) {
    for (int i = 0; i < n; i++) x[token[i]] = -INFINITY;
}

void sample_warm(const sampler *s, float *x, double temperature) {
    for (int i = 0; i < s->vocab; i++) x[i] /= (float)temperature;
}

static int falling(const void *a, const void *b) {
    const float x = *(const float *)a, y = *(const float *)b;
    return (x < y) - (x > y);
}

static void keep_from(const sampler *s, float *x, float least) {
    for (int i = 0; i < s->vocab; i++)
        if (x[i] < least) x[i] = -INFINITY;
}

/* The tokens that are left, the largest logit first. */
static int sort_left(const sampler *s, const float *x) {
    int n = 0;
    for (int i = 0; i < s->vocab; i++)
        if (x[i] > -INFINITY) s->sorted[n++] = x[i];
    qsort(s->sorted, (size_t)n, sizeof *s->sorted, falling);
    return n;
}

/* The k largest so far lie in a heap, the least of them on top. */
void sample_top_k(const sampler *s, float *x, int64_t k) {
    float *heap = s->sorted;
    int n = 0;
    if (k <= 0 || k >= s->vocab) return;
    for (int i = 0; i < s->vocab; i++) {
        int at;
        if (n < k) {
            for (at = n++; at > 0 && heap[(at - 1) / 2] > x[i]; at = (at - 1) / 2) heap[at] = heap[(at - 1) / 2];
        } else {
            if (!(x[i] > heap[0])) continue;
            for (at = 0; 2 * at + 1 < n;) {
                int child = 2 * at + 1;
                if (child + 1 < n && heap[child + 1] < heap[child]) child++;
                if (heap[child] >= x[i]) break;
                heap[at] = heap[child];
                at = child;
            }
        }
        heap[at] = x[i];
    }
    keep_from(s, x, heap[0]);
}

void sample_top_p(const sampler *s, float *x, double p, int least) {
    if (p >= 1) return;
    const int n = sort_left(s, x);
    double all = 0, sum = 0;
    int i = 0;
    for (int j = 0; j < n; j++) all += exp((double)s->sorted[j] - (double)s->sorted[0]);
    while (i < n && (i < least || sum < p * all)) sum += exp((double)s->sorted[i++] - (double)s->sorted[0]);
    keep_from(s, x, s->sorted[i ? i - 1 : 0]);
}

int32_t sample_best(const sampler *s, const float *x) {
    int32_t best = 0;
    for (int32_t i = 1; i < s->vocab; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

double sample_normaliser(const sampler *s, const float *x) {
    const double top = (double)x[sample_best(s, x)];
    double sum = 0;
    for (int i = 0; i < s->vocab; i++) sum += exp((double)x[i] - top);
    return top + log(sum);
}

int32_t sample_draw(const sampler *s, const float *x, double u) {
    const int32_t best = sample_best(s, x);
    const double top = (double)x[best];
    double sum = 0, seen = 0;
    int32_t last = best;
    for (int i = 0; i < s->vocab; i++) sum += exp((double)x[i] - top);
    for (int32_t i = 0; i < s->vocab; i++) {
        if (!(x[i] > -INFINITY)) continue;
        seen += exp((double)x[i] - top);
        last = i;
        if (seen > u * sum) break;
    }
    return last;
}

double sample_uniform(uint64_t seed, uint64_t prompt, int sequence, int64_t step) {
    return rng_uniform(seed, RNG_GENERATE, prompt, (uint64_t)sequence << 20 | (uint64_t)step);
}
