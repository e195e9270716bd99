/* mma.cuh - tensor cores of sm_80: d[16,8] += a[16,16] b[16,8], 2-byte elements, fp32 sums.
 *
 * Fragments, g = lane / 4, t = lane % 4 (PTX ISA, "Matrix fragments for mma.m16n8k16"):
 *   a[0] (g; 2t, 2t+1)   a[1] (g+8; same)   a[2] (g; 2t+8, 2t+9)   a[3] (g+8; same)
 *   b[0] (2t, 2t+1; g)   b[1] (2t+8, 2t+9; g)
 *   d[0] d[1] (g; 2t, 2t+1)   d[2] d[3] (g+8; same) */
#ifndef CUDA_PTX_MMA_CUH
#define CUDA_PTX_MMA_CUH

template <typename T> __device__ __forceinline__ void mma16816(float d[4], const uint32_t a[4], const uint32_t b[2]);
#ifdef __CUDACC__
template <>
__device__ __forceinline__ void mma16816<bf16>(float d[4], const uint32_t a[4], const uint32_t b[2]) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
template <>
__device__ __forceinline__ void mma16816<f16>(float d[4], const uint32_t a[4], const uint32_t b[2]) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
#else
template <> inline void mma16816<bf16>(float d[4], const uint32_t a[4], const uint32_t b[2]) {
    cuemu::mma16816(d, a, b, cuemu::bf16_value);
}
template <> inline void mma16816<f16>(float d[4], const uint32_t a[4], const uint32_t b[2]) {
    cuemu::mma16816(d, a, b, cuemu::half_value);
}
#endif
#endif
