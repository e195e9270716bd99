/* gemm.c - matrix products of rows in fp32 or bf16, summed in fp32.
 *
 * An item of work is a block of rows times at most 192 columns. The right operand is packed in panels of TILE_COLUMNS
 * columns, k by k, so that the inner loop reads it in a line; panels stay in second-level cache. Where all of k
 * fits there, it is packed once an item. Of the left operand the inner loop takes TILE_ROWS rows and GEMM_K units of k at
 * a time, which stay in first-level cache: in place, or packed, where they are converted. A left
 * operand that lies by k is packed in panels of TILE_ROWS rows, as many as the tile has.
 *
 * Sizes of blocks are free: product.h tells why they do not change the bits. So they are chosen to keep all threads
 * busy. Of a few rows nothing is packed (few.h). bf16 is multiplied in pairs where the machine can (HONE_DOT) and is the
 * faster for it (choose.h), elsewhere widened to fp32 while it is packed. */
#include "gemm.h"
#include "few.h"
#include "pack.h"
#include "product.h"

#define GEMM_COLUMNS 192        /* a multiple of TILE_COLUMNS for every vector width */
#define GEMM_ROWS 384           /* of a tile that is summed over several blocks of k */
#define GEMM_K 512              /* units of k of a few rows, in first-level cache */
#define GEMM_K_BLOCK 64         /* of both operands, where the left one lies by k */
#define GEMM_K_PACKED 768       /* of the right one, where all of k does not fit */
#define GEMM_RIGHT_FLOATS (GEMM_K_PACKED * GEMM_COLUMNS)
#define GEMM_TILE_FLOATS (GEMM_ROWS * GEMM_COLUMNS)
#define GEMM_LEFT_LD (GEMM_K + 16) /* packed rows start in different cache sets, as do panels */
#define GEMM_PANEL_LD (GEMM_K_BLOCK * TILE_ROWS + 16)
#define PACKING 12.0 /* what bringing in an element of k takes, in multiplications */

/* A thread's scratch. */
typedef struct {
    float *right, *tile, *left, *sums;
} gemm_room;

static gemm_room room_of(const product *p, int thread) {
    gemm_room t = {.right = scratch_of(p->queue, thread)};
    t.tile = t.right + GEMM_RIGHT_FLOATS, t.left = t.tile + GEMM_TILE_FLOATS;
    t.sums = t.left + GEMM_ROWS / TILE_ROWS * GEMM_PANEL_LD;
    return t;
}

static int is_paired(const product *p) {
#ifdef HONE_DOT
    return p->a.bf && p->b.bf && p->queue->device->pairs;
#else
    (void)p;
    return 0;
#endif
}

/* Units of k in [k0, k1). */
static int64_t units_of(const product *p, int64_t k0, int64_t k1) {
    const int paired = is_paired(p);
    return (k1 - k0 + paired) / (1 + paired);
}

/* Of the left operand. */
static int64_t unit_bytes(const product *p) { return is_paired(p) || !p->a.bf ? 4 : 2; }

/* Panels of n_units units of k, zeros after those of [k0, k1). */
static void pack_right(const product *p, float *right, int64_t first, int64_t n, int64_t k0, int64_t k1, int64_t n_units) {
    const int paired = is_paired(p);
    const int64_t panel_ld = n_units * TILE_COLUMNS, used = units_of(p, k0, k1) * TILE_COLUMNS;
    for (int64_t c = 0; used < panel_ld && c < n; c += TILE_COLUMNS)
        memset(right + c * n_units + used, 0, (size_t)(panel_ld - used) * sizeof(float));
    if (p->b.by_k) {
        if (paired) pack_by_k(right, TILE_COLUMNS, panel_ld, &p->b, first, n, k0, k1, 1);
        else pack_by_k(right, TILE_COLUMNS, panel_ld, &p->b, first, n, k0, k1, 0);
        return;
    }
    for (int64_t c = 0; c < n; c += TILE_COLUMNS, right += panel_ld) {
        const int64_t n_here = least(n - c, TILE_COLUMNS), n_wide = round_up(n_here, VW);
        if (paired) pack_turned(right, TILE_COLUMNS, &p->b, first + c, n_here, n_wide, k0, k1, 1);
        else pack_turned(right, TILE_COLUMNS, &p->b, first + c, n_here, n_wide, k0, k1, 0);
    }
}

