/* math.cuh - the special function unit, and bytes of two words. */
#ifndef CUDA_PTX_MATH_CUH
#define CUDA_PTX_MATH_CUH

/* 2^x, relative error 2^-22; -inf gives 0. */
__device__ __forceinline__ float exp2_fast(float x) {
#ifdef __CUDACC__
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
#else
    return cuemu::exp2_counted(x);
#endif
}
__device__ __forceinline__ float log2_fast(float x) {
#ifdef __CUDACC__
    float y;
    asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
#else
    return log2f(x);
#endif
}
/* Byte i of the result is byte (selector >> 4 i & 7) of b:a. */
__device__ __forceinline__ uint32_t byte_permute(uint32_t a, uint32_t b, uint32_t selector) {
#ifdef __CUDACC__
    return __byte_perm(a, b, selector);
#else
    const uint64_t both = (uint64_t)b << 32 | a;
    uint32_t r = 0;
    for (int i = 0; i < 4; i++) r |= (uint32_t)(both >> 8 * (selector >> 4 * i & 7) & 255) << 8 * i;
    return r;
#endif
}
#endif
