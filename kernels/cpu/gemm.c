/* gemm.c - matrix products of rows in fp32 or bf16, summed in fp32.
 *
 * An item of work is a block of the product, taken in tiles of at most 256 x 192 elements. For each block of
 * GEMM_K units of k in ascending order, the right operand is packed (panels of TILE_COLUMNS columns, k by k,
 * so that the inner loop reads it in a line), then the left one, GEMM_LEFT rows at a time. Panels stay in
 * second-level cache, rows in first-level. Sizes of blocks are free: product.h tells why they do not change
 * the bits. So they are chosen to keep all threads busy. Of a few rows nothing is packed (few.h). bf16 is multiplied in pairs where the machine can
 * (HONE_DOT), elsewhere widened to fp32 while it is packed. */
#include "gemm.h"
#include "few.h"
#include "pack.h"
#include "product.h"

#define GEMM_K 512
#define GEMM_ROWS 256
#define GEMM_ROWS_ITEM 2048
#define GEMM_COLUMNS 192           /* a multiple of TILE_COLUMNS for every vector width */
#define GEMM_LEFT 32               /* rows packed at a time */
#define GEMM_LEFT_LD (GEMM_K + 16) /* packed rows start in different cache sets */
#define GEMM_TILE_FLOATS (GEMM_ROWS * GEMM_COLUMNS)
#define GEMM_RIGHT_FLOATS (GEMM_K * GEMM_COLUMNS)
#define GEMM_LEFT_FLOATS (GEMM_LEFT * GEMM_LEFT_LD)

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
    if (p->b.by_k) {
        if (paired) pack_by_k(right, TILE_COLUMNS, GEMM_K * TILE_COLUMNS, &p->b, first, n, k0, k1, 1);
        else pack_by_k(right, TILE_COLUMNS, GEMM_K * TILE_COLUMNS, &p->b, first, n, k0, k1, 0);
        return;
    }
    for (int64_t c = 0; c < n; c += TILE_COLUMNS, right += GEMM_K * TILE_COLUMNS) {
        const int64_t n_here = least(n - c, TILE_COLUMNS), n_wide = round_up(n_here, VW);
        if (paired) pack_turned(right, TILE_COLUMNS, &p->b, first + c, n_here, n_wide, k0, k1, 1);
        else pack_turned(right, TILE_COLUMNS, &p->b, first + c, n_here, n_wide, k0, k1, 0);
    }
}

/* Up to GEMM_LEFT rows; rows missing in a block of TILE_ROWS are zeros. */
static void pack_left(const product *p, float *left, int64_t first, int64_t n, int64_t k0, int64_t k1) {
    const int paired = is_paired(p);
    if (p->a.by_k) {
        if (paired) pack_by_k(left, TILE_ROWS, GEMM_K * TILE_ROWS, &p->a, first, n, k0, k1, 1);
        else pack_by_k(left, TILE_ROWS, GEMM_K * TILE_ROWS, &p->a, first, n, k0, k1, 0);
        return;
    }
    const int64_t n_units = (k1 - k0 + paired) / (1 + paired);
    for (int64_t r = 0; r < round_up(n, TILE_ROWS); r++, left += GEMM_LEFT_LD) {
        if (r >= n) memset(left, 0, (size_t)n_units * sizeof(float));
        else if (paired) pack_line(left, &p->a, (first + r) * p->a.ld + k0, k1 - k0, n_units, 1);
        else pack_line(left, &p->a, (first + r) * p->a.ld + k0, k1 - k0, n_units, 0);
    }
}

/* Adds the sums over a packed block of k of n lines to sums. */
static void sum_left(const product *p, const float *left, int64_t n, int64_t n_units, float *sums) {
    const int64_t units = is_paired(p) ? CPU_ROWS / 2 : CPU_ROWS, wide = least(VW, TILE_ROWS);
    for (int64_t r = 0; r < n; r += wide) {
        const float *panel = left + r / TILE_ROWS * GEMM_K * TILE_ROWS + r % TILE_ROWS;
        vf all = ld_n(sums, r, wide, 0);
        for (int64_t u = 0; u < n_units; u += units) {
            vf sum = vf_set(0);
            for (int64_t i = u; i < least(u + units, n_units); i++) {
                const vf v = ld_n(panel, i * TILE_ROWS, wide, 0);
                if (is_paired(p)) sum += (vf)((vu)v << 16), sum += (vf)((vu)v & 0xffff0000u);
                else sum += v;
            }
            all += sum;
        }
        st_n(sums, r, all, wide, 0);
    }
}

/* TILE_ROWS rows and all panels, for one block of k. */
INLINE void multiply_panels(float *tile, const float *left, int64_t row, int64_t step, const float *right,
                            int64_t n, int64_t n_units, int add, int dot) {
    for (int64_t c = 0; c < n; c += TILE_COLUMNS, right += GEMM_K * TILE_COLUMNS)
        multiply(tile + c, GEMM_COLUMNS, left, row, step, right, TILE_COLUMNS, TILE_ROWS,
                 least(n - c, TILE_COLUMNS), n_units, add, dot);
}

