/* softmax.cu - probabilities of rows, and their gradient.
 *   forward    y = exp(x - top) / sum of exp(x - top)     in  x [M,C]           out  y [M,C], perhaps in x's place
 *   backward   dx = y (dy - sum of dy y)                  in  dy, y [M,C]       out  dx [M,C], perhaps in dy's place
 * Owners and rows: softmax.cuh; backward walks rows from 32,768 classes (fp32: 16,384) twice in memory.
 * Floor: each operand once. Plain version: kernels/ref/softmax.inc. Cases: kernels/cases/softmax.c. */
#include "softmax.cuh"

extern "C" {
#include "ops.h"
}

template <typename T> struct SoftmaxForward {
    const T *x; /* [M,C] */
    T *y;       /* may be x */
    int64_t n_rows, ld_x, ld_y;
    ClassShape shape;
};

template <typename T, int PACKS, int WARPS>
__global__ void __launch_bounds__(32 * block_warps(WARPS)) softmax_fwd_packs(const SoftmaxForward<T> a) {
    SoftmaxShared &shared = shared_memory<SoftmaxShared>();
    const Owner<32> o(WARPS);
    const int64_t m = (int64_t)blockIdx.x * o.count + o.number;
    if (m >= a.n_rows) return; /* only rows of one warp can be missing from a block */
    ClassRow<T, PACKS> row(o, a.shape);
    row.load(a.x + m * a.ld_x);
    const Softmax s = softmax_of(row, shared);
    const float scale = 1 / s.sum;
    row.change([&](float x, int, bool) { return exp_from(x, s.top) * scale; });
    row.store(a.y + m * a.ld_y);
}
template <typename T>
__global__ void __launch_bounds__(32 * WALK_WARPS) softmax_fwd_walk(const SoftmaxForward<T> a, int has_room) {
    WalkShared<T> &shared = shared_memory<WalkShared<T>>();
    const Owner<32> o(WALK_WARPS);
    const T *x = copy_row(o, a.shape, a.x + blockIdx.x * a.ld_x, has_room ? shared.row[0].v : (T *)NULL);
    const Softmax s = softmax_walk(o, a.shape, x, shared.sums);
    const float scale = 1 / s.sum;
    walk_change(o, a.shape, x, a.y + blockIdx.x * a.ld_y,
                [&](float e, int) { return exp_from(e, s.top) * scale; });
}

template <typename T, int PACKS, int WARPS>
static hone_status softmax_fwd_with(hone_queue *q, const SoftmaxForward<T> &a) {
    return launch(q, softmax_fwd_packs<T, PACKS, WARPS>,
                  (unsigned)ceil_div(a.n_rows, block_warps(WARPS) / WARPS), 32 * block_warps(WARPS),
                  sizeof(SoftmaxShared), a);
}
template <typename T> static hone_status softmax_fwd_type(hone_queue *q, const hone_call *c) {
    const hone_tensor &x = c->in[0], &y = c->out[0];
    const int64_t classes = width(x);
    SoftmaxForward<T> a = {ptr<T>(x), ptr<T>(y), x.dim[0], x.ld, y.ld, {}};
    a.shape = class_shape<T>(classes, is_aligned<T>(x) && is_aligned<T>(y));
    if (classes <= holds<T>(1, 1)) return softmax_fwd_with<T, 1, 1>(q, a);
    if (classes <= holds<T>(4, 1)) return softmax_fwd_with<T, 4, 1>(q, a);
    if (classes <= holds<T>(4, 8)) return softmax_fwd_with<T, 4, 8>(q, a);
    const size_t bytes = walk_bytes<T>(q, classes);
    return launch(q, softmax_fwd_walk<T>, (unsigned)a.n_rows, 32 * WALK_WARPS, bytes, a,
                  bytes > sizeof(SoftmaxShared));
}
hone_status softmax_fwd(hone_queue *q, const hone_call *c) {
    return BY_TYPE(c->in[0].dtype, softmax_fwd_type, q, c);
}

template <typename T> struct SoftmaxBackward {
    const T *dy, *y; /* [M,C] */
    T *dx;           /* may be dy */
    int64_t n_rows, ld_dy, ld_y, ld_dx;
    ClassShape shape;
};

