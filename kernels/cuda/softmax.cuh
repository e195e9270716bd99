/* softmax.cuh - rows of C classes, any C and any alignment, and the steps that softmax and cross-entropy
 * share.
 *
 * Short rows lie in the registers of their owner (ClassRow; owners: rows.cuh): up to 1,024 classes (fp32:
 * 512) of a warp, up to 8,192 (fp32: 4,096) of a block of 256 threads. A block of 512 threads walks a longer
 * row, in a copy of it in shared memory where that fits (227 KB on sm_90: 116,000 classes of 2 bytes), else
 * where it is. So a row is read once and written once, or read twice where nothing holds it, and the result
 * may lie in its place.
 *
 * Aligned rows are read in packs, and what is left, less than a pack, one element a thread; other rows one
 * element at a time, neighbours by neighbours. The padding behind a row is neither read nor written. */
#ifndef CUDA_SOFTMAX_CUH
#define CUDA_SOFTMAX_CUH
#include "rows.cuh"
#include "ptx/async.cuh"

constexpr float LOG2_E = 1.4426950408889634f;
constexpr int NO_CLASS = 0x7fffffff;
constexpr int MAX_ROW_WARPS = 16;

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

/* One or two elements in a register: an array of 2-byte elements would take a register each. */
template <typename T> struct Word {
    static constexpr int size = 4 / sizeof(T);
    static __device__ __forceinline__ float get(uint32_t w, int i) {
        return i ? high_float<T>(w) : low_float<T>(w);
    }
    static __device__ __forceinline__ uint32_t make(const float *x) { return pack2<T>(x[0], x[1]); }
};
template <> struct Word<float> {
    static constexpr int size = 1;
    static __device__ __forceinline__ float get(uint32_t w, int) { return bits_float(w); }
    static __device__ __forceinline__ uint32_t make(const float *x) { return float_bits(x[0]); }
};

template <typename T, int PACKS> struct ClassRow {
    static constexpr int E = Pack<T>::size, W = Word<T>::size;
    const Owner<32> &o;
    const int classes, n_packs;
    /* Element e of pack p is class first + e step + p E threads, if that is below end: in packs a thread's
     * elements are neighbours, else the threads' are. */
    const int first, step, end;
    uint32_t v[PACKS][4];
    float tail; /* of a row in packs: one of its last elements */

    __device__ __forceinline__ ClassRow(const Owner<32> &owner, ClassShape s)
        : o(owner), classes(s.classes), n_packs(s.n_packs), first(n_packs ? o.thread * E : o.thread),
          step(n_packs ? 1 : o.threads), end(n_packs ? n_packs * E : classes) {}
    __device__ __forceinline__ int column(int p, int e) const { return first + e * step + p * E * o.threads; }
    __device__ __forceinline__ int tail_column() const { return end + o.thread; }

    __device__ __forceinline__ void load(const T *x, float beyond = -INFINITY) {
        const float nothing[2] = {beyond, beyond};
#pragma unroll
        for (int p = 0; p < PACKS; p++) {
            uint4 words = {Word<T>::make(nothing), Word<T>::make(nothing), Word<T>::make(nothing),
                           Word<T>::make(nothing)};
            if (n_packs && column(p, 0) < end) words = load16(x + column(p, 0));
            v[p][0] = words.x, v[p][1] = words.y, v[p][2] = words.z, v[p][3] = words.w;
        }
        if (n_packs == 0) {
#pragma unroll
            for (int p = 0; p < PACKS; p++)
                set(p, [&](float, int c, bool is_there) { return is_there ? to_float(x[c]) : beyond; });
        }
        tail = tail_column() < classes ? to_float(x[tail_column()]) : beyond;
    }
    __device__ __forceinline__ void store(T *y) const {
        if (n_packs) {
#pragma unroll
            for (int p = 0; p < PACKS; p++)
                if (column(p, 0) < end) store16(y + column(p, 0), uint4{v[p][0], v[p][1], v[p][2], v[p][3]});
        } else {
#pragma unroll
            for (int p = 0; p < PACKS; p++)
#pragma unroll
                for (int e = 0; e < E; e++)
                    if (column(p, e) < end) y[column(p, e)] = from_float<T>(get(p, e));
        }
        if (tail_column() < classes) y[tail_column()] = from_float<T>(tail);
    }
    __device__ __forceinline__ float get(int p, int e) const { return Word<T>::get(v[p][e / W], e % W); }
    /* x = use(x, class, is_there) for the elements of pack p. */
    template <typename F> __device__ __forceinline__ void set(int p, F use) {
#pragma unroll
        for (int w = 0; w < 4; w++) {
            float x[W];
#pragma unroll
            for (int i = 0; i < W; i++) {
                const int c = column(p, w * W + i);
                x[i] = use(Word<T>::get(v[p][w], i), c, c < end);
            }
            v[p][w] = Word<T>::make(x);
        }
    }
    /* use(x, class, is_there) for every place, beyond the row too, where the class says nothing. */
    template <typename F> __device__ __forceinline__ void each(F use) {
#pragma unroll
        for (int p = 0; p < PACKS; p++) {
#pragma unroll
            for (int e = 0; e < E; e++) use(get(p, e), column(p, e), column(p, e) < end);
        }
        use(tail, tail_column(), tail_column() < classes);
    }
    /* x = use(x, class, is_there) likewise. */
    template <typename F> __device__ __forceinline__ void change(F use) {
#pragma unroll
        for (int p = 0; p < PACKS; p++) set(p, use);
        tail = use(tail, tail_column(), tail_column() < classes);
    }
};

