/* loss.cu - losses of rows, each with the gradient of its logits; scale is a row's weight in the global
 * mean.
 *
 *   XENT       t = ((1 - smoothing) onehot + smoothing / C) weight,   loss = scale sum of -t log p,
 *              gx = scale (p sum of t - t)                with p = softmax(x). Focal: see slope_of
 *   every gx is multiplied by the tick's loss scale too (1 unless fp16)
 *     in   x [M,C], label [M] i32, weight [C] f32, scale [1] f32
 *     out  loss [M] f32, best [M] i32, gx [M,C], perhaps in x's place
 *   BCE, MSE   in x [M,C], label [M,C] f32, weight [C] f32, scale [1] f32     out  loss [M] f32, gx [M,C]
 *   SPAN_XENT  in x [N,2], at [B] ranges, label [B,2] i32, scale [1] f32      out  loss [B] f32, best [B,2] i32, gx [N,2]
 *
 * XENT: owners and rows as in softmax.cuh, logits read once and gradients written once in their place; rows
 * that nothing holds are read twice, once more each for best and for label smoothing. BCE and MSE: a warp
 * walks a row. SPAN_XENT: a block of 4 warps walks a sequence; blocks after those zero the rows of no
 * sequence. Floor: each operand once. Plain version: kernels/ref/loss.inc. Cases: kernels/cases/loss.c. */
#include "block.cuh"
#include "softmax.cuh"

extern "C" {
#include "ops.h"
}

/* What a gradient is multiplied by: the row's weight and the loss scale. */
__device__ __forceinline__ float lift_of(float scale, const hone_tick *tick) {
    return scale * loss_scale_of(tick);
}

/* ---- XENT ----------------------------------------------------------------------------------------------------*/
template <typename T> struct Xent {
    const T *x;                  /* [M,C] */
    const int32_t *label;        /* [M] */
    const float *weight, *scale; /* weight [C] may be NULL */
    const hone_tick *tick;
    float *loss;
    int32_t *best; /* may be NULL */
    T *gx;         /* may be NULL, or x */
    int64_t n_rows, ld_x, ld_gx, ld_label, ld_best;
    ClassShape shape;
    float even, hot, gamma; /* smoothing / C; 1 - smoothing; of the focal loss */
};

template <typename T> __device__ __forceinline__ void write_best(const Xent<T> &a, int64_t m, int best) {
    a.best[m * a.ld_best] = best == NO_CLASS ? 0 : best; /* nothing but NaN: the first */
}

/* Here a class's t is even, and hot times the label's weight more for the label: no weights where classes
 * share. */
template <typename T, int PACKS, int WARPS>
__global__ void __launch_bounds__(32 * block_warps(WARPS)) xent_packs(const Xent<T> a) {
    SoftmaxShared &shared = shared_memory<SoftmaxShared>();
    const Owner<32> o(WARPS);
    const int64_t m = (int64_t)blockIdx.x * o.count + o.number;
    if (m >= a.n_rows) return; /* only rows of one warp can be missing from a block */
    const int label = a.label[m * a.ld_label];
    const bool lives = label >= 0;
    ClassRow<T, PACKS> row(o, a.shape);
    row.load(a.x + m * a.ld_x);
    const float at_label = lives ? to_float(a.x[m * a.ld_x + label]) : 0; /* before gx takes its place */
    const float hot = lives && a.weight ? a.hot * a.weight[label] : a.hot, scale = a.scale[0];
    const Softmax s = softmax_of(row, shared);
    if (a.best) {
        int best = NO_CLASS;
        row.each([&](float x, int c, bool) { best = x == s.top ? min(best, c) : best; });
        best = owner_min(o, best, shared.best);
        if (o.thread == 0) write_best(a, m, best);
    }
    /* -log p of a class is log_sum - (x - top). */
    const float log_sum = logf(s.sum);
    float others = 0;
    if (a.even != 0) {
        row.each([&](float x, int, bool is_there) { others += is_there ? log_sum - (x - s.top) : 0; });
        others = a.even * owner_sum(o, others, 0, shared.terms).x;
    }
    if (o.thread == 0)
        a.loss[m] = lives ? scale * (others + (hot != 0 ? hot * (log_sum - (at_label - s.top)) : 0)) : 0;
    if (!a.gx) return;
    const float lift = lift_of(scale, a.tick), share = (a.even * (float)a.shape.classes + hot) / s.sum;
    row.change([&](float x, int c, bool) {
        return lives ? lift * (exp_from(x, s.top) * share - (c == label ? a.even + hot : a.even)) : 0;
    });
    row.store(a.gx + m * a.ld_gx);
}

