/* masks.c - the first places of a shuffle that is drawn only as far as it is needed. */
#include <math.h>
#include <stdlib.h>

#include "data/masks.h"
#include "base/err.h"
#include "base/rng.h"

#define SAMPLE_BITS 40

static int is_hidden_ever(const mask_rule *r, int32_t id) { return !r->special[id]; }

static int64_t count_of(const mask_rule *r, int64_t m) {
    const int64_t n = (int64_t)floor(r->p * (double)m + 0.5);
    return n < 1 && m > 0 ? 1 : n;
}

int64_t masks_count(const mask_rule *r, const int32_t *id, int64_t n) {
    int64_t m = 0;
    for (int64_t i = 0; i < n; i++) m += is_hidden_ever(r, id[i]);
    return count_of(r, m);
}

int64_t masks_bound(const mask_rule *r, int64_t tokens, int64_t samples) {
    const int64_t n = (int64_t)ceil(r->p * (double)tokens) + samples;
    return n < tokens ? n : tokens;
}

static int ascending(const void *a, const void *b) {
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

static int32_t any_token(const mask_rule *r, uint64_t stream, uint64_t number) {
    const int without = r->pad_id >= 0 && r->pad_id < r->vocab;
    const int32_t id = (int32_t)rng_below(r->seed, RNG_MASK, stream, number, (uint64_t)(r->vocab - without));
    return id + (without && id >= r->pad_id);
}

int64_t masks_draw(const mask_rule *r, int64_t epoch, int64_t sample, int32_t *id, int64_t n, int32_t *place,
                   int32_t *was) {
    const uint64_t stream = (uint64_t)epoch << SAMPLE_BITS | (uint64_t)sample;
    int64_t m = 0;
    HONE_ASSERT(epoch >= 0 && epoch < 1 << 24 && sample >= 0 && sample < (int64_t)1 << SAMPLE_BITS);
    for (int64_t i = 0; i < n; i++)
        if (is_hidden_ever(r, id[i])) place[m++] = (int32_t)i;
    const int64_t k = count_of(r, m);
    for (int64_t i = 0; i < k; i++) {
        const int64_t j = i + (int64_t)rng_below(r->seed, RNG_MASK, stream, 3 * (uint64_t)i, (uint64_t)(m - i));
        const int32_t swap = place[i];
        place[i] = place[j];
        place[j] = swap;
    }
    qsort(place, (size_t)k, sizeof *place, ascending);
    for (int64_t i = 0; i < k; i++) {
        const uint64_t tenth = rng_below(r->seed, RNG_MASK, stream, 3 * (uint64_t)i + 1, 10);
        was[i] = id[place[i]];
        if (tenth < 8) id[place[i]] = r->mask_id;
        else if (tenth == 8) id[place[i]] = any_token(r, stream, 3 * (uint64_t)i + 2);
    }
    return k;
}
