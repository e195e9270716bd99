/* gather.c - rows picked, rows put back, and the mean of a sequence's rows. Plain version:
 * kernels/ref/gather.inc. */
#include "ops.h"
#include "fold.h"
#include "outside.h"

static void gather_block(void *arg, int64_t item, int thread) {
    const hone_call *c = arg;
    const hone_tensor *x = &c->in[0], *y = &c->out[0];
    const int64_t end = least((item + 1) * CPU_ROWS, y->dim[0]);
    const size_t bytes = (size_t)(width(y) * element_bytes(y));
    (void)thread;
    for (int64_t m = item * CPU_ROWS; m < end; m++) {
        const int32_t from = ints(&c->in[1])[m];
        if (from >= 0) memcpy(cell(y, m, 0), cell(x, from, 0), bytes);
        else memset(cell(y, m, 0), 0, bytes);
    }
}

hone_status ISA(gather)(hone_queue *q, const hone_call *c) {
    deal(q, row_blocks(c->out[0].dim[0]), gather_block, (void *)(uintptr_t)c);
    return HONE_OK;
}

/* What rows hold that no index names: into's, or zeros. */
static void scatter_ground(void *arg, int64_t item, int thread) {
    const hone_call *c = arg;
    const hone_tensor *into = &c->in[2];
    hone_tensor y = c->out[0];
    const int64_t first = item * CPU_ROWS, end = least(first + CPU_ROWS, y.dim[0]);
    (void)thread;
    if (!into->p) {
        zero_rows(&y, first, end - first);
        return;
    }
    for (int64_t n = first; n < end; n++)
        memcpy(cell(&y, n, 0), cell(into, n, 0), (size_t)(width(&y) * element_bytes(&y)));
}

static void scatter_block(void *arg, int64_t item, int thread) {
    const hone_call *c = arg;
    const hone_tensor *x = &c->in[0], *y = &c->out[0];
    const int64_t D = width(x), end = least((item + 1) * CPU_ROWS, x->dim[0]);
    const int bf = is_bf(x), is_plus = c->in[3].p != NULL;
    (void)thread;
    for (int64_t m = item * CPU_ROWS; m < end; m++) {
        const int32_t row = ints(&c->in[1])[m];
        if (row < 0) continue;
        void *to = cell(y, row, 0);
        const void *from = cell(x, m, 0);
        if (!is_plus) memcpy(to, from, (size_t)(D * element_bytes(x)));
        for (int64_t i = 0; i < D && is_plus; i += VW)
            st_n(to, i, ld_n(to, i, D - i, bf) + ld_n(from, i, D - i, bf), D - i, bf);
    }
}

hone_status ISA(scatter)(hone_queue *q, const hone_call *c) {
    const hone_tensor *into = &c->in[2], *y = &c->out[0];
    const int is_kept = into->p ? into->p == y->p : c->in[3].p != NULL;
    if (!is_kept) deal(q, row_blocks(y->dim[0]), scatter_ground, (void *)(uintptr_t)c);
    deal(q, row_blocks(c->in[0].dim[0]), scatter_block, (void *)(uintptr_t)c);
    return HONE_OK;
}

/* Sums of CPU_ROWS rows, added in order. */
static void pool_sequence(void *arg, int64_t b, int thread) {
    const hone_call *c = arg;
    const hone_tensor *x = &c->in[0], *y = &c->out[0];
    const hone_range range = ranges(&c->in[1])[b];
    const int64_t D = width(y);
    const int bf = is_bf(x);
    (void)thread;
    for (int64_t i = 0; i < D; i += VW) {
        vf all = vf_set(0);
        for (int64_t first = 0; first < range.n; first += CPU_ROWS) {
            vf sum = vf_set(0);
            for (int64_t r = first; r < least(first + CPU_ROWS, range.n); r++)
                sum += ld_n(cell(x, range.first + r, 0), i, D - i, bf);
            all += sum;
        }
        if (range.n > 0) all /= (float)range.n;
        st_n(cell(y, b, 0), i, all, D - i, bf);
    }
}

hone_status ISA(pool_fwd)(hone_queue *q, const hone_call *c) {
    deal(q, c->out[0].dim[0], pool_sequence, (void *)(uintptr_t)c);
    return HONE_OK;
}

static void pool_back_sequence(void *arg, int64_t b, int thread) {
    const hone_call *c = arg;
    const hone_tensor *dx = &c->out[0];
    const hone_range range = ranges(&c->in[1])[b];
    const int64_t D = width(dx);
    const int bf = is_bf(dx), is_plus = c->in[2].p != NULL;
    (void)thread;
    for (int64_t r = range.first; r < (int64_t)range.first + range.n; r++) {
        const void *dy = cell(&c->in[0], b, 0);
        void *to = cell(dx, r, 0);
        for (int64_t i = 0; i < D; i += VW) {
            vf v = ld_n(dy, i, D - i, bf) / (float)range.n;
            if (is_plus) v += ld_n(to, i, D - i, bf);
            st_n(to, i, v, D - i, bf);
        }
    }
}

hone_status ISA(pool_bwd)(hone_queue *q, const hone_call *c) {
    hone_tensor dx = c->out[0];
    if (!c->in[2].p) visit_outside(&c->in[1], dx.dim[0], zero_rows, &dx);
    deal(q, c->in[0].dim[0], pool_back_sequence, (void *)(uintptr_t)c);
    return HONE_OK;
}
