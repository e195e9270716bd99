/* gather.cu - rows picked, rows put back, and the mean of a sequence's rows.
 *   GATHER    in  x [N,D] index [M]              out  y [M,D]
 *   SCATTER   in  x [M,D] index [M] into? +y?    out  y [N,D]    indices are distinct: a row has one writer
 *   POOL_FWD  in  x [N,D] at [B]                 out  y [B,D]    mean of the rows at[b]
 *   POOL_BWD  in  dy [B,D] at [B] +dx?           out  dx [N,D]   dy[b] / n in the rows at[b], else zeros
 * GATHER, SCATTER: a thread owns two pieces of the M rows (pieces.cuh). POOL_FWD, POOL_BWD: a block owns 16
 * pieces of columns of a sequence (columns.cuh). Where rows that are not named must be filled, a launch before
 * fills all rows. Floor: what is read and written once, and that filling.
 * Plain version: kernels/ref/gather.inc; cases: kernels/cases/gather.c. */
#include "columns.cuh"

extern "C" {
#include "ops.h"
}

template <typename T, bool PACKED>
__global__ void __launch_bounds__(PIECE_THREADS)
    gather_pieces(Pieces all, Rows<T> y, Rows<const T> x, const int32_t *index) {
    using P = Piece<T, PACKED>;
    P value[PIECES_A_THREAD];
#pragma unroll
    for (int k = 0; k < PIECES_A_THREAD; k++) {
        const Place at = place_of<P::size>(all, k);
        const int32_t from = at.is_there ? index[at.n] : -1;
        if (from >= 0) value[k] = P::load(x.at(from, at.d));
    }
#pragma unroll
    for (int k = 0; k < PIECES_A_THREAD; k++) {
        const Place at = place_of<P::size>(all, k);
        if (at.is_there) value[k].store(y.at(at.n, at.d));
    }
}

template <typename T, bool PACKED> static hone_status gather_as(hone_queue *q, const hone_call *c) {
    const Pieces all = pieces_of(c->out[0], Piece<T, PACKED>::size);
    return launch(q, gather_pieces<T, PACKED>, all.blocks(), PIECE_THREADS, 0, all, rows<T>(c->out[0]),
                  rows<const T>(c->in[0]), (const int32_t *)c->in[1].p);
}
template <typename T> static hone_status gather_of(hone_queue *q, const hone_call *c) {
    return are_packed<T>(c->in[0], c->out[0]) ? gather_as<T, true>(q, c) : gather_as<T, false>(q, c);
}
hone_status gather(hone_queue *q, const hone_call *c) { return BY_TYPE(c->in[0].dtype, gather_of, q, c); }

template <typename T, bool PACKED>
__global__ void __launch_bounds__(PIECE_THREADS)
    scatter_pieces(Pieces all, Rows<T> y, Rows<const T> x, const int32_t *index, int is_plus) {
    using P = Piece<T, PACKED>;
    P value[PIECES_A_THREAD], there[PIECES_A_THREAD];
#pragma unroll
    for (int k = 0; k < PIECES_A_THREAD; k++) {
        const Place at = place_of<P::size>(all, k);
        const int32_t to = at.is_there ? index[at.n] : -1;
        if (to >= 0) value[k] = P::load(x.at(at.n, at.d));
        if (to >= 0 && is_plus) there[k] = P::load(y.at(to, at.d));
    }
#pragma unroll
    for (int k = 0; k < PIECES_A_THREAD; k++) {
        const Place at = place_of<P::size>(all, k);
        const int32_t to = at.is_there ? index[at.n] : -1;
        if (to < 0) continue;
        if (is_plus) {
            float out[P::size];
#pragma unroll
            for (int e = 0; e < P::size; e++) out[e] = value[k][e] + there[k][e];
            value[k] = P::of(out);
        }
        value[k].store(y.at(to, at.d));
    }
}

template <typename T, bool PACKED> static hone_status scatter_as(hone_queue *q, const hone_call *c) {
    const Pieces all = pieces_of(c->in[0], Piece<T, PACKED>::size);
    return launch(q, scatter_pieces<T, PACKED>, all.blocks(), PIECE_THREADS, 0, all, rows<T>(c->out[0]),
                  rows<const T>(c->in[0]), (const int32_t *)c->in[1].p, c->in[3].p != NULL);
}
template <typename T> static hone_status scatter_of(hone_queue *q, const hone_call *c) {
    const hone_tensor &into = c->in[2], &y = c->out[0];
    const int is_filled = into.p ? into.p == y.p : c->in[3].p != NULL;
    const hone_status status = is_filled ? HONE_OK : set_rows<T>(q, y, into);
    if (status) return status;
    return are_packed<T>(c->in[0], y) ? scatter_as<T, true>(q, c) : scatter_as<T, false>(q, c);
}
hone_status scatter(hone_queue *q, const hone_call *c) { return BY_TYPE(c->in[0].dtype, scatter_of, q, c); }

