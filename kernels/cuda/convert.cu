/* convert.cu - y = x in another floating type, nearest even.
 *   in  x [P]     out  y [P]
 * A thread converts a run of 8 elements with accesses of 16 bytes where both sides allow it. Floor: P bytes of each
 * type, once. Plain version: kernels/ref/convert.inc. */
#include "common.cuh"

extern "C" {
#include "ops.h"
}

constexpr int THREADS = 256, RUN = 8;

template <typename Y, typename X> __device__ __forceinline__ Y converted(X x) { return from_float<Y>(to_float(x)); }

template <typename Y, typename X> __global__ void copy_flat(Y *y, const X *x, int64_t n, int is_aligned) {
    const int64_t first = ((int64_t)blockIdx.x * THREADS + threadIdx.x) * RUN;
    if (first >= n) return;
    if (is_aligned && first + RUN <= n) {
        Pack<X> from[RUN / Pack<X>::size];
        Pack<Y> to[RUN / Pack<Y>::size];
        for (int i = 0; i < RUN / Pack<X>::size; i++) from[i] = Pack<X>::load(x + first, i);
        for (int e = 0; e < RUN; e++)
            to[e / Pack<Y>::size][e % Pack<Y>::size] = converted<Y>(from[e / Pack<X>::size][e % Pack<X>::size]);
        for (int i = 0; i < RUN / Pack<Y>::size; i++) to[i].store(y + first, i);
    } else
        for (int64_t i = first; i < n && i < first + RUN; i++) y[i] = converted<Y>(x[i]);
}

template <typename Y, typename X> static hone_status copy_types(hone_queue *q, const hone_call *c) {
    const int64_t n = c->in[0].dim[0];
    const int is_aligned = ((uintptr_t)c->in[0].p | (uintptr_t)c->out[0].p) % 16 == 0;
    return launch(q, copy_flat<Y, X>, (unsigned)ceil_div(n, THREADS * RUN), THREADS, 0, ptr<Y>(c->out[0]),
                  (const X *)c->in[0].p, n, is_aligned);
}
template <typename X> static hone_status copy_from(hone_queue *q, const hone_call *c) {
    switch (c->out[0].dtype) {
    case HONE_F32:
        return copy_types<float, X>(q, c);
    case HONE_BF16:
        return copy_types<bf16, X>(q, c);
    default:
        return copy_types<f16, X>(q, c);
    }
}
hone_status copy(hone_queue *q, const hone_call *c) { return BY_TYPE(c->in[0].dtype, copy_from, q, c); }
