/* attention.cuh - what the variants of attention share: operands, one row's place under the mask, dropout by element. */
#ifndef CUDA_ATTENTION_CUH
#define CUDA_ATTENTION_CUH
#include "common.cuh"
#include "rng.cuh"

extern "C" {
#include "attention_list.h"
}

constexpr float LOG2_E = 1.4426950408889634f, LN_2 = 0.6931471805599453f;

/* Rows of a tensor; head h of a row begins at column h K. */
template <typename T> struct Rows {
    T *p;
    int64_t ld;
    __device__ __forceinline__ T *at(int64_t row, int64_t column) const { return p + row * ld + column; }
};
template <typename T, typename U = T> static inline Rows<U> rows_of(const hone_tensor &t) { return {(U *)t.p, t.ld}; }

/* The operands of a call. Forward writes o and lse, backward reads them. Unbound: p is NULL. */
template <typename T> struct Attention {
    Rows<const T> q, k, v, d_o; /* [N,H,K] [M,G,K] [M,G,K] [N,H,K] */
    Rows<T> o, dq, dk, dv;      /* [N,H,K] [N,H,K] [M,G,K] [M,G,K] */
    Rows<float> lse;            /* [H,N] */
    const int32_t *q_pos;       /* [N] */
    const hone_key *key;        /* [N] */
    const attention_counts *list;
    float *part;                /* [n_parts,N,H K] of dq */
    int64_t N;
    int H, group, K;            /* group: heads of queries that share a head of keys, H / G */
    attention_band band;
    float scale, log2_scale;    /* log2_scale: scores to powers of two */
    Drop drop;
    uint32_t limit;             /* a number in the upper half of a word is kept if >= limit */
    int block_rows, n_parts;    /* as the call's cut says */
};

/* ---- the list ------------------------------------------------------------------------------------------------*/
__device__ __forceinline__ const attention_piece *tile_of(const attention_counts *list, int i) {
    return i < list->n_tiles ? reinterpret_cast<const attention_piece *>(list) + list->tiles_at + i : nullptr;
}
__device__ __forceinline__ const attention_piece *block_of(const attention_counts *list, int i) {
    return i < list->n_blocks ? reinterpret_cast<const attention_piece *>(list) + list->blocks_at + i : nullptr;
}

/* ---- elements ------------------------------------------------------------------------------------------------*/
__device__ __forceinline__ bool sees(attention_band band, int stand, int j) {
    return j >= stand - band.left && j <= stand + band.right;
}

/* Is the probability of key j kept for a query of this key? The layout of numbers: include/hone/device.h. */
__device__ __forceinline__ bool keeps(const Drop &d, hone_key query, int j, int head) {
    const uint32_t i = query.position, lane = (i & 7) * 4 + ((uint32_t)(j & 7) >> 1);
    const uint4 u = philox(((uint32_t)j >> 4) * 32 + lane, i >> 4 | (uint32_t)head << 20, query.sample, 0,
                           d.tick->step_key[0] ^ d.site, d.tick->step_key[1]);
    const uint32_t low = j & 8 ? u.z : u.x, high = j & 8 ? u.w : u.y;
    return ((i & 8 ? high : low) >> 16 * (j & 1) & 0xffff) >= d.threshold;
}

/* ---- variants: each plays a forward or a backward on a cut that suits it -------------------------------------*/
template <typename T> hone_status attention_simt_fwd(hone_queue *q, const Attention<T> &a, const attention_cut &cut);
template <typename T> hone_status attention_simt_bwd(hone_queue *q, const Attention<T> &a, const attention_cut &cut);
/* Bins (attention_short.cuh) and tiles (attention_sm80.cuh); K: 32, 64, 96, 128, 256, each an instance file. */
template <typename T, int K> hone_status attention_sm80_fwd(hone_queue *q, const Attention<T> &a, const attention_cut &cut);
template <typename T, int K> hone_status attention_sm80_bwd(hone_queue *q, const Attention<T> &a, const attention_cut &cut);
#endif
