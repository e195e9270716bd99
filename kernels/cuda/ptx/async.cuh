/* async.cuh - copies from global to shared memory that arrive later (sm_80's cp.async). A group is what a thread copied
 * since its last commit; async_wait<N> returns when all but its N newest groups have arrived. Other threads see the
 * data only after a barrier. */
#ifndef CUDA_PTX_ASYNC_CUH
#define CUDA_PTX_ASYNC_CUH

/* 16 bytes; both addresses multiples of 16. is_there 0: zeros, and from is not read. */
__device__ __forceinline__ void async_copy16(void *shared, const void *from, bool is_there) {
#ifdef __CUDACC__
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)), "l"(from),
                 "r"(is_there ? 16 : 0)
                 : "memory");
#else
    cuemu::async_copy16(shared, from, is_there);
#endif
}
__device__ __forceinline__ void async_commit() {
#ifdef __CUDACC__
    asm volatile("cp.async.commit_group;" ::: "memory");
#else
    cuemu::async_commit();
#endif
}
template <int N> __device__ __forceinline__ void async_wait() {
#ifdef __CUDACC__
    asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
#else
    cuemu::async_wait(N);
#endif
}
#endif
