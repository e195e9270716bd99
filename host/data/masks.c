/* masks.c - the first words of a shuffle that is drawn only as far as it is needed. */
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

static uint64_t stream_of(int64_t epoch, int64_t sample) {
    HONE_ASSERT(epoch >= 0 && epoch < 1 << 24 && sample >= 0 && sample < (int64_t)1 << SAMPLE_BITS);
    return (uint64_t)epoch << SAMPLE_BITS | (uint64_t)sample;
}

/* Words, or single tokens: where each begins and how many tokens it has. Returns how many there are; *m: their tokens. */
static int64_t find_words(const mask_rule *r, const int32_t *id, int64_t n, int32_t *first, int32_t *length,
                          int64_t *m) {
    int64_t words = 0;
    *m = 0;
    for (int64_t i = 0; i < n; i++) {
        if (!is_hidden_ever(r, id[i])) continue;
        const int goes_on =
            r->inside && r->inside[id[i]] && words && first[words - 1] + length[words - 1] == i;
        if (goes_on) length[words - 1]++;
        else first[words] = (int32_t)i, length[words++] = 1;
        ++*m;
    }
    return words;
}

/* The tokens that are hidden, in no order, into room; the rest of it is used. */
static int64_t choose(const mask_rule *r, uint64_t stream, const int32_t *id, int64_t n, int32_t *room) {
    int32_t *first = room + 2 * n, *length = first + n;
    int64_t m, k = 0;
    const int64_t words = find_words(r, id, n, first, length, &m), most = count_of(r, m);
    for (int64_t i = 0; i < words && k < most; i++) {
        const int64_t j =
            i + (int64_t)rng_below(r->seed, RNG_MASK, stream, 3 * (uint64_t)i, (uint64_t)(words - i));
        const int32_t at = first[j], tokens = length[j];
        first[j] = first[i], length[j] = length[i];
        for (int32_t t = 0; k + tokens <= most && t < tokens; t++) room[k + t] = at + t;
        if (k + tokens <= most) k += tokens;
    }
    return k;
}

int64_t masks_count(const mask_rule *r, int64_t epoch, int64_t sample, const int32_t *id, int64_t n,
                    int32_t *room) {
    int64_t m = 0;
    if (r->inside) return choose(r, stream_of(epoch, sample), id, n, room);
    for (int64_t i = 0; i < n; i++) m += is_hidden_ever(r, id[i]);
    return count_of(r, m);
}

int64_t masks_draw(const mask_rule *r, int64_t epoch, int64_t sample, int32_t *id, int64_t n, int32_t *room) {
    const uint64_t stream = stream_of(epoch, sample);
    const int64_t k = choose(r, stream, id, n, room);
    qsort(room, (size_t)k, sizeof *room, ascending);
    for (int64_t i = 0; i < k; i++) {
        int32_t *shown = &id[room[i]];
        const uint64_t tenth = rng_below(r->seed, RNG_MASK, stream, 3 * (uint64_t)i + 1, 10);
        room[n + i] = *shown;
        if (tenth < 8) *shown = r->mask_id;
        else if (tenth == 8) *shown = any_token(r, stream, 3 * (uint64_t)i + 2);
    }
    return k;
}
