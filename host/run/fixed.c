/* fixed.c - each rank adds a part of the elements, as they come. */
#include <math.h>
#include <string.h>

#include "run/fixed.h"
#include "base/mem.h"

#define PART ((int64_t)1 << 16) /* elements of each rank's part that travel at once */
#define NOT_FINITE INT64_C(1000000)
#define EXPONENT_OF_ZERO (-1000) /* below that of any float */

struct fixed_sum {
    comm *c;
    int64_t *out, *in; /* [n ranks][PART] */
};

fixed_sum *fixed_sum_new(comm *c) {
    fixed_sum *f = mem_new(sizeof *f, "sums in fixed point");
    f->c = c;
    f->out = mem_new((size_t)c->n * PART * sizeof *f->out, "sums in fixed point");
    f->in = mem_new((size_t)c->n * PART * sizeof *f->in, "sums in fixed point");
    return f;
}

void fixed_sum_free(fixed_sum *f) {
    if (!f) return;
    mem_free(f->out);
    mem_free(f->in);
    mem_free(f);
}

/* e with all |x| < 2^e. */
static int64_t largest_exponent(const float *const *x, int n_x, int64_t n) {
    uint32_t most = 0, u;
    for (int s = 0; s < n_x; s++)
        for (int64_t i = 0; i < n; i++) {
            memcpy(&u, &x[s][i], 4);
            u &= 0x7fffffff;
            if (u > most) most = u;
        }
    float largest;
    int e;
    memcpy(&largest, &most, 4);
    if (most >= 0x7f800000) return NOT_FINITE;
    if (!most) return EXPONENT_OF_ZERO;
    (void)frexpf(largest, &e);
    return e;
}

static int log2_above(int n) {
    int k = 0;
    while (1 << k < n) k++;
    return k;
}

static int64_t part_of(int64_t n, int r, int n_ranks) { return n * r / n_ranks; }

/* Elements at .. at + *m of rank r's part, in this round. */
static int64_t slice(const fixed_sum *f, int64_t n, int r, int64_t round, int64_t *m) {
    const int64_t at = part_of(n, r, f->c->n) + round * PART, left = part_of(n, r + 1, f->c->n) - at;
    *m = left < 0 ? 0 : left < PART ? left : PART;
    return at;
}

/* Elements at .. at + m of this rank's shards, added. */
static void quantize(int64_t *q, const float *const *x, int n_x, int64_t at, int64_t m, double scale) {
    for (int64_t i = 0; i < m; i++) {
        q[i] = 0;
        for (int s = 0; s < n_x; s++) q[i] += llrint((double)x[s][at + i] * scale);
    }
}

static hone_status scatter(fixed_sum *f, float *out, const float *const *x, int n_x, int64_t n, int64_t round,
                           double scale, hone_err *err) {
    comm_piece to[COMM_RANKS_MAX], from[COMM_RANKS_MAX];
    int64_t mine;
    const int64_t own = slice(f, n, f->c->rank, round, &mine);
    for (int r = 0; r < f->c->n; r++) {
        int64_t m;
        const int64_t at = slice(f, n, r, round, &m);
        int64_t *q = f->out + r * PART;
        quantize(q, x, n_x, at, m, scale);
        to[r] = (comm_piece){q, (size_t)m * sizeof *q};
        from[r] = (comm_piece){f->in + r * PART, (size_t)mine * sizeof *q};
    }
    HONE_TRY(comm_exchange(f->c, to, from, err));
    for (int r = 1; r < f->c->n; r++)
        for (int64_t i = 0; i < mine; i++) f->in[i] += f->in[r * PART + i];
    /* int64 to fp32 at once: by way of double it would be rounded twice */
    for (int64_t i = 0; i < mine; i++) out[own + i] = ldexpf((float)f->in[i], -ilogb(scale));
    return HONE_OK;
}

static hone_status gather(fixed_sum *f, float *out, int64_t n, hone_err *err) {
    comm_piece to[COMM_RANKS_MAX], from[COMM_RANKS_MAX];
    const int me = f->c->rank, all = f->c->n;
    const int64_t own = part_of(n, me, all), own_end = part_of(n, me + 1, all);
    for (int r = 0; r < all; r++) {
        const int64_t at = part_of(n, r, all), end = part_of(n, r + 1, all);
        to[r] = (comm_piece){out + own, (size_t)(own_end - own) * sizeof *out};
        from[r] = (comm_piece){out + at, (size_t)(end - at) * sizeof *out};
    }
    return comm_exchange(f->c, to, from, err);
}

hone_status fixed_sum_all(fixed_sum *f, float *out, const float *const *x, int n_x, int n_shards, int64_t n, int *shift,
                          hone_err *err) {
    int64_t exponent = largest_exponent(x, n_x, n);
    HONE_TRY(comm_largest(f->c, &exponent, err));
    const int k = 62 - (int)exponent - log2_above(n_shards);
    if (shift) *shift = k;
    if (exponent == NOT_FINITE || exponent == EXPONENT_OF_ZERO) {
        for (int64_t i = 0; i < n; i++) out[i] = exponent == NOT_FINITE ? NAN : 0;
        return HONE_OK;
    }
    for (int64_t round = 0; round * PART < (n + f->c->n - 1) / f->c->n; round++)
        HONE_TRY(scatter(f, out, x, n_x, n, round, ldexp(1, k), err));
    return gather(f, out, n, err);
}
