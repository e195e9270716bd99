/* gemm_onednn.h - a tile of a product whose blocks oneDNN multiplies (onednn.h): packing before, adding behind. */
#ifndef CPU_GEMM_ONEDNN_H
#define CPU_GEMM_ONEDNN_H
#include "gemm.h"
#include "onednn.h"

/* Of a block's left operand, in pairs: as deep as the narrowest block may be. */
#define ONEDNN_LEFT_FLOATS (ONEDNN_ROWS * (ONEDNN_RIGHT_BYTES / ONEDNN_PANEL / 4))
#define ONEDNN_PART_FLOATS (ONEDNN_ROWS * GEMM_COLUMNS)

/* A thread's scratch; part: a tile's rows times one more block of k. */
typedef struct {
    float *right, *tile, *part, *left, *library;
} onednn_room;

static onednn_room onednn_room_of(const product *p, int thread) {
    onednn_room t = {.right = scratch_of(p->queue, thread)};
    t.tile = t.right + GEMM_RIGHT_FLOATS, t.part = t.tile + GEMM_TILE_FLOATS;
    t.left = t.part + ONEDNN_PART_FLOATS, t.library = t.left + ONEDNN_LEFT_FLOATS;
    return t;
}
_Static_assert((GEMM_RIGHT_FLOATS + GEMM_TILE_FLOATS + ONEDNN_PART_FLOATS + ONEDNN_LEFT_FLOATS) *
                           sizeof(float) +
                       ONEDNN_SCRATCH <=
                   CPU_SCRATCH_BYTES,
               "a thread's scratch");
_Static_assert(GEMM_RIGHT_FLOATS * sizeof(float) == ONEDNN_RIGHT_BYTES && GEMM_COLUMNS == ONEDNN_COLUMNS &&
                   TILE_COLUMNS == ONEDNN_PANEL && CPU_ROWS % ONEDNN_ROWS == 0,
               "blocks of both");

/* Rows row .. + m - 1 times k in [k0, k1), and zeros up to the block's rows and depth. */
static void onednn_pack_left(const product *p, float *left, int64_t row, int64_t m, int64_t k0, int64_t k1,
                             int64_t depth) {
    const int64_t units = depth / 2, n_units = (k1 - k0 + 1) / 2;
    if (m < ONEDNN_ROWS || n_units < units) memset(left, 0, (size_t)(ONEDNN_ROWS * units) * sizeof(float));
    if (p->a.by_k) pack_rows_by_k(left, units, &p->a, row, m, k0, k1);
    else
        for (int64_t r = 0; r < m; r++)
            pack_line(left + r * units, &p->a, (row + r) * p->a.ld + k0, k1 - k0, n_units, 1);
}

/* The block's rows as they lie, if they lie so. */
static const void *onednn_left(const product *p, const onednn_room *t, int64_t row, int64_t m, int64_t k0,
                               int64_t k1, int64_t depth) {
    if (m == ONEDNN_ROWS && !p->a.by_k && p->a.ld == depth && k1 - k0 == depth)
        return (const uint16_t *)p->a.p + row * p->a.ld;
    onednn_pack_left(p, t->left, row, m, k0, k1, depth);
    return t->left;
}

static void onednn_add(float *tile, const float *part, int64_t n) {
    for (int64_t i = 0; i < n; i += VW) vf_store(tile + i, vf_load(tile + i) + vf_load(part + i));
}

/* The sums over k of lines row .. + m - 1 of the left operand, which lie by k. */
static void onednn_sum_left(const product *p, int64_t row, int64_t m) {
    for (int64_t r = 0; r < m; r += VW) {
        vf all = vf_set(0);
        for (int64_t k = 0; k < p->k; k += CPU_ROWS) {
            vf sum = vf_set(0);
            for (int64_t i = k; i < least(k + CPU_ROWS, p->k); i++)
                sum += ld_n(p->a.p, i * p->a.ld + row + r, m - r, 1);
            all += sum;
        }
        if (p->add_sums) all += ld_n(p->sums, row + r, m - r, 0);
        st_n(p->sums, row + r, all, m - r, 0);
    }
}

/* Rows row .. + m - 1, m <= GEMM_ROWS, of n columns. is_packed: the right operand lies there still. */
static void onednn_multiply_tile(product *p, int thread, int64_t row, int64_t m, int64_t column, int64_t n,
                                 int is_packed) {
    const onednn_room t = onednn_room_of(p, thread);
    const int64_t ld = round_up(n, ONEDNN_PANEL);
    int64_t k0 = 0;
    do {
        const onednn_block *b = onednn_next(p->onednn, p->k - k0, n);
        const int64_t depth = onednn_depth(b), k1 = least(k0 + depth, p->k);
        if (!is_packed) pack_right(p, t.right, column, n, k0, k1, depth / 2);
        for (int64_t r = 0; r < m; r += ONEDNN_ROWS) {
            const void *left = onednn_left(p, &t, row + r, least(m - r, ONEDNN_ROWS), k0, k1, depth);
            float *to = t.tile + r * ld;
            const hone_status status = onednn_multiply(b, thread, left, t.right, k0 ? t.part : to, t.library);
            if (status) __atomic_store_n(&p->status, status, __ATOMIC_RELAXED);
            if (k0) onednn_add(to, t.part, ONEDNN_ROWS * ld);
        }
        k0 = k1;
    } while (k0 < p->k);
    if (p->sums && column == 0) onednn_sum_left(p, row, m);
    p->finish(p, t.tile, ld, row, m, column, n);
}
#endif
