/* onednn.h - oneDNN (Apache-2.0, github.com/oneapi-src/oneDNN), opened at run time: the way to a processor's AMX, which
 * multiplies tiles of bf16 numbers. It plays blocks of a product that gemm.c has cut and packed, each on the thread that
 * asks; rows, biases, activations and the order of blocks stay ours.
 *
 * A block is always ONEDNN_ROWS rows high, and as wide and deep as the product alone says. So an element is summed in the
 * same way for any number of threads and of rows beside it, whatever the library does within a block. */
#ifndef CPU_ONEDNN_H
#define CPU_ONEDNN_H
#include "hone/device.h"

#define ONEDNN_ROWS 64
#define ONEDNN_PANEL 48 /* columns of the right operand that lie together: TILE_COLUMNS of AVX-512 */
#define ONEDNN_COLUMNS 192
#define ONEDNN_K 32               /* blocks are so deep, or a multiple */
#define ONEDNN_RIGHT_BYTES 589824 /* of a block's right operand, at most: it stays in second-level cache */

typedef struct onednn onednn;

/* libdnnl.so.3 or .2, the first that is there and works on the caller's thread (built for OpenMP, or without threads).
 * NULL: none, and why says what was looked for. n_threads: that will multiply, numbered from 0. */
onednn *onednn_open(int n_threads, char *why, size_t why_bytes);
void onednn_close(onednn *lib);
int onednn_version(const onednn *lib); /* 20603: 2.6.3 */

/* c[ONEDNN_ROWS][n] = a b: a[ONEDNN_ROWS][k] bf16 in rows without gaps; b in panels of ONEDNN_PANEL columns, a panel
 * being [k / 2][ONEDNN_PANEL][2], pairs of neighbours in k; c fp32. n and k are multiples of ONEDNN_PANEL and ONEDNN_K. */
typedef struct onednn_block onednn_block;
int64_t onednn_depth(const onednn_block *block);
/* scratch: ONEDNN_SCRATCH bytes of the thread's. HONE_EBUG: the library has refused. */
#define ONEDNN_SCRATCH ((size_t)256 << 10)
hone_status onednn_multiply(const onednn_block *block, int thread, const void *a, const void *b, float *c,
                            void *scratch);

/* How a product is cut. block[i][j]: i 1: of the last of k, or what is left of it; j 1: of the last columns. */
typedef struct {
    int64_t columns, k; /* of a whole block */
    const onednn_block *block[2][2];
} onednn_product;

/* A product with n columns that sums over k, whose blocks are made, or were made for an alike one. k 0: any, it counts
 * rows (the weight's gradient). It lives until the library is closed; NULL: it refuses, and why says what. */
const onednn_product *onednn_cut(onednn *lib, int64_t n, int64_t k, char *why, size_t why_bytes);
/* The block that comes next where so much of k is left, of n columns: a block's, or fewer where they are the last. */
const onednn_block *onednn_next(const onednn_product *product, int64_t k_left, int64_t n);
#endif