/* Lines first, first + 1, ... of the operand, from element i of each on, `step` bytes at a time. */
static ahead lines_of(const factor *f, int64_t first, int64_t i, int64_t step) {
    const int64_t bytes = f->bf ? 2 : 4;
    return (ahead){(const char *)f->p + (first * f->ld + i) * bytes, f->ld * bytes, step};
}

/* Bytes a unit by which n elements are fetched in the time of n_units. */
static int64_t spread(const factor *f, int64_t n, int64_t n_units) {
    return blocks_of(n * (f->bf ? 2 : 4), most(n_units, 1));
}

#ifdef HONE_DOT
#include "gemm_onednn.h"
#endif

/* ---- a left operand that lies along k ---- */

/* The inner loop may read units where they lie. */
static int reads_in_place(const product *p) {
    return is_paired(p) ? p->a.ld % 2 == 0 && p->k % 2 == 0 && (uintptr_t)p->a.p % 4 == 0 : !p->a.bf;
}

/* Rows missing in a block of TILE_ROWS are zeros. */
static void pack_rows(const product *p, float *left, int64_t first, int64_t n, int64_t k0, int64_t k1) {
    const int64_t n_units = units_of(p, k0, k1);
    for (int64_t r = 0; r < TILE_ROWS; r++, left += GEMM_LEFT_LD) {
        if (r >= n) memset(left, 0, (size_t)n_units * sizeof(float));
        else if (is_paired(p)) pack_line(left, &p->a, (first + r) * p->a.ld + k0, k1 - k0, n_units, 1);
        else pack_line(left, &p->a, (first + r) * p->a.ld + k0, k1 - k0, n_units, 0);
    }
}

/* All panels, for some units of k of TILE_ROWS rows. next: what panels 0, 1, ... fetch meanwhile, n_next of them. */
INLINE void multiply_panels(float *tile, const float *left, int64_t row, int64_t step, const float *right,
                            int64_t panel_ld, int64_t n, int64_t n_units, int add, int dot, const ahead *next,
                            int n_next) {
    const ahead nothing = {(const char *)left, 0, 0};
    for (int64_t c = 0; c < n; c += TILE_COLUMNS, right += panel_ld, n_next--)
        multiply(tile + c, GEMM_COLUMNS, left, row, step, right, TILE_COLUMNS, TILE_ROWS,
                 least(n - c, TILE_COLUMNS), n_units, add, dot, n_next > 0 ? next++ : &nothing);
}

/* Rows row .. + m - 1 of the tile, m <= TILE_ROWS, times k in [k0, k1), which lies packed. Meanwhile the rows below are
 * fetched, and with the last units what finish needs of these. */
static void multiply_rows(const product *p, const gemm_room *t, float *tile, int64_t row, int64_t m, int64_t column,
                          int64_t n, int64_t k0, int64_t k1) {
    const int paired = is_paired(p), in_place = m == TILE_ROWS && reads_in_place(p);
    const int64_t panel_ld = units_of(p, k0, k1) * TILE_COLUMNS, ld = p->a.ld / (1 + paired);
    const float *right = t->right;
    int64_t k = k0;
    do {
        const int64_t end = least(k + GEMM_K * (1 + paired), k1), n_units = units_of(p, k, end);
        const float *left = in_place ? (const float *)p->a.p + row * ld + k / (1 + paired) : t->left;
        const int64_t left_ld = in_place ? ld : GEMM_LEFT_LD;
        ahead next[3] = {lines_of(&p->a, least(row + TILE_ROWS, p->m - 1), k, unit_bytes(p))};
        int n_next = 1;
        for (int i = 0; i < 2 && end == p->k; i++)
            if (p->written[i].p) next[n_next++] = lines_of(&p->written[i], row, column, spread(&p->written[i], n, n_units));
        if (!in_place) pack_rows(p, t->left, row, m, k, end);
        if (paired) multiply_panels(tile, left, left_ld, 1, right, panel_ld, n, n_units, k > 0, 1, next, n_next);
        else multiply_panels(tile, left, left_ld, 1, right, panel_ld, n, n_units, k > 0, 0, next, n_next);
        right += n_units * TILE_COLUMNS;
        k = end;
    } while (k < k1);
}

/* ---- a left operand that lies by k ---- */