/* Element c of a row in memory is always in the same thread's hands, so walking needs no barrier. */
/* A copy of the row in shared memory, if there is room, else the row. */
template <typename T>
__device__ __forceinline__ const T *copy_row(const Owner<32> &o, ClassShape shape, const T *x, T *room) {
    constexpr int E = Pack<T>::size;
    if (!room) return x;
    for (int i = o.thread; i < shape.n_packs; i += o.threads) async_copy16(room + i * E, x + i * E, true);
    async_commit();
#pragma unroll 4
    for (int c = shape.n_packs * E + o.thread; c < shape.classes; c += o.threads) room[c] = x[c];
    async_wait<0>();
    return room;
}
/* use(x, class) for every element. */
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
__device__ __forceinline__ Softmax softmax_of(ClassRow<T, PACKS> &row, SoftmaxShared &shared) {
    Softmax s = {-INFINITY, 0};
    row.each([&](float x, int, bool) { s.top = fmaxf(s.top, x); });
    s.top = owner_max(row.o, s.top, shared.top);
    /* Beyond the row exp(-inf - top) is 0, but not where top is -inf too: a row of nothing is NaN, as in
     * ref. */
    row.each([&](float x, int, bool) { s.sum += exp_from(x, s.top); });
    s.sum = owner_sum(row.o, s.sum, 0, shared.sum).x;
    return s;
}
/* The same in one walk: a thread's sum is scaled down when it meets a larger x. */
template <typename T>
__device__ __forceinline__ Softmax softmax_walk(const Owner<32> &o, ClassShape shape, const T *x,
                                                SoftmaxShared &shared) {
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

/* Who owns a short row: WARPS warps that hold PACKS packs a thread. One warp: four rows a block. */
constexpr int block_warps(int warps) { return warps == 1 ? 4 : warps; }
template <typename T> constexpr int64_t holds(int packs, int warps) {
    return (int64_t)packs * 32 * warps * Pack<T>::size;
}

/* Who walks a long one, and in what. */
constexpr int WALK_WARPS = 16;
template <typename T> struct WalkShared {
    SoftmaxShared sums;
    Pack<T> row[1];
};
/* Shared memory of a walk: with a row of so many classes if the device has that much, else without. */
template <typename T> static inline size_t walk_bytes(const hone_queue *q, int64_t classes) {
    const size_t bytes = sizeof(WalkShared<T>) + (size_t)classes * sizeof(T);
    return bytes <= q->device->properties.sharedMemPerBlockOptin ? bytes : sizeof(SoftmaxShared);
}
#endif
