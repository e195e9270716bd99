/* columns.cuh - sums over rows: a block of 256 threads owns 16 pieces of columns, 16 rows at a time; each thread
 * sums every 16th row, then the 16 sums of a column are added in order. */
#ifndef CUDA_COLUMNS_CUH
#define CUDA_COLUMNS_CUH
#include "pieces.cuh"

constexpr int COLUMN_LANES = 16, ROW_LANES = 16, COLUMN_THREADS = COLUMN_LANES * ROW_LANES;

/* A row of sums: the first four columns of all pieces, then the last four, in other banks: lanes side by side use 16 bytes
 * side by side, in both directions. Where pieces are one column, as they come. */
template <int SIZE> struct ColumnSums {
    static constexpr int QUADS = SIZE / 4, HALF = QUADS > 1 ? 4 * COLUMN_LANES + 16 : 4 * COLUMN_LANES;
    alignas(16) float sum[ROW_LANES][QUADS ? (QUADS - 1) * HALF + 4 * COLUMN_LANES : COLUMN_LANES];
    static __device__ __forceinline__ int place(int column) {
        return QUADS ? column / 4 % (QUADS ? QUADS : 1) * HALF + column / SIZE * 4 + column % 4 : column;
    }
};
__device__ __forceinline__ int column_lane() { return threadIdx.x % COLUMN_LANES; }
__device__ __forceinline__ int row_lane() { return threadIdx.x / COLUMN_LANES; }

/* From the sums of each thread's columns: thread t < 16 SIZE gets the total of the block's column t. For all
 * threads of the block. */
template <int SIZE> __device__ __forceinline__ float column_total(const float sum[SIZE]) {
    using Sums = ColumnSums<SIZE>;
    auto &s = shared_memory<Sums>();
    float *row = s.sum[row_lane()];
    if constexpr (Sums::QUADS == 0) row[column_lane()] = sum[0];
#pragma unroll
    for (int h = 0; h < Sums::QUADS; h++) {
        Pack<float> quad;
#pragma unroll
        for (int e = 0; e < 4; e++) quad[e] = sum[4 * h + e];
        quad.store(row + h * Sums::HALF, column_lane());
    }
    if (!MUTANT(30)) __syncthreads();
    float total = 0;
    if (threadIdx.x < COLUMN_LANES * SIZE)
        for (int r = 0; r < ROW_LANES; r++) total += s.sum[r][Sums::place((int)threadIdx.x)];
    return total;
}

/* out[d] (+)= the sum of partials[g][d], g in order. */
static __global__ void sum_partials(float *out, const float *partials, int n_groups, int64_t D, int is_plus) {
    const int64_t d = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (d >= D) return;
    float sum = 0;
    for (int g = 0; g < n_groups; g++) sum += partials[g * D + d];
    out[d] = is_plus ? out[d] + sum : sum;
}
static inline hone_status fold_partials(hone_queue *q, const hone_tensor &out, const hone_tensor &plus,
                                        const float *partials, int n_groups) {
    const int64_t D = out.dim[0];
    return launch(q, sum_partials, (unsigned)ceil_div(D, 128), 128, 0, ptr<float>(out), partials, n_groups, D,
                  plus.p != NULL);
}
#endif