/* A class's t, with any weights. */
template <typename T> __device__ __forceinline__ float target_of(const Xent<T> &a, int label, int c) {
    const float t = a.even + (c == label ? a.hot : 0);
    return a.weight && t != 0 ? t * a.weight[c] : t;
}

/* x^y, x in [0, 1]: by the special function unit; a call of powf would spill registers. */
__device__ __forceinline__ float power(float x, float y) { return y == 0 ? 1.0f : exp2_fast(y * log2_fast(x)); }

/* Focal loss (Lin et al., 2017): a class's term is f = -(1 - p)^gamma log p; this is p f'(p), of which the
 * gradient consists: gx_j = g_j - p_j sum of g, with g = t p f'(p). gamma 0: cross-entropy. */
__device__ __forceinline__ float slope_of(float gamma, float p, float log_p) {
    if (gamma == 0) return -1;
    if (p >= 1) return 0;
    return gamma * p * power(1 - p, gamma - 1) * log_p - power(1 - p, gamma);
}

/* Long rows; and any rows of the focal loss, whose powers are too much code to unroll, and with both
 * smoothing and weights. */
template <typename T>
__global__ void __launch_bounds__(32 * WALK_WARPS) xent_walk(const Xent<T> a, int has_room) {
    WalkShared<T> &memory = shared_memory<WalkShared<T>>();
    SoftmaxShared &shared = memory.sums;
    const Owner<32> o(WALK_WARPS);
    const int64_t m = blockIdx.x;
    T *gx = a.gx + m * a.ld_gx;
    const int label = a.label[m * a.ld_label];
    const float at_label = label >= 0 ? to_float(a.x[m * a.ld_x + label]) : 0, scale = a.scale[0];
    const T *x = copy_row(o, a.shape, a.x + m * a.ld_x, has_room ? memory.row[0].v : (T *)NULL);
    const Softmax s = softmax_walk(o, a.shape, x, shared);
    if (a.best) {
        int best = NO_CLASS;
        walk_row(o, a.shape, x, [&](float e, int c) { best = e == s.top ? min(best, c) : best; });
        best = owner_min(o, best, shared.best);
        if (o.thread == 0) write_best(a, m, best);
    }
    if (label < 0) {
        if (o.thread == 0) a.loss[m] = 0;
        if (a.gx) walk_change(o, a.shape, x, gx, [&](float, int) { return 0.0f; });
        return;
    }
    const float log_sum = logf(s.sum);
    float2 sum = {0, 0}; /* of t p f'(p); of the loss's terms */
    const auto add = [&](float e, int c) {
        const float t = target_of(a, label, c), log_p = e - s.top - log_sum, p = exp_from(e, s.top) / s.sum;
        if (t == 0) return; /* a class of probability 0 without a target is no loss */
        sum.x += t * slope_of(a.gamma, p, log_p);
        sum.y -= t * (a.gamma == 0 ? log_p : power(1 - p, a.gamma) * log_p);
    };
    if (a.even != 0) {
        walk_row(o, a.shape, x, add);
        sum = owner_sum(o, sum.x, sum.y, shared.terms);
    } else add(at_label, label);
    if (o.thread == 0) a.loss[m] = scale * sum.y;
    const float lift = lift_of(scale, a.tick);
    if (a.gx)
        walk_change(o, a.shape, x, gx, [&](float e, int c) {
            const float t = target_of(a, label, c), p = exp_from(e, s.top) / s.sum;
            return lift * ((t == 0 ? 0 : t * slope_of(a.gamma, p, e - s.top - log_sum)) - p * sum.x);
        });
}

template <typename T, int PACKS, int WARPS> static hone_status xent_with(hone_queue *q, const Xent<T> &a) {
    return launch(q, xent_packs<T, PACKS, WARPS>, (unsigned)ceil_div(a.n_rows, block_warps(WARPS) / WARPS),
                  32 * block_warps(WARPS), sizeof(SoftmaxShared), a);
}
template <typename T> static hone_status xent_type(hone_queue *q, const hone_call *c) {
    const hone_tensor *in = c->in, *out = c->out;
    const int64_t classes = width(in[0]);
    const double smoothing = c->attr.loss.smoothing;
    Xent<T> a = {};
    a.x = ptr<T>(in[0]), a.label = ptr<int32_t>(in[1]), a.weight = ptr<float>(in[2]), a.scale = ptr<float>(in[3]);
    a.tick = c->tick, a.loss = ptr<float>(out[0]), a.best = ptr<int32_t>(out[1]), a.gx = ptr<T>(out[2]);
    a.n_rows = in[0].dim[0], a.ld_x = in[0].ld, a.ld_gx = out[2].ld, a.ld_label = in[1].ld, a.ld_best = out[1].ld;
    a.shape = class_shape<T>(MUTANT(23) ? in[0].ld : classes, is_aligned<T>(in[0]) && is_aligned<T>(out[2]));
    a.even = (float)(smoothing / (double)classes), a.hot = (float)(1 - smoothing);
    a.gamma = (float)c->attr.loss.focal_gamma;
    const bool is_rare = a.gamma != 0 || (smoothing != 0 && a.weight);
    if (is_rare || classes > holds<T>(4, 8)) {
        const size_t bytes = walk_bytes<T>(q, classes);
        return launch(q, xent_walk<T>, (unsigned)a.n_rows, 32 * WALK_WARPS, bytes, a,
                      bytes > sizeof(SoftmaxShared));
    }
    if (classes <= holds<T>(1, 1)) return xent_with<T, 1, 1>(q, a);
    if (classes <= holds<T>(4, 1)) return xent_with<T, 4, 1>(q, a);
    return xent_with<T, 4, 8>(q, a);
}
hone_status xent(hone_queue *q, const hone_call *c) { return BY_TYPE(c->in[0].dtype, xent_type, q, c); }

