/* attention_short.cuh - attention of sequences of at most 128 queries and keys, several to a block (a bin of 4 units of 32 rows).
 *   fwd_bin   o [N,H,K] and lse [H,N] of q [N,H,K], k and v [M,G,K]
 *   bwd_bin   dq, dk, dv of do, o, lse, q, k, v, in one pass: 5 products
 * A block owns a bin in one head, with every row of it in shared memory, read once and written once: the floor, 8 N D
 * bytes forward and 16 N D backward (2-byte elements, D = H K), and lse. In fwd_bin a warp owns 16 queries. In bwd_bin a
 * warp owns 16 MT keys, so dk and dv stay in its registers; dS' goes through shared memory in chunks of 64 queries, of
 * which a warp then owns 16 for dq = dS K: each sum runs in ascending order in one warp, without atomics or a second pass.
 * Plain version: kernels/ref/attention.inc. Cases: kernels/cases/attention.c. */
#ifndef CUDA_ATTENTION_SHORT_CUH
#define CUDA_ATTENTION_SHORT_CUH
#include "attention_tile.cuh"

namespace attention {
/* ---- forward -------------------------------------------------------------------------------------------------*/
template <int K> struct BinForward {
    uint4 q[BIN_ROWS * K / 8], k[BIN_ROWS * K / 8], v[BIN_ROWS * K / 8]; /* q: at last o */
};

template <typename T, int K, bool DROP>
__global__ void __launch_bounds__(256, 2) attention_fwd_bin(const __grid_constant__ Attention<T> a) {
    BinForward<K> &m = shared_memory<BinForward<K>>();
    const attention_unit *unit = bin_of(a.list, blockIdx.x / a.H);
    if (!unit) return;
    const int head = blockIdx.x % a.H;
    const int64_t q_column = (int64_t)head * K, k_column = (int64_t)(head / a.group) * K;
    const auto query = [&](int r) { return bin_query(unit, r); };
    const auto key = [&](int r) { return bin_key(unit, r); };
    copy_rows<K>(m.q, a.q, q_column, BIN_ROWS, query);
    copy_rows<K>(m.k, a.k, k_column, BIN_ROWS, key);
    copy_rows<K>(m.v, a.v, k_column, BIN_ROWS, key);
    async_commit();
    async_wait<0>();
    __syncthreads(); /* the only one: a warp reads keys of its sequence and writes rows of its own */

    const attention_unit u = unit[warp_id() / 2];
    const View<T> w = view_of(a, piece_of(u), head);
    const int i0 = u.first * UNIT_ROWS + warp_id() % 2 * 16, slot = u.slot * UNIT_ROWS;
    if (i0 >= u.q_len) return;
    Rising<K, 1> x;
    begin_rising(x);
    int begin, end;
    w.live_keys(i0, 16, &begin, &end);
    for (int j0 = begin & ~31; j0 < end; j0 += 32) {
        float s[1][4][4];
        scores<T, K, 1>(s, m.q, warp_id() * 16, m.k, slot + j0);
        soften<T, K, DROP, 1>(x, s, w, i0, j0);
        add_values<T, K, 1>(x, s, m.v, slot + j0);
    }
    finish_rows<T, K, 1>(x, w, m.q, warp_id() * 16, i0);
}

/* ---- backward ------------------------------------------------------------------------------------------------*/
/* 4 warps x 32 keys, or 8 x 16 where two sums of K columns for 32 would not fit the registers. */
template <int K> struct BinBackward {
    static constexpr int MT = K <= 64 ? 2 : 1, WARPS = 8 / MT, THREADS = 32 * WARPS;
    static constexpr int SHARED_V = BIN_ROWS * (K < 64 ? 64 : K) / 8;
    uint4 k[BIN_ROWS * K / 8];   /* at last dk */
    uint4 v[SHARED_V];           /* then dS' [128 keys][64 queries], at last dv */
    uint4 q[BIN_ROWS * K / 8];   /* rows of done chunks: dq */
    uint4 d_o[BIN_ROWS * K / 8];
    float lse[BIN_ROWS], delta[BIN_ROWS]; /* lse in units of log2 */
};

/* lse and delta of the bin's queries, eight threads a row; o is asked for before the copies are waited for. */
template <typename T, int K> __device__ __forceinline__ void load_bin_statistics(BinBackward<K> &m, const Attention<T> &a,
                                                                                  const attention_unit *unit, int head) {
    constexpr int THREADS = BinBackward<K>::THREADS, PASSES = BIN_ROWS * 8 / THREADS, CHUNKS = (K / 8 + 7) / 8;
    const int c = threadIdx.x % 8;
    uint4 o[PASSES][CHUNKS];
#pragma unroll
    for (int p = 0; p < PASSES; p++) {
        const int r = p * (THREADS / 8) + threadIdx.x / 8;
        const int64_t row = bin_query(unit, r);
#pragma unroll
        for (int n = 0; n < CHUNKS; n++)
            o[p][n] = row >= 0 && c + 8 * n < K / 8 ? load16(a.o.at(row, (int64_t)head * K + 8 * (c + 8 * n))) : uint4{};
        if (c == 0) m.lse[r] = row >= 0 ? (MUTANT(12) ? a.lse.p[head * a.N + row] : *a.lse.at(head, row)) * LOG2_E : INFINITY;
    }
    async_wait<0>();
    __syncthreads();
#pragma unroll
    for (int p = 0; p < PASSES; p++) {
        const int r = p * (THREADS / 8) + threadIdx.x / 8;
        float delta = 0;
#pragma unroll
        for (int n = 0; n < CHUNKS; n++)
            if (c + 8 * n < K / 8) delta += dot8<T>(o[p][n], load16(m.d_o + place<K>(r, c + 8 * n)));
        delta = warp_sum<8>(delta);
        if (c == 0) m.delta[r] = delta;
    }
}

/* dq of the queries of chunk `chunk` of every sequence in the bin. */
template <typename T, int K>
__device__ __forceinline__ void bin_query_gradients(BinBackward<K> &m, const Attention<T> &a, const attention_unit *unit,
                                                    int head, int chunk) {
    constexpr int WARPS = BinBackward<K>::WARPS, PARTS = WARPS / 4, N = K / 16 / PARTS; /* 8 warps: half of the columns each */
#pragma unroll 1
    for (int task = warp_id(); task < BIN_ROWS / 16 * PARTS; task += WARPS) {
        const int row0 = task / PARTS * 16, column = task % PARTS * N;
        const attention_unit u = unit[row0 / UNIT_ROWS];
        const int i0 = u.first * UNIT_ROWS + row0 % UNIT_ROWS;
        if (i0 / 64 != chunk || i0 >= u.q_len) continue;
        const View<T> w = view_of(a, piece_of(u), head);
        int begin, end;
        w.live_keys(i0, 16, &begin, &end);
        if (MUTANT(14)) begin = 0, end = u.k_len;
        float dq[2 * N][4];
        query_gradient<T, K, N>(dq, m.v, m.k, u.slot * UNIT_ROWS, i0 / 16 % 4, begin, end, column);
        stage_rows<K, T, N>(m.q, row0, 2 * column, dq, a.scale);
        __syncwarp();
        store_rows<K>(m.q, row0, 16, 2 * column, 2 * N, a.dq, (int64_t)head * K,
                      [&](int r) { return i0 + r < u.q_len ? (int64_t)u.q_row + i0 + r : (int64_t)-1; });
    }
}

template <typename T, int K, bool DROP>
__global__ void __launch_bounds__(BinBackward<K>::THREADS, K <= 64 ? 2 : 1)
    attention_bwd_bin(const __grid_constant__ Attention<T> a) {
    constexpr int MT = BinBackward<K>::MT;
    BinBackward<K> &m = shared_memory<BinBackward<K>>();
    const int n_heads = a.H / a.group, of_keys = blockIdx.x % n_heads, slot = warp_id() * 16 * MT;
    const attention_unit *unit = bin_of(a.list, blockIdx.x / n_heads);
    if (!unit) return;
    const auto query = [&](int r) { return bin_query(unit, r); };
    const auto key = [&](int r) { return bin_key(unit, r); };
    copy_rows<K>(m.k, a.k, (int64_t)of_keys * K, BIN_ROWS, key);
    copy_rows<K>(m.v, a.v, (int64_t)of_keys * K, BIN_ROWS, key);

    const attention_unit u = unit[slot / UNIT_ROWS];
    const int j0 = u.first * UNIT_ROWS + slot % UNIT_ROWS; /* the sequence begins at row slot - j0 */
    int n_chunks = 0;
    for (int i = 0; i < BIN_UNITS; i++) n_chunks = max(n_chunks, (unit[i].q_len + 63) / 64);
    Owned<K, MT> x;
    begin_owned(x);
    for (int head = of_keys * a.group; head < (of_keys + 1) * a.group; head++) {
        copy_rows<K>(m.q, a.q, (int64_t)head * K, BIN_ROWS, query);
        copy_rows<K>(m.d_o, a.d_o, (int64_t)head * K, BIN_ROWS, query);
        async_commit();
        load_bin_statistics<T, K>(m, a, unit, head);
        if (head == of_keys * a.group) load_owned(x, m.v, slot);
        if (!MUTANT(1)) __syncthreads(); /* statistics are there; v has been read: its place is dS' now */
        const View<T> w = view_of(a, piece_of(u), head);
        for (int chunk = 0; chunk < n_chunks; chunk++) {
#pragma unroll 1
            for (int i0 = chunk * 64; i0 < min(chunk * 64 + 64, w.s.q_len); i0 += 16) {
                int begin, end;
                w.live_keys(i0, 16, &begin, &end);
                if (j0 + 16 * MT <= begin || j0 >= end) continue; /* what dq reads of dS' stops there too */
                const int q_slot = slot - j0 + i0;
                const Step at = {m.k, m.q, m.d_o, m.v, m.lse + q_slot, m.delta + q_slot, slot, q_slot, i0 / 16 % 4, i0, j0};
                own_step<T, K, DROP, MT>(x, w, at);
            }
            if (!MUTANT(2)) __syncthreads();
            if (a.dq.p) bin_query_gradients<T, K>(m, a, unit, head, chunk);
            if (!MUTANT(3)) __syncthreads();
        }
    }
    /* Read again, rather than kept in registers through the loops. */
    const View<T> w = view_of(a, piece_of(unit[slot / UNIT_ROWS]), 0);
    if (j0 < w.s.k_len) finish_owned<T, K, MT>(x, w, m.k, m.v, slot, j0, of_keys);
}

/* ---- launches ------------------------------------------------------------------------------------------------*/
template <int K> constexpr bool HAS_BINS = K <= 96; /* limits_attention.c: wider heads have none */

template <typename T, int K> hone_status short_fwd(hone_queue *q, const Attention<T> &a, const attention_cut &cut) {
    if constexpr (!HAS_BINS<K>) return HONE_OK;
    else
        return launch(q, a.drop.threshold ? attention_fwd_bin<T, K, true> : attention_fwd_bin<T, K, false>,
                      (unsigned)(cut.bins_cap * cut.H), 256, sizeof(BinForward<K>), a);
}
template <typename T, int K> hone_status short_bwd(hone_queue *q, const Attention<T> &a, const attention_cut &cut) {
    if constexpr (!HAS_BINS<K>) return HONE_OK;
    else
        return launch(q, a.drop.threshold ? attention_bwd_bin<T, K, true> : attention_bwd_bin<T, K, false>,
                      (unsigned)(cut.bins_cap * cut.G), BinBackward<K>::THREADS, sizeof(BinBackward<K>), a);
}
} // namespace attention
#endif
