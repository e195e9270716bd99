/* loss.c - losses of rows, each with the gradient of its logits; scale is the row's weight in the global
 * mean, and gradients are multiplied by the loss scale too. XENT  t = ((1 - smoothing) onehot + smoothing / C) weight,  loss = - sum of t log p,  gx = p sum of t
 * - t Plain version: kernels/ref/loss.inc. */
#include "ops.h"
#include "outside.h"
#include "softmax.h"

#include <math.h>

/* The first that equals the largest of a row. */
static int32_t find_top(const void *x, int64_t n, float top, int bf) {
    for (int64_t i = 0; i < n; i += VW) {
        const vf v = ld_n(x, i, n - i, bf);
        for (int64_t lane = 0; lane < least(VW, n - i); lane++)
            if (v[lane] == top) return (int32_t)(i + lane);
    }
    return 0; /* nothing but NaN */
}

typedef struct {
    float even, label; /* t of a class, before its weight; what the label's class has on top */
    const float *weight;
} target;

INLINE vf target_of(const target *t, int64_t i, int64_t n, int32_t label) {
    vf v = vf_set(t->even);
    if (label >= i && label < i + VW) v[label - i] += t->label;
    return t->weight ? v * ld_n(t->weight, i, n, 0) : v;
}

static void xent_row(const hone_call *c, const target *t, int64_t m, int bf) {
    const int64_t C = width(&c->in[0]);
    const void *x = cell(&c->in[0], m, 0);
    void *gx = cell(&c->out[2], m, 0);
    const int32_t label = ints(&c->in[1])[m];
    const float scale = floats(&c->in[3])[0], lift = scale * loss_scale_of(c->tick), top = softmax_top(x, C, bf);
    if (c->out[1].p) ints(&c->out[1])[m] = find_top(x, C, top, bf);
    if (label < 0) {
        floats(&c->out[0])[m] = 0;
        if (gx) memset(gx, 0, (size_t)(C * element_bytes(&c->out[2])));
        return;
    }
    const float log_sum = logf(softmax_sum(x, C, top, bf));
    vf total = vf_set(0), loss = vf_set(0);
    for (int64_t i = 0; i < C; i += VW) {
        if (t->even == 0 && (label < i || label >= i + VW))
            continue; /* a class without a target is no loss */
        const vf of = vf_first(target_of(t, i, C - i, label), C - i);
        const vf minus_log_p = log_sum - (ld_n(x, i, C - i, bf) - top);
        total += of;
        loss += vf_select(vf_lt(vf_set(0), vf_abs(of)), of * minus_log_p, vf_set(0));
    }
    floats(&c->out[0])[m] = scale * vf_sum(loss);
    const float all = vf_sum(total);
    for (int64_t i = 0; i < C && gx; i += VW) {
        const vf p = vf_exp(ld_n(x, i, C - i, bf) - top - log_sum);
        st_n(gx, i, (p * all - target_of(t, i, C - i, label)) * lift, C - i, bf);
    }
}

static void xent_block(void *arg, int64_t item, int thread) {
    const hone_call *c = arg;
    const float smoothing = (float)c->attr.loss.smoothing;
    const target t = {smoothing / (float)width(&c->in[0]), 1 - smoothing, floats(&c->in[2])};
    const int64_t end = least((item + 1) * SOFTMAX_ROWS, c->in[0].dim[0]);
    (void)thread;
    for (int64_t m = item * SOFTMAX_ROWS; m < end; m++) xent_row(c, &t, m, is_bf(&c->in[0]));
}

hone_status ISA(xent)(hone_queue *q, const hone_call *c) {
    deal(q, blocks_of(c->in[0].dim[0], SOFTMAX_ROWS), xent_block, (void *)(uintptr_t)c);
    return HONE_OK;
}

static float read_one(const void *x, int64_t i, int bf) { return ld_n(x, i, 1, bf)[0]; }
static void write_one(void *x, int64_t i, float v, int bf) { st_n(x, i, vf_set(v), 1, bf); }

