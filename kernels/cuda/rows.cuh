/* rows.cuh - who owns a row: half a warp, a warp, or several warps of a block. An owner of T threads holds
 * its row in packs, thread t the packs t, t + T, ...; sums over a row run in one order that the width alone
 * decides: a thread's own elements, a butterfly over the lanes, then the warps one after the other. */
#ifndef CUDA_ROWS_CUH
#define CUDA_ROWS_CUH
#include "common.cuh"

/* A thread's place. LANES 16: half a warp owns a row, warps is 1. LANES 32: `warps` whole warps do. */
template <int LANES> struct Owner {
    int warps, threads, thread; /* of the owner; this thread in it */
    int number, count;          /* the owner's number in the block; owners of a block */
    __device__ __forceinline__ explicit Owner(int warps_of_a_row)
        : warps(warps_of_a_row), threads(LANES * warps_of_a_row), thread((int)threadIdx.x % threads),
          number((int)threadIdx.x / threads), count((int)blockDim.x / threads) {}
};

/* Every thread of the owner gets both sums. slots [warps of the block], in shared memory, must not be in
 * use: the one barrier inside orders writing before reading, and nothing orders reading before the next
 * writing. */
template <int LANES>
__device__ __forceinline__ float2 owner_sum(const Owner<LANES> &o, float a, float b, float2 *slots) {
    float2 sum = {warp_sum<LANES>(a), warp_sum<LANES>(b)};
    if (o.warps == 1) return sum;
    if (threadIdx.x % 32 == 0) slots[threadIdx.x / 32] = sum;
    __syncthreads();
    sum = slots[o.number * o.warps];
    for (int w = 1; w < o.warps; w++) {
        const float2 of = slots[o.number * o.warps + w];
        sum.x += of.x, sum.y += of.y;
    }
    return sum;
}
/* Likewise the largest. */
__device__ __forceinline__ float owner_max(const Owner<32> &o, float x, float *slots) {
    float top = warp_max(x);
    if (o.warps == 1) return top;
    if (threadIdx.x % 32 == 0) slots[threadIdx.x / 32] = top;
    __syncthreads();
    top = slots[o.number * o.warps];
    for (int w = 1; w < o.warps; w++) top = fmaxf(top, slots[o.number * o.warps + w]);
    return top;
}
/* Likewise the smallest. */
__device__ __forceinline__ int owner_min(const Owner<32> &o, int x, int *slots) {
    for (int lanes = 16; lanes > 0; lanes /= 2) x = min(x, __shfl_xor_sync(ALL_LANES, x, lanes));
    if (o.warps == 1) return x;
    if (threadIdx.x % 32 == 0) slots[threadIdx.x / 32] = x;
    __syncthreads();
    x = slots[o.number * o.warps];
    for (int w = 1; w < o.warps; w++) x = min(x, slots[o.number * o.warps + w]);
    return x;
}

/* A vector as long as a row may be read in packs. */
static inline bool is_packed_vector(const hone_tensor &t) { return (uintptr_t)t.p % 16 == 0; }
template <typename T> __device__ __forceinline__ float read_or(const T *vector, int64_t i, float otherwise) {
    return vector ? to_float(vector[i]) : otherwise;
}
#endif
