/* gemm.c - matrix products of rows in fp32 or bf16, summed in fp32.
 *
 * An item of work is a block of at most 256 x 192 elements of the product. For each block of GEMM_K units of k in
 * ascending order, the right operand is packed (panels of TILE_COLUMNS columns, k by k, so that the inner loop reads
 * it in a line), then the left one, TILE_ROWS rows at a time. Panels stay in second-level cache, rows in first-level.
 * Sizes of blocks are free: product.h tells why they do not change the bits. So they are chosen to keep all threads
 * busy. bf16 is multiplied in pairs where the machine can (HONE_DOT), elsewhere widened to fp32 while it is packed. */
#include "gemm.h"
#include "pack.h"
#include "product.h"

#define GEMM_K 512
#define GEMM_ROWS 256
#define GEMM_COLUMNS 192                   /* a multiple of TILE_COLUMNS for every vector width */
#define GEMM_LEFT_LD (GEMM_K + 16)         /* rows of the packed left operand start in different cache sets */
#define GEMM_TILE_FLOATS (GEMM_ROWS * GEMM_COLUMNS)
#define GEMM_RIGHT_FLOATS (GEMM_K * GEMM_COLUMNS)

static int is_paired(const product *p) {
#ifdef HONE_DOT
    return p->a.bf && p->b.bf;
#else
    (void)p;
    return 0;
#endif
}

static void pack_right(const product *p, float *right, int64_t first, int64_t n, int64_t k0, int64_t k1) {
    const int paired = is_paired(p);
    for (int64_t c = 0; c < n; c += TILE_COLUMNS, right += GEMM_K * TILE_COLUMNS) {
        const int64_t n_here = least(n - c, TILE_COLUMNS), n_wide = round_up(n_here, VW);
        if (p->b.by_k && paired) pack_by_k(right, TILE_COLUMNS, &p->b, first + c, n_here, n_wide, k0, k1, 1);
        else if (p->b.by_k) pack_by_k(right, TILE_COLUMNS, &p->b, first + c, n_here, n_wide, k0, k1, 0);
        else if (paired) pack_turned(right, TILE_COLUMNS, &p->b, first + c, n_here, n_wide, k0, k1, 1);
        else pack_turned(right, TILE_COLUMNS, &p->b, first + c, n_here, n_wide, k0, k1, 0);
    }
}

/* Rows missing in a block of TILE_ROWS are zeros. */
static void pack_left(const product *p, float *left, int64_t first, int64_t n, int64_t k0, int64_t k1) {
    const int paired = is_paired(p);
    if (p->a.by_k) {
        if (paired) pack_by_k(left, TILE_ROWS, &p->a, first, n, TILE_ROWS, k0, k1, 1);
        else pack_by_k(left, TILE_ROWS, &p->a, first, n, TILE_ROWS, k0, k1, 0);
        return;
    }
    const int64_t n_units = (k1 - k0 + paired) / (1 + paired);
    for (int64_t r = 0; r < TILE_ROWS; r++, left += GEMM_LEFT_LD) {
        if (r >= n) memset(left, 0, (size_t)n_units * sizeof(float));
        else if (paired) pack_line(left, &p->a, (first + r) * p->a.ld + k0, k1 - k0, n_units, 1);
        else pack_line(left, &p->a, (first + r) * p->a.ld + k0, k1 - k0, n_units, 0);
    }
}

/* One block of k, of TILE_ROWS rows and all panels. */
INLINE void multiply_panels(float *tile, const float *left, int64_t row, int64_t step, const float *right, int64_t n,
                            int64_t n_units, int add, int dot) {
    for (int64_t c = 0; c < n; c += TILE_COLUMNS, right += GEMM_K * TILE_COLUMNS)
        multiply(tile + c, GEMM_COLUMNS, left, row, step, right, TILE_COLUMNS, TILE_ROWS, least(n - c, TILE_COLUMNS),
                 n_units, add, dot);
}

static void multiply_block(void *arg, int64_t item, int thread) {
    const product *p = arg;
    const int64_t n_column_blocks = blocks_of(p->n, p->columns);
    const int64_t row = item / n_column_blocks * p->rows, column = item % n_column_blocks * p->columns;
    const int64_t m = least(p->m - row, p->rows), n = least(p->n - column, p->columns);
    float *right = scratch_of(p->queue, thread), *tile = right + GEMM_RIGHT_FLOATS, *left = tile + GEMM_TILE_FLOATS;
    const int paired = is_paired(p);
    int64_t k0 = 0;
    do {
        const int64_t k1 = least(k0 + (int64_t)GEMM_K * (1 + paired), p->k);
        const int64_t n_units = (k1 - k0 + paired) / (1 + paired);
        pack_right(p, right, column, n, k0, k1);
        for (int64_t r = 0; r < m; r += TILE_ROWS) {
            float *to = tile + r * GEMM_COLUMNS;
            pack_left(p, left, row + r, least(m - r, TILE_ROWS), k0, k1);
            if (p->a.by_k && paired) multiply_panels(to, left, 1, TILE_ROWS, right, n, n_units, k0 > 0, 1);
            else if (p->a.by_k) multiply_panels(to, left, 1, TILE_ROWS, right, n, n_units, k0 > 0, 0);
            else if (paired) multiply_panels(to, left, GEMM_LEFT_LD, 1, right, n, n_units, k0 > 0, 1);
            else multiply_panels(to, left, GEMM_LEFT_LD, 1, right, n, n_units, k0 > 0, 0);
        }
        k0 = k1;
    } while (k0 < p->k);
    p->finish(p, tile, GEMM_COLUMNS, row, m, column, n);
}

static int64_t count_blocks(const product *p) { return blocks_of(p->m, p->rows) * blocks_of(p->n, p->columns); }

void ISA(gemm)(product *p) {
    const int64_t wanted = p->queue->device->host->n_threads > 1 ? 4 * p->queue->device->host->n_threads : 1;
    p->rows = GEMM_ROWS;
    p->columns = GEMM_COLUMNS;
    while (count_blocks(p) < wanted && p->rows > CPU_ROWS) p->rows /= 2;
    while (count_blocks(p) < wanted && p->columns > TILE_COLUMNS) p->columns /= 2;
    deal(p->queue, count_blocks(p), multiply_block, p);
}
