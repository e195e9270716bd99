/* fixed.h - sums of shards in 64-bit fixed point, which no order can change: measured beside the tree (hone bench
 * allreduce), not trained with.
 *
 * The ranks first agree on the largest exponent: all |x| < 2^e. Every x becomes the integer nearest to x 2^k with
 * k = 62 - e - ceil(log2 shards), so that no sum can overflow; the integers are added, in whatever order and on whichever
 * rank, and the sum goes back to fp32 once (nearest even). So the bits depend on the shards alone. A result is the exact
 * sum, rounded once, where every x is a multiple of 2^-k: those above 2^(24 - k) are, which is 2^-38 of the largest times
 * the number of shards (rounded up to a power of two). What is smaller loses low bits, at most 2^-(k + 1) each, and below
 * 2^-(k + 1) counts as zero. NaN or infinity anywhere makes all NaN.
 *
 * On the way to those that add an element takes 8 bytes, on the way back 4 (a library's all-reduce of int64: 8 both ways).
 * The tree takes 4 for each node that a rank holds, and 4. So the tree sends less for one node a rank, as much for two, and
 * makes neither the pass for the exponent nor the conversions: it is the default. */
#ifndef RUN_FIXED_H
#define RUN_FIXED_H
#include "run/comm.h"

typedef struct fixed_sum fixed_sum;
fixed_sum *fixed_sum_new(comm *c);
void fixed_sum_free(fixed_sum *f); /* NULL is fine */
/* out[n] is the sum of all ranks' shards: x[0] .. x[n_x - 1] are this rank's (any number), n_shards those of all; out may be
 * one of x. *shift (NULL is fine): k. */
hone_status fixed_sum_all(fixed_sum *f, float *out, const float *const *x, int n_x, int n_shards, int64_t n, int *shift,
                          hone_err *err);
#endif