/* ---- BCE, MSE ------------------------------------------------------------------------------------------------*/
constexpr int BLOCK_ROWS = 4;

template <typename T> struct Columns {
    const T *x;                  /* [M,C] */
    const float *label;          /* [M,C], NaN: ignored */
    const float *weight, *scale; /* weight [C] of the positive class, may be NULL */
    const hone_tick *tick;
    float *loss;
    T *gx; /* may be NULL, or x */
    int64_t n_rows, ld_x, ld_label, ld_gx;
    int classes;
};

/* A column's loss, and its gradient in *g. log(1 + exp(x)) is taken so that neither sign overflows. */
struct BinaryCrossEntropy {
    static __device__ __forceinline__ float of(float x, float y, float w, float *g) {
        const float power = expf(-fabsf(x)), softplus = fmaxf(x, 0) + log1pf(power);
        const float above = (x < 0 ? power : 1) / (1 + power), below = (x < 0 ? 1 : power) / (1 + power);
        *g = (1 - y) * above - w * y * below;
        return w * y * (softplus - x) + (1 - y) * softplus;
    }
};
struct SquaredError {
    static __device__ __forceinline__ float of(float x, float y, float, float *g) {
        *g = 2 * (x - y);
        return (x - y) * (x - y);
    }
};

template <typename T, typename LOSS>
__global__ void __launch_bounds__(32 * BLOCK_ROWS) columns_warp(const Columns<T> a) {
    const int64_t m = (int64_t)blockIdx.x * BLOCK_ROWS + threadIdx.x / 32;
    if (m >= a.n_rows) return;
    const float scale = a.scale[0] / (float)a.classes, lift = lift_of(scale, a.tick);
    float total = 0;
    for (int c = (int)threadIdx.x % 32; c < a.classes; c += 32) {
        const float y = a.label[m * a.ld_label + c];
        float g = 0;
        if (!isnan(y)) total += LOSS::of(to_float(a.x[m * a.ld_x + c]), y, a.weight ? a.weight[c] : 1, &g);
        if (a.gx) a.gx[m * a.ld_gx + c] = from_float<T>(lift * g);
    }
    total = warp_sum(total);
    if (threadIdx.x % 32 == 0) a.loss[m] = scale * total;
}

template <typename T, typename LOSS>
static hone_status play_columns(hone_queue *q, const hone_call *c, const float *weight,
                                const hone_tensor &scale) {
    const hone_tensor &x = c->in[0], &label = c->in[1], &gx = c->out[1];
    const Columns<T> a = {ptr<T>(x), ptr<float>(label), weight, ptr<float>(scale), c->tick, ptr<float>(c->out[0]), ptr<T>(gx),
                          x.dim[0],  x.ld,              label.ld, gx.ld,           (int)width(x)};
    return launch(q, columns_warp<T, LOSS>, (unsigned)ceil_div(a.n_rows, BLOCK_ROWS), 32 * BLOCK_ROWS, 0, a);
}
template <typename T> static hone_status bce_type(hone_queue *q, const hone_call *c) {
    return play_columns<T, BinaryCrossEntropy>(q, c, ptr<float>(c->in[2]), c->in[3]);
}
hone_status bce(hone_queue *q, const hone_call *c) { return BY_TYPE(c->in[0].dtype, bce_type, q, c); }
template <typename T> static hone_status mse_type(hone_queue *q, const hone_call *c) {
    return play_columns<T, SquaredError>(q, c, NULL, c->in[2]);
}
hone_status mse(hone_queue *q, const hone_call *c) { return BY_TYPE(c->in[0].dtype, mse_type, q, c); }

