/* attention_sm80.cuh - attention of sequences of any length on tensor cores: one piece of a sequence in one head to a block.
 *   fwd_tile     a block owns tile_rows queries and walks their keys with a running maximum
 *   bwd_keys     a block owns block_rows keys (R), walks the queries in chunks of 64: dk, dv, and dq in one of three ways
 *   bwd_queries  dq of sequences of more than R keys
 *
 *   keys      dq                                                             products   more bytes an element of [N,D]
 *   <= R      FINAL: bwd_keys writes it                                             5   0
 *   <= 4 R    PARTIAL: each block writes a part in fp32, bwd_queries adds them      5   8 for each block of keys
 *   more      NONE: bwd_queries makes it from scores of its own                     7   q, k, v, do read again
 * (also of more keys than attr.attention.longest, for whose parts the workspace has no room)
 *
 * Operands as in attention.cuh. Copies to shared memory run one tile or chunk ahead of the arithmetic (cp.async, two
 * stages). A warp owns 16 MT rows; with 32, ldmatrix takes half the tensor cores' time, with 16 as much. Floor: 8 N D
 * bytes forward, 16 N D backward, where one block holds the other side (S <= 256 at K <= 64).
 * Plain version: kernels/ref/attention.inc. Cases: kernels/cases/attention.c. */
#ifndef CUDA_ATTENTION_SM80_CUH
#define CUDA_ATTENTION_SM80_CUH
#include "attention_tile.cuh"

