/* linear.c - rows times a weight [out, in], and the two gradients, over the products of gemm.c. What follows
 * a product (bias, activation, its slope, sums of columns) is done on each block while it is in cache. */
#include "gemm.h"
#include "fold.h"
#include "ops.h"
#include "smooth.h"

static float alpha_of(const hone_call *c) { return c->attr.linear.alpha == 0 ? 1 : c->attr.linear.alpha; }

static factor factor_of(const hone_tensor *t, int by_k) { return (factor){t->p, t->ld, is_bf(t), by_k}; }

/* pre = alpha x w' + bias (+ +y), y = act(pre) */
INLINE void finish_forward(const product *p, const float *tile, int64_t ld, int64_t row, int64_t m,
                           int64_t column, int64_t n, int kind, int bf) {
    const hone_call *c = p->call;
    const void *bias = cell(&c->in[2], 0, 0);
    const float alpha = alpha_of(c);
    for (int64_t r = 0; r < m; r++, tile += ld) {
        void *y = cell(&c->out[0], row + r, column), *pre = cell(&c->out[1], row + r, column);
        const void *plus = cell(&c->in[3], row + r, column);
        for (int64_t i = 0; i < n; i += VW) {
            vf v = vf_load(tile + i) * alpha;
            if (bias) v += ld_n(bias, column + i, n - i, bf);
            if (plus) v += ld_n(plus, i, n - i, bf);
            if (kind != HONE_ACT_NONE) v = vf_stored(v, bf);
            if (pre) st_n(pre, i, v, n - i, bf);
            st_n(y, i, act(kind, v), n - i, bf);
        }
    }
}

static void finish_fwd(const product *p, const float *tile, int64_t ld, int64_t row, int64_t m,
                       int64_t column, int64_t n) {
    const int kind = p->call->attr.linear.act, bf = is_bf(&p->call->out[0]);
    if (kind == HONE_ACT_NONE && bf) finish_forward(p, tile, ld, row, m, column, n, HONE_ACT_NONE, 1);
    else if (kind == HONE_ACT_NONE) finish_forward(p, tile, ld, row, m, column, n, HONE_ACT_NONE, 0);
    else if (kind == HONE_ACT_GELU && bf) finish_forward(p, tile, ld, row, m, column, n, HONE_ACT_GELU, 1);
    else if (kind == HONE_ACT_GELU) finish_forward(p, tile, ld, row, m, column, n, HONE_ACT_GELU, 0);
    else finish_forward(p, tile, ld, row, m, column, n, kind, bf);
}

hone_status ISA(linear_fwd)(hone_queue *q, const hone_call *c) {
    product p = {.queue = q, .call = c, .finish = finish_fwd};
    p.a = factor_of(&c->in[0], 0), p.b = factor_of(&c->in[1], 0);
    p.written[0] = factor_of(&c->out[0], 0), p.written[1] = factor_of(&c->out[1], 0);
    p.m = c->out[0].dim[0], p.n = width(&c->out[0]), p.k = width(&c->in[1]);
    return ISA(gemm)(&p);
}

/* dx = (alpha dy w (+ +dx)) act'(pre), and partial sums of its columns */
INLINE void finish_backward(const product *p, const float *tile, int64_t ld, int64_t row, int64_t m,
                            int64_t column, int64_t n, int kind, int bf) {
    const hone_call *c = p->call;
    const float alpha = alpha_of(c);
    for (int64_t r = 0; r < m; r++, tile += ld) {
        void *dx = cell(&c->out[0], row + r, column);
        const void *pre = cell(&c->in[2], row + r, column), *plus = cell(&c->in[3], row + r, column);
        float *sums = (float *)c->work + (row + r) / CPU_ROWS * partial_ld(p->n) + column;
        const int is_first = (row + r) % CPU_ROWS == 0;
        for (int64_t i = 0; i < n; i += VW) {
            vf v = vf_load(tile + i) * alpha;
            if (plus) v += ld_n(plus, i, n - i, bf);
            if (pre) v *= act_slope(kind, ld_n(pre, i, n - i, bf));
            st_n(dx, i, v, n - i, bf);
            if (c->out[1].p) st_n(sums, i, is_first ? v : v + ld_n(sums, i, n - i, 0), n - i, 0);
        }
    }
}

static void finish_bwd(const product *p, const float *tile, int64_t ld, int64_t row, int64_t m,
                       int64_t column, int64_t n) {
    const int kind = p->call->in[2].p ? p->call->attr.linear.act : HONE_ACT_NONE,
              bf = is_bf(&p->call->out[0]);
    if (kind == HONE_ACT_NONE && bf) finish_backward(p, tile, ld, row, m, column, n, HONE_ACT_NONE, 1);
    else if (kind == HONE_ACT_NONE) finish_backward(p, tile, ld, row, m, column, n, HONE_ACT_NONE, 0);
    else if (kind == HONE_ACT_GELU && bf) finish_backward(p, tile, ld, row, m, column, n, HONE_ACT_GELU, 1);
    else if (kind == HONE_ACT_GELU) finish_backward(p, tile, ld, row, m, column, n, HONE_ACT_GELU, 0);
    else finish_backward(p, tile, ld, row, m, column, n, kind, bf);
}

hone_status ISA(linear_bwd)(hone_queue *q, const hone_call *c) {
    product p = {.queue = q, .call = c, .finish = finish_bwd};
    p.a = factor_of(&c->in[0], 0), p.b = factor_of(&c->in[1], 1);
    p.written[0] = factor_of(&c->out[0], 0), p.written[1] = factor_of(&c->in[2], 0);
    p.m = c->out[0].dim[0], p.n = width(&c->out[0]), p.k = c->in[1].dim[0];
    const hone_status status = ISA(gemm)(&p);
    fold(q, &c->out[1], &c->in[4], c->work, row_blocks(p.m));
    return status;
}

/* dw (+)= alpha dy' x */
static void finish_weight(const product *p, const float *tile, int64_t ld, int64_t row, int64_t m,
                          int64_t column, int64_t n) {
    const hone_call *c = p->call;
    const float alpha = alpha_of(c);
    for (int64_t r = 0; r < m; r++, tile += ld) {
        float *dw = cell(&c->out[0], row + r, column);
        for (int64_t i = 0; i < n; i += VW) {
            vf v = vf_load(tile + i) * alpha;
            if (c->in[2].p) v += ld_n(dw, i, n - i, 0);
            st_n(dw, i, v, n - i, 0);
        }
    }
}

hone_status ISA(linear_bwd_w)(hone_queue *q, const hone_call *c) {
    product p = {.queue = q, .call = c, .finish = finish_weight};
    p.a = factor_of(&c->in[0], 1), p.b = factor_of(&c->in[1], 1);
    p.m = width(&c->in[0]), p.n = width(&c->in[1]), p.k = c->in[0].dim[0];
    p.sums = floats(&c->out[1]), p.add_sums = c->in[3].p != NULL;
    return ISA(gemm)(&p);
}
