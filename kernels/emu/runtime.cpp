/* runtime.cpp - the runtime calls: host memory as device memory, streams that run late, events, graphs. */
#include "control.h"
#include "cuda_runtime.h"
#include "machine.h"
#include "nvtx3/nvToolsExt.h"

#include <deque>
#include <map>
#include <mutex>
#include <stdlib.h>
#include <unistd.h>
#include <vector>

typedef std::function<bool()> job; /* false: it cannot be done yet, and is asked for again */

struct cuemu_event {
    unsigned flags;
    cudaStream_t stream = nullptr; /* recorded there, after so many jobs */
    uint64_t after = 0;
};
struct cuemu_stream {
    std::deque<job> waiting;
    uint64_t n_given = 0, n_done = 0;
    std::vector<job> *capture = nullptr;
    int n_workers = 1;
};
struct cuemu_graph {
    std::vector<job> jobs;
};
struct cuemu_graph_exec {
    std::vector<job> jobs;
};

namespace {
std::map<const void *, int> shared_limit; /* dynamic shared memory a kernel has been allowed */
std::mutex guard;

bool run_next(cudaStream_t s) {
    if (!s->waiting.front()()) return false;
    s->waiting.pop_front();
    s->n_done++;
    return true;
}
/* As far as it goes; true: so many jobs are done. */
bool try_until(cudaStream_t s, uint64_t n) {
    while (s->n_done < n)
        if (!run_next(s)) return false;
    return true;
}
void run_until(cudaStream_t s, uint64_t n) {
    while (!try_until(s, n)) usleep(20);
}
} // namespace

extern "C" __attribute__((visibility("default"))) cuemu_state *cuemu_control(void) {
    static cuemu_state state = [] {
        cuemu_state s = {};
        s.driver_version = s.runtime_version = 13000;
        const char *devices = getenv("HONE_EMU_DEVICES"); /* a machine with more than one, for tests of the command */
        s.n_devices = devices ? atoi(devices) : 1;
        s.major = 9;
        s.memory_bytes = (long long)4 << 30;
        s.shared_bytes = 227 * 1024;
        s.n_algorithms = 1;
        s.cudnn_version = 91900;
        s.nccl_version = 22800;
        return s;
    }();
    return &state;
}

namespace cuemu {
cudaError_t enqueue(cudaStream_t s, std::function<void()> work) {
    return enqueue_until(s, [work = std::move(work)] { return work(), true; });
}
cudaError_t enqueue_until(cudaStream_t s, job j) {
    if (!s) return cudaErrorInvalidValue; /* hone uses no default stream */
    if (cuemu_control()->work_error) return (cudaError_t)cuemu_control()->work_error;
    if (s->capture) {
        s->capture->push_back(std::move(j));
        return cudaSuccess;
    }
    s->waiting.push_back(std::move(j));
    s->n_given++;
    return cudaSuccess;
}
void set_workers(cudaStream_t s, int n) { s->n_workers = n < 1 ? 1 : n; }
int workers(cudaStream_t s) { return s->n_workers; }
void launch(cudaStream_t s, grid g, const std::function<void()> &body) {
    g.n_workers = s->n_workers;
    g.reversed = s->n_workers % 2 == 0;
    run_grid(g, body);
}
cudaError_t check_launch(const void *kernel, const cudaLaunchConfig_t *c) {
    const unsigned threads = c->blockDim.x * c->blockDim.y * c->blockDim.z;
    if (threads == 0 || threads > 1024 || c->gridDim.x == 0 || c->gridDim.y > 65535 || c->gridDim.z > 65535)
        return cudaErrorInvalidValue;
    std::lock_guard<std::mutex> lock(guard);
    const auto found = shared_limit.find(kernel);
    const size_t allowed = found == shared_limit.end() ? 48 * 1024 : (size_t)found->second;
    return c->dynamicSmemBytes > allowed ? cudaErrorInvalidValue : cudaSuccess;
}
} // namespace cuemu