namespace attention {
/* ---- forward -------------------------------------------------------------------------------------------------*/
template <int K> struct TileForward {
    static constexpr int MT = K <= 128 ? 2 : 1, WARPS = K <= 64 ? 8 : 4, THREADS = 32 * WARPS, ROWS = 16 * MT * WARPS;
    static constexpr int KEYS = STEP_KEYS<K, MT>;
    uint4 q[ROWS * K / 8]; /* at last o */
    struct {
        uint4 k[KEYS * K / 8], v[KEYS * K / 8];
    } stage[2];
};

/* Keys first .. of a tensor of keys or values. */
template <int K, typename T>
__device__ __forceinline__ void copy_keys(uint4 *tile, Rows<const T> from, const View<T> &w, int first, int n_rows) {
    copy_rows<K>(tile, from, (int64_t)(w.head / w.a->group) * K, n_rows,
                 [&](int r) { return first + r < w.s.k_len ? (int64_t)w.s.k_row + first + r : (int64_t)-1; });
}
template <int K, typename T>
__device__ __forceinline__ void copy_queries(uint4 *tile, Rows<const T> from, const View<T> &w, int first, int n_rows) {
    copy_rows<K>(tile, from, (int64_t)w.head * K, n_rows,
                 [&](int r) { return first + r < w.s.q_len ? (int64_t)w.s.q_row + first + r : (int64_t)-1; });
}

template <typename T, int K, bool DROP>
__global__ void __launch_bounds__(TileForward<K>::THREADS, K <= 64 ? 1 : 2)
    attention_fwd_tile(const __grid_constant__ Attention<T> a) {
    using Shared = TileForward<K>;
    constexpr int MT = Shared::MT, KEYS = Shared::KEYS;
    Shared &m = shared_memory<Shared>();
    const attention_piece *piece = tile_of(a.list, blockIdx.x / a.H);
    if (!piece) return;
    const View<T> w = view_of(a, *piece, blockIdx.x % a.H);
    const int slot = warp_id() * 16 * MT, i0 = w.s.first + slot;
    int begin, end, warp_begin, warp_end;
    w.live_keys(w.s.first, Shared::ROWS, &begin, &end);
    w.live_keys(i0, 16 * MT, &warp_begin, &warp_end);
    begin = begin / KEYS * KEYS;
    copy_queries<K>(m.q, a.q, w, w.s.first, Shared::ROWS);
    copy_keys<K>(m.stage[0].k, a.k, w, begin, KEYS);
    async_commit();
    copy_keys<K>(m.stage[0].v, a.v, w, begin, KEYS);
    async_commit();

    Rising<K, MT> x;
    begin_rising(x);
    for (int j0 = begin, stage = 0; j0 < end; j0 += KEYS, stage ^= 1) {
        const bool is_live = j0 + KEYS > warp_begin && j0 < warp_end;
        float s[MT][KEYS / 8][4];
        if (MUTANT(4)) async_wait<2>();
        else async_wait<1>();
        __syncthreads(); /* k has come; the other stage has been read */
        if (j0 + KEYS < end) copy_keys<K>(m.stage[stage ^ 1].k, a.k, w, j0 + KEYS, KEYS);
        async_commit();
        if (is_live) {
            scores<T, K, MT>(s, m.q, slot, m.stage[stage ^ (int)MUTANT(5)].k, 0);
            soften<T, K, DROP, MT>(x, s, w, i0, j0);
        }
        async_wait<1>();
        __syncthreads(); /* v has come */
        if (j0 + KEYS < end) copy_keys<K>(m.stage[stage ^ 1].v, a.v, w, j0 + KEYS, KEYS);
        async_commit();
        if (is_live) add_values<T, K, MT>(x, s, m.stage[stage].v, 0);
    }
    async_wait<0>(); /* without keys q is still on its way */
    __syncthreads();
    if (i0 < w.s.q_len) finish_rows<T, K, MT>(x, w, m.q, slot, i0);
}

/* ---- backward ------------------------------------------------------------------------------------------------*/
/* Of heads too wide for this bwd_keys dk and dv are made by attention_wide.cuh, and dq by bwd_queries, whatever their length. */
template <int K> constexpr bool IS_WIDE = K > 128;

enum Mode { FINAL, PARTIAL, NONE };
__device__ __forceinline__ Mode mode_of(int k_len, int block_rows, int n_parts) {
    return k_len <= block_rows ? FINAL : k_len <= n_parts * block_rows ? PARTIAL : NONE;
}

template <int K> struct BlockBackward {
    static constexpr int CHUNK = 64; /* queries */
    static constexpr int MT = K <= 64 ? 2 : 1, WARPS = 8, THREADS = 32 * WARPS, ROWS = 16 * MT * WARPS;
    static constexpr int SHARED_V = ROWS * (K < 64 ? 64 : K) / 8;
    uint4 k[ROWS * K / 8]; /* at last dk */
    uint4 v[SHARED_V];     /* then dS' [ROWS keys][64 queries], at last dv */
    float lse[2][CHUNK], delta[2][CHUNK]; /* lse in units of log2 */
    struct {
        uint4 q[CHUNK * K / 8], d_o[CHUNK * K / 8]; /* q at last dq */
    } stage[2]; /* launched with one where shared memory is short */
};

/* Begin to bring a chunk of queries. */
template <int K, typename T, typename Shared>
__device__ __forceinline__ void begin_chunk(Shared &m, const View<T> &w, int stage, int i0) {
    copy_queries<K>(m.stage[stage].q, w.a->q, w, i0, Shared::CHUNK);
    copy_queries<K>(m.stage[stage].d_o, w.a->d_o, w, i0, Shared::CHUNK);
    async_commit();
    for (int r = threadIdx.x; r < Shared::CHUNK; r += Shared::THREADS)
        m.lse[stage][r] = i0 + r < w.s.q_len ? *w.a->lse.at(w.head, w.s.q_row + i0 + r) * LOG2_E : INFINITY;
}
/* delta of a chunk, eight threads a row. */
template <int K, typename T, typename Shared>
__device__ __forceinline__ void chunk_delta(Shared &m, const View<T> &w, int stage, int i0) {
    const int c = threadIdx.x % 8;
#pragma unroll
    for (int r = threadIdx.x / 8; r < Shared::CHUNK; r += Shared::THREADS / 8) {
        float delta = 0;
#pragma unroll
        for (int n = c; n < K / 8; n += 8)
            if (i0 + r < w.s.q_len)
                delta += dot8<T>(load16(w.a->o.at(w.s.q_row + i0 + r, (int64_t)w.head * K + 8 * n)),
                                 load16(m.stage[stage].d_o + place<K>(r, n)));
        delta = warp_sum<8>(delta);
        if (c == 0) m.delta[stage][r] = delta;
    }
}

/* dq of a chunk from this block's keys: 16 queries and half of the columns a warp. */
template <typename T, int K>
__device__ __forceinline__ void chunk_query_gradients(BlockBackward<K> &m, const View<T> &w, uint4 *q, int chunk0, Mode mode) {
    constexpr int N = K / 32;
    const int column = warp_id() % 2 * N, row0 = warp_id() / 2 * 16, i0 = chunk0 + row0, g = lane_id() / 4, t = lane_id() % 4;
    if (i0 >= w.s.q_len) return;
    int begin, end;
    w.live_keys(i0, 16, &begin, &end);
    begin = max(begin - w.s.first, 0);
    end = min(end - w.s.first, BlockBackward<K>::ROWS);
    float dq[2 * N][4];
    query_gradient<T, K, N>(dq, m.v, m.k, 0, row0 / 16, begin, end, column);
    if (mode == PARTIAL) {
        const int64_t width = (int64_t)w.a->H * K;
        float *part = w.a->part + ((int64_t)(w.s.first / BlockBackward<K>::ROWS) * w.a->N + w.s.q_row + i0) * width +
                      (int64_t)w.head * K + 16 * column + 2 * t;
#pragma unroll
        for (int n = 0; n < 2 * N; n++)
#pragma unroll
            for (int r = 0; r < 2; r++)
                if (i0 + g + 8 * r < w.s.q_len)
                    *reinterpret_cast<float2 *>(part + (g + 8 * r) * width + 8 * n) = float2{dq[n][2 * r], dq[n][2 * r + 1]};
        return;
    }
    stage_rows<K, T, N>(q, row0, 2 * column, dq, w.a->scale);
    __syncwarp();
    store_rows<K>(q, row0, 16, 2 * column, 2 * N, w.a->dq, (int64_t)w.head * K,
                  [&](int r) { return i0 + r < w.s.q_len ? (int64_t)w.s.q_row + i0 + r : (int64_t)-1; });
}

/* Chunks [*begin, *end), in queries, that a block of keys walks. FINAL writes the dq of queries that see none, too. */
template <typename Shared, typename T>
__device__ __forceinline__ void live_chunks(const View<T> &w, int first, Mode mode, int *begin, int *end) {
    constexpr int CHUNK = Shared::CHUNK;
    *begin = 0, *end = w.s.q_len;
    if (mode != FINAL)
        attention_live_queries(w.a->band, first, min(first + Shared::ROWS, w.s.k_len) - 1, w.off, w.s.q_len, begin, end);
    *begin &= ~(CHUNK - 1);
    *end = max(*begin, (*end + CHUNK - 1) & ~(CHUNK - 1));
}

template <typename T, int K, bool DROP>
__global__ void __launch_bounds__(BlockBackward<K>::THREADS, 1)
    attention_bwd_keys(const __grid_constant__ Attention<T> a, int n_stages) {
    using Shared = BlockBackward<K>;
    constexpr int MT = Shared::MT, CHUNK = Shared::CHUNK;
    Shared &m = shared_memory<Shared>();
    const int n_heads = a.H / a.group, of_keys = blockIdx.x % n_heads, slot = warp_id() * 16 * MT;
    const attention_piece *piece = block_of(a.list, blockIdx.x / n_heads);
    if (!piece) return;
    View<T> w = view_of(a, *piece, of_keys * a.group);
    const Mode mode = a.dq.p ? mode_of(w.s.k_len, Shared::ROWS, a.n_parts) : NONE;
    const int j0 = w.s.first + slot;
    copy_keys<K>(m.k, a.k, w, w.s.first, Shared::ROWS);
    copy_keys<K>(m.v, a.v, w, w.s.first, Shared::ROWS);
    int begin, end;
    live_chunks<Shared>(w, w.s.first, mode, &begin, &end);
    if (begin < end) begin_chunk<K>(m, w, 0, begin);
    else async_commit();
    async_wait<0>();
    __syncthreads();
    Owned<K, MT> x;
    begin_owned(x);
    load_owned(x, m.v, slot);

    /* Heads that share the keys, one after another, and their chunks. */
    for (int stage = 0, chunk0 = begin; chunk0 < end;) {
        chunk_delta<K>(m, w, stage, chunk0);
        __syncthreads(); /* delta is there; v has been read, or the other stage */
        View<T> next = w;
        next.head += chunk0 + CHUNK >= end;
        const int next0 = next.head == w.head ? chunk0 + CHUNK : begin;
        const bool has_next = next.head < (of_keys + 1) * a.group;
        if (n_stages == 2 && has_next) begin_chunk<K>(m, next, stage ^ 1, next0);
#pragma unroll 1
        for (int i0 = chunk0; i0 < min(chunk0 + CHUNK, w.s.q_len); i0 += 16) {
            int from, to;
            w.live_keys(i0, 16, &from, &to);
            if (j0 + 16 * MT <= from || j0 >= to) continue; /* what dq reads of dS' stops there too */
            const int q_slot = i0 - chunk0;
            const Step at = {m.k, m.stage[stage].q, m.stage[stage].d_o, mode == NONE ? nullptr : m.v, m.lse[stage] + q_slot,
                             m.delta[stage] + q_slot, slot, q_slot, q_slot / 16, i0, j0};
            own_step<T, K, DROP, MT>(x, w, at);
        }
        if (mode != NONE) {
            __syncthreads(); /* dS' is complete */
            chunk_query_gradients<T, K>(m, w, m.stage[stage].q, chunk0, mode);
        }
        if (n_stages == 1 && has_next) {
            __syncthreads();
            begin_chunk<K>(m, next, 0, next0);
        }
        async_wait<0>();
        __syncthreads();
        if (!has_next) break;
        w.head = next.head, chunk0 = next0, stage ^= n_stages - 1;
    }
    __syncthreads(); /* without queries: v has been read */
    if (j0 < w.s.k_len) finish_owned<T, K, MT>(x, w, m.k, m.v, slot, j0, of_keys);
}

/* ---- dq of sequences with several blocks of keys -------------------------------------------------------------*/
template <int K> struct QueriesBackward {
    static constexpr int MT = K <= 64 ? 2 : 1, ROWS = K <= 128 ? 128 : 64, WARPS = ROWS / 16 / MT, THREADS = 32 * WARPS;
    static constexpr int KEYS = K <= 96 ? 64 : K == 128 ? 32 : 16;
    uint4 q[ROWS * K / 8], d_o[ROWS * K / 8]; /* q: at last dq */
    struct {
        uint4 k[KEYS * K / 8], v[KEYS * K / 8];
    } stage[2];
};

/* The parts of dq that blocks of keys wrote, in their order. */
template <typename T, int K> __device__ void add_parts(const View<T> &w, int first) {
    constexpr int BLOCK = BlockBackward<K>::ROWS, PACKS = K / 8;
    const int64_t width = (int64_t)w.a->H * K;
    for (int x = threadIdx.x; x < QueriesBackward<K>::ROWS * PACKS; x += QueriesBackward<K>::THREADS) {
        const int i = first + x / PACKS, column = w.head * K + x % PACKS * 8;
        if (i >= w.s.q_len) break;
        float sum[8] = {};
        for (int j0 = 0; j0 < w.s.k_len; j0 += BLOCK) {
            int begin, end;
            live_chunks<BlockBackward<K>>(w, j0, PARTIAL, &begin, &end);
            if ((i < begin || i >= end) && !MUTANT(20)) continue;
            const float *part = w.a->part + ((int64_t)(j0 / BLOCK) * w.a->N + w.s.q_row + i) * width + column;
            for (int e = 0; e < 8; e += 4) {
                const Pack<float> p = Pack<float>::load(part + e);
                for (int f = 0; f < 4; f++) sum[e + f] += p[f];
            }
        }
        Pack<T> dq;
        for (int e = 0; e < 8; e++) dq[e] = from_float<T>(sum[e] * w.a->scale);
        dq.store(w.a->dq.at(w.s.q_row + i, column));
    }
}

/* dS of 16 queries a fragment row and 16 keys, in place of dp. */
template <typename T, bool DROP>
__device__ __forceinline__ void differentiate_rows(const float s[2][4], float dp[2][4], const View<T> &w, int i0, int j0,
                                                   bool is_edge, const float lse[2], const float delta[2]) {
    const int g = lane_id() / 4, t = lane_id() % 4;
    const uint4 u = DROP ? numbers_by_query(w, i0, j0) : uint4{};
    const uint32_t word[4] = {u.x, u.y, u.z, u.w};
#pragma unroll
    for (int e = 0; e < 8; e++) {
        const int r = e >> 1 & 1, n = e >> 2;
        float p = exp2_fast(s[n][e & 3] * w.a->log2_scale - lse[r]);
        if (is_edge && !w.lives(i0 + g + 8 * r, j0 + 8 * n + 2 * t + (e & 1))) p = 0;
        const uint32_t number = word[r + 2 * n];
        const bool kept = !DROP || (e & 1 ? number : number << 16) >= w.a->limit;
        dp[n][e & 3] = p * ((kept ? dp[n][e & 3] * w.a->drop.scale : 0.0f) - delta[r]);
    }
}

/* lse and delta of a warp's queries, rows g + 8 r; its four lanes share a row. */
template <typename T, int K, int MT>
__device__ __forceinline__ void row_statistics(const View<T> &w, int i0, float lse[MT][2], float delta[MT][2]) {
#pragma unroll
    for (int m = 0; m < MT; m++)
#pragma unroll
        for (int r = 0; r < 2; r++) {
            const int i = i0 + 16 * m + lane_id() / 4 + 8 * r;
            const int64_t row = w.s.q_row + min(i, w.s.q_len - 1);
            float sum = 0;
#pragma unroll
            for (int n = lane_id() % 4; n < K / 8; n += 4)
                sum += dot8<T>(load16(w.a->o.at(row, (int64_t)w.head * K + 8 * n)),
                               load16(w.a->d_o.at(row, (int64_t)w.head * K + 8 * n)));
            delta[m][r] = warp_sum<4>(sum);
            lse[m][r] = i < w.s.q_len ? *w.a->lse.at(w.head, row) * LOG2_E : INFINITY;
        }
}

/* dq += dS K for the warp's queries and one tile of keys. */
template <typename T, int K, bool DROP>
__device__ __forceinline__ void add_query_gradients(float dq[QueriesBackward<K>::MT][K / 8][4], const QueriesBackward<K> &m,
                                                    const View<T> &w, int stage, int slot, int i0, int j0,
                                                    const float lse[QueriesBackward<K>::MT][2],
                                                    const float delta[QueriesBackward<K>::MT][2]) {
    constexpr int MT = QueriesBackward<K>::MT, KEYS = QueriesBackward<K>::KEYS;
    const bool is_edge = w.is_edge(i0, 16 * MT, j0, KEYS);
#pragma unroll 1
    for (int n = 0; n < KEYS / 16; n++) {
        float s[MT][2][4] = {}, dp[MT][2][4] = {};
#pragma unroll(K <= 128 ? K / 16 : 4) /* all of 16: 84 bytes spill */
        for (int step = 0; step < K / 16; step++) {
            uint32_t k[4], v[4];
            load_b<K>(k, m.stage[stage].k, 16 * n, step);
            load_b<K>(v, m.stage[stage].v, 16 * n, step);
#pragma unroll
            for (int i = 0; i < MT; i++) {
                uint32_t q[4], d_o[4];
                load_a<K>(q, m.q, slot + 16 * i, step);
                load_a<K>(d_o, m.d_o, slot + 16 * i, step);
                multiply_two<T>(s[i], q, k);
                multiply_two<T>(dp[i], d_o, v);
            }
        }
        uint32_t ds[MT][4];
#pragma unroll
        for (int i = 0; i < MT; i++) {
            differentiate_rows<T, DROP>(s[i], dp[i], w, i0 + 16 * i, j0 + 16 * n, is_edge, lse[i], delta[i]);
            pack_fragment<T>(ds[i], dp[i]);
        }
#pragma unroll
        for (int d = 0; d < K / 16; d++) {
            uint32_t k[4];
            load_b_transposed<K>(k, m.stage[stage].k, 16 * n, d);
#pragma unroll
            for (int i = 0; i < MT; i++) multiply_two<T>(&dq[i][2 * d], ds[i], k);
        }
    }
}

template <typename T, int K, bool DROP>
__global__ void __launch_bounds__(QueriesBackward<K>::THREADS, 1)
    attention_bwd_queries(const __grid_constant__ Attention<T> a) {
    using Shared = QueriesBackward<K>;
    constexpr int MT = Shared::MT, KEYS = Shared::KEYS;
    Shared &m = shared_memory<Shared>();
    const attention_piece *piece = tile_of(a.list, blockIdx.x / a.H);
    if (!piece) return;
    const View<T> w = view_of(a, *piece, blockIdx.x % a.H);
    const int first = w.s.first + (int)blockIdx.y * Shared::ROWS;
    if (first >= w.s.q_len) return;
    if constexpr (!IS_WIDE<K>) {
        const Mode mode = mode_of(w.s.k_len, a.block_rows, a.n_parts);
        if (mode == FINAL) return;
        if (mode == PARTIAL) return add_parts<T, K>(w, first);
    }

    const int slot = warp_id() * 16 * MT, i0 = first + slot;
    int begin, end, warp_begin, warp_end;
    w.live_keys(first, Shared::ROWS, &begin, &end);
    w.live_keys(i0, 16 * MT, &warp_begin, &warp_end);
    begin = begin / KEYS * KEYS;
    const auto copy_stage = [&](int stage, int j0) {
        copy_keys<K>(m.stage[stage].k, a.k, w, j0, KEYS);
        copy_keys<K>(m.stage[stage].v, a.v, w, j0, KEYS);
        async_commit();
    };
    copy_queries<K>(m.q, a.q, w, first, Shared::ROWS);
    copy_queries<K>(m.d_o, a.d_o, w, first, Shared::ROWS);
    copy_stage(0, begin);
    float lse[MT][2], delta[MT][2], dq[MT][K / 8][4] = {};
    row_statistics<T, K, MT>(w, i0, lse, delta);
    for (int j0 = begin, stage = 0; j0 < end; j0 += KEYS, stage ^= 1) {
        async_wait<0>();
        __syncthreads(); /* this stage has come, the other has been read */
        if (j0 + KEYS < end) copy_stage(stage ^ 1, j0 + KEYS);
        if (j0 + KEYS > warp_begin && j0 < warp_end)
            add_query_gradients<T, K, DROP>(dq, m, w, stage, slot, i0, j0, lse, delta);
    }
    async_wait<0>();
    __syncthreads(); /* without keys q is still on its way */
#pragma unroll
    for (int i = 0; i < MT; i++) stage_rows<K, T, K / 16>(m.q, slot + 16 * i, 0, dq[i], a.scale);
    __syncwarp();
    store_rows<K>(m.q, slot, 16 * MT, 0, K / 8, a.dq, (int64_t)w.head * K,
                  [&](int r) { return i0 + r < w.s.q_len ? (int64_t)w.s.q_row + i0 + r : (int64_t)-1; });
}

/* ---- launches ------------------------------------------------------------------------------------------------*/
template <typename T, int K> hone_status tile_fwd(hone_queue *q, const Attention<T> &a, const attention_cut &cut) {
    return launch(q, a.drop.threshold ? attention_fwd_tile<T, K, true> : attention_fwd_tile<T, K, false>,
                  (unsigned)(cut.tiles_cap * cut.H), TileForward<K>::THREADS, sizeof(TileForward<K>), a);
}
/* How many stages fit, and the bytes of shared memory with them. */
template <typename Shared> static int fitting_stages(const hone_queue *q, size_t *bytes) {
    const int n_stages = q->device->properties.sharedMemPerBlockOptin < sizeof(Shared) ? 1 : 2;
    *bytes = sizeof(Shared) - (size_t)(2 - n_stages) * (sizeof(Shared::stage) / 2);
    return n_stages;
}
template <typename T, int K> hone_status queries_bwd(hone_queue *q, const Attention<T> &a, const attention_cut &cut) {
    const dim3 blocks((unsigned)(cut.tiles_cap * cut.H), (unsigned)(cut.tile_rows / QueriesBackward<K>::ROWS));
    return launch(q, a.drop.threshold ? attention_bwd_queries<T, K, true> : attention_bwd_queries<T, K, false>, blocks,
                  QueriesBackward<K>::THREADS, sizeof(QueriesBackward<K>), a);
}
template <typename T, int K> hone_status tile_bwd(hone_queue *q, const Attention<T> &a, const attention_cut &cut) {
    using Shared = BlockBackward<K>;
    size_t bytes;
    const int n_stages = fitting_stages<Shared>(q, &bytes);
    const hone_status status =
        launch(q, a.drop.threshold ? attention_bwd_keys<T, K, true> : attention_bwd_keys<T, K, false>,
               (unsigned)(cut.blocks_cap * cut.G), Shared::THREADS, bytes, a, n_stages);
    return status || !a.dq.p || cut.M <= cut.block_rows ? status : queries_bwd<T, K>(q, a, cut);
}
} // namespace attention
#endif