/* ---- means of sequences --------------------------------------------------------------------------------------*/
template <typename T, bool PACKED>
__global__ void __launch_bounds__(COLUMN_THREADS)
    pool_fwd_columns(Rows<T> y, Rows<const T> x, const hone_range *at, int64_t D) {
    using P = Piece<T, PACKED>;
    const hone_range range = at[blockIdx.x];
    const int64_t first = (int64_t)blockIdx.y * COLUMN_LANES * P::size, d = first + column_lane() * P::size;
    float sum[P::size] = {};
    for (int r = row_lane(); r < range.n && d < D; r += ROW_LANES) {
        const P in = P::load(x.at((int64_t)range.first + r, d));
#pragma unroll
        for (int e = 0; e < P::size; e++) sum[e] += in[e];
    }
    const float total = column_total<P::size>(sum);
    if (threadIdx.x < COLUMN_LANES * P::size && first + threadIdx.x < D)
        *y.at(blockIdx.x, first + threadIdx.x) = from_float<T>(range.n > 0 ? total / (float)range.n : 0);
}

template <typename T, bool PACKED> static hone_status pool_fwd_as(hone_queue *q, const hone_call *c) {
    constexpr int SIZE = Piece<T, PACKED>::size;
    const int64_t D = width(c->out[0]);
    const dim3 blocks((unsigned)c->out[0].dim[0], (unsigned)ceil_div(D, COLUMN_LANES * SIZE));
    return launch(q, pool_fwd_columns<T, PACKED>, blocks, COLUMN_THREADS, sizeof(ColumnSums<SIZE>),
                  rows<T>(c->out[0]), rows<const T>(c->in[0]), (const hone_range *)c->in[1].p, D);
}
template <typename T> static hone_status pool_fwd_of(hone_queue *q, const hone_call *c) {
    return are_packed<T>(c->in[0]) ? pool_fwd_as<T, true>(q, c) : pool_fwd_as<T, false>(q, c);
}
hone_status pool_fwd(hone_queue *q, const hone_call *c) { return BY_TYPE(c->in[0].dtype, pool_fwd_of, q, c); }

/* A block owns 16 pieces of columns of a sequence. */
template <typename T, bool PACKED>
__global__ void __launch_bounds__(COLUMN_THREADS)
    pool_bwd_columns(Rows<T> dx, Rows<const T> dy, const hone_range *at, int64_t D, int is_plus) {
    using P = Piece<T, PACKED>;
    const hone_range range = at[blockIdx.x];
    const int64_t d = ((int64_t)blockIdx.y * COLUMN_LANES + column_lane()) * P::size;
    if (d >= D || range.n < 1) return;
    const P whole = P::load(dy.at(blockIdx.x, d));
    for (int r = row_lane(); r < range.n; r += ROW_LANES) {
        T *to = dx.at((int64_t)range.first + r, d);
        P there;
        if (is_plus) there = P::load(to);
        float out[P::size];
#pragma unroll
        for (int e = 0; e < P::size; e++) out[e] = there[e] + whole[e] / (float)range.n;
        P::of(out).store(to);
    }
}

template <typename T, bool PACKED> static hone_status pool_bwd_as(hone_queue *q, const hone_call *c) {
    const int64_t D = width(c->out[0]);
    const dim3 blocks((unsigned)c->in[0].dim[0],
                      (unsigned)ceil_div(D, COLUMN_LANES * Piece<T, PACKED>::size));
    return launch(q, pool_bwd_columns<T, PACKED>, blocks, COLUMN_THREADS, 0, rows<T>(c->out[0]),
                  rows<const T>(c->in[0]), (const hone_range *)c->in[1].p, D, c->in[2].p != NULL);
}
template <typename T> static hone_status pool_bwd_of(hone_queue *q, const hone_call *c) {
    const hone_status status = c->in[2].p ? HONE_OK : set_rows<T>(q, c->out[0], hone_tensor{});
    if (status) return status;
    return are_packed<T>(c->in[0], c->out[0]) ? pool_bwd_as<T, true>(q, c) : pool_bwd_as<T, false>(q, c);
}
hone_status pool_bwd(hone_queue *q, const hone_call *c) { return BY_TYPE(c->in[0].dtype, pool_bwd_of, q, c); }
