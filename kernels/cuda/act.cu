/* act.cu - activations with their gate, dropout on rows, and the sum of two.
 *   ACT_FWD  in  x gate? [N,F]      out  y [N,F]           y = act(x) gate
 *   ACT_BWD  in  dy x gate? [N,F]   out  dx dgate? [N,F]   dx = dy gate act'(x), dgate = dy act(x)
 *                                        dbias? [F]        column sums of dx, unrounded
 *   DROPOUT  in  x [N,D] key [N]    out  y [N,D]
 *   ADD      in  a b [N,D]          out  y [N,D]
 * Forward, DROPOUT, ADD: a thread owns two pieces (pieces.cuh). Backward: a block owns 16 pieces of columns
 * (columns.cuh) and one block of 64 rows or, where dbias is bound, every 16th of them, whose sums are a partial
 * in the workspace [16,F] that a second launch adds in order: which rows those are depends on no count. A thread
 * has read all of what it overwrites, so results may take the storage of inputs. Floor: each operand once; the
 * partials add 128 F bytes (0.5 % of a 2-byte backward of 4,096 rows).
 * Plain version: kernels/ref/act.inc; cases: kernels/cases/act.c. */
#include "act.cuh"
#include "columns.cuh"
#include "rng.cuh"

extern "C" {
#include "limits.h"
#include "ops.h"
}

template <typename T, bool PACKED, int KIND>
__global__ void __launch_bounds__(PIECE_THREADS)
    act_fwd_pieces(Pieces all, Rows<T> y, Rows<const T> x, Rows<const T> gate) {
    using P = Piece<T, PACKED>;
    P in[PIECES_A_THREAD], by[PIECES_A_THREAD];
#pragma unroll
    for (int k = 0; k < PIECES_A_THREAD; k++) {
        const Place at = place_of<P::size>(all, k);
        if (at.is_there) in[k] = P::load(x.at(at.n, at.d));
        if (at.is_there && gate.p) by[k] = P::load(gate.at(at.n, at.d));
    }
#pragma unroll
    for (int k = 0; k < PIECES_A_THREAD; k++) {
        const Place at = place_of<P::size>(all, k);
        if (!at.is_there) continue;
        float out[P::size];
#pragma unroll
        for (int e = 0; e < P::size; e++) out[e] = act_value(KIND, in[k][e]) * (gate.p ? by[k][e] : 1.0f);
        P::of(out).store(y.at(at.n, at.d));
    }
}

template <typename T, bool PACKED> static hone_status act_fwd_as(hone_queue *q, const hone_call *c) {
    static void (*const kernels[])(Pieces, Rows<T>, Rows<const T>, Rows<const T>) =
        KERNELS_BY_ACT(act_fwd_pieces, T, PACKED);
    const Pieces all = pieces_of(c->out[0], Piece<T, PACKED>::size);
    return launch(q, kernels[c->attr.act.kind], all.blocks(), PIECE_THREADS, 0, all, rows<T>(c->out[0]),
                  rows<const T>(c->in[0]), rows<const T>(c->in[1]));
}
template <typename T> static hone_status act_fwd_of(hone_queue *q, const hone_call *c) {
    return are_packed<T>(c->in[0], c->in[1], c->out[0]) ? act_fwd_as<T, true>(q, c)
                                                        : act_fwd_as<T, false>(q, c);
}
hone_status act_fwd(hone_queue *q, const hone_call *c) { return BY_TYPE(c->in[0].dtype, act_fwd_of, q, c); }

/* ---- backward ------------------------------------------------------------------------------------------------*/
constexpr int BLOCK_ROWS = 64, ROWS_IN_FLIGHT = 2;

template <typename T> struct ActBack {
    Rows<const T> dy, x, gate;
    Rows<T> dx, dgate;
    int64_t N, F;
    float *partials; /* [CUDA_ACT_GROUPS,F], or NULL */
};

