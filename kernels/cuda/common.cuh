/* common.cuh - what every file of the cuda device shares: element types, packs of 16 bytes, sums over a warp, launches.
 *
 * The same sources are built twice: by nvcc for a GPU, and by a C++ compiler against kernels/emu, whose cuda_runtime.h
 * runs every CUDA thread as a fiber on the CPU. So kernels use what both have: no <<<>>>, no static __shared__ (the
 * dynamic one comes as one struct from shared_memory()), no cooperative groups, and PTX only in ptx/.
 *
 * A kernel checks nothing: shapes and types were checked by limits.c when the plan was made. Rows played (dim[0]) may
 * be more than the batch's count: tail rows are data (plan.md, section 4). Sums run in a fixed order that depends on
 * shapes alone: no atomics on floats, no split by the number of multiprocessors. */
#ifndef CUDA_COMMON_CUH
#define CUDA_COMMON_CUH
#include <cuda_runtime.h>

#include <stddef.h>
#include <stdint.h>

extern "C" {
#include "hone/device.h"
}
/* MUTANT(n): a seeded bug that tests switch on in the emulated device, to see that they would find it. */
#ifndef MUTANT
#define MUTANT(n) false
#endif
#include "ptx/convert.cuh"
#include "ptx/ldst.cuh"
#include "ptx/math.cuh"

struct hone_device {
    const hone_host_v1 *host;
    int ordinal;
    cudaDeviceProp properties;
    struct products *products; /* products.cu: the library's handle, chosen algorithms */
    struct cudnn_state *cudnn; /* cudnn.cu: NULL until a call asks for it */
};
struct hone_queue {
    hone_device *device;
    cudaStream_t stream;
    hone_op first, last; /* of the calls given since the last wait */
    int n_calls, captures;
};

/* ---- elements ------------------------------------------------------------------------------------------------*/
/* 16 bytes of a row: one memory access. Addresses are multiples of 16. */
template <typename T> struct alignas(16) Pack {
    static constexpr int size = 16 / sizeof(T);
    T v[size];
    static __device__ __forceinline__ Pack load(const T *p, int64_t i = 0) {
        const uint4 u = load16(p + i * size);
        return reinterpret_cast<const Pack &>(u);
    }
    __device__ __forceinline__ void store(T *p, int64_t i = 0) const {
        store16(p + i * size, reinterpret_cast<const uint4 &>(*this));
    }
    __device__ __forceinline__ T &operator[](int e) { return v[e]; }
    __device__ __forceinline__ const T &operator[](int e) const { return v[e]; }
};

/* May rows of this tensor be read in packs? */
template <typename T> inline bool is_packed(const hone_tensor &t) {
    return (uintptr_t)t.p % 16 == 0 && t.ld * sizeof(T) % 16 == 0 && t.dim[1] * t.dim[2] * sizeof(T) % 16 == 0;
}
template <typename T> inline T *ptr(const hone_tensor &t) { return static_cast<T *>(t.p); }
inline int64_t width(const hone_tensor &t) { return t.dim[1] * t.dim[2]; }
__host__ __device__ constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/* fn<T>(...) for a compute type. */
#define BY_TYPE(dtype, fn, ...)                                                                              \
    ((dtype) == HONE_F32 ? fn<float>(__VA_ARGS__) : (dtype) == HONE_BF16 ? fn<bf16>(__VA_ARGS__) : fn<f16>(__VA_ARGS__))

/* ---- warps ---------------------------------------------------------------------------------------------------*/
constexpr unsigned ALL_LANES = 0xffffffffu;
/* Every lane gets the sum (largest) of all: a butterfly, so in one fixed order. LANES: of a half, quarter ... warp. */
template <int LANES = 32> __device__ __forceinline__ float warp_sum(float x) {
    for (int o = LANES / 2; o > 0; o /= 2) x += __shfl_xor_sync(ALL_LANES, x, o);
    return x;
}
template <int LANES = 32> __device__ __forceinline__ float warp_max(float x) {
    for (int o = LANES / 2; o > 0; o /= 2) x = fmaxf(x, __shfl_xor_sync(ALL_LANES, x, o));
    return x;
}

/* ---- launches ------------------------------------------------------------------------------------------------*/
/* What went wrong goes to the log with the kernel's op; the sticky state is cleared. */
hone_status cuda_failed(const hone_queue *q, const char *what, cudaError_t error);

/* Launch kernel(args...) on the queue. No blocks: nothing to do. */
template <typename... P, typename... A>
hone_status launch(hone_queue *q, void (*kernel)(P...), dim3 blocks, unsigned threads, size_t shared_bytes, A... args) {
    if (blocks.x == 0 || blocks.y == 0 || blocks.z == 0) return HONE_OK;
    cudaError_t error = cudaSuccess;
    if (shared_bytes > 48 * 1024)
        error = cudaFuncSetAttribute((const void *)kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared_bytes);
    cudaLaunchConfig_t config = {};
    config.gridDim = blocks;
    config.blockDim = dim3(threads);
    config.dynamicSmemBytes = shared_bytes;
    config.stream = q->stream;
    if (error == cudaSuccess) error = cudaLaunchKernelEx(&config, kernel, static_cast<P>(args)...);
    return error == cudaSuccess ? HONE_OK : cuda_failed(q, "a launch", error);
}
#endif