template <typename T, int PACKS, int WARPS>
__global__ void __launch_bounds__(32 * block_warps(WARPS)) softmax_bwd_packs(const SoftmaxBackward<T> a) {
    constexpr int E = Pack<T>::size, W = Word<T>::size;
    SoftmaxShared &shared = shared_memory<SoftmaxShared>();
    const Owner<32> o(WARPS);
    const int64_t m = (int64_t)blockIdx.x * o.count + o.number;
    if (m >= a.n_rows) return;
    ClassRow<T, PACKS> dy(o, a.shape), y(o, a.shape);
    dy.load(a.dy + m * a.ld_dy, 0);
    y.load(a.y + m * a.ld_y, 0);
    float along = dy.tail * y.tail;
#pragma unroll
    for (int p = 0; p < PACKS; p++)
#pragma unroll
        for (int e = 0; e < E; e++) along += dy.get(p, e) * y.get(p, e);
    along = owner_sum(o, along, 0, shared.sum).x;
#pragma unroll
    for (int p = 0; p < PACKS; p++)
#pragma unroll
        for (int w = 0; w < 4; w++) {
            float x[W];
#pragma unroll
            for (int i = 0; i < W; i++) x[i] = y.get(p, w * W + i) * (dy.get(p, w * W + i) - along);
            dy.v[p][w] = Word<T>::make(x);
        }
    dy.tail = y.tail * (dy.tail - along);
    dy.store(a.dx + m * a.ld_dx);
}
template <typename T>
__global__ void __launch_bounds__(32 * WALK_WARPS) softmax_bwd_walk(const SoftmaxBackward<T> a) {
    constexpr int E = Pack<T>::size;
    SoftmaxShared &shared = shared_memory<SoftmaxShared>();
    const Owner<32> o(WALK_WARPS);
    const T *dy = a.dy + blockIdx.x * a.ld_dy, *y = a.y + blockIdx.x * a.ld_y;
    T *dx = a.dx + blockIdx.x * a.ld_dx;
    float along = 0;
    for (int i = o.thread; i < a.shape.n_packs; i += o.threads) {
        const Pack<T> g = Pack<T>::load(dy, i), p = Pack<T>::load(y, i);
#pragma unroll
        for (int e = 0; e < E; e++) along += to_float(g[e]) * to_float(p[e]);
    }
    for (int c = a.shape.n_packs * E + o.thread; c < a.shape.classes; c += o.threads)
        along += to_float(dy[c]) * to_float(y[c]);
    along = owner_sum(o, along, 0, shared.sum).x;
    for (int i = o.thread; i < a.shape.n_packs; i += o.threads) {
        Pack<T> g = Pack<T>::load(dy, i);
        const Pack<T> p = Pack<T>::load(y, i);
#pragma unroll
        for (int e = 0; e < E; e++) g[e] = from_float<T>(to_float(p[e]) * (to_float(g[e]) - along));
        g.store(dx, i);
    }
    for (int c = a.shape.n_packs * E + o.thread; c < a.shape.classes; c += o.threads)
        dx[c] = from_float<T>(to_float(y[c]) * (to_float(dy[c]) - along));
}

template <typename T, int PACKS, int WARPS>
static hone_status softmax_bwd_with(hone_queue *q, const SoftmaxBackward<T> &a) {
    return launch(q, softmax_bwd_packs<T, PACKS, WARPS>,
                  (unsigned)ceil_div(a.n_rows, block_warps(WARPS) / WARPS), 32 * block_warps(WARPS),
                  sizeof(SoftmaxShared), a);
}
template <typename T> static hone_status softmax_bwd_type(hone_queue *q, const hone_call *c) {
    const hone_tensor &dy = c->in[0], &y = c->in[1], &dx = c->out[0];
    const int64_t classes = width(dy);
    SoftmaxBackward<T> a = {ptr<T>(dy), ptr<T>(y), ptr<T>(dx), dy.dim[0], dy.ld, y.ld, dx.ld, {}};
    a.shape = class_shape<T>(classes, is_aligned<T>(dy) && is_aligned<T>(y) && is_aligned<T>(dx));
    if (classes <= holds<T>(1, 1)) return softmax_bwd_with<T, 1, 1>(q, a);
    if (classes <= holds<T>(4, 1)) return softmax_bwd_with<T, 4, 1>(q, a);
    if (classes <= holds<T>(4, 16)) return softmax_bwd_with<T, 4, 16>(q, a);
    return launch(q, softmax_bwd_walk<T>, (unsigned)a.n_rows, 32 * WALK_WARPS, sizeof(SoftmaxShared), a);
}
hone_status softmax_bwd(hone_queue *q, const hone_call *c) {
    return BY_TYPE(c->in[0].dtype, softmax_bwd_type, q, c);
}