/* Rows n and n + ROW_LANES of one piece of columns. */
template <typename T, bool PACKED, int KIND>
__device__ __forceinline__ void act_bwd_piece(const ActBack<T> &a, int64_t n, int64_t f, float *sum) {
    using P = Piece<T, PACKED>;
    P dy[ROWS_IN_FLIGHT], x[ROWS_IN_FLIGHT], gate[ROWS_IN_FLIGHT];
#pragma unroll
    for (int k = 0; k < ROWS_IN_FLIGHT; k++) {
        const int64_t at = n + k * ROW_LANES;
        if (at >= a.N) continue;
        dy[k] = P::load(a.dy.at(at, f)), x[k] = P::load(a.x.at(at, f));
        if (a.gate.p) gate[k] = P::load(a.gate.at(at, f));
    }
#pragma unroll
    for (int k = 0; k < ROWS_IN_FLIGHT; k++) {
        const int64_t at = n + k * ROW_LANES;
        if (at >= a.N) continue;
        float out[P::size];
        if (a.dgate.p) {
#pragma unroll
            for (int e = 0; e < P::size; e++) out[e] = dy[k][e] * act_value(KIND, x[k][e]);
            P::of(out).store(a.dgate.at(at, f));
        }
#pragma unroll
        for (int e = 0; e < P::size; e++) {
            out[e] = dy[k][e] * (a.gate.p ? gate[k][e] : 1.0f) * act_slope(KIND, x[k][e]);
            sum[e] += out[e];
        }
        P::of(out).store(a.dx.at(at, f));
    }
}

template <typename T, bool PACKED, int KIND>
__global__ void __launch_bounds__(COLUMN_THREADS, 2) act_bwd_columns(ActBack<T> a) {
    constexpr int SIZE = Piece<T, PACKED>::size;
    const int64_t first = (int64_t)blockIdx.x * COLUMN_LANES * SIZE, f = first + column_lane() * SIZE;
    float sum[SIZE] = {};
    for (int64_t n = (int64_t)blockIdx.y * BLOCK_ROWS; n < a.N && f < a.F;
         n += (int64_t)gridDim.y * BLOCK_ROWS)
        for (int r = row_lane(); r < BLOCK_ROWS; r += ROW_LANES * ROWS_IN_FLIGHT)
            act_bwd_piece<T, PACKED, KIND>(a, n + r, f, sum);
    if (!a.partials) return;
    const float total = column_total<SIZE>(sum);
    if (threadIdx.x < COLUMN_LANES * SIZE && first + threadIdx.x < a.F)
        a.partials[blockIdx.y * a.F + first + threadIdx.x] = total;
}

template <typename T, bool PACKED> static hone_status act_bwd_as(hone_queue *q, const hone_call *c) {
    static void (*const kernels[])(ActBack<T>) = KERNELS_BY_ACT(act_bwd_columns, T, PACKED);
    constexpr int SIZE = Piece<T, PACKED>::size;
    const int is_summed = c->out[2].p != NULL;
    const ActBack<T> a = {rows<const T>(c->in[0]), rows<const T>(c->in[1]),
                          rows<const T>(c->in[2]), rows<T>(c->out[0]),
                          rows<T>(c->out[1]),      c->in[1].dim[0],
                          width(c->in[1]),         is_summed ? (float *)c->work : NULL};
    const dim3 blocks((unsigned)ceil_div(a.F, COLUMN_LANES * SIZE),
                      is_summed ? (unsigned)CUDA_ACT_GROUPS : (unsigned)ceil_div(a.N, BLOCK_ROWS));
    const hone_status status =
        launch(q, kernels[c->attr.act.kind], blocks, COLUMN_THREADS, sizeof(ColumnSums<SIZE>), a);
    if (status || !is_summed) return status;
    return fold_partials(q, c->out[2], c->in[3], a.partials, CUDA_ACT_GROUPS);
}
template <typename T> static hone_status act_bwd_of(hone_queue *q, const hone_call *c) {
    return are_packed<T>(c->in[0], c->in[1], c->in[2], c->out[0], c->out[1]) ? act_bwd_as<T, true>(q, c)
                                                                             : act_bwd_as<T, false>(q, c);
}
hone_status act_bwd(hone_queue *q, const hone_call *c) { return BY_TYPE(c->in[1].dtype, act_bwd_of, q, c); }