/* Adds the sums over a packed block of k of n lines to sums. */
static void sum_left(const product *p, const float *left, int64_t n, int64_t n_units, float *sums) {
    const int64_t units = is_paired(p) ? CPU_ROWS / 2 : CPU_ROWS, wide = least(VW, TILE_ROWS);
    for (int64_t r = 0; r < n; r += wide) {
        const float *panel = left + r / TILE_ROWS * GEMM_PANEL_LD + r % TILE_ROWS;
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

/* Rows row .. + m - 1, m <= GEMM_ROWS, times k in [k0, k1), at most GEMM_K_BLOCK units. Meanwhile the next block of k is
 * fetched, FETCHED units of it for each 2 TILE_ROWS rows: of the left operand with the first of them, then of the right. */
static void multiply_turned(const product *p, const gemm_room *t, int64_t row, int64_t m, int64_t column, int64_t n,
                            int64_t k0, int64_t k1, int is_summing) {
    const int paired = is_paired(p);
    const int64_t n_units = units_of(p, k0, k1), panel_ld = n_units * TILE_COLUMNS;
    if (paired) pack_by_k(t->left, TILE_ROWS, GEMM_PANEL_LD, &p->a, row, m, k0, k1, 1);
    else pack_by_k(t->left, TILE_ROWS, GEMM_PANEL_LD, &p->a, row, m, k0, k1, 0);
    if (is_summing) sum_left(p, t->left, m, n_units, t->sums);
    float *tile = t->tile;
    const float *left = t->left;
    for (int64_t r = 0; r < m; r += TILE_ROWS, tile += TILE_ROWS * GEMM_COLUMNS, left += GEMM_PANEL_LD) {
        const int64_t k = k1 + r / (2 * TILE_ROWS) * FETCHED * (1 + paired);
        const int is_left = r / TILE_ROWS % 2 == 0, n_next = k < 2 * k1 - k0 ? 1 + paired : 0;
        ahead next[2];
        for (int i = 0; i < 2; i++)
            next[i] = is_left ? lines_of(&p->a, least(k + i * FETCHED, p->k - 1), row, spread(&p->a, m, n_units))
                              : lines_of(&p->b, least(k + i * FETCHED, p->k - 1), column, spread(&p->b, n, n_units));
        if (paired)
            multiply_panels(tile, left, 1, TILE_ROWS, t->right, panel_ld, n, n_units, k0 > 0, 1, next, n_next);
        else multiply_panels(tile, left, 1, TILE_ROWS, t->right, panel_ld, n, n_units, k0 > 0, 0, next, n_next);
    }
}

/* ---- a few rows ---- */

static int is_few(const product *p) { return p->m <= TILE_ROWS && !p->a.by_k && !p->b.by_k && !p->sums; }

/* All rows of the product, from the right operand as it lies. */
static void multiply_unpacked(const product *p, const gemm_room *t, int64_t column, int64_t n) {
    const int paired = is_paired(p);
    int64_t k0 = 0;
    do {
        const int64_t k1 = least(k0 + (int64_t)GEMM_K * (1 + paired), p->k);
        pack_rows(p, t->left, 0, p->m, k0, k1);
        if (paired) multiply_few(t->tile, GEMM_COLUMNS, t->left, GEMM_LEFT_LD, &p->b, column, n, k0, k1, p->m, k0 > 0, 1);
        else multiply_few(t->tile, GEMM_COLUMNS, t->left, GEMM_LEFT_LD, &p->b, column, n, k0, k1, p->m, k0 > 0, 0);
        k0 = k1;
    } while (k0 < p->k);
}

/* ---- blocks ---- */

/* One tile of the product. k_block: of k that lies packed at a time; is_packed: all of it, already. */
static void multiply_tile_of(const product *p, const gemm_room *t, int64_t row, int64_t m, int64_t column, int64_t n,
                             int is_packed) {
    const int is_summing = p->sums && column == 0;
    int64_t k0 = 0;
    if (is_few(p)) {
        multiply_unpacked(p, t, column, n);
        p->finish(p, t->tile, GEMM_COLUMNS, row, m, column, n);
        return;
    }
    if (is_summing) memset(t->sums, 0, GEMM_ROWS * sizeof(float));
    do {
        const int64_t k1 = least(k0 + p->k_block, p->k);
        if (!is_packed) pack_right(p, t->right, column, n, k0, k1, units_of(p, k0, k1));
        if (p->a.by_k) multiply_turned(p, t, row, m, column, n, k0, k1, is_summing);
        else
            for (int64_t r = 0; r < m; r += TILE_ROWS)
                multiply_rows(p, t, t->tile + r * GEMM_COLUMNS, row + r, least(m - r, TILE_ROWS), column, n, k0, k1);
        k0 = k1;
    } while (k0 < p->k);
    for (int64_t r = 0; r < m && is_summing; r++)
        p->sums[row + r] = p->add_sums ? p->sums[row + r] + t->sums[r] : t->sums[r];
    p->finish(p, t->tile, GEMM_COLUMNS, row, m, column, n);
}

static void multiply_block(void *arg, int64_t item, int thread) {
    product *p = arg;
    const gemm_room t = room_of(p, thread);
    const int64_t n_column_blocks = blocks_of(p->n, p->columns);
    const int64_t row = item / n_column_blocks * p->rows, column = item % n_column_blocks * p->columns;
    const int64_t m = least(p->m - row, p->rows), n = least(p->n - column, p->columns);
    const int is_one_block = p->k_block >= p->k;
    const int64_t tile_rows = is_one_block && !p->a.by_k ? CPU_ROWS : GEMM_ROWS; /* the smaller, the warmer */
    for (int64_t r = 0; r < m; r += tile_rows) {
        const int64_t m_here = least(m - r, tile_rows);
        const int is_packed = is_one_block && r > 0;
#ifdef HONE_DOT
        if (p->onednn) {
            onednn_multiply_tile(p, thread, row + r, m_here, column, n, is_packed);
            continue;
        }
#endif
        multiply_tile_of(p, &t, row + r, m_here, column, n, is_packed);
    }
}

/* As many columns as leave room for all of k, if there are any; else blocks of k. */
static void choose_panels(product *p) {
    const int64_t units = units_of(p, 0, p->k), width = 1 + is_paired(p);
    p->columns = GEMM_COLUMNS;
    p->k_block = p->k;
    if (p->onednn) {
        p->columns = p->onednn->columns;
        p->k_block = onednn_depth(onednn_next(p->onednn, p->k, least(p->n, p->columns)));
    } else if (p->a.by_k) p->k_block = GEMM_K_BLOCK * width;
    else if (units > GEMM_RIGHT_FLOATS / TILE_COLUMNS) p->k_block = GEMM_K_PACKED * width;
    else
        while (p->columns * units > GEMM_RIGHT_FLOATS && p->columns > TILE_COLUMNS) p->columns /= 2;
}

/* What all items take, in multiplications, if they have so many rows and columns: what is brought in is shared by the rows,
 * or columns, of a tile; and a thread is late by a tenth of an item. */
static double cost_of(const product *p, int64_t rows, int64_t columns) {
    const int64_t threads = p->queue->device->host->n_threads, items = blocks_of(p->m, rows) * blocks_of(p->n, columns);
    const int64_t packed_for = p->k_block < p->k ? least(rows, GEMM_ROWS) : rows;
    const double item = (double)(rows * columns) *
                        (1 + PACKING / (double)packed_for + PACKING / (double)columns);
    return item * ((double)blocks_of(items, threads) + (threads > 1 ? 0.1 : 0));
}

static void choose_items(product *p) {
    double best = 0;
    const int64_t widest = p->columns, narrowest = p->onednn ? widest : TILE_COLUMNS;
    for (int64_t columns = widest; columns >= narrowest; columns /= 2)
        for (int64_t parts = 1; parts <= blocks_of(p->m, CPU_ROWS); parts++) {
            const int64_t rows = round_up(blocks_of(p->m, parts), CPU_ROWS);
            const double cost = cost_of(p, rows, columns);
            if (best > 0 && cost >= best) continue;
            best = cost;
            p->rows = rows, p->columns = columns;
        }
}

hone_status ISA(gemm)(product *p) {
    p->onednn = p->call->choice;
    p->status = HONE_OK;
    if (p->m < 1 || p->n < 1) return HONE_OK;
    choose_panels(p);
    choose_items(p);
    deal(p->queue, blocks_of(p->m, p->rows) * blocks_of(p->n, p->columns), multiply_block, p);
    return p->status;
}
