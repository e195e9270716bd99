/* cuda_runtime.h - the few words of CUDA that kernels/cuda uses, for a C++ compiler: qualifiers, built-in variables,
 * collectives, and the runtime calls, on cuemu. Found before the toolkit's header of that name in the emulated build.
 *
 * Streams keep what they are given and run it late: when they are waited for, or when a wait for one of their events
 * comes due. Work that is not ordered by stream or event therefore runs in the wrong order here. */
#ifndef EMU_CUDA_RUNTIME_H
#define EMU_CUDA_RUNTIME_H
#include "cuemu.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __restrict__ __restrict
#define __launch_bounds__(...)
#define __grid_constant__

#if defined(HONE_EMU_MUTANT) || defined(HONE_EMU_COUNT)
#define MUTANT(n) (cuemu::mutant == (n)) /* in a kernel: its seeded bug number n, if that is switched on */
#endif

/* threadIdx and its like are objects, not macros: launches have members of these names. */
namespace cuemu {
template <const dim3 &(*WHERE)(), unsigned dim3::*AXIS> struct coordinate {
    operator unsigned() const { return WHERE().*AXIS; }
};
template <const dim3 &(*WHERE)()> struct coordinates {
    coordinate<WHERE, &dim3::x> x;
    coordinate<WHERE, &dim3::y> y;
    coordinate<WHERE, &dim3::z> z;
};
} // namespace cuemu
static const cuemu::coordinates<cuemu::thread_index> threadIdx{};
static const cuemu::coordinates<cuemu::block_index> blockIdx{};
static const cuemu::coordinates<cuemu::block_extent> blockDim{};
static const cuemu::coordinates<cuemu::grid_extent> gridDim{};

#define __syncthreads() cuemu::barrier(__LINE__)
#define __syncwarp(...) cuemu::sync_warp(__LINE__, ##__VA_ARGS__)
#define __shfl_xor_sync(mask, x, o) cuemu::shuffle(mask, x, (unsigned)(cuemu::lane() ^ (o)), cuemu::MEET_SHUFFLE_XOR, __LINE__)
#define __shfl_sync(mask, x, from) cuemu::shuffle(mask, x, (unsigned)(from), cuemu::MEET_SHUFFLE, __LINE__)
#define __ballot_sync(mask, predicate) cuemu::ballot(mask, predicate, __LINE__)

inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline float __fdividef(float a, float b) { return a / b; }
template <typename T> inline T min(T a, T b) { return b < a ? b : a; }
template <typename T> inline T max(T a, T b) { return a < b ? b : a; }
inline float __ldg(const float *p) { return *p; }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __popc(unsigned x) { return __builtin_popcount(x); }

/* ---- the runtime ---------------------------------------------------------------------------------------------*/
typedef enum {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorMemoryAllocation = 2,
    cudaErrorInsufficientDriver = 35,
    cudaErrorDevicesUnavailable = 46,
    cudaErrorInvalidDeviceFunction = 98,
    cudaErrorNoDevice = 100,
    cudaErrorInvalidDevice = 101,
    cudaErrorNoKernelImageForDevice = 209,
    cudaErrorECCUncorrectable = 214,
    cudaErrorNvlinkUncorrectable = 220,
    cudaErrorNotReady = 600,
    cudaErrorIllegalAddress = 700,
    cudaErrorSystemNotReady = 802,
    cudaErrorSystemDriverMismatch = 803,
    cudaErrorUnknown = 999
} cudaError_t;
typedef struct cuemu_stream *cudaStream_t;
typedef struct cuemu_event *cudaEvent_t;
typedef struct cuemu_graph *cudaGraph_t;
typedef struct cuemu_graph_exec *cudaGraphExec_t;
typedef enum { cudaMemcpyHostToHost, cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice, cudaMemcpyDefault } cudaMemcpyKind;
typedef struct {
    int numRegs;
} cudaFuncAttributes;
typedef enum { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 } cudaFuncAttribute;
typedef enum { cudaStreamCaptureModeGlobal, cudaStreamCaptureModeThreadLocal, cudaStreamCaptureModeRelaxed } cudaStreamCaptureMode;
enum {
    cudaStreamNonBlocking = 1,
    cudaEventDefault = 0,
    cudaEventDisableTiming = 2,
    cudaHostAllocDefault = 0
};

typedef struct {
    char name[256];
    size_t totalGlobalMem, sharedMemPerBlockOptin;
    int major, minor, multiProcessorCount, clockRate, l2CacheSize;
} cudaDeviceProp;
typedef struct {
    dim3 gridDim, blockDim;
    size_t dynamicSmemBytes;
    cudaStream_t stream;
    void *attrs;
    unsigned numAttrs;
} cudaLaunchConfig_t;

const char *cudaGetErrorString(cudaError_t error);
const char *cudaGetErrorName(cudaError_t error);
cudaError_t cudaGetLastError(void);
cudaError_t cudaGetDeviceCount(int *n);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp *out, int device);
cudaError_t cudaDriverGetVersion(int *version);
cudaError_t cudaRuntimeGetVersion(int *version);
cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *all_bytes);
cudaError_t cudaMalloc(void **out, size_t bytes);
cudaError_t cudaFree(void *p);
cudaError_t cudaHostAlloc(void **out, size_t bytes, unsigned flags);
cudaError_t cudaFreeHost(void *p);
cudaError_t cudaMemset(void *p, int value, size_t bytes);
cudaError_t cudaMemsetAsync(void *p, int value, size_t bytes, cudaStream_t stream);
cudaError_t cudaMemset2DAsync(void *p, size_t pitch, int value, size_t width, size_t height, cudaStream_t stream);
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *out, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *out, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventQuery(cudaEvent_t event);
cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t from, cudaEvent_t to);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *out);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t *out, cudaGraph_t graph, unsigned long long flags);
cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t stream);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph);
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes *out, const void *kernel);
cudaError_t cudaDeviceSynchronize(void);
cudaError_t cudaFuncSetAttribute(const void *kernel, cudaFuncAttribute attribute, int value);

namespace cuemu {
cudaError_t enqueue(cudaStream_t stream, std::function<void()> job); /* at the end of the stream, or of its capture */
cudaError_t enqueue_until(cudaStream_t stream, std::function<bool()> work); /* asked for again while it says false */
cudaError_t check_launch(const void *kernel, const cudaLaunchConfig_t *config);
void launch(cudaStream_t stream, grid g, const std::function<void()> &body); /* with the stream's OS threads and order */
/* Kernels of the stream run on n OS threads, and if n is even the last block and thread begin: a device opened with 1,
 * 2 and 3 threads must give the same bits. */
void set_workers(cudaStream_t stream, int n);
int workers(cudaStream_t stream);
/* A function of the emulated cuDNN, by its name; NULL: it has none of that name. */
void *cudnn_symbol(const char *name);
bool cudnn_is_there();
} // namespace cuemu

template <typename... P, typename... A>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t *config, void (*kernel)(P...), A... args) {
    const cudaError_t refused = cuemu::check_launch((const void *)kernel, config);
    if (refused != cudaSuccess) return refused;
    const cudaLaunchConfig_t c = *config;
    return cuemu::enqueue(c.stream, [=] {
        cuemu::grid g;
        g.blocks = c.gridDim, g.threads = c.blockDim, g.shared_bytes = c.dynamicSmemBytes, g.kernel = (const void *)kernel;
        cuemu::launch(c.stream, g, [=] { kernel(static_cast<P>(args)...); });
    });
}
#endif
