/* few.h - c (+)= a b where a has a few rows and b's lines lie along k: a weight, when texts go on by a token each.
 *
 * Packing b would then cost more than multiplying it. A square of VW lines by VW units is turned in registers and
 * multiplied there, once; the sums are the chains of product.h, so the bits are those of any other cut. */
#ifndef CPU_FEW_H
#define CPU_FEW_H
#include "pack.h"
#include "product.h"

#define FEW_AHEAD 8 /* squares: lines lie far apart, so they are fetched early */

/* c[m][n] for n_rows m and VW lines from `first` on, n of which exist; units of k in [k0, k1). a: rows of packed units. */
INLINE void multiply_square(float *c, int64_t ldc, const float *a, int64_t lda, const factor *b, int64_t first, int64_t n,
                            int64_t k0, int64_t k1, int n_rows, int add, int dot) {
    const int64_t per = 1 + dot, step = VW * per, bytes = b->bf ? 2 : 4;
    vf sum[TILE_ROWS];
    UNROLL for (int m = 0; m < n_rows; m++) sum[m] = add ? vf_load(c + m * ldc) : vf_set(0);
    for (int64_t k = k0; k < k1; k += step, a += VW) {
        const int64_t n_units = least((k1 - k + dot) / per, VW);
        vf square[VW];
        if (n == VW && n_units == VW && (!dot || k1 - k >= step)) {
            UNROLL for (int i = 0; i < VW; i++) {
                __builtin_prefetch((const char *)b->p + ((first + i) * b->ld + k + FEW_AHEAD * step) * bytes);
                square[i] = load_units(b, (first + i) * b->ld + k, step, dot);
            }
            turn_square(square);
            UNROLL for (int u = 0; u < VW; u++) {
                UNROLL for (int m = 0; m < n_rows; m++) sum[m] = multiply_add(vf_set(a[m * lda + u]), square[u], sum[m], dot);
            }
            continue;
        }
        for (int i = 0; i < VW; i++)
            square[i] = i < n ? load_units(b, (first + i) * b->ld + k, k1 - k, dot) : vf_set(0);
        turn_square(square);
        for (int64_t u = 0; u < n_units; u++)
            for (int m = 0; m < n_rows; m++) sum[m] = multiply_add(vf_set(a[m * lda + u]), square[u], sum[m], dot);
    }
    UNROLL for (int m = 0; m < n_rows; m++) vf_store(c + m * ldc, sum[m]);
}

/* The same for n lines and m rows; rows up to the next of 1, 2, 4, TILE_ROWS are touched. */
INLINE void multiply_few(float *c, int64_t ldc, const float *a, int64_t lda, const factor *b, int64_t first, int64_t n,
                         int64_t k0, int64_t k1, int64_t m, int add, int dot) {
    for (int64_t i = 0; i < n; i += VW, c += VW) {
        const int64_t left = least(n - i, VW);
        if (m == 1) multiply_square(c, ldc, a, lda, b, first + i, left, k0, k1, 1, add, dot);
        else if (m == 2) multiply_square(c, ldc, a, lda, b, first + i, left, k0, k1, 2, add, dot);
        else if (m <= 4) multiply_square(c, ldc, a, lda, b, first + i, left, k0, k1, 4, add, dot);
        else multiply_square(c, ldc, a, lda, b, first + i, left, k0, k1, TILE_ROWS, add, dot);
    }
}
#endif
