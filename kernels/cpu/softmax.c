/* softmax.c - probabilities of a row, and their gradient dx = y (dy - sum of dy y).
 * Plain version: kernels/ref/softmax.inc. */
#include "ops.h"
#include "softmax.h"

static void softmax_block(void *arg, int64_t item, int thread) {
    const hone_call *c = arg;
    const hone_tensor *x = &c->in[0], *y = &c->out[0];
    const int64_t C = width(x), end = least((item + 1) * SOFTMAX_ROWS, x->dim[0]);
    const int bf = is_bf(x);
    (void)thread;
    for (int64_t m = item * SOFTMAX_ROWS; m < end; m++) {
        const void *from = cell(x, m, 0);
        void *to = cell(y, m, 0);
        const float top = softmax_top(from, C, bf), sum = softmax_sum(from, C, top, bf);
        for (int64_t i = 0; i < C; i += VW)
            st_n(to, i, vf_exp(ld_n(from, i, C - i, bf) - top) / sum, C - i, bf);
    }
}

hone_status ISA(softmax_fwd)(hone_queue *q, const hone_call *c) {
    deal(q, blocks_of(c->in[0].dim[0], SOFTMAX_ROWS), softmax_block, (void *)(uintptr_t)c);
    return HONE_OK;
}

static void softmax_back_block(void *arg, int64_t item, int thread) {
    const hone_call *c = arg;
    const int64_t C = width(&c->in[0]), end = least((item + 1) * SOFTMAX_ROWS, c->in[0].dim[0]);
    const int bf = is_bf(&c->in[0]);
    (void)thread;
    for (int64_t m = item * SOFTMAX_ROWS; m < end; m++) {
        const void *dy = cell(&c->in[0], m, 0), *y = cell(&c->in[1], m, 0);
        void *dx = cell(&c->out[0], m, 0);
        vf sum = vf_set(0);
        for (int64_t i = 0; i < C; i += VW) sum = vf_fma(ld_n(dy, i, C - i, bf), ld_n(y, i, C - i, bf), sum);
        const float along = vf_sum(sum);
        for (int64_t i = 0; i < C; i += VW)
            st_n(dx, i, ld_n(y, i, C - i, bf) * (ld_n(dy, i, C - i, bf) - along), C - i, bf);
    }
}

hone_status ISA(softmax_bwd)(hone_queue *q, const hone_call *c) {
    deal(q, blocks_of(c->in[0].dim[0], SOFTMAX_ROWS), softmax_back_block, (void *)(uintptr_t)c);
    return HONE_OK;
}
