/* block.cuh - a block of 256 threads on a flat range: its sum, chunks of the plan's table, the loss scale. */
#ifndef CUDA_BLOCK_CUH
#define CUDA_BLOCK_CUH
#include "common.cuh"

constexpr unsigned BLOCK_THREADS = 256;

template <typename T> struct BlockSums { T of_warp[BLOCK_THREADS / 32]; };
/* The sum over all threads, by a fixed tree; thread 0 gets it. T: float, double, uint32_t. For all threads of the
 * block, once. */
template <typename T> __device__ __forceinline__ T block_sum(T x) {
    auto &s = shared_memory<BlockSums<T>>();
    for (int o = 16; o > 0; o /= 2) x += __shfl_xor_sync(ALL_LANES, x, o);
    if (threadIdx.x % 32 == 0) s.of_warp[threadIdx.x / 32] = x;
    __syncthreads();
    x = 0;
    if (threadIdx.x == 0)
        for (unsigned w = 0; w < BLOCK_THREADS / 32; w++) x += s.of_warp[w];
    return x;
}

struct Chunk {
    int64_t first;
    int n, group;
};
struct Chunks { /* the table [Q,3], ld words from row to row */
    const int32_t *p;
    int64_t ld;
    __device__ __forceinline__ Chunk at(int64_t q) const {
        const int32_t *row = p + q * ld;
        return {(int64_t)row[0] * 64, row[1], row[2]};
    }
};
static inline Chunks chunks(const hone_tensor &t) { return {ptr<const int32_t>(t), t.ld}; }

__device__ __forceinline__ float loss_scale_of(const hone_tick *tick) {
    return tick && tick->loss_scale ? bits_float(tick->loss_scale) : 1.0f;
}
#endif