static void multiply_left(const product *p, float *tile, const float *left, int64_t m, const float *right,
                          int64_t n, int64_t n_units, int add) {
    const int paired = is_paired(p);
    const int64_t ld = p->a.by_k ? GEMM_K : GEMM_LEFT_LD;
    for (int64_t r = 0; r < m; r += TILE_ROWS, tile += TILE_ROWS * GEMM_COLUMNS, left += TILE_ROWS * ld) {
        if (p->a.by_k && paired) multiply_panels(tile, left, 1, TILE_ROWS, right, n, n_units, add, 1);
        else if (p->a.by_k) multiply_panels(tile, left, 1, TILE_ROWS, right, n, n_units, add, 0);
        else if (paired) multiply_panels(tile, left, GEMM_LEFT_LD, 1, right, n, n_units, add, 1);
        else multiply_panels(tile, left, GEMM_LEFT_LD, 1, right, n, n_units, add, 0);
    }
}

static int is_few(const product *p) { return p->m <= TILE_ROWS && !p->a.by_k && !p->b.by_k && !p->sums; }

/* All rows of the product, from the right operand as it lies. */
static void multiply_unpacked(const product *p, float *left, float *tile, int64_t column, int64_t n) {
    const int paired = is_paired(p);
    int64_t k0 = 0;
    do {
        const int64_t k1 = least(k0 + (int64_t)GEMM_K * (1 + paired), p->k);
        pack_left(p, left, 0, p->m, k0, k1);
        if (paired) multiply_few(tile, GEMM_COLUMNS, left, GEMM_LEFT_LD, &p->b, column, n, k0, k1, p->m, k0 > 0, 1);
        else multiply_few(tile, GEMM_COLUMNS, left, GEMM_LEFT_LD, &p->b, column, n, k0, k1, p->m, k0 > 0, 0);
        k0 = k1;
    } while (k0 < p->k);
}

/* One tile of the product. is_packed: all of k is one block, which lies packed in `right`. */
static void multiply_tile_of(const product *p, float *right, int64_t row, int64_t m, int64_t column,
                             int64_t n, int is_packed) {
    float *tile = right + GEMM_RIGHT_FLOATS, *left = tile + GEMM_TILE_FLOATS, *sums = left + GEMM_LEFT_FLOATS;
    const int paired = is_paired(p), is_summing = p->sums && column == 0;
    int64_t k0 = 0;
    if (is_few(p)) {
        multiply_unpacked(p, left, tile, column, n);
        p->finish(p, tile, GEMM_COLUMNS, row, m, column, n);
        return;
    }
    if (is_summing) memset(sums, 0, GEMM_ROWS * sizeof(float));
    do {
        const int64_t k1 = least(k0 + (int64_t)GEMM_K * (1 + paired), p->k);
        const int64_t n_units = (k1 - k0 + paired) / (1 + paired);
        if (!is_packed) pack_right(p, right, column, n, k0, k1);
        for (int64_t r = 0; r < m; r += GEMM_LEFT) {
            const int64_t m_here = least(m - r, GEMM_LEFT);
            pack_left(p, left, row + r, m_here, k0, k1);
            if (is_summing) sum_left(p, left, m_here, n_units, sums + r);
            multiply_left(p, tile + r * GEMM_COLUMNS, left, m_here, right, n, n_units, k0 > 0);
        }
        k0 = k1;
    } while (k0 < p->k);
    for (int64_t r = 0; r < m && is_summing; r++)
        p->sums[row + r] = p->add_sums ? p->sums[row + r] + sums[r] : sums[r];
    p->finish(p, tile, GEMM_COLUMNS, row, m, column, n);
}

static void multiply_block(void *arg, int64_t item, int thread) {
    const product *p = arg;
    const int64_t n_column_blocks = blocks_of(p->n, p->columns);
    const int64_t row = item / n_column_blocks * p->rows, column = item % n_column_blocks * p->columns;
    const int64_t m = least(p->m - row, p->rows), n = least(p->n - column, p->columns);
    const int is_one_block = p->k <= GEMM_K * (1 + is_paired(p));
    for (int64_t r = 0; r < m; r += GEMM_ROWS)
        multiply_tile_of(p, scratch_of(p->queue, thread), row + r, least(m - r, GEMM_ROWS), column, n,
                         is_one_block && r > 0);
}

static int64_t count_items(const product *p) {
    return blocks_of(p->m, p->rows) * blocks_of(p->n, p->columns);
}

void ISA(gemm)(product *p) {
    const int64_t wanted = p->queue->device->host->n_threads > 1 ? 4 * p->queue->device->host->n_threads : 1;
    p->rows = GEMM_ROWS_ITEM;
    p->columns = GEMM_COLUMNS;
    while (count_items(p) < wanted && p->rows > CPU_ROWS) p->rows /= 2;
    while (count_items(p) < wanted && p->columns > TILE_COLUMNS) p->columns /= 2;
    deal(p->queue, count_items(p), multiply_block, p);
}
