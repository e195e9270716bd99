/* reduce.cu - sums over flat ranges, and a hash of their bits.
 *   SUM    in  x [M] fp32                  out  s [1] fp32      one block, in fp64
 *   SQSUM  in  g [P] fp32, chunk [Q,3]     out  part [Q] fp32   a block a chunk of up to 8,192 elements
 *   HASH   in  x [P] of 2 or 4 bytes       out  h [Q] i32       a block 65,536 elements
 * A thread adds every 256th element or pack, then a fixed tree the threads: zeros at the end, as tails of rungs
 * have them, change no bit. Floor: x once.
 * Plain version: kernels/ref/reduce.inc; cases: kernels/cases/reduce.c. */
#include "block.cuh"

extern "C" {
#include "ops.h"
}

__global__ void __launch_bounds__(BLOCK_THREADS) sum_block(float *s, const float *x, int64_t M, int is_plus) {
    double sum = 0;
#pragma unroll 4
    for (int64_t m = threadIdx.x; m < M; m += BLOCK_THREADS) sum += (double)x[m];
    sum = block_sum(sum);
    if (threadIdx.x == 0) s[0] = (float)(is_plus ? (double)s[0] + sum : sum);
}
hone_status sum(hone_queue *q, const hone_call *c) {
    return launch(q, sum_block, 1, BLOCK_THREADS, sizeof(BlockSums<double>), ptr<float>(c->out[0]),
                  (const float *)c->in[0].p, c->in[0].dim[0], c->in[1].p != NULL);
}

/* Unscales before it squares: at a loss scale of 65,536 the square of a sound gradient would overflow. */
__global__ void __launch_bounds__(BLOCK_THREADS)
    sqsum_chunks(float *part, const float *g, Chunks chunk, const hone_tick *tick, int is_packed) {
    const Chunk range = chunk.at(blockIdx.x);
    const float unscale = 1.0f / loss_scale_of(tick);
    const int n_packs = is_packed ? range.n / 4 : 0;
    float sum = 0;
    g += range.first;
#pragma unroll 8
    for (int i = threadIdx.x; i < n_packs; i += BLOCK_THREADS) {
        const Pack<float> x = Pack<float>::load(g, i);
        for (int e = 0; e < 4; e++) sum = fmaf(x[e] * unscale, x[e] * unscale, sum);
    }
    for (int i = n_packs * 4 + threadIdx.x; i < range.n; i += BLOCK_THREADS)
        sum = fmaf(g[i] * unscale, g[i] * unscale, sum);
    sum = block_sum(sum);
    if (threadIdx.x == 0) part[blockIdx.x] = sum;
}
hone_status sqsum(hone_queue *q, const hone_call *c) {
    return launch(q, sqsum_chunks, (unsigned)c->in[1].dim[0], BLOCK_THREADS, sizeof(BlockSums<float>),
                  ptr<float>(c->out[0]), (const float *)c->in[0].p, chunks(c->in[1]), c->tick,
                  (uintptr_t)c->in[0].p % 16 == 0);
}

/* Murmur3's last mix. */
__device__ __forceinline__ uint32_t mix32(uint32_t x) {
    x = (x ^ x >> 16) * 0x85EBCA6Bu;
    x = (x ^ x >> 13) * 0xC2B2AE35u;
    return x ^ x >> 16;
}
/* What element i of the chunk adds. */
__device__ __forceinline__ uint32_t hash_one(uint32_t bits, int i) {
    return mix32(bits + (uint32_t)(i + 1) * 0x9E3779B9u);
}

/* U: unsigned integers of the element's size. */
template <typename U>
__global__ void __launch_bounds__(BLOCK_THREADS)
    hash_chunks(int32_t *h, const U *x, int64_t P, int is_packed) {
    constexpr int CHUNK = 65536, SIZE = Pack<U>::size;
    const int64_t first = (int64_t)blockIdx.x * CHUNK, left = P - first;
    const int n = left > CHUNK ? CHUNK : left > 0 ? (int)left : 0, n_packs = is_packed ? n / SIZE : 0;
    uint32_t sum = 0;
    x += first;
#pragma unroll 4
    for (int i = threadIdx.x; i < n_packs; i += BLOCK_THREADS) {
        const Pack<U> pack = Pack<U>::load(x, i);
#pragma unroll
        for (int e = 0; e < SIZE; e++) sum += hash_one(pack[e], i * SIZE + e);
    }
    for (int i = n_packs * SIZE + threadIdx.x; i < n; i += BLOCK_THREADS) sum += hash_one(x[i], i);
    sum = block_sum(sum);
    if (threadIdx.x == 0) h[blockIdx.x] = (int32_t)sum;
}
template <typename U> static hone_status hash_of(hone_queue *q, const hone_call *c) {
    return launch(q, hash_chunks<U>, (unsigned)c->out[0].dim[0], BLOCK_THREADS, sizeof(BlockSums<uint32_t>),
                  ptr<int32_t>(c->out[0]), (const U *)c->in[0].p, c->in[0].dim[0],
                  (uintptr_t)c->in[0].p % 16 == 0);
}
hone_status hash(hone_queue *q, const hone_call *c) {
    return c->in[0].dtype == HONE_F32 ? hash_of<uint32_t>(q, c) : hash_of<uint16_t>(q, c);
}
