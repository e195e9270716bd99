/* softmax.cuh - rows of C classes, any C and any alignment, and the steps that softmax and cross-entropy share.
 *
 * ClassRow keeps a row in the registers of its owner (rows.cuh): up to 1,024 classes one warp a row, up to 65,536 (fp32:
 * 32,768) a block of 256 to 1,024 threads, so the row is read once and written once, and the result may lie in its
 * place. An aligned row is read in packs, and what is left of it, less than a pack, one element a thread; another row
 * one element at a time, neighbours by neighbours. Places beyond the row hold -inf, which is no largest and adds
 * nothing to the sum; the padding behind a row is neither read nor written.
 * walk_row goes over a longer row in memory; element c is always in the same thread's hands. */
#ifndef CUDA_SOFTMAX_CUH
#define CUDA_SOFTMAX_CUH
#include "rows.cuh"

constexpr float LOG2_E = 1.4426950408889634f;
constexpr int NO_CLASS = 0x7fffffff; /* the class of a place beyond the row */
constexpr int MAX_ROW_WARPS = 32;

/* exp(x - top); the difference first, for large x would cost the product its digits. */
__device__ __forceinline__ float exp_from(float x, float top) { return exp2_fast((x - top) * LOG2_E); }

/* A row in memory: how many classes lie in whole packs (none if rows are not aligned). */
struct ClassShape {
    int classes, n_packs;
};
template <typename T> static inline ClassShape class_shape(int64_t classes, bool is_aligned) {
    return {(int)classes, is_aligned ? (int)(classes / Pack<T>::size) : 0};
}
/* Do rows of this tensor begin at multiples of 16 bytes? Its width is any. */
template <typename T> static inline bool is_aligned(const hone_tensor &t) {
    return (uintptr_t)t.p % 16 == 0 && t.ld * sizeof(T) % 16 == 0;
}

template <typename T, int PACKS> struct ClassRow {
    static constexpr int E = Pack<T>::size;
    const Owner<32> &o;
    const ClassShape shape;
    Pack<T> v[PACKS];
    T tail; /* of a row in packs: one of its last elements */

    __device__ __forceinline__ ClassRow(const Owner<32> &owner, ClassShape s) : o(owner), shape(s) {}
    __device__ __forceinline__ int pack(int p) const { return p * o.threads + o.thread; }
    /* The class of element e of pack p, and of the tail. */
    __device__ __forceinline__ int column(int p, int e) const {
        if (shape.n_packs) return pack(p) < shape.n_packs ? pack(p) * E + e : NO_CLASS;
        const int c = (p * E + e) * o.threads + o.thread;
        return c < shape.classes ? c : NO_CLASS;
    }
    __device__ __forceinline__ int tail_column() const {
        const int c = shape.n_packs * E + o.thread;
        return shape.n_packs && c < shape.classes ? c : NO_CLASS;
    }
    __device__ __forceinline__ void load(const T *x, float beyond = -INFINITY) {
        const T nothing = from_float<T>(beyond);
#pragma unroll
        for (int p = 0; p < PACKS; p++)
#pragma unroll
            for (int e = 0; e < E; e++) v[p][e] = nothing;
        if (shape.n_packs) {
#pragma unroll
            for (int p = 0; p < PACKS; p++)
                if (pack(p) < shape.n_packs) v[p] = Pack<T>::load(x, pack(p));
        } else {
#pragma unroll
            for (int p = 0; p < PACKS; p++)
#pragma unroll
                for (int e = 0; e < E; e++)
                    if (column(p, e) != NO_CLASS) v[p][e] = x[column(p, e)];
        }
        tail = tail_column() != NO_CLASS ? x[tail_column()] : nothing;
    }
    __device__ __forceinline__ void store(T *y) const {
        if (shape.n_packs) {
#pragma unroll
            for (int p = 0; p < PACKS; p++)
                if (pack(p) < shape.n_packs) v[p].store(y, pack(p));
        } else {
#pragma unroll
            for (int p = 0; p < PACKS; p++)
#pragma unroll
                for (int e = 0; e < E; e++)
                    if (column(p, e) != NO_CLASS) y[column(p, e)] = v[p][e];
        }
        if (tail_column() != NO_CLASS) y[tail_column()] = tail;
    }
    /* use(x, class) for every place, beyond the row too. */
    template <typename F> __device__ __forceinline__ void each(F use) const {
#pragma unroll
        for (int p = 0; p < PACKS; p++)
#pragma unroll
            for (int e = 0; e < E; e++) use(to_float(v[p][e]), column(p, e));
        use(to_float(tail), tail_column());
    }
    /* x = use(x, class) likewise. */
    template <typename F> __device__ __forceinline__ void change(F use) {
#pragma unroll
        for (int p = 0; p < PACKS; p++)
#pragma unroll
            for (int e = 0; e < E; e++) v[p][e] = from_float<T>(use(to_float(v[p][e]), column(p, e)));
        tail = from_float<T>(use(to_float(tail), tail_column()));
    }
};

