/* convert.cuh - the 2-byte floating types as bits, and their conversions, nearest even. */
#ifndef CUDA_PTX_CONVERT_CUH
#define CUDA_PTX_CONVERT_CUH

struct bf16 {
    uint16_t bits; /* the upper half of an fp32 */
};
struct f16 {
    uint16_t bits; /* IEEE 754 binary16 */
};

__device__ __forceinline__ float bits_float(uint32_t bits) {
#ifdef __CUDACC__
    return __uint_as_float(bits);
#else
    float x;
    memcpy(&x, &bits, 4);
    return x;
#endif
}
__device__ __forceinline__ uint32_t float_bits(float x) {
#ifdef __CUDACC__
    return __float_as_uint(x);
#else
    uint32_t bits;
    memcpy(&bits, &x, 4);
    return bits;
#endif
}

__device__ __forceinline__ float to_float(float x) { return x; }
__device__ __forceinline__ float to_float(bf16 x) { return bits_float((uint32_t)x.bits << 16); }
__device__ __forceinline__ float to_float(f16 x) {
#ifdef __CUDACC__
    float y;
    asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x.bits));
    return y;
#else
    return cuemu::half_value(x.bits);
#endif
}

template <typename T> __device__ __forceinline__ T from_float(float x);
template <> __device__ __forceinline__ float from_float<float>(float x) { return x; }
template <> __device__ __forceinline__ bf16 from_float<bf16>(float x) {
    bf16 y;
#ifdef __CUDACC__
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
#else
    y.bits = cuemu::bf16_bits(x);
#endif
    return y;
}
template <> __device__ __forceinline__ f16 from_float<f16>(float x) {
    f16 y;
#ifdef __CUDACC__
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
#else
    y.bits = cuemu::half_bits(x);
#endif
    return y;
}

/* Two elements in a register, `low` in the low half, as mma fragments hold them. */
template <typename T> __device__ __forceinline__ uint32_t pack2(float low, float high) {
    return from_float<T>(low).bits | (uint32_t)from_float<T>(high).bits << 16;
}
#ifdef __CUDACC__
template <> __device__ __forceinline__ uint32_t pack2<bf16>(float low, float high) {
    uint32_t r;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
    return r;
}
template <> __device__ __forceinline__ uint32_t pack2<f16>(float low, float high) {
    uint32_t r;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
    return r;
}
#endif
template <typename T> __device__ __forceinline__ float low_float(uint32_t pair) { return to_float(T{(uint16_t)pair}); }
template <typename T> __device__ __forceinline__ float high_float(uint32_t pair) {
    return to_float(T{(uint16_t)(pair >> 16)});
}
#endif
