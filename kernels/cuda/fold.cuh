/* fold.cuh - column sums in two stages, in an order that shapes alone decide. First GROUPS groups of rows,
 * group g the eights of rows g, g + GROUPS, ... from the first, each leave a partial row in the call's
 * workspace; then a second launch adds those in a fixed tree. A group without rows counts as zero, so rows
 * that add nothing change no bit. */
#ifndef CUDA_FOLD_CUH
#define CUDA_FOLD_CUH
#include "common.cuh"

extern "C" {
#include "limits.h"
}

constexpr int GROUPS = CUDA_ROW_GROUPS, EIGHT = CUDA_GROUP_ROWS;

constexpr int FOLD_COLUMNS = 32, FOLD_LANES = 8;
struct FoldShared {
    float sum[FOLD_LANES][FOLD_COLUMNS];
};
/* Sums of one launch: partial [groups,ld] -> to [D], added to what is there if adds. */
constexpr int MAX_FOLDS = 3;
struct Folds {
    float *to[MAX_FOLDS];
    const float *partial[MAX_FOLDS];
    int adds[MAX_FOLDS], n, n_groups;
    int64_t width, ld;
};

/* A block takes 32 columns of sum blockIdx.y: lane l adds groups l, l + 8, ..., then the lanes meet in a
 * tree. */
static __global__ void fold_groups(const __grid_constant__ Folds f) {
    FoldShared &shared = shared_memory<FoldShared>();
    const int column = threadIdx.x % FOLD_COLUMNS, lane = threadIdx.x / FOLD_COLUMNS, k = blockIdx.y;
    const int64_t d = (int64_t)blockIdx.x * FOLD_COLUMNS + column;
    float sum = 0;
#pragma unroll
    for (int i = 0; i < GROUPS / FOLD_LANES; i++) {
        const int g = i * FOLD_LANES + lane;
        if (g < f.n_groups && d < f.width) sum += f.partial[k][g * f.ld + d];
    }
    shared.sum[lane][column] = sum;
    for (int half = FOLD_LANES / 2; half > 0; half /= 2) {
        __syncthreads();
        if (lane < half) shared.sum[lane][column] += shared.sum[lane + half][column];
    }
    if (lane == 0 && d < f.width) f.to[k][d] = (f.adds[k] ? f.to[k][d] : 0) + shared.sum[0][column];
}

/* The sum `to`, whose partial rows are the next in the workspace; NULL where it is not bound. */
static inline float *fold_add(Folds *f, const hone_call *c, const hone_tensor &to, const hone_tensor &plus) {
    if (!to.p) return NULL;
    float *partial = (float *)c->work + f->n * GROUPS * f->ld;
    f->to[f->n] = ptr<float>(to);
    f->partial[f->n] = partial;
    f->adds[f->n++] = plus.p != NULL;
    return partial;
}
static inline Folds fold_begin(const hone_queue *q, int64_t rows, int64_t width) {
    Folds f = {};
    const int64_t eights = ceil_div(rows, EIGHT),
                  most = MUTANT(21) && q->device->properties.multiProcessorCount < GROUPS
                             ? q->device->properties.multiProcessorCount
                             : GROUPS;
    f.n_groups = (int)(eights < most ? eights : most);
    f.width = width;
    f.ld = ceil_div(width, 4) * 4;
    return f;
}
static inline hone_status fold(hone_queue *q, const Folds &f) {
    return launch(q, fold_groups, dim3((unsigned)ceil_div(f.width, FOLD_COLUMNS), (unsigned)f.n),
                  FOLD_COLUMNS * FOLD_LANES, sizeof(FoldShared), f);
}
#endif