/* ---- SPAN_XENT -----------------------------------------------------------------------------------------------*/
constexpr int SPAN_THREADS = 128;

template <typename T> struct Span {
    const T *x;           /* [N,2] */
    const hone_range *at; /* [B] */
    const int32_t *label; /* [B,2], from the sequence's first row */
    const float *scale;
    const hone_tick *tick;
    float *loss;   /* [B] */
    int32_t *best; /* [B,2], may be NULL */
    T *gx;         /* may be NULL, or x */
    int64_t n_rows, n_sequences, ld_x, ld_label, ld_best, ld_gx;
};

/* Column k (0: start, 1: end) of a sequence's rows; gives its half of the loss. */
template <typename T>
__device__ __forceinline__ float span_column(const Span<T> &a, const Owner<32> &o, hone_range r, int k,
                                             SoftmaxShared &shared) {
    const int64_t b = blockIdx.x;
    const T *x = a.x + r.first * a.ld_x + k;
    const int label = a.label[b * a.ld_label + k];
    const bool lives = label >= 0 && label < r.n;
    const float at_label = lives ? to_float(x[label * a.ld_x]) : 0, scale = a.scale[0] / 2,
                lift = lift_of(scale, a.tick);
    float top = -INFINITY, sum = 0;
    int best = NO_CLASS;
    for (int i = o.thread; i < r.n; i += o.threads) top = fmaxf(top, to_float(x[i * a.ld_x]));
    top = owner_max(o, top, shared.top);
    for (int i = o.thread; i < r.n; i += o.threads) {
        const float e = to_float(x[i * a.ld_x]);
        sum += exp_from(e, top);
        if (e == top) best = min(best, i);
    }
    sum = owner_sum(o, sum, 0, shared.sum).x;
    best = owner_min(o, best, shared.best);
    if (a.best && o.thread == 0) a.best[b * a.ld_best + k] = best == NO_CLASS ? (r.n > 0 ? 0 : -1) : best;
    if (a.gx)
        for (int i = o.thread; i < r.n; i += o.threads) {
            const float p = exp_from(to_float(x[i * a.ld_x]), top) / sum;
            a.gx[(r.first + i) * a.ld_gx + k] = from_float<T>(lives ? lift * (p - (i == label ? 1 : 0)) : 0);
        }
    return lives ? scale * (logf(sum) + (top - at_label)) : 0;
}

/* A row of no sequence has no gradient. */
template <typename T> __device__ __forceinline__ void zero_outside(const Span<T> &a, int64_t n) {
    if (n >= a.n_rows) return;
    for (int64_t b = 0; b < a.n_sequences; b++)
        if (n >= a.at[b].first && n < (int64_t)a.at[b].first + a.at[b].n) return;
    a.gx[n * a.ld_gx] = a.gx[n * a.ld_gx + 1] = from_float<T>(0);
}

template <typename T> __global__ void __launch_bounds__(SPAN_THREADS) span_block(const Span<T> a) {
    SoftmaxShared &shared = shared_memory<SoftmaxShared>();
    const Owner<32> o(SPAN_THREADS / 32);
    if (blockIdx.x >= a.n_sequences) {
        zero_outside(a, (blockIdx.x - a.n_sequences) * SPAN_THREADS + threadIdx.x);
        return;
    }
    const hone_range r = a.at[blockIdx.x];
    const float start = span_column(a, o, r, 0, shared);
    __syncthreads();
    const float end = span_column(a, o, r, 1, shared);
    if (o.thread == 0) a.loss[blockIdx.x] = start + end;
}

template <typename T> static hone_status span_xent_type(hone_queue *q, const hone_call *c) {
    const hone_tensor *in = c->in, *out = c->out;
    Span<T> a = {};
    a.x = ptr<T>(in[0]), a.at = ptr<hone_range>(in[1]), a.label = ptr<int32_t>(in[2]), a.scale = ptr<float>(in[3]);
    a.tick = c->tick, a.loss = ptr<float>(out[0]), a.best = ptr<int32_t>(out[1]), a.gx = ptr<T>(out[2]);
    a.n_rows = in[0].dim[0], a.n_sequences = in[1].dim[0];
    a.ld_x = in[0].ld, a.ld_label = in[2].ld, a.ld_best = out[1].ld, a.ld_gx = out[2].ld;
    const int64_t outside = a.gx ? ceil_div(a.n_rows, SPAN_THREADS) : 0;
    return launch(q, span_block<T>, (unsigned)(a.n_sequences + outside), SPAN_THREADS, sizeof(SoftmaxShared),
                  a);
}
hone_status span_xent(hone_queue *q, const hone_call *c) {
    return BY_TYPE(c->in[0].dtype, span_xent_type, q, c);
}
