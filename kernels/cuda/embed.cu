/* embed.cu - rows of tables by number, added; and the gradient of one table.
 *   EMBED_FWD  in  id [N] word [V,D], pos [N]? posw [S,D]?, type [N]? typew [T,D]?      out  y [N,D]
 *   EMBED_BWD  in  dy [N,D] id [N] order [N]: the rows by id, stable, -1 last           out  dw [V,D] fp32
 * Forward: a thread owns two pieces of y (pieces.cuh) and gathers three pieces for each. Floor: N D elements
 * read from each table and written once.
 * Backward: a warp owns a window of 32 sorted rows and the columns of its lanes; it adds rows in order while the
 * id stays. A run of one id inside a window is written at once; of a run that leaves its window, each window
 * leaves a partial: [0] of a run that began before, [1] of one that begins there and goes on. A block of the
 * second launch owns the run that begins in its window and goes on, and adds its partials in a fixed order
 * (columns.cuh). Every row of dw has one writer; one without rows of dy gets zeros from a launch before. Floor: dy once, dw once (zeros included); of the workspace
 * [N/32,2,D] what runs need that leave their windows.
 * Plain version: kernels/ref/embed.inc; cases: kernels/cases/embed.c. */
#include "columns.cuh"

extern "C" {
#include "limits.h"
#include "ops.h"
}

template <typename T> struct Lookup {
    const int32_t *id; /* [N], or NULL */
    Rows<const T> table;
};
template <typename T> struct Lookups { Lookup<T> of[3]; /* words, positions, types */ };

template <typename T, bool PACKED>
__global__ void __launch_bounds__(PIECE_THREADS) embed_fwd_pieces(Pieces all, Rows<T> y, Lookups<T> from) {
    using P = Piece<T, PACKED>;
    P w[PIECES_A_THREAD][3];
#pragma unroll
    for (int k = 0; k < PIECES_A_THREAD; k++) {
        const Place at = place_of<P::size>(all, k);
#pragma unroll
        for (int i = 0; i < 3; i++) {
            const int32_t id = at.is_there && from.of[i].id ? from.of[i].id[at.n] : -1;
            if (id >= 0) w[k][i] = P::load(from.of[i].table.at(id, at.d));
        }
    }
#pragma unroll
    for (int k = 0; k < PIECES_A_THREAD; k++) {
        const Place at = place_of<P::size>(all, k);
        if (!at.is_there) continue;
        float out[P::size];
#pragma unroll
        for (int e = 0; e < P::size; e++) out[e] = w[k][0][e] + w[k][1][e] + w[k][2][e];
        P::of(out).store(y.at(at.n, at.d));
    }
}

template <typename T> static Lookup<T> lookup_of(const hone_tensor &id, const hone_tensor &table) {
    return {table.p ? (const int32_t *)id.p : NULL, rows<const T>(table)};
}
template <typename T, bool PACKED> static hone_status embed_fwd_as(hone_queue *q, const hone_call *c) {
    const Pieces all = pieces_of(c->out[0], Piece<T, PACKED>::size);
    const Lookups<T> from = {{lookup_of<T>(c->in[0], c->in[1]), lookup_of<T>(c->in[2], c->in[3]),
                              lookup_of<T>(c->in[4], c->in[5])}};
    return launch(q, embed_fwd_pieces<T, PACKED>, all.blocks(), PIECE_THREADS, 0, all, rows<T>(c->out[0]),
                  from);
}
template <typename T> static hone_status embed_fwd_of(hone_queue *q, const hone_call *c) {
    return are_packed<T>(c->in[1], c->in[3], c->in[5], c->out[0]) ? embed_fwd_as<T, true>(q, c)
                                                                  : embed_fwd_as<T, false>(q, c);
}
hone_status embed_fwd(hone_queue *q, const hone_call *c) {
    return BY_TYPE(c->out[0].dtype, embed_fwd_of, q, c);
}

/* ---- backward ------------------------------------------------------------------------------------------------*/
constexpr int WINDOW = CUDA_EMBED_WINDOW, WARPS = 4, IN_FLIGHT = 8;
static_assert(WINDOW == 32, "a lane knows one row of the window");

template <typename T> struct EmbedBack {
    Rows<const T> dy;
    Rows<float> dw;
    const int32_t *id, *order;
    float *partials; /* [windows,2,D] */
    int64_t N, D;
    int is_plus;
    /* Id of the row at a place of the order; -1 beyond its ends too. */
    __device__ __forceinline__ int32_t id_at(int64_t place) const {
        return place >= 0 && place < N ? id[order[place]] : -1;
    }
};

