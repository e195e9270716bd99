/* ldst.cuh - accesses of 16 bytes, a block's dynamic shared memory, ldmatrix. */
#ifndef CUDA_PTX_LDST_CUH
#define CUDA_PTX_LDST_CUH

/* One access of 16 bytes; p is a multiple of 16. */
__device__ __forceinline__ uint4 load16(const void *p) {
#ifdef __CUDACC__
    return *static_cast<const uint4 *>(p);
#else
    return cuemu::load16(p);
#endif
}
__device__ __forceinline__ void store16(void *p, uint4 x) {
#ifdef __CUDACC__
    *static_cast<uint4 *>(p) = x;
#else
    cuemu::store16(p, x);
#endif
}

/* One access of 8 bytes; p is a multiple of 8. */
__device__ __forceinline__ void store8(void *p, uint2 x) {
#ifdef __CUDACC__
    *static_cast<uint2 *>(p) = x;
#else
    memcpy(p, &x, 8);
#endif
}

/* The block's dynamic shared memory as one struct: launch with sizeof(S). scripts/kernel-report finds its size as a
 * comment in the PTX, since ptxas sees none of it. */
template <typename S> __device__ __forceinline__ S &shared_memory() {
#ifdef HONE_KERNEL_REPORT
    asm volatile("// shared bytes: %0" ::"n"((int)sizeof(S)));
#endif
#ifdef __CUDACC__
    extern __shared__ __align__(1024) unsigned char hone_dynamic_shared[];
    return *reinterpret_cast<S *>(hone_dynamic_shared);
#else
    return *reinterpret_cast<S *>(cuemu::dynamic_shared());
#endif
}

/* Address of shared memory as PTX wants it. */
#ifdef __CUDACC__
__device__ __forceinline__ unsigned shared_address(const void *p) { return (unsigned)__cvta_generic_to_shared(p); }
#endif

/* Four 8 x 8 matrices of 2-byte elements: lane l gives the address of row l % 8 of matrix l / 8 (16 bytes, shared), and
 * gets in r[m] elements (2 t, 2 t + 1) of row g of matrix m, g = lane / 4, t = lane % 4; transposed if TRANS. */
template <bool TRANS> __device__ __forceinline__ void ldmatrix4(uint32_t r[4], const void *row) {
#ifdef __CUDACC__
    if (TRANS)
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                     : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                     : "r"(shared_address(row))
                     : "memory");
    else
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                     : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                     : "r"(shared_address(row))
                     : "memory");
#else
    cuemu::ldmatrix4(r, row, TRANS);
#endif
}
#endif
