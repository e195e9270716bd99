/* product.h - c (+)= a b for a tile that lies in cache: the inner loop of all matrix products.
 *
 * An element of c is one chain of fused multiply-adds over k in ascending order, whatever the tile's size: so
 * it has the same bits in any cut of rows, columns and threads. What is multiplied are units of 4 bytes: an
 * fp32 number, or (DOT) two bf16 numbers, neighbours in k, multiplied and added by one instruction.
 *
 * TILE_ROWS x TILE_COLUMNS elements of c stay in registers, while a row of b is loaded and elements of a
 * broadcast. */
#ifndef CPU_PRODUCT_H
#define CPU_PRODUCT_H
#include "vec.h"

#define TILE_VECTORS 3
#define TILE_COLUMNS (TILE_VECTORS * VW)
#if HONE_VEC == 512
#define TILE_ROWS 8
#else
#define TILE_ROWS 4
#endif

INLINE vf multiply_add(vf a, vf b, vf c, int dot) {
#ifdef HONE_DOT
    if (dot) return (vf)_mm512_dpbf16_ps((__m512)c, (__m512bh)a, (__m512bh)b);
#endif
    (void)dot;
    return vf_fma(a, b, c);
}

/* What is fetched meanwhile, for later: FETCHED lines of memory, ld bytes apart, at each k step bytes further in each. */
#define FETCHED TILE_ROWS
typedef struct {
    const char *p;
    int64_t ld, step;
} ahead;

/* c[m][n] (+)= sum over k of a[m row + k step] b[k ldb + n] for TILE_ROWS m and n_vectors VW n. next may be NULL. */
INLINE void multiply_tile(float *c, int64_t ldc, const float *a, int64_t row, int64_t step, const float *b,
                          int64_t ldb, int64_t k, int n_vectors, int add, int dot, const ahead *next) {
    vf sum[TILE_ROWS][TILE_VECTORS];
    UNROLL for (int m = 0; m < TILE_ROWS; m++) {
        UNROLL for (int v = 0; v < n_vectors; v++) sum[m][v] =
            add ? vf_load(c + m * ldc + v * VW) : vf_set(0);
    }
    const char *fetched = next ? next->p : NULL;
    for (int64_t i = 0; i < k; i++, a += step, b += ldb) {
        vf right[TILE_VECTORS];
        if (next) {
            UNROLL for (int j = 0; j < FETCHED; j++) __builtin_prefetch(fetched + j * next->ld, 0, 2);
            fetched += next->step;
        }
        UNROLL for (int v = 0; v < n_vectors; v++) right[v] = vf_load(b + v * VW);
        UNROLL for (int m = 0; m < TILE_ROWS; m++) {
            const vf left = vf_set(a[m * row]);
            UNROLL for (int v = 0; v < n_vectors; v++) sum[m][v] =
                multiply_add(left, right[v], sum[m][v], dot);
        }
    }
    UNROLL for (int m = 0; m < TILE_ROWS; m++) {
        UNROLL for (int v = 0; v < n_vectors; v++) vf_store(c + m * ldc + v * VW, sum[m][v]);
    }
}

/* The same for any m and n; all that is touched is rounded up to TILE_ROWS rows and VW columns. */
INLINE void multiply(float *c, int64_t ldc, const float *a, int64_t row, int64_t step, const float *b,
                     int64_t ldb, int64_t m, int64_t n, int64_t k, int add, int dot, const ahead *next) {
    int64_t vectors = (n + VW - 1) / VW, taken; /* 3 at a time, but four are two and two */
    for (; vectors > 0; vectors -= taken, c += taken * VW, b += taken * VW) {
        taken = vectors == 4 ? 2 : vectors < 3 ? vectors : 3;
        for (int64_t i = 0; i < m; i += TILE_ROWS) {
            float *to = c + i * ldc;
            const float *left = a + i * row;
            if (taken == 3) multiply_tile(to, ldc, left, row, step, b, ldb, k, 3, add, dot, next);
            else if (taken == 2) multiply_tile(to, ldc, left, row, step, b, ldb, k, 2, add, dot, next);
            else multiply_tile(to, ldc, left, row, step, b, ldb, k, 1, add, dot, next);
        }
    }
}
#endif
