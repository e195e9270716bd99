/* gemm.h - matrix products cut into blocks: what linear.c asks of gemm.c. */
#ifndef CPU_GEMM_H
#define CPU_GEMM_H
#include "onednn.h"
#include "pack.h"

/* c[m,n] = a b, handed to finish in tiles: rows first_row .. + n_rows (first_row is a multiple of CPU_ROWS),
 * columns first_column .. + n_columns of the product, whose element (r, c) is tile[r ld + c]. */
typedef struct product product;
struct product {
    hone_queue *queue;
    const hone_call *call;
    factor a, b;
    int64_t m, n, k;
    void (*finish)(const product *p, const float *tile, int64_t ld, int64_t first_row, int64_t n_rows,
                   int64_t first_column, int64_t n_columns);
    factor written[2]; /* [m,n] operands of finish, fetched before it needs them; p NULL: none */
    float *sums;  /* NULL, or [m]: the sums over k of a's lines, which lie by k; sums of CPU_ROWS k are added
                     in order */
    int add_sums; /* into what lies there */
    /* set by gemm */
    int64_t rows, columns; /* of an item */
    int64_t k_block;       /* of k that is packed at a time */
    const onednn_product *onednn; /* NULL, or what choose made: oneDNN multiplies its blocks */
    hone_status status;
};

hone_status ISA(gemm)(product *p);
#endif
