/* block.cuh - a block of 256 threads on a flat range: its sum, chunks of the plan's table, the loss scale. */
#ifndef CUDA_BLOCK_CUH
#define CUDA_BLOCK_CUH
#include "common.cuh"

constexpr unsigned BLOCK_THREADS = 256;

template <typename T> struct BlockSums {
    T of_warp[BLOCK_THREADS / 32];
};
/* The sum over all threads, by a fixed tree; thread 0 gets it. T: float, double, uint32_t. For all threads, once. */
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
__device__ __forceinline__ Chunk chunk_of(const int32_t *table, int64_t q) {
    return {(int64_t)table[3 * q] * 64, table[3 * q + 1], table[3 * q + 2]};
}

__device__ __forceinline__ float loss_scale_of(const hone_tick *tick) {
    return tick && tick->loss_scale ? bits_float(tick->loss_scale) : 1.0f;
}
#endif
