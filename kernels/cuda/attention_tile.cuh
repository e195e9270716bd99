/* attention_tile.cuh - attention on tensor cores: tiles in shared memory, fragments, softmax, masks, dropout, and the phases
 * that the kernels of attention_short.cu and attention_sm80.cu are made of.
 *
 * A tile is rows of K elements in chunks of 16 bytes, swizzled so that ldmatrix, stores of 4-byte fragments and copies
 * of 16 bytes meet no bank twice. g = lane / 4 and t = lane % 4 as in ptx/mma.cuh: a C fragment is rows g, g + 8, columns
 * 2t, 2t + 1. The probabilities of two C tiles, packed, are one A fragment of the next product. */
#ifndef CUDA_ATTENTION_TILE_CUH
#define CUDA_ATTENTION_TILE_CUH
#include "attention.cuh"
#include "ptx/async.cuh"
#include "ptx/mma.cuh"

namespace attention {
__device__ __forceinline__ int lane_id() { return threadIdx.x % 32; }
__device__ __forceinline__ int warp_id() { return threadIdx.x / 32; }

/* ---- tiles ---------------------------------------------------------------------------------------------------*/
/* Place of a chunk, in chunks. Rows of 128 bytes and their multiples take three bits of the row, others two. */
template <int K> __device__ __forceinline__ int place(int row, int chunk) {
    return row * (K / 8) + (chunk ^ (K % 64 == 0 ? row & (MUTANT(6) ? 3 : 7) : row >> 1 & 3));
}
/* Columns 2 t, 2 t + 1 of a chunk. */
template <int K> __device__ __forceinline__ uint32_t *pair(uint4 *tile, int row, int chunk, int t) {
    return reinterpret_cast<uint32_t *>(tile + place<K>(row, chunk)) + t;
}
/* A[16 rows from row0][16 columns of step k], stored [row][column]. */
template <int K> __device__ __forceinline__ void load_a(uint32_t a[4], const uint4 *tile, int row0, int k) {
    ldmatrix4<false>(a, tile + place<K>(row0 + (lane_id() & 15), 2 * k + (lane_id() >> 4)));
}
/* A stored transposed: rows of the product are columns 16 m .. of the tile, its depth rows row0 .. . */
template <int K> __device__ __forceinline__ void load_a_transposed(uint32_t a[4], const uint4 *tile, int row0, int m) {
    ldmatrix4<true>(a, tile + place<K>(row0 + (lane_id() & 7) + 8 * (lane_id() >> 4), 2 * m + (lane_id() >> 3 & 1)));
}
/* Two B fragments, b and b + 2: columns of the product are rows row0 .. row0 + 15 of the tile, depth its columns of step k. */
template <int K> __device__ __forceinline__ void load_b(uint32_t b[4], const uint4 *tile, int row0, int k) {
    ldmatrix4<false>(b, tile + place<K>(row0 + (lane_id() & 7) + 8 * (lane_id() >> 4), 2 * k + (lane_id() >> 3 & 1)));
}
/* Two B fragments: columns of the product are columns 16 d .. of the tile, depth rows row0 .. row0 + 15. */
template <int K> __device__ __forceinline__ void load_b_transposed(uint32_t b[4], const uint4 *tile, int row0, int d) {
    ldmatrix4<true>(b, tile + place<K>(row0 + (lane_id() & 15), 2 * d + (lane_id() >> 4)));
}
template <typename T> __device__ __forceinline__ void multiply_two(float d[2][4], const uint32_t a[4], const uint32_t b[4]) {
    mma16816<T>(d[0], a, b);
    mma16816<T>(d[1], a, b + 2);
}
/* C tiles n and n + 1 of 16 rows as an A fragment. */
template <typename T> __device__ __forceinline__ void pack_fragment(uint32_t a[4], const float c[2][4]) {
    a[0] = pack2<T>(c[0][0], c[0][1]), a[MUTANT(8) ? 2 : 1] = pack2<T>(c[0][2], c[0][3]);
    a[MUTANT(8) ? 1 : 2] = pack2<T>(c[1][0], c[1][1]), a[3] = pack2<T>(c[1][2], c[1][3]);
}

/* Begin to copy n_rows rows into a tile: where(r) is the row of the tensor, or -1 for zeros. */
template <int K, typename T, typename F>
__device__ __forceinline__ void copy_rows(uint4 *tile, Rows<const T> from, int64_t column, int n_rows, F where) {
    for (int x = threadIdx.x; x < n_rows * (K / 8); x += blockDim.x) {
        const int r = x / (K / 8), chunk = x % (K / 8);
        const int64_t row = where(r);
        async_copy16(tile + place<K>(r, chunk), from.at(row < 0 ? 0 : row, column + 8 * chunk), row >= 0);
    }
}
/* The j-th row whose half a warp stores: eight lanes meet all banks if rows r and r + 4, which the swizzle sends to other
 * halves, are neighbours. */
template <int K> __device__ __forceinline__ int row_of_half(int j) {
    constexpr int BIT = K == 64 ? 0 : 1;
    return (j & ~(4 | 1 << BIT)) | (j >> 2 & 1) << BIT | (j >> BIT & 1) << 2;
}
/* Likewise of 96 columns, in chunks: four of two rows, then the other two of four rows, rows r and r + 4 among them. */
__device__ __forceinline__ void place_of_half96(int x, int chunk0, int *r, int *chunk) {
    const int turn = x / 8 % 8, lane = x % 8;
    if (x < 64) *r = 2 * turn + lane / 4, *chunk = (chunk0 ? 8 : 0) + lane % 4;
    else *r = turn / 2 * 8 + turn % 2 * 2 + lane / 4 * 4 + lane / 2 % 2, *chunk = (chunk0 ? 6 : 4) + lane % 2;
}
/* A warp stores columns of its rows of a tile, a multiple of 8: where(r) as above, -1: not stored. */
template <int K, typename T, typename F>
__device__ __forceinline__ void store_rows(const uint4 *tile, int row0, int n_rows, int chunk0, int n_chunks, Rows<T> to,
                                           int64_t column, F where) {
    for (int x = lane_id(); x < n_rows * n_chunks; x += 32) {
        const bool is_half = K <= 64 && n_chunks == K / 16;
        int r = is_half ? row_of_half<K>(x / n_chunks) : x / n_chunks, chunk = chunk0 + x % n_chunks;
        if (K == 96 && n_chunks == K / 16) place_of_half96(x, chunk0, &r, &chunk); /* of 16 rows */
        const int64_t row = where(r);
        if (row >= 0) store16(to.at(row, column + 8 * chunk), load16(tile + place<K>(row0 + r, chunk)));
    }
}
/* Accumulators of 16 rows and 16 N columns to a tile, from chunk0 on. */
template <int K, typename T, int N>
__device__ __forceinline__ void stage_rows(uint4 *tile, int row0, int chunk0, const float (*c)[4], float scale) {
    const int g = lane_id() / 4, t = lane_id() % 4;
#pragma unroll
    for (int n = 0; n < 2 * N; n++) {
        *pair<K>(tile, row0 + g, chunk0 + n, t) = pack2<T>(c[n][0] * scale, c[n][1] * scale);
        *pair<K>(tile, row0 + g + 8, chunk0 + n, t) = pack2<T>(c[n][2] * scale, c[n][3] * scale);
    }
}

/* ---- what a warp sees ----------------------------------------------------------------------------------------*/
/* One sequence in one head, and the constants of the call that are used for every score. */
template <typename T> struct View {
    const Attention<T> *a;
    attention_piece s;
    int head, off;       /* off: query i stands at key i + off */
    uint32_t key0, key1; /* of dropout's numbers */

    __device__ __forceinline__ bool is_edge(int i0, int n_queries, int j0, int n_keys) const {
        return j0 + n_keys > s.k_len || j0 + n_keys - 1 > i0 + off + a->band.right ||
               j0 < i0 + n_queries - 1 + off - a->band.left;
    }
    __device__ __forceinline__ bool lives(int i, int j) const { return (j < s.k_len || MUTANT(10)) && sees(a->band, i + off, j); }
    /* Keys that some query of i0 .. i0 + n - 1 sees; none if there are no such queries. */
    __device__ __forceinline__ void live_keys(int i0, int n, int *begin, int *end) const {
        *begin = *end = 0;
        if (i0 < s.q_len) attention_live_keys(a->band, i0, min(i0 + n, s.q_len) - 1, off, s.k_len, begin, end);
    }
};
template <typename T> __device__ View<T> view_of(const Attention<T> &a, const attention_piece &s, int head) {
    View<T> w = {&a, s, head, s.k_len - s.q_len + MUTANT(11), 0, 0};
    if (a.drop.threshold) w.key0 = a.drop.tick->step_key[0] ^ a.drop.site, w.key1 = a.drop.tick->step_key[1];
    return w;
}
__device__ __forceinline__ attention_piece piece_of(const attention_unit &u) {
    return {u.q_row, u.q_len, u.k_row, u.k_len, 0, u.seq, u.sample, 0};
}
__device__ __forceinline__ const attention_unit *bin_of(const attention_counts *list, int i) {
    return i < list->n_bins ? reinterpret_cast<const attention_unit *>(list) + 1 + i * BIN_UNITS : nullptr;
}
/* Row r of a bin, as a row of the queries' (keys') tensors; -1: of no sequence. */
__device__ __forceinline__ int64_t bin_query(const attention_unit *unit, int r) {
    const attention_unit &u = unit[r / UNIT_ROWS];
    const int i = u.first * UNIT_ROWS + r % UNIT_ROWS;
    return i < u.q_len + 4 * MUTANT(26) ? u.q_row + i : -1;
}
__device__ __forceinline__ int64_t bin_key(const attention_unit *unit, int r) {
    const attention_unit &u = unit[r / UNIT_ROWS];
    const int j = u.first * UNIT_ROWS + r % UNIT_ROWS;
    return j < u.k_len ? u.k_row + j : -1;
}

/* ---- dropout -------------------------------------------------------------------------------------------------*/
/* The 8 numbers of a lane in the 16 x 16 scores from (i0, j0), rows are queries: row g + 8 r, key 8 n + 2 t + c of the tile
 * reads half c of word r + 2 n. Queries at their places 0, 1, 2 ... share one call; picked ones need one each. */
template <typename T> __device__ __forceinline__ uint4 numbers_by_query(const View<T> &w, int i0, int j0) {
    const uint32_t c0 = ((uint32_t)j0 >> 4) * 32, c1 = (uint32_t)w.head << 20;
    if (!w.s.is_picked) return philox(c0 + lane_id(), (uint32_t)(i0 + (MUTANT(19) ? w.s.q_row : 0)) >> 4 | c1, w.s.sample, 0, w.key0, w.key1);
    uint32_t word[4];
    for (int r = 0; r < 2; r++) {
        const hone_key key = w.a->key[w.s.q_row + min(i0 + lane_id() / 4 + 8 * r, w.s.q_len - 1)];
        const uint32_t lane = (key.position & 7) * 4 + lane_id() % 4;
        const uint4 u = philox(c0 + lane, key.position >> 4 | c1, key.sample, 0, w.key0, w.key1);
        word[r] = key.position & 8 ? u.y : u.x;
        word[r + 2] = key.position & 8 ? u.w : u.z;
    }
    return uint4{word[0], word[1], word[2], word[3]};
}
/* The same with keys as rows: key g + 8 r, query 8 n + 2 t + c reads half n of word[c][r]. A lane computes the call of the
 * query whose parity is g's, and trades halves with the lane that computes the other. */
template <typename T> __device__ __forceinline__ void numbers_by_key(uint32_t word[2][2], const View<T> &w, int i0, int j0) {
    const int g = lane_id() / 4, t = lane_id() % 4, odd = g & 1;
    const uint32_t c0 = ((uint32_t)j0 >> 4) * 32 + (g >> 1), c1 = (uint32_t)w.head << 20;
    if (!w.s.is_picked) {
        const uint4 u = philox(c0 + (2 * t + odd) * 4, (uint32_t)i0 >> 4 | c1, w.s.sample, 0, w.key0, w.key1);
        const uint32_t mine = odd ? 0x7632 : 0x5410, other = odd ? 0x5410 : 0x7632;
        const uint32_t keep0 = byte_permute(u.x, u.y, mine), keep1 = byte_permute(u.z, u.w, mine);
        const uint32_t got0 = __shfl_xor_sync(ALL_LANES, byte_permute(u.x, u.y, other), MUTANT(18) ? 8 : 4);
        const uint32_t got1 = __shfl_xor_sync(ALL_LANES, byte_permute(u.z, u.w, other), 4);
        word[0][0] = odd ? got0 : keep0, word[0][1] = odd ? got1 : keep1;
        word[1][0] = odd ? keep0 : got0, word[1][1] = odd ? keep1 : got1;
        return;
    }
    word[0][0] = word[0][1] = word[1][0] = word[1][1] = 0;
#pragma unroll 1 /* rare, and registers are short here */
    for (int x = 0; x < 4; x++) { /* query 8 n + 2 t + c: the words turn round to the one that it is for */
        const int c = x & 1, n = x >> 1;
        const hone_key key = w.a->key[w.s.q_row + min(i0 + 8 * n + 2 * t + c, w.s.q_len - 1)];
        const uint4 u = philox(c0 + (key.position & 7) * 4, key.position >> 4 | c1, key.sample, 0, w.key0, w.key1);
        const uint32_t low = key.position & 8 ? u.y : u.x, high = key.position & 8 ? u.w : u.z;
        const uint32_t first = word[0][0] | (low >> 16 * odd & 0xffff) << 16 * n;
        const uint32_t second = word[0][1] | (high >> 16 * odd & 0xffff) << 16 * n;
        word[0][0] = word[1][0], word[0][1] = word[1][1];
        word[1][0] = first, word[1][1] = second;
    }
}

/* ---- forward -------------------------------------------------------------------------------------------------*/
/* What a warp knows of its 16 MT queries: rows g and g + 8 of each 16. */
template <int K, int MT> struct Rising {
    float o[MT][K / 8][4]; /* relative to top */
    float top[MT][2], sum[MT][2];
};
template <int K, int MT> __device__ __forceinline__ void begin_rising(Rising<K, MT> &x) {
#pragma unroll
    for (int m = 0; m < MT; m++) {
        for (int n = 0; n < K / 8; n++)
            for (int e = 0; e < 4; e++) x.o[m][n][e] = 0;
        x.top[m][0] = x.top[m][1] = -INFINITY;
        x.sum[m][0] = x.sum[m][1] = 0;
    }
}

/* Keys a step: what leaves the registers to the scores. */
template <int K, int MT> constexpr int STEP_KEYS = MT == 1 || K >= 128 ? 32 : 64;

template <typename T, int K, int MT>
__device__ __forceinline__ void scores(float s[MT][STEP_KEYS<K, MT> / 8][4], const uint4 *q, int q_slot, const uint4 *k,
                                       int k_slot) {
    constexpr int PAIRS = STEP_KEYS<K, MT> / 16;
#pragma unroll
    for (int m = 0; m < MT; m++)
        for (int n = 0; n < 2 * PAIRS; n++)
            for (int e = 0; e < 4; e++) s[m][n][e] = 0;
#pragma unroll(K == 96 && MT == 1 ? 3 : K / 16) /* at K 96 in bins all of 6 spill 8 bytes */
    for (int step = 0; step < K / 16; step++) {
        uint32_t a[MT][4];
#pragma unroll
        for (int m = 0; m < MT; m++) load_a<K>(a[m], q, q_slot + 16 * m, step);
#pragma unroll
        for (int n = 0; n < PAIRS; n++) {
            uint32_t b[4];
            load_b<K>(b, k, k_slot + 16 * n, step);
#pragma unroll
            for (int m = 0; m < MT; m++) multiply_two<T>(&s[m][2 * n], a[m], b);
        }
    }
}

/* Scores of queries i0 .. and keys j0 .. become kept probabilities relative to the new maximum; sums follow. */
template <typename T, int K, bool DROP, int MT>
__device__ __forceinline__ void soften(Rising<K, MT> &x, float s[MT][STEP_KEYS<K, MT> / 8][4], const View<T> &w, int i0,
                                       int j0) {
    constexpr int KEYS = STEP_KEYS<K, MT>;
    const int g = lane_id() / 4, t = lane_id() % 4;
    const bool is_edge = w.is_edge(i0, 16 * MT, j0, KEYS);
#pragma unroll
    for (int m = 0; m < MT; m++) {
        if (is_edge)
#pragma unroll
            for (int n = 0; n < KEYS / 8; n++)
#pragma unroll
                for (int e = 0; e < 4; e++)
                    if (!w.lives(i0 + 16 * m + g + 8 * (e >> 1), j0 + 8 * n + 2 * t + (e & 1))) s[m][n][e] = -INFINITY;
        float base[2];
#pragma unroll
        for (int r = 0; r < 2; r++) {
            float top = x.top[m][r];
#pragma unroll
            for (int n = 0; n < KEYS / 8; n++) top = fmaxf(top, fmaxf(s[m][n][2 * r], s[m][n][2 * r + 1]));
            top = warp_max<4>(top);
            base[r] = top == -INFINITY && !MUTANT(13) ? 0.0f : top * w.a->log2_scale; /* no key yet: no inf - inf */
            const float shrink = exp2_fast(x.top[m][r] * w.a->log2_scale - base[r]);
            x.top[m][r] = top;
            x.sum[m][r] *= shrink;
#pragma unroll
            for (int n = 0; n < K / 8; n++) x.o[m][n][2 * r] *= shrink, x.o[m][n][2 * r + 1] *= shrink;
        }
#pragma unroll
        for (int n = 0; n < KEYS / 16; n++) {
            const uint4 u = DROP ? numbers_by_query(w, i0 + 16 * m, j0 + 16 * n) : uint4{};
            const uint32_t word[4] = {u.x, u.y, u.z, u.w};
#pragma unroll
            for (int e = 0; e < 8; e++) {
                const int r = e >> 1 & 1;
                float &score = s[m][2 * n + (e >> 2)][e & 3];
                const float p = exp2_fast(score * w.a->log2_scale - base[r]);
                x.sum[m][r] += p;
                const uint32_t number = word[r + 2 * (e >> 2)];
                score = DROP && (e & 1 ? number : number << 16) < w.a->limit ? 0.0f : p;
            }
        }
    }
}

template <typename T, int K, int MT>
__device__ __forceinline__ void add_values(Rising<K, MT> &x, const float s[MT][STEP_KEYS<K, MT> / 8][4], const uint4 *v,
                                           int v_slot) {
#pragma unroll
    for (int n = 0; n < STEP_KEYS<K, MT> / 16; n++) {
        uint32_t p[MT][4];
#pragma unroll
        for (int m = 0; m < MT; m++) pack_fragment<T>(p[m], &s[m][2 * n]);
#pragma unroll
        for (int d = 0; d < K / 16; d++) {
            uint32_t b[4];
            load_b_transposed<K>(b, v, v_slot + 16 * n, d);
#pragma unroll
            for (int m = 0; m < MT; m++) multiply_two<T>(&x.o[m][2 * d], p[m], b);
        }
    }
}

/* o through the queries' own rows of the tile, and lse. */
template <typename T, int K, int MT>
__device__ __forceinline__ void finish_rows(Rising<K, MT> &x, const View<T> &w, uint4 *q, int q_slot, int i0) {
    const int g = lane_id() / 4;
#pragma unroll
    for (int m = 0; m < MT; m++) {
#pragma unroll
        for (int r = 0; r < 2; r++) {
            const float sum = warp_sum<4>(x.sum[m][r]), factor = sum == 0 ? 0.0f : w.a->drop.scale / sum;
            const int i = i0 + 16 * m + g + 8 * r;
            if (lane_id() % 4 == 0 && i < w.s.q_len)
                *w.a->lse.at(w.head, w.s.q_row + i) =
                    sum == 0 ? INFINITY : (x.top[m][r] * w.a->log2_scale + log2_fast(sum)) * LN_2;
#pragma unroll
            for (int n = 0; n < K / 8; n++) x.o[m][n][2 * r] *= factor, x.o[m][n][2 * r + 1] *= factor;
        }
        stage_rows<K, T, K / 16>(q, q_slot + 16 * m, 0, x.o[m], 1);
    }
    __syncwarp();
    store_rows<K>(q, q_slot, 16 * MT, 0, K / 8, w.a->o, (int64_t)w.head * K,
                  [&](int r) { return i0 + r < w.s.q_len ? (int64_t)w.s.q_row + i0 + r : (int64_t)-1; });
}

/* ---- backward, a warp owns 16 MT keys ------------------------------------------------------------------------*/
template <int K, int MT> struct Owned {
    uint32_t v[MT][K / 16][4];           /* fragments of its rows of v */
    float dk[MT][K / 8][4], dv[MT][K / 8][4];
};
template <int K, int MT> __device__ __forceinline__ void begin_owned(Owned<K, MT> &x) {
#pragma unroll
    for (int m = 0; m < MT; m++)
        for (int n = 0; n < K / 8; n++)
            for (int e = 0; e < 4; e++) x.dk[m][n][e] = x.dv[m][n][e] = 0;
}
template <int K, int MT> __device__ __forceinline__ void load_owned(Owned<K, MT> &x, const uint4 *v, int slot) {
#pragma unroll
    for (int m = 0; m < MT; m++)
#pragma unroll
        for (int step = 0; step < K / 16; step++) load_a<K>(x.v[m][step], v, slot + 16 * m, step);
}

/* Tiles of a 16-query step. */
struct Step {
    const uint4 *k, *q, *d_o;
    uint4 *ds;                /* dS' [key][64 queries], or NULL */
    const float *lse, *delta; /* of the 16 queries; lse in units of log2 */
    int k_slot, q_slot;       /* the warp's first key in k and ds; the first query in q and d_o */
    int ds_column;            /* in 16 queries */
    int i0, j0;               /* places of first query and key in the sequence */
};

/* P' and dS' of keys x queries in place of scores (s) and products of dO and v (dp). */
template <typename T, bool DROP>
__device__ __forceinline__ void differentiate(float s[2][4], float dp[2][4], const View<T> &w, const Step &at, int j0,
                                              bool is_edge) {
    const int g = lane_id() / 4, t = lane_id() % 4;
    uint32_t word[2][2] = {};
    if (DROP) numbers_by_key(word, w, at.i0, j0);
#pragma unroll
    for (int n = 0; n < 2; n++) {
        const float2 lse = *reinterpret_cast<const float2 *>(at.lse + 8 * n + 2 * t);
        const float2 delta = *reinterpret_cast<const float2 *>(at.delta + 8 * n + 2 * t);
#pragma unroll
        for (int e = 0; e < 4; e++) {
            float p = exp2_fast(s[n][e] * w.a->log2_scale - (e & 1 ? lse.y : lse.x));
            if (is_edge && !w.lives(at.i0 + 8 * n + 2 * t + (e & 1), j0 + g + 8 * (e >> 1))) p = 0;
            const uint32_t number = word[e & 1][e >> 1];
            const bool kept = !DROP || (n ? number : number << 16) >= w.a->limit;
            const float d = kept ? dp[n][e] * w.a->drop.scale : 0.0f;
            dp[n][e] = p * (d - (e & 1 ? delta.y : delta.x) / (MUTANT(15) ? w.a->drop.scale : 1));
            if (MUTANT(33)) dp[n][e] = fmaxf(-65504, fminf(dp[n][e], 65504));
            s[n][e] = kept ? p : 0.0f;
        }
    }
}

/* 16 queries against the warp's keys: S' = K Q', dP' = V dO', then dV += P' dO, dK += dS' Q; dS' is left for dQ. */
template <typename T, int K, bool DROP, int MT>
__device__ __forceinline__ void own_step(Owned<K, MT> &x, const View<T> &w, const Step &at) {
    const int g = lane_id() / 4, t = lane_id() % 4;
    float s[MT][2][4] = {}, dp[MT][2][4] = {};
#pragma unroll
    for (int step = 0; step < K / 16; step++) {
        uint32_t q[4], d_o[4];
        load_b<K>(q, at.q, at.q_slot, step);
        load_b<K>(d_o, at.d_o, at.q_slot, step);
#pragma unroll
        for (int m = 0; m < MT; m++) {
            uint32_t k[4];
            load_a<K>(k, at.k, at.k_slot + 16 * m, step);
            multiply_two<T>(s[m], k, q);
            multiply_two<T>(dp[m], x.v[m][step], d_o);
        }
    }
    const bool is_edge = w.is_edge(at.i0, 16, at.j0, 16 * MT);
    uint32_t p[MT][4], ds[MT][4];
#pragma unroll
    for (int m = 0; m < MT; m++) {
        differentiate<T, DROP>(s[m], dp[m], w, at, at.j0 + 16 * m, is_edge);
        pack_fragment<T>(p[m], s[m]);
        pack_fragment<T>(ds[m], dp[m]);
        if (at.ds)
#pragma unroll
            for (int e = 0; e < 4; e++)
                *pair<64>(at.ds, at.k_slot + 16 * m + g + 8 * (e & 1), 2 * at.ds_column + ((e >> 1) ^ (int)MUTANT(7)), t) = ds[m][e];
    }
#pragma unroll
    for (int d = 0; d < K / 16; d++) {
        uint32_t d_o[4], q[4];
        load_b_transposed<K>(d_o, at.d_o, at.q_slot, d);
        if (MUTANT(9)) load_b<K>(q, at.q, at.q_slot, d);
        else load_b_transposed<K>(q, at.q, at.q_slot, d);
#pragma unroll
        for (int m = 0; m < MT; m++) {
            multiply_two<T>(&x.dv[m][2 * d], p[m], d_o);
            multiply_two<T>(&x.dk[m][2 * d], ds[m], q);
        }
    }
}

/* dq of 16 queries and 16 N columns: sum of dS K over rows k_slot + begin .. k_slot + end - 1, whole 16s. */
template <typename T, int K, int N>
__device__ __forceinline__ void query_gradient(float dq[2 * N][4], const uint4 *ds, const uint4 *k, int k_slot, int ds_column,
                                               int begin, int end, int column) {
#pragma unroll
    for (int n = 0; n < 2 * N; n++)
        for (int e = 0; e < 4; e++) dq[n][e] = 0;
#pragma unroll 2
    for (int j = begin & ~15; j < end; j += 16) {
        uint32_t a[4];
        load_a_transposed<64>(a, ds, k_slot + j, ds_column);
#pragma unroll
        for (int d = 0; d < N; d++) {
            uint32_t b[4];
            load_b_transposed<K>(b, k, k_slot + j, column + d);
            multiply_two<T>(&dq[2 * d], a, b);
        }
    }
}

/* dk and dv through the warp's own rows of two tiles that nobody reads any more. */
template <typename T, int K, int MT>
__device__ __forceinline__ void finish_owned(Owned<K, MT> &x, const View<T> &w, uint4 *k, uint4 *v, int slot, int j0,
                                             int head) {
    const auto where = [&](int r) { return j0 + r < w.s.k_len ? (int64_t)w.s.k_row + j0 + r : (int64_t)-1; };
#pragma unroll
    for (int m = 0; m < MT; m++) {
        stage_rows<K, T, K / 16>(k, slot + 16 * m, 0, x.dk[m], MUTANT(17) ? 1 : w.a->scale);
        stage_rows<K, T, K / 16>(v, slot + 16 * m, 0, x.dv[m], MUTANT(16) ? 1 : w.a->drop.scale);
    }
    __syncwarp();
    if (w.a->dk.p) store_rows<K>(k, slot, 16 * MT, 0, K / 8, w.a->dk, (int64_t)head * K, where);
    if (w.a->dv.p) store_rows<K>(v, slot, 16 * MT, 0, K / 8, w.a->dv, (int64_t)head * K, where);
}

/* Products of two chunks, in order. */
template <typename T> __device__ __forceinline__ float dot8(uint4 x, uint4 y) {
    const uint32_t a[4] = {x.x, x.y, x.z, x.w}, b[4] = {y.x, y.y, y.z, y.w};
    float sum = 0;
#pragma unroll
    for (int e = 0; e < 4; e++)
        sum += low_float<T>(a[e]) * low_float<T>(b[e]) + high_float<T>(a[e]) * high_float<T>(b[e]);
    return sum;
}
} // namespace attention
#endif
