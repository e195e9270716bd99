/* ref.h - how the ops of ref are written.
 *
 * The ops are one text for two types. A family (norm.inc, linear.inc, ...) is written with the type `real`;
 * real32.c includes all families with real = float, real64.c with real = double. Sums run in the natural
 * order, in real. Where a fused form exists, its values are rounded exactly where the plain ops would round
 * them: both give the same bits.
 *
 * OP(NORM_FWD) { ... } defines the entry of an op; c is the call, its operands in the order of the op's line.
 */
#ifndef REF_REF_H
#define REF_REF_H
#include <math.h>
#include <string.h>
#include <tgmath.h>

#include "philox.h"

#ifndef real
#error "included by real32.c and real64.c only, which say what real is"
#endif

typedef hone_status ref_entry(hone_queue *queue, const hone_call *c);
extern ref_entry *const ref_entries32[HONE_N_OPS], *const ref_entries64[HONE_N_OPS];

#define OP(name)                                                                                             \
    static void play_##name(const hone_call *c);                                                             \
    static hone_status entry_##name(hone_queue *queue, const hone_call *c) {                                 \
        (void)queue;                                                                                         \
        play_##name(c);                                                                                      \
        return HONE_OK;                                                                                      \
    }                                                                                                        \
    static void play_##name(const hone_call *c)

/* What the gradients of this step are multiplied by; without a tick 1. */
static inline real loss_scale_of(const hone_tick *tick) {
    float scale = 1;
    if (tick && tick->loss_scale) memcpy(&scale, &tick->loss_scale, sizeof scale);
    return scale;
}

/* Elements of a row: [N,H,K] reads as [N,H*K], a vector as rows of one. */
static inline int64_t width(const hone_tensor *t) { return t->dim[1] * t->dim[2]; }
static inline real *row(const hone_tensor *t, int64_t n) { return (real *)t->p + n * t->ld; }
static inline real *vec(const hone_tensor *t) { return t->p; }
static inline int32_t *ints(const hone_tensor *t, int64_t n) { return (int32_t *)t->p + n * t->ld; }
static inline const hone_range *ranges(const hone_tensor *t) { return t->p; }
static inline const hone_key *keys(const hone_tensor *t) { return t->p; }

static inline void zero_rows(const hone_tensor *t) {
    for (int64_t n = 0; n < t->dim[0]; n++) memset(row(t, n), 0, (size_t)width(t) * sizeof(real));
}

/* A result that sums over rows begins at zero, unless its "+" input lends it what to add to. */
static inline void begin_sum(const hone_tensor *result, const hone_tensor *plus) {
    if (result->p && !plus->p) zero_rows(result);
}

/* x after dropout with the 16-bit random number u. */
static inline real drop(real x, float p, uint32_t u) {
    const uint32_t threshold = dropout_threshold(p);
    return u < threshold ? 0 : x * ((real)65536 / (real)(65536 - threshold));
}

/* x after dropout in column d of row n; p = 0 leaves it as it is. */
static inline real drop_row(const hone_call *c, float p, int32_t site, const hone_tensor *key, int64_t n,
                            int64_t d, real x) {
    return p > 0 ? drop(x, p, philox_row(c->tick, site, keys(key)[n], d)) : x;
}

/* Does row n belong to one of the sequences? */
static inline int in_sequence(const hone_tensor *at, int64_t n) {
    for (int64_t b = 0; b < at->dim[0]; b++) {
        const hone_range r = ranges(at)[b];
        if (n >= r.first && n < (int64_t)r.first + r.n) return 1;
    }
    return 0;
}
#endif
