/* attention_wide.cuh - dk and dv of heads of 256 columns on tensor cores: dk, dv [M,G,K] of do, o, lse, q, k, v.
 *
 * dk and dv of 16 keys fill a warp's registers at K 128, so here a pair of warps owns 16 keys, each half of the columns.
 * A block owns 32 keys and walks the queries in chunks of 32. Of a pair's 16 x 32 scores each warp makes one tile of 16 x 16,
 * over all columns, and leaves P' and dS' in shared memory, packed as the fragments that both then multiply by their
 * halves of dO and Q: no score is made twice. dq comes from bwd_queries (attention_sm80.cuh): 7 products in all. Floor as
 * there; q and do are read once for each block of 32 keys, from the L2 cache where a sequence is short.
 * Plain version: kernels/ref/attention.inc. Cases: kernels/cases/attention.c. */
#ifndef CUDA_ATTENTION_WIDE_CUH
#define CUDA_ATTENTION_WIDE_CUH
#include "attention_sm80.cuh"

namespace attention {
template <int K> struct WideBackward {
    static constexpr int PAIRS = 2, WARPS = 2 * PAIRS, THREADS = 32 * WARPS, ROWS = 16 * PAIRS, CHUNK = 32;
    uint4 k[ROWS * K / 8], v[ROWS * K / 8];      /* at last dk and dv */
    uint4 p[PAIRS][2][32], ds[PAIRS][2][32];     /* of 16 keys and 16 queries: a lane's A fragment */
    float lse[2][CHUNK], delta[2][CHUNK];        /* lse in units of log2 */
    struct {
        uint4 q[CHUNK * K / 8], d_o[CHUNK * K / 8];
    } stage[2]; /* launched with one where shared memory is short */
};

/* A warp's half of the columns, of 16 keys. */
template <int K> struct Half {
    float dk[K / 16][4], dv[K / 16][4];
};

/* P' and dS' of 16 keys and the 16 queries from slot on, as fragments. */
template <typename T, int K, bool DROP>
__device__ __forceinline__ void leave_fragments(WideBackward<K> &m, const View<T> &w, const Step &at, int pair, int tile) {
    float s[2][4] = {}, dp[2][4] = {};
#pragma unroll 4
    for (int step = 0; step < K / 16; step++) {
        uint32_t k[4], q[4], v[4], d_o[4];
        load_a<K>(k, at.k, at.k_slot, step);
        load_b<K>(q, at.q, at.q_slot, step);
        multiply_two<T>(s, k, q);
        load_a<K>(v, m.v, at.k_slot, step);
        load_b<K>(d_o, at.d_o, at.q_slot, step);
        multiply_two<T>(dp, v, d_o);
    }
    differentiate<T, DROP>(s, dp, w, at, at.j0, w.is_edge(at.i0, 16, at.j0, 16));
    uint32_t p[4], ds[4];
    pack_fragment<T>(p, s);
    pack_fragment<T>(ds, dp);
    store16(&m.p[pair][tile][lane_id()], uint4{p[0], p[1], p[2], p[3]});
    store16(&m.ds[pair][tile][lane_id()], uint4{ds[0], ds[1], ds[2], ds[3]});
}

/* dv += P' dO and dk += dS' Q in the columns from 16 * column on. */
template <typename T, int K>
__device__ __forceinline__ void add_fragments(Half<K> &x, const WideBackward<K> &m, int stage, int pair, int tile, int column) {
    const uint4 kept = load16(&m.p[pair][tile][lane_id()]), slope = load16(&m.ds[pair][tile][lane_id()]);
    const uint32_t p[4] = {kept.x, kept.y, kept.z, kept.w}, ds[4] = {slope.x, slope.y, slope.z, slope.w};
#pragma unroll
    for (int d = 0; d < K / 32; d++) {
        uint32_t d_o[4], q[4];
        load_b_transposed<K>(d_o, m.stage[stage].d_o, 16 * tile, column + d);
        multiply_two<T>(&x.dv[2 * d], p, d_o);
        load_b_transposed<K>(q, m.stage[stage].q, 16 * tile, column + d);
        multiply_two<T>(&x.dk[2 * d], ds, q);
    }
}

template <typename T, int K, bool DROP>
__global__ void __launch_bounds__(WideBackward<K>::THREADS, 2)
    attention_bwd_wide(const __grid_constant__ Attention<T> a, int n_stages) {
    using Shared = WideBackward<K>;
    constexpr int CHUNK = Shared::CHUNK;
    Shared &m = shared_memory<Shared>();
    const int n_heads = a.H / a.group, of_keys = blockIdx.x % n_heads;
    const attention_piece *piece = block_of(a.list, blockIdx.x / n_heads);
    if (!piece || piece->k_len == 0) return; /* queries without keys are bwd_queries' */
    View<T> w = view_of(a, *piece, of_keys * a.group);
    const int pair = warp_id() / 2, half = warp_id() % 2, column = half * (K / 32), slot = 16 * pair;
    const int j0 = w.s.first + slot;
    copy_keys<K>(m.k, a.k, w, w.s.first, Shared::ROWS);
    copy_keys<K>(m.v, a.v, w, w.s.first, Shared::ROWS);
    int begin, end;
    live_chunks<Shared>(w, w.s.first, NONE, &begin, &end);
    if (begin < end) begin_chunk<K>(m, w, 0, begin);
    else async_commit();
    async_wait<0>();
    __syncthreads();
    Half<K> x = {};
    const auto is_live = [&](int i0) { /* 16 queries, for the pair's keys */
        int from, to;
        w.live_keys(i0, 16, &from, &to);
        return j0 + 16 > from && j0 < to;
    };

    /* Heads that share the keys, one after another, and their chunks. */
    for (int stage = 0, chunk0 = begin; chunk0 < end;) {
        chunk_delta<K>(m, w, stage, chunk0);
        __syncthreads(); /* delta is there; the other stage and the fragments have been read */
        View<T> next = w;
        next.head += chunk0 + CHUNK >= end;
        const int next0 = next.head == w.head ? chunk0 + CHUNK : begin;
        const bool has_next = next.head < (of_keys + 1) * a.group;
        if (n_stages == 2 && has_next) begin_chunk<K>(m, next, stage ^ 1, next0);
        const int i0 = chunk0 + 16 * half;
        if (is_live(i0)) {
            const Step at = {m.k, m.stage[stage].q, m.stage[stage].d_o, nullptr, m.lse[stage] + 16 * half,
                             m.delta[stage] + 16 * half, slot, 16 * half, 0, i0, j0};
            leave_fragments<T, K, DROP>(m, w, at, pair, half);
        }
        if (!MUTANT(28)) __syncthreads(); /* both tiles of every pair are there */
#pragma unroll 1
        for (int tile = 0; tile < 2; tile++)
            if (is_live(chunk0 + 16 * tile) || MUTANT(29)) add_fragments<T, K>(x, m, stage, pair, tile ^ (int)MUTANT(27), column);
        if (n_stages == 1 && has_next) {
            __syncthreads();
            begin_chunk<K>(m, next, 0, next0);
        }
        async_wait<0>();
        __syncthreads();
        if (!has_next) break;
        w.head = next.head, chunk0 = next0, stage ^= n_stages - 1;
    }
    if (j0 >= w.s.k_len) return;
    const auto where = [&](int r) { return j0 + r < w.s.k_len ? (int64_t)w.s.k_row + j0 + r : (int64_t)-1; };
    stage_rows<K, T, K / 32>(m.k, slot, 2 * column, x.dk, a.scale);
    stage_rows<K, T, K / 32>(m.v, slot, 2 * column, x.dv, a.drop.scale);
    __syncwarp();
    if (a.dk.p) store_rows<K>(m.k, slot, 16, 2 * column, K / 16, a.dk, (int64_t)of_keys * K, where);
    if (a.dv.p) store_rows<K>(m.v, slot, 16, 2 * column, K / 16, a.dv, (int64_t)of_keys * K, where);
}

template <typename T, int K> hone_status wide_bwd(hone_queue *q, const Attention<T> &a, const attention_cut &cut) {
    using Shared = WideBackward<K>;
    size_t bytes;
    const int n_stages = fitting_stages<Shared>(q, &bytes);
    hone_status status = HONE_OK;
    if (a.dk.p || a.dv.p)
        status = launch(q, a.drop.threshold ? attention_bwd_wide<T, K, true> : attention_bwd_wide<T, K, false>,
                        (unsigned)(cut.blocks_cap * cut.G), Shared::THREADS, bytes, a, n_stages);
    return status || !a.dq.p ? status : queries_bwd<T, K>(q, a, cut);
}
} // namespace attention
#endif