/* A row's loss is the mean over its C columns. log(1 + exp(x)) is taken so that neither sign overflows. */
static void bce_block(void *arg, int64_t item, int thread) {
    const hone_call *c = arg;
    const int64_t C = width(&c->in[0]), end = least((item + 1) * SOFTMAX_ROWS, c->in[0].dim[0]);
    const float *weight = floats(&c->in[2]), scale = floats(&c->in[3])[0] / (float)C,
                lift = scale * loss_scale_of(c->tick);
    const int bf = is_bf(&c->in[0]);
    (void)thread;
    for (int64_t m = item * SOFTMAX_ROWS; m < end; m++) {
        const void *x = cell(&c->in[0], m, 0);
        const float *label = cell(&c->in[1], m, 0);
        void *gx = cell(&c->out[1], m, 0);
        double total = 0;
        for (int64_t i = 0; i < C; i++) {
            const float e = read_one(x, i, bf), y = label[i], w = weight ? weight[i] : 1;
            const float power = expf(-fabsf(e)), softplus = fmaxf(e, 0) + log1pf(power);
            const float above = (e < 0 ? power : 1) / (1 + power), below = (e < 0 ? 1 : power) / (1 + power);
            const float gradient = (1 - y) * above - w * y * below;
            if (!isnan(y)) total += w * y * (softplus - e) + (1 - y) * softplus;
            if (gx) write_one(gx, i, isnan(y) ? 0 : lift * gradient, bf);
        }
        floats(&c->out[0])[m] = scale * (float)total;
    }
}

hone_status ISA(bce)(hone_queue *q, const hone_call *c) {
    deal(q, blocks_of(c->in[0].dim[0], SOFTMAX_ROWS), bce_block, (void *)(uintptr_t)c);
    return HONE_OK;
}

static void mse_block(void *arg, int64_t item, int thread) {
    const hone_call *c = arg;
    const int64_t C = width(&c->in[0]), end = least((item + 1) * SOFTMAX_ROWS, c->in[0].dim[0]);
    const float scale = floats(&c->in[2])[0] / (float)C, lift = scale * loss_scale_of(c->tick);
    const int bf = is_bf(&c->in[0]);
    (void)thread;
    for (int64_t m = item * SOFTMAX_ROWS; m < end; m++) {
        const void *x = cell(&c->in[0], m, 0);
        const float *label = cell(&c->in[1], m, 0);
        void *gx = cell(&c->out[1], m, 0);
        double total = 0;
        for (int64_t i = 0; i < C; i++) {
            const float off = isnan(label[i]) ? 0 : read_one(x, i, bf) - label[i];
            total += (double)off * (double)off;
            if (gx) write_one(gx, i, lift * 2 * off, bf);
        }
        floats(&c->out[0])[m] = scale * (float)total;
    }
}

hone_status ISA(mse)(hone_queue *q, const hone_call *c) {
    deal(q, blocks_of(c->in[0].dim[0], SOFTMAX_ROWS), mse_block, (void *)(uintptr_t)c);
    return HONE_OK;
}

/* Column k (0: start, 1: end) of a sequence's rows; gives its half of the loss. */
static float span_column(const hone_call *c, hone_range r, int64_t b, int k) {
    const hone_tensor *x = &c->in[0], *gx = &c->out[2];
    const int bf = is_bf(x);
    const int32_t label = ((int32_t *)cell(&c->in[2], b, 0))[k];
    const float scale = floats(&c->in[3])[0] / 2, lift = scale * loss_scale_of(c->tick);
    const int lives = label >= 0 && label < r.n;
    int32_t best = r.n > 0 ? 0 : -1;
    float top = r.n > 0 ? read_one(cell(x, r.first, 0), k, bf) : 0;
    for (int32_t i = 1; i < r.n; i++) {
        const float e = read_one(cell(x, r.first + i, 0), k, bf);
        if (e > top) top = e, best = i;
    }
    if (c->out[1].p) ((int32_t *)cell(&c->out[1], b, 0))[k] = best;
    if (r.n < 1) return 0;
    double sum = 0;
    for (int32_t i = 0; i < r.n; i++) sum += exp((double)(read_one(cell(x, r.first + i, 0), k, bf) - top));
    const float log_sum = (float)log(sum);
    const float at_label = lives ? read_one(cell(x, r.first + label, 0), k, bf) : 0;
    for (int32_t i = 0; i < r.n && gx->p; i++) {
        const float p = expf(read_one(cell(x, r.first + i, 0), k, bf) - top - log_sum);
        write_one(cell(gx, r.first + i, 0), k, lives ? lift * (p - (float)(i == label)) : 0, bf);
    }
    return lives ? scale * (log_sum + (top - at_label)) : 0;
}

static void span_sequence(void *arg, int64_t b, int thread) {
    const hone_call *c = arg;
    const hone_range r = ranges(&c->in[1])[b];
    (void)thread;
    const float start = span_column(c, r, b, 0), end = span_column(c, r, b, 1);
    floats(&c->out[0])[b] = start + end;
}

hone_status ISA(span_xent)(hone_queue *q, const hone_call *c) {
    hone_tensor gx = c->out[2];
    deal(q, c->in[1].dim[0], span_sequence, (void *)(uintptr_t)c);
    if (gx.p) visit_outside(&c->in[1], gx.dim[0], zero_rows, &gx);
    return HONE_OK;
}