struct error_words {
    cudaError_t error;
    const char *name, *text;
};
static const error_words &words_of(cudaError_t error) {
    static const error_words words[] = {
        {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
        {cudaSuccess, "cudaSuccess", "no error"},
        {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
        {cudaErrorInsufficientDriver, "cudaErrorInsufficientDriver", "CUDA driver version is insufficient for CUDA runtime version"},
        {cudaErrorDevicesUnavailable, "cudaErrorDevicesUnavailable", "CUDA-capable device(s) is/are busy or unavailable"},
        {cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
        {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
        {cudaErrorNoKernelImageForDevice, "cudaErrorNoKernelImageForDevice", "no kernel image is available for execution on the device"},
        {cudaErrorECCUncorrectable, "cudaErrorECCUncorrectable", "uncorrectable ECC error encountered"},
        {cudaErrorNvlinkUncorrectable, "cudaErrorNvlinkUncorrectable", "uncorrectable NVLink error detected during the execution"},
        {cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
        {cudaErrorIllegalAddress, "cudaErrorIllegalAddress", "an illegal memory access was encountered"},
        {cudaErrorSystemNotReady, "cudaErrorSystemNotReady", "system not yet initialized"},
        {cudaErrorSystemDriverMismatch, "cudaErrorSystemDriverMismatch", "system has unsupported display driver / cuda driver combination"},
        {cudaErrorUnknown, "cudaErrorUnknown", "unknown error"}};
    for (const error_words &w : words)
        if (w.error == error) return w;
    return words[0];
}
const char *cudaGetErrorString(cudaError_t error) { return words_of(error).text; }
const char *cudaGetErrorName(cudaError_t error) { return words_of(error).name; }

static cudaError_t sticky() { return (cudaError_t)cuemu_control()->work_error; }
cudaError_t cudaGetLastError(void) { return sticky(); }
cudaError_t cudaGetDeviceCount(int *n) {
    const cuemu_state *s = cuemu_control();
    *n = s->n_devices;
    if (s->driver_version / 1000 < s->runtime_version / 1000) return cudaErrorInsufficientDriver;
    return s->count_error ? (cudaError_t)s->count_error : *n ? cudaSuccess : cudaErrorNoDevice;
}
cudaError_t cudaSetDevice(int device) {
    const cuemu_state *s = cuemu_control();
    return device < 0 || device >= s->n_devices ? cudaErrorInvalidDevice : (cudaError_t)s->set_error;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp *out, int device) {
    const cuemu_state *s = cuemu_control();
    if (device < 0 || device >= s->n_devices) return cudaErrorInvalidDevice;
    *out = cudaDeviceProp{};
    strcpy(out->name, "emulated GPU");
    out->totalGlobalMem = (size_t)s->memory_bytes;
    out->sharedMemPerBlockOptin = (size_t)s->shared_bytes;
    out->major = s->major;
    out->minor = s->minor;
    static int n_asked;
    out->multiProcessorCount = 40 + 30 * (n_asked++ % 3); /* another size at each opening: bits that depend on it differ */
    return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int *version) { return *version = cuemu_control()->driver_version, cudaSuccess; }
cudaError_t cudaRuntimeGetVersion(int *version) { return *version = cuemu_control()->runtime_version, cudaSuccess; }
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes *out, const void *) {
    *out = cudaFuncAttributes{};
    return (cudaError_t)cuemu_control()->image_error;
}

/* ---- memory: the device's is host memory, its bytes counted ------------------------------------------------------*/
namespace {
std::map<void *, size_t> device_memory;
size_t device_bytes;
} // namespace
cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *all_bytes) {
    std::lock_guard<std::mutex> lock(guard);
    *all_bytes = (size_t)cuemu_control()->memory_bytes;
    *free_bytes = *all_bytes > device_bytes ? *all_bytes - device_bytes : 0;
    return sticky();
}
static cudaError_t give(void **out, size_t bytes) {
    if (posix_memalign(out, 256, bytes ? bytes : 1)) return cudaErrorMemoryAllocation;
    memset(*out, 0xff, bytes); /* memory is not zero */
    return cudaSuccess;
}
cudaError_t cudaMalloc(void **out, size_t bytes) {
    if (sticky() != cudaSuccess) return sticky();
    std::lock_guard<std::mutex> lock(guard);
    const size_t all = (size_t)cuemu_control()->memory_bytes;
    if (bytes > all || device_bytes > all - bytes || give(out, bytes) != cudaSuccess) return cudaErrorMemoryAllocation;
    device_memory[*out] = bytes;
    device_bytes += bytes;
    if (cuemu::counting) cuemu::count_memory(*out, bytes);
    return cudaSuccess;
}
cudaError_t cudaFree(void *p) {
    std::lock_guard<std::mutex> lock(guard);
    const auto found = device_memory.find(p);
    if (!p) return cudaSuccess;
    if (found == device_memory.end()) return cudaErrorInvalidValue; /* pinned memory, for one */
    if (cuemu::counting) cuemu::count_memory(p, 0);
    device_bytes -= found->second;
    device_memory.erase(found);
    return free(p), cudaSuccess;
}
cudaError_t cudaHostAlloc(void **out, size_t bytes, unsigned) { return sticky() == cudaSuccess ? give(out, bytes) : sticky(); }
cudaError_t cudaFreeHost(void *p) { return free(p), cudaSuccess; }
cudaError_t cudaMemset(void *p, int value, size_t bytes) { return memset(p, value, bytes), cudaSuccess; }
cudaError_t cudaMemsetAsync(void *p, int value, size_t bytes, cudaStream_t s) {
    return cuemu::enqueue(s, [=] { memset(p, value, bytes); });
}
cudaError_t cudaMemset2DAsync(void *p, size_t pitch, int value, size_t width, size_t height, cudaStream_t s) {
    return cuemu::enqueue(s, [=] {
        for (size_t row = 0; row < height; row++) memset((char *)p + row * pitch, value, width);
    });
}
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind, cudaStream_t s) {
    return cuemu::enqueue(s, [=] {
        if (bytes) memcpy(to, from, bytes);
    });
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *out, unsigned) { return *out = new cuemu_stream, cudaSuccess; }
cudaError_t cudaStreamDestroy(cudaStream_t s) { return delete s, cudaSuccess; }
cudaError_t cudaStreamSynchronize(cudaStream_t s) {
    if (sticky() == cudaSuccess) run_until(s, s->n_given);
    return sticky();
}
cudaError_t cudaDeviceSynchronize(void) { return sticky(); }
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *out, unsigned flags) {
    return *out = new cuemu_event{flags}, cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t e) { return delete e, cudaSuccess; }
cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t s) {
    e->stream = s;
    e->after = s->n_given;
    return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t s, cudaEvent_t e, unsigned) {
    const cudaStream_t other = e->stream;
    const uint64_t after = e->after;
    return !other || other == s ? cudaSuccess : cuemu::enqueue_until(s, [=] { return try_until(other, after); });
}
cudaError_t cudaEventQuery(cudaEvent_t e) {
    if (sticky() != cudaSuccess) return sticky();
    if (!e->stream || e->stream->n_done >= e->after) return cudaSuccess;
    run_next(e->stream); /* who asks again and again sees work go on */
    return cudaErrorNotReady;
}
cudaError_t cudaEventSynchronize(cudaEvent_t e) {
    if (e->stream) run_until(e->stream, e->after);
    return cudaSuccess;
}
/* Not a time: a millisecond a job, so that who asks for times can be tested. */
cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t from, cudaEvent_t to) {
    if ((from->flags | to->flags) & cudaEventDisableTiming || !from->stream || from->stream != to->stream)
        return cudaErrorInvalidValue;
    if (cudaEventQuery(from) != cudaSuccess || cudaEventQuery(to) != cudaSuccess) return cudaErrorNotReady;
    return *ms = (float)(to->after - from->after), cudaSuccess;
}
cudaError_t cudaStreamBeginCapture(cudaStream_t s, cudaStreamCaptureMode) {
    if (s->capture) return cudaErrorInvalidValue;
    return s->capture = new std::vector<job>, cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t s, cudaGraph_t *out) {
    if (!s->capture) return cudaErrorInvalidValue;
    *out = new cuemu_graph{std::move(*s->capture)};
    delete s->capture;
    s->capture = nullptr;
    return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t *out, cudaGraph_t graph, unsigned long long) {
    return *out = new cuemu_graph_exec{graph->jobs}, cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t s) {
    for (const job &j : graph->jobs) cuemu::enqueue_until(s, j);
    return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) { return delete graph, cudaSuccess; }
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph) { return delete graph, cudaSuccess; }
cudaError_t cudaFuncSetAttribute(const void *kernel, cudaFuncAttribute, int value) {
    std::lock_guard<std::mutex> lock(guard);
    if (value > cuemu_control()->shared_bytes) return cudaErrorInvalidValue;
    shared_limit[kernel] = value;
    return cudaSuccess;
}

static int range_depth;
int nvtxRangePushA(const char *name) {
    if (cuemu_control()->ranged) cuemu_control()->ranged(name, range_depth);
    return range_depth++;
}
int nvtxRangePop(void) {
    if (!range_depth) return -2;
    range_depth--;
    if (cuemu_control()->ranged) cuemu_control()->ranged(nullptr, range_depth);
    return range_depth;
}