/* use(x, class) for every element of a row in memory. */
template <typename T, typename F>
__device__ __forceinline__ void walk_row(const Owner<32> &o, ClassShape shape, const T *x, F use) {
    constexpr int E = Pack<T>::size;
#pragma unroll 2
    for (int i = o.thread; i < shape.n_packs; i += o.threads) {
        const Pack<T> v = Pack<T>::load(x, i);
#pragma unroll
        for (int e = 0; e < E; e++) use(to_float(v[e]), i * E + e);
    }
    for (int c = shape.n_packs * E + o.thread; c < shape.classes; c += o.threads) use(to_float(x[c]), c);
}
/* y = use(x, class); y may be x. */
template <typename T, typename F>
__device__ __forceinline__ void walk_change(const Owner<32> &o, ClassShape shape, const T *x, T *y, F use) {
    constexpr int E = Pack<T>::size;
#pragma unroll 2
    for (int i = o.thread; i < shape.n_packs; i += o.threads) {
        Pack<T> v = Pack<T>::load(x, i);
#pragma unroll
        for (int e = 0; e < E; e++) v[e] = from_float<T>(use(to_float(v[e]), i * E + e));
        v.store(y, i);
    }
    for (int c = shape.n_packs * E + o.thread; c < shape.classes; c += o.threads)
        y[c] = from_float<T>(use(to_float(x[c]), c));
}

struct SoftmaxShared {
    float top[MAX_ROW_WARPS];
    float2 sum[MAX_ROW_WARPS], terms[MAX_ROW_WARPS];
    int best[MAX_ROW_WARPS];
};

/* The largest of a row and the sum of exp(x - top), each the same in all threads of the owner. */
struct Softmax {
    float top, sum;
};
template <typename T, int PACKS>
__device__ __forceinline__ Softmax softmax_of(const ClassRow<T, PACKS> &row, SoftmaxShared &shared) {
    Softmax s = {-INFINITY, 0};
    row.each([&](float x, int) { s.top = fmaxf(s.top, x); });
    s.top = owner_max(row.o, s.top, shared.top);
    /* Beyond the row exp(-inf - top) is 0, but not where top is -inf too: a row of nothing is NaN, as in ref. */
    row.each([&](float x, int) { s.sum += exp_from(x, s.top); });
    s.sum = owner_sum(row.o, s.sum, 0, shared.sum).x;
    return s;
}
/* The same in one walk: a thread's sum is scaled down when it meets a larger x. */
template <typename T>
__device__ __forceinline__ Softmax softmax_walk(const Owner<32> &o, ClassShape shape, const T *x, SoftmaxShared &shared) {
    float top = -INFINITY, sum = 0;
    walk_row(o, shape, x, [&](float e, int) {
        if (e > top) {
            sum *= exp_from(top, e);
            top = e;
        }
        if (e != -INFINITY) sum += exp_from(e, top); /* NaN passes */
    });
    Softmax s;
    s.top = owner_max(o, top, shared.top);
    s.sum = owner_sum(o, top == s.top ? sum : sum * exp_from(top, s.top), 0, shared.sum).x;
    return s;
}

/* Who owns rows of so many classes; packs 0: they are walked. packs_max: what a thread has room for. */
struct ClassOwnership {
    int warps, packs, block_warps;
};
template <typename T> static ClassOwnership class_ownership(int64_t classes, int packs_max) {
    constexpr int E = Pack<T>::size, of_warp = 1024 / (32 * E);
    const int packs_of_warp = of_warp < packs_max ? of_warp : packs_max;
    if (classes <= 32 * E) return {1, 1, 4};
    if (classes <= 32 * E * packs_of_warp) return {1, packs_of_warp, 4};
    for (int packs = 4; packs <= packs_max; packs *= 2)
        for (int warps = 8; warps <= MAX_ROW_WARPS; warps *= 2)
            if (classes <= (int64_t)32 * warps * packs * E) return {warps, packs, warps};
    return {MAX_ROW_WARPS, 0, MAX_ROW_WARPS};
}
#endif