/* ---- dropout, sums -------------------------------------------------------------------------------------------*/
template <typename T, bool PACKED>
__global__ void __launch_bounds__(PIECE_THREADS)
    dropout_pieces(Pieces all, Rows<T> y, Rows<const T> x, const hone_key *key, Drop drop) {
    using P = Piece<T, PACKED>;
    P in[PIECES_A_THREAD];
#pragma unroll
    for (int k = 0; k < PIECES_A_THREAD; k++) {
        const Place at = place_of<P::size>(all, k);
        if (at.is_there) in[k] = P::load(x.at(at.n, at.d));
    }
#pragma unroll
    for (int k = 0; k < PIECES_A_THREAD; k++) {
        const Place at = place_of<P::size>(all, k);
        if (!at.is_there) continue;
        if (drop.threshold) {
            const uint4 numbers = drop_row8(drop, key[at.n], at.d / 8);
            float out[P::size];
#pragma unroll
            for (int e = 0; e < P::size; e++) out[e] = drop_one(drop, numbers, (int)(at.d % 8) + e, in[k][e]);
            in[k] = P::of(out);
        }
        in[k].store(y.at(at.n, at.d));
    }
}

template <typename T, bool PACKED> static hone_status dropout_as(hone_queue *q, const hone_call *c) {
    const Pieces all = pieces_of(c->out[0], Piece<T, PACKED>::size);
    return launch(q, dropout_pieces<T, PACKED>, all.blocks(), PIECE_THREADS, 0, all, rows<T>(c->out[0]),
                  rows<const T>(c->in[0]), (const hone_key *)c->in[1].p, drop_of(c, c->attr.p, c->attr.site));
}
template <typename T> static hone_status dropout_of(hone_queue *q, const hone_call *c) {
    return are_packed<T>(c->in[0], c->out[0]) ? dropout_as<T, true>(q, c) : dropout_as<T, false>(q, c);
}
hone_status dropout(hone_queue *q, const hone_call *c) { return BY_TYPE(c->in[0].dtype, dropout_of, q, c); }

template <typename T, bool PACKED>
__global__ void __launch_bounds__(PIECE_THREADS)
    add_pieces(Pieces all, Rows<T> y, Rows<const T> a, Rows<const T> b) {
    using P = Piece<T, PACKED>;
    P left[PIECES_A_THREAD], right[PIECES_A_THREAD];
#pragma unroll
    for (int k = 0; k < PIECES_A_THREAD; k++) {
        const Place at = place_of<P::size>(all, k);
        if (at.is_there) left[k] = P::load(a.at(at.n, at.d)), right[k] = P::load(b.at(at.n, at.d));
    }
#pragma unroll
    for (int k = 0; k < PIECES_A_THREAD; k++) {
        const Place at = place_of<P::size>(all, k);
        if (!at.is_there) continue;
        float out[P::size];
#pragma unroll
        for (int e = 0; e < P::size; e++) out[e] = left[k][e] + right[k][e];
        P::of(out).store(y.at(at.n, at.d));
    }
}

template <typename T, bool PACKED> static hone_status add_as(hone_queue *q, const hone_call *c) {
    const Pieces all = pieces_of(c->out[0], Piece<T, PACKED>::size);
    return launch(q, add_pieces<T, PACKED>, all.blocks(), PIECE_THREADS, 0, all, rows<T>(c->out[0]),
                  rows<const T>(c->in[0]), rows<const T>(c->in[1]));
}
template <typename T> static hone_status add_of(hone_queue *q, const hone_call *c) {
    return are_packed<T>(c->in[0], c->in[1], c->out[0]) ? add_as<T, true>(q, c) : add_as<T, false>(q, c);
}
hone_status add(hone_queue *q, const hone_call *c) { return BY_TYPE(c->out[0].dtype, add_of, q, c); }
