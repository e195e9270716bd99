/* rng.cuh - the random numbers of dropout, as include/hone/device.h lays them out. Plain version: kernels/ref/philox.h. */
#ifndef CUDA_RNG_CUH
#define CUDA_RNG_CUH
#include "common.cuh"

/* The dropout of one place, as kernels take it. threshold 0: nothing is dropped and tick is not read. */
struct Drop {
    const hone_tick *tick;
    uint32_t site, threshold; /* kept if a 16-bit number is >= threshold */
    float scale;              /* of what is kept: 65536 / (65536 - threshold) */
};
static inline Drop drop_of(const hone_call *c, float p, int32_t site) {
    const uint32_t threshold = (uint32_t)((double)p * 65536 + 0.5);
    return {c->tick, (uint32_t)site, threshold, 65536.0f / (float)(65536 - threshold)};
}

/* Philox4x32 (Salmon et al., SC 2011). */
__device__ __forceinline__ uint4 philox(uint32_t x0, uint32_t x1, uint32_t x2, uint32_t x3, uint32_t k0, uint32_t k1) {
#pragma unroll
    for (int round = 0; round < HONE_PHILOX_ROUNDS; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
        const uint64_t a = (uint64_t)0xD2511F53u * x0, b = (uint64_t)0xCD9E8D57u * x2;
        x0 = (uint32_t)(b >> 32) ^ x1 ^ k0;
        x1 = (uint32_t)b;
        x2 = (uint32_t)(a >> 32) ^ x3 ^ k1;
        x3 = (uint32_t)a;
    }
    return uint4{x0, x1, x2, x3};
}

/* The numbers of columns 8 eight .. 8 eight + 7 of a row: column e reads half e & 1 of word e >> 1. */
__device__ __forceinline__ uint4 drop_row8(const Drop &d, hone_key key, uint32_t eight) {
    return philox(eight, key.position, key.sample, 0, d.tick->step_key[0] ^ d.site, d.tick->step_key[1]);
}
/* x of column e after dropout with the numbers of its eight. */
__device__ __forceinline__ float drop_one(const Drop &d, uint4 numbers, int e, float x) {
    const uint32_t word[4] = {numbers.x, numbers.y, numbers.z, numbers.w};
    return (word[e >> 1] >> 16 * (e & 1) & 0xffff) >= d.threshold ? x * d.scale : 0.0f;
}
/* The elements of pack i of a row after dropout. */
template <typename T> __device__ __forceinline__ void drop_pack(const Drop &d, hone_key key, int i, float *v) {
    constexpr int E = Pack<T>::size;
    uint4 numbers = drop_row8(d, key, (uint32_t)(i * E / 8));
    if (E == 4 && i % 2) numbers.x = numbers.z, numbers.y = numbers.w;
#pragma unroll
    for (int e = 0; e < E; e++) v[e] = drop_one(d, numbers, e, v[e]);
}
/* x of column c alone: the whole call for one of its eight numbers. */
__device__ __forceinline__ float drop_column(const Drop &d, hone_key key, int64_t c, float x) {
    const uint4 numbers = drop_row8(d, key, (uint32_t)(c / 8));
    const uint32_t word = c & 4 ? (c & 2 ? numbers.w : numbers.z) : (c & 2 ? numbers.y : numbers.x);
    return (word >> 16 * (c & 1) & 0xffff) >= d.threshold ? x * d.scale : 0.0f;
}
#endif
