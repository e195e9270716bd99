/* fixed.c - sums in fixed point: the same bits for any number of ranks, and what range does to them. */
#include <math.h>
#include <stdlib.h>

#include "base/err.h"
#include "forked.h"
#include "run/fixed.h"
#include "shards.h"
#include "test.h"

enum { SHARDS = 7 };

static hone_status sum(comm *c, float (*shard)(int, int64_t), int64_t n, float *out, int *shift, hone_err *err) {
    const float *x[SHARDS];
    int first, end;
    tree_run_of_rank(SHARDS, c->rank, c->n, &first, &end);
    for (int s = first; s < end; s++) {
        float *own = malloc((size_t)n * sizeof *own);
        for (int64_t e = 0; e < n; e++) own[e] = shard(s, e);
        x[s - first] = own;
    }
    fixed_sum *f = fixed_sum_new(c);
    const hone_status status = fixed_sum_all(f, out, x, end - first, SHARDS, n, shift, err);
    for (int s = first; s < end; s++) free((void *)x[s - first]);
    fixed_sum_free(f);
    return status;
}

/* Exact sums (in 128 bits) of what 2^k makes of the shards, rounded once. */
static hone_status is_rounded_once(comm *c, void *arg, hone_err *err) {
    float *out = malloc(ELEMENTS * sizeof *out);
    int shift;
    (void)arg;
    HONE_TRY(sum(c, shard_element, ELEMENTS, out, &shift, err));
    for (int64_t e = 0; e < ELEMENTS; e++) {
        __int128 q = 0;
        for (int s = 0; s < SHARDS; s++) q += (__int128)rint(ldexp((double)shard_element(s, e), shift));
        const float wanted = ldexpf((float)q, -shift);
        if (out[e] != wanted)
            return hone_fail(err, HONE_EBUG, "element %lld is %.9g, expected %.9g", (long long)e, (double)out[e],
                             (double)wanted);
    }
    free(out);
    return shift == 62 - 22 - 3 ? HONE_OK : hone_fail(err, HONE_EBUG, "shift %d", shift); /* |x| < 2^22, 8 > 7 shards */
}

TEST(fixed_sums_have_the_same_bits_for_any_number_of_ranks) {
    for (int n = 1; n <= 8; n++) forked_all_end_well(n, is_rounded_once, NULL);
}

static float of_any_size(int shard, int64_t e) {
    if (e == 0) return shard == 2 ? 0x1p100f : 0;
    if (e == 1) return shard == 0 ? 0x1p100f : shard == 1 ? -0x1p100f : shard == 5 ? 0x1p62f : 0;
    return shard == 6 ? 0x1p20f : 0; /* less than half a unit */
}
static float largest(int shard, int64_t e) { return (void)shard, (void)e, 0x1.fffffep+124f; }
static float nothing(int shard, int64_t e) { return (void)shard, (void)e, 0; }
static float poisoned(int shard, int64_t e) { return shard == 4 && e == 1 ? NAN : 1; }

static hone_status range(comm *c, void *arg, hone_err *err) {
    float out[3];
    int shift;
    (void)arg;
    HONE_TRY(sum(c, of_any_size, 3, out, &shift, err));
    if (shift != 62 - 101 - 3 || out[0] != 0x1p100f || out[1] != 0x1p62f || out[2] != 0)
        return hone_fail(err, HONE_EBUG, "%g %g %g, shift %d", (double)out[0], (double)out[1], (double)out[2], shift);
    HONE_TRY(sum(c, largest, 3, out, NULL, err));
    if (out[2] != 7 * 0x1.fffffep+124f) return hone_fail(err, HONE_EBUG, "%a overflowed", (double)out[2]);
    HONE_TRY(sum(c, nothing, 3, out, NULL, err));
    if (out[0] != 0 || out[2] != 0) return hone_fail(err, HONE_EBUG, "zeros make %g", (double)out[2]);
    HONE_TRY(sum(c, poisoned, 3, out, NULL, err));
    return isnan(out[0]) && isnan(out[2]) ? HONE_OK : hone_fail(err, HONE_EBUG, "NaN was lost");
}

TEST(fixed_sums_keep_62_bits_below_the_largest_and_tell_what_is_not_finite) {
    forked_all_end_well(1, range, NULL);
    forked_all_end_well(3, range, NULL);
}