template <int SIZE> __device__ __forceinline__ void write_sum(float *to, const float *sum, int is_plus) {
    using P = Piece<float, SIZE % 4 == 0>;
#pragma unroll
    for (int i = 0; i < SIZE; i += P::size) {
        P x;
        if (is_plus) x = P::load(to + i);
#pragma unroll
        for (int e = 0; e < P::size; e++) x.v[e] += sum[i + e];
        x.store(to + i);
    }
}

/* A lane's columns d .. of one window. */
template <typename T, bool PACKED>
__device__ __forceinline__ void sum_window(const EmbedBack<T> &a, int64_t window, int64_t d) {
    using P = Piece<T, PACKED>;
    const int64_t first = window * WINDOW, place = first + (threadIdx.x & 31);
    const int32_t row_here = place < a.N ? a.order[place] : 0, id_here = a.id_at(place);
    const int32_t id_before = a.id_at(first - 1), id_after = a.id_at(first + WINDOW);
    float sum[P::size] = {};
    for (int r = 0; r < WINDOW; r += IN_FLIGHT) {
        P x[IN_FLIGHT];
#pragma unroll
        for (int k = 0; k < IN_FLIGHT; k++) {
            const int32_t n = __shfl_sync(ALL_LANES, row_here, r + k),
                          id = __shfl_sync(ALL_LANES, id_here, r + k);
            if (id >= 0 && d < a.D) x[k] = P::load(a.dy.at(n, d));
        }
#pragma unroll
        for (int k = 0; k < IN_FLIGHT; k++) {
            const int is_last = r + k == WINDOW - 1;
            const int32_t id = __shfl_sync(ALL_LANES, id_here, r + k);
            const int32_t next = is_last ? id_after : __shfl_sync(ALL_LANES, id_here, (r + k + 1) & 31);
#pragma unroll
            for (int e = 0; e < P::size; e++) sum[e] += x[k][e];
            if (next == id && !is_last) continue;
            const int is_late = id == id_before, goes_on = next == id; /* ids are sorted: a run has its own */
            float *partial = a.partials + (window * 2 + !is_late) * a.D + d;
            if (id >= 0 && d < a.D) {
                if (is_late || goes_on) write_sum<P::size>(partial, sum, 0);
                else write_sum<P::size>(a.dw.at(id, d), sum, a.is_plus);
            }
#pragma unroll
            for (int e = 0; e < P::size; e++) sum[e] = 0;
        }
    }
}

template <typename T, bool PACKED>
__global__ void __launch_bounds__(32 * WARPS) embed_bwd_windows(EmbedBack<T> a) {
    const int64_t window = (int64_t)blockIdx.x * WARPS + threadIdx.x / 32;
    if (window * WINDOW >= a.N) return;
    sum_window<T, PACKED>(a, window,
                          ((int64_t)blockIdx.y * 32 + (threadIdx.x & 31)) * Piece<T, PACKED>::size);
}

/* How many windows the run goes on for that begins in this window; 0: none does. */
template <typename T>
__device__ __forceinline__ int64_t windows_of_run(const EmbedBack<T> &a, int64_t window, int32_t *run) {
    const int64_t first = window * WINDOW;
    const int32_t id = a.id_at(first + WINDOW - 1);
    *run = id;
    if (id < 0 || (a.id_at(first) == id && a.id_at(first - 1) == id)) return 0;
    for (int64_t n = 0;; n += 32) { /* a lane a window: is its first row of the run? */
        const int64_t place = first + (n + 1 + (threadIdx.x & 31)) * WINDOW;
        const unsigned others = ~__ballot_sync(ALL_LANES, a.id_at(place) == id);
        if (others) return n + __ffs((int)others) - 1;
    }
}

template <typename T, bool PACKED>
__global__ void __launch_bounds__(COLUMN_THREADS) embed_bwd_runs(EmbedBack<T> a) {
    using P = Piece<float, PACKED>;
    int32_t id;
    const int64_t window = blockIdx.x, n = windows_of_run(a, window, &id);
    if (n == 0) return;
    const int64_t first = (int64_t)blockIdx.y * COLUMN_LANES * P::size, d = first + column_lane() * P::size;
    float sum[P::size] = {};
    for (int64_t w = row_lane(); w <= n && d < a.D; w += ROW_LANES) {
        const P x = P::load(a.partials + ((window + w) * 2 + (w == 0)) * a.D + d);
#pragma unroll
        for (int e = 0; e < P::size; e++) sum[e] += x[e];
    }
    const float total = column_total<P::size>(sum);
    if (threadIdx.x < COLUMN_LANES * P::size && first + threadIdx.x < a.D)
        write_sum<1>(a.dw.at(id, first + threadIdx.x), &total, a.is_plus);
}

