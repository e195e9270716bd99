/* pieces.cuh - element-wise work on rows [N,D]: rows as kernels take them, and the piece of a row that a thread
 * owns.
 *
 * A piece is 16 bytes, one access, where every tensor of the call allows it, else one element: the same kernel
 * either way. Pieces are dealt to threads in order, so neighbours read neighbours whatever the width. */
#ifndef CUDA_PIECES_CUH
#define CUDA_PIECES_CUH
#include "common.cuh"

template <typename T> struct Rows { /* [N,D], ld elements from row to row; p NULL: not bound */
    T *p;
    int64_t ld;
    __device__ __forceinline__ T *at(int64_t n, int64_t d) const { return p + n * ld + d; }
};
template <typename T> static inline Rows<T> rows(const hone_tensor &t) { return {(T *)t.p, t.ld}; }
template <typename T, typename... X> static inline bool are_packed(const X &...t) {
    return (is_packed<T>(t) && ...);
}

/* As stored, so that pieces in flight take few registers; read and made as fp32. */
template <typename T, bool PACKED> struct Piece {
    static constexpr int size = PACKED ? 16 / sizeof(T) : 1;
    T v[size] = {};
    static __device__ __forceinline__ Piece load(const T *p) {
        Piece x;
        if constexpr (PACKED) x.set(load16(p));
        else x.v[0] = *p;
        return x;
    }
    static __device__ __forceinline__ Piece of(const float (&x)[size]) {
        Piece y;
        if constexpr (size == 8)
            y.set(uint4{pack2<T>(x[0], x[1]), pack2<T>(x[2], x[3]), pack2<T>(x[4], x[5]),
                        pack2<T>(x[6], x[7])});
        else
#pragma unroll
            for (int e = 0; e < size; e++) y.v[e] = from_float<T>(x[e]);
        return y;
    }
    __device__ __forceinline__ void store(T *p) const {
        if constexpr (PACKED) {
            uint4 u;
            memcpy(&u, v, sizeof u);
            store16(p, u);
        } else *p = v[0];
    }
    __device__ __forceinline__ float operator[](int e) const { return to_float(v[e]); }
    __device__ __forceinline__ void set(uint4 u) { memcpy(v, &u, sizeof u); }
};

constexpr unsigned PIECE_THREADS = 256;
constexpr int PIECES_A_THREAD = 2; /* loads in flight */

/* All pieces of [N,D], cut into slices of rows whose pieces are numbered in 32 bits. */
struct Pieces {
    int64_t n_rows;
    unsigned a_row, rows_a_slice;
    dim3 blocks() const {
        return dim3((unsigned)ceil_div((int64_t)a_row * rows_a_slice, PIECE_THREADS * PIECES_A_THREAD),
                    n_rows ? (unsigned)ceil_div(n_rows, rows_a_slice) : 0);
    }
};
static inline Pieces pieces_of(const hone_tensor &t, int size) {
    const int64_t a_row = width(t) / size, most = (1 << 30) / a_row;
    return {t.dim[0], (unsigned)a_row, (unsigned)(t.dim[0] < most ? t.dim[0] : most > 1 ? most : 1)};
}

/* Piece k of a thread's PIECES_A_THREAD: row and first column. */
struct Place {
    int64_t n;
    unsigned d;
    bool is_there;
};
template <int SIZE> __device__ __forceinline__ Place place_of(const Pieces &all, int k) {
    const unsigned number = (blockIdx.x * PIECES_A_THREAD + k) * PIECE_THREADS + threadIdx.x,
                   row = number / all.a_row;
    const int64_t n = (int64_t)blockIdx.y * all.rows_a_slice + row;
    return {n, (number - row * all.a_row) * SIZE, row < all.rows_a_slice && n < all.n_rows};
}

/* ---- rows before something is put into some of them ----------------------------------------------------------*/
/* y = from, or zeros where from.p is NULL. */
template <typename T, bool PACKED>
__global__ void __launch_bounds__(PIECE_THREADS) set_pieces(Pieces all, Rows<T> y, Rows<const T> from) {
    using P = Piece<T, PACKED>;
    P value[PIECES_A_THREAD];
#pragma unroll
    for (int k = 0; k < PIECES_A_THREAD; k++) {
        const Place at = place_of<P::size>(all, k);
        if (at.is_there && from.p) value[k] = P::load(from.at(at.n, at.d));
    }
#pragma unroll
    for (int k = 0; k < PIECES_A_THREAD; k++) {
        const Place at = place_of<P::size>(all, k);
        if (at.is_there) value[k].store(y.at(at.n, at.d));
    }
}
template <typename T, bool PACKED>
static hone_status set_rows_as(hone_queue *q, const hone_tensor &y, const hone_tensor &from) {
    const Pieces all = pieces_of(y, Piece<T, PACKED>::size);
    return launch(q, set_pieces<T, PACKED>, all.blocks(), PIECE_THREADS, 0, all, rows<T>(y),
                  rows<const T>(from));
}
template <typename T>
static hone_status set_rows(hone_queue *q, const hone_tensor &y, const hone_tensor &from) {
    return are_packed<T>(y, from) ? set_rows_as<T, true>(q, y, from) : set_rows_as<T, false>(q, y, from);
}
#endif