/* Zeros for the rows of dw that no row of dy names: the others are written once, by those who have their sums. */
constexpr int ZERO_ROWS = 64, ZERO_THREADS = 256;
struct ZeroShared {
    unsigned char is_named[ZERO_ROWS]; /* bytes: no two of their words share a bank */
};
/* The first place in the order whose id is not less than this one: 32 lanes halve what is left five times at once. */
template <typename T> __device__ __forceinline__ int64_t find_id(const EmbedBack<T> &a, int64_t id) {
    int64_t begin = 0, n = a.N;
    while (n > 0) {
        const int64_t step = ceil_div(n, 32), last = (threadIdx.x % 32 + 1) * step - 1;
        const int32_t here = last < n ? a.id_at(begin + last) : -1; /* -1: rows of no id come last */
        const int n_less = __popc(__ballot_sync(ALL_LANES, here >= 0 && here < id));
        begin += n_less * step;
        n = n - n_less * step < step - 1 ? n - n_less * step : step - 1;
    }
    return begin;
}
template <typename T, bool PACKED>
__global__ void __launch_bounds__(ZERO_THREADS) embed_bwd_zeros(EmbedBack<T> a, int64_t V) {
    using P = Piece<float, PACKED>;
    ZeroShared &shared = shared_memory<ZeroShared>();
    const int64_t first = (int64_t)blockIdx.x * ZERO_ROWS;
    if (threadIdx.x < ZERO_ROWS) shared.is_named[threadIdx.x] = 0;
    __syncthreads();
    for (int64_t place = find_id(a, first) + threadIdx.x;; place += ZERO_THREADS) {
        const int32_t id = a.id_at(place);
        if (id < 0 || id >= first + ZERO_ROWS) break;
        if (a.id_at(place + 1) != id) shared.is_named[id - first] = 1; /* the run's last row says it */
    }
    if (!MUTANT(31)) __syncthreads();
    const int a_row = (int)(a.D / P::size);
    for (int x = (int)threadIdx.x; x < ZERO_ROWS * a_row; x += ZERO_THREADS) {
        const int r = x / a_row;
        if (first + r < V && !shared.is_named[r]) P().store(a.dw.at(first + r, (int64_t)(x - r * a_row) * P::size));
    }
}

template <typename T, bool PACKED> static hone_status embed_bwd_as(hone_queue *q, const hone_call *c) {
    const EmbedBack<T> a = {rows<const T>(c->in[0]),
                            rows<float>(c->out[0]),
                            (const int32_t *)c->in[1].p,
                            (const int32_t *)c->in[2].p,
                            (float *)c->work,
                            c->in[2].dim[0],
                            width(c->in[0]),
                            c->in[3].p != NULL};
    const unsigned windows = (unsigned)ceil_div(a.N, WINDOW);
    const int64_t V = c->out[0].dim[0];
    hone_status status = HONE_OK;
    if (!a.is_plus)
        status = launch(q, embed_bwd_zeros<T, PACKED>, (unsigned)ceil_div(V, ZERO_ROWS), ZERO_THREADS, sizeof(ZeroShared), a, V);
    if (!status)
        status = launch(
            q, embed_bwd_windows<T, PACKED>,
            dim3((unsigned)ceil_div(windows, WARPS), (unsigned)ceil_div(a.D, 32 * Piece<T, PACKED>::size)),
            32 * WARPS, 0, a);
    constexpr int SIZE = Piece<float, PACKED>::size;
    if (!status)
        status =
            launch(q, embed_bwd_runs<T, PACKED>, dim3(windows, (unsigned)ceil_div(a.D, COLUMN_LANES * SIZE)),
                   COLUMN_THREADS, sizeof(ColumnSums<SIZE>), a);
    return status;
}
template <typename T> static hone_status embed_bwd_of(hone_queue *q, const hone_call *c) {
    return are_packed<T>(c->in[0]) && are_packed<float>(c->out[0]) ? embed_bwd_as<T, true>(q, c)
                                                                   : embed_bwd_as<T, false>(q, c);
}
hone_status embed_bwd(hone_queue *q, const hone_call *c) {
    return BY_TYPE(c->in[0].dtype, embed_bwd_of, q, c);
}
