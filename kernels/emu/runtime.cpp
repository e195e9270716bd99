/* runtime.cpp - the runtime calls: host memory as device memory, streams that run late, events, graphs. */
#include "cuda_runtime.h"
#include "machine.h"

#include <deque>
#include <map>
#include <mutex>
#include <stdlib.h>
#include <vector>

typedef std::function<void()> job;

struct cuemu_event {
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

void run_until(cudaStream_t s, uint64_t n) {
    while (s->n_done < n) {
        job j = std::move(s->waiting.front());
        s->waiting.pop_front();
        j();
        s->n_done++;
    }
}
} // namespace

namespace cuemu {
cudaError_t enqueue(cudaStream_t s, job j) {
    if (!s) return cudaErrorInvalidValue; /* hone uses no default stream */
    if (s->capture) {
        s->capture->push_back(std::move(j));
        return cudaSuccess;
    }
    s->waiting.push_back(std::move(j));
    s->n_given++;
    return cudaSuccess;
}
void set_workers(cudaStream_t s, int n) { s->n_workers = n < 1 ? 1 : n; }
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

const char *cudaGetErrorString(cudaError_t error) {
    switch (error) {
    case cudaSuccess:
        return "no error";
    case cudaErrorMemoryAllocation:
        return "out of memory";
    case cudaErrorNotReady:
        return "not ready";
    default:
        return "invalid argument";
    }
}
const char *cudaGetErrorName(cudaError_t error) {
    return error == cudaSuccess ? "cudaSuccess" : error == cudaErrorMemoryAllocation ? "cudaErrorMemoryAllocation" : "cudaErrorInvalidValue";
}
cudaError_t cudaGetLastError(void) { return cudaSuccess; }
cudaError_t cudaGetDeviceCount(int *n) { return *n = 1, cudaSuccess; }
cudaError_t cudaSetDevice(int device) { return device == 0 ? cudaSuccess : cudaErrorInvalidDevice; }
cudaError_t cudaGetDeviceProperties(cudaDeviceProp *out, int device) {
    if (device) return cudaErrorInvalidDevice;
    *out = cudaDeviceProp{};
    strcpy(out->name, "emulated GPU");
    out->totalGlobalMem = (size_t)4 << 30;
    out->sharedMemPerBlockOptin = 227 * 1024;
    out->major = 9;
    out->multiProcessorCount = 4;
    return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int *version) { return *version = 13000, cudaSuccess; }
cudaError_t cudaRuntimeGetVersion(int *version) { return *version = 13000, cudaSuccess; }
cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *all_bytes) {
    *free_bytes = *all_bytes = (size_t)4 << 30;
    return cudaSuccess;
}
cudaError_t cudaMalloc(void **out, size_t bytes) {
    if (posix_memalign(out, 256, bytes ? bytes : 1)) return cudaErrorMemoryAllocation;
    memset(*out, 0xff, bytes); /* device memory is not zero */
    if (cuemu::counting) cuemu::count_memory(*out, bytes);
    return cudaSuccess;
}
cudaError_t cudaFree(void *p) {
    if (cuemu::counting) cuemu::count_memory(p, 0);
    return free(p), cudaSuccess;
}
cudaError_t cudaHostAlloc(void **out, size_t bytes, unsigned) { return cudaMalloc(out, bytes); }
cudaError_t cudaFreeHost(void *p) { return free(p), cudaSuccess; }
cudaError_t cudaMemset(void *p, int value, size_t bytes) { return memset(p, value, bytes), cudaSuccess; }
cudaError_t cudaMemsetAsync(void *p, int value, size_t bytes, cudaStream_t s) {
    return cuemu::enqueue(s, [=] { memset(p, value, bytes); });
}
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind, cudaStream_t s) {
    return cuemu::enqueue(s, [=] {
        if (bytes) memcpy(to, from, bytes);
    });
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *out, unsigned) { return *out = new cuemu_stream, cudaSuccess; }
cudaError_t cudaStreamDestroy(cudaStream_t s) { return delete s, cudaSuccess; }
cudaError_t cudaStreamSynchronize(cudaStream_t s) { return run_until(s, s->n_given), cudaSuccess; }
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *out, unsigned) { return *out = new cuemu_event, cudaSuccess; }
cudaError_t cudaEventDestroy(cudaEvent_t e) { return delete e, cudaSuccess; }
cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t s) {
    e->stream = s;
    e->after = s->n_given;
    return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t s, cudaEvent_t e, unsigned) {
    const cudaStream_t other = e->stream;
    const uint64_t after = e->after;
    return !other || other == s ? cudaSuccess : cuemu::enqueue(s, [=] { run_until(other, after); });
}
cudaError_t cudaEventQuery(cudaEvent_t e) {
    return !e->stream || e->stream->n_done >= e->after ? cudaSuccess : cudaErrorNotReady;
}
cudaError_t cudaEventSynchronize(cudaEvent_t e) {
    if (e->stream) run_until(e->stream, e->after);
    return cudaSuccess;
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
    for (const job &j : graph->jobs) cuemu::enqueue(s, j);
    return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) { return delete graph, cudaSuccess; }
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph) { return delete graph, cudaSuccess; }
cudaError_t cudaFuncSetAttribute(const void *kernel, cudaFuncAttribute, int value) {
    std::lock_guard<std::mutex> lock(guard);
    if (value > 227 * 1024) return cudaErrorInvalidValue;
    shared_limit[kernel] = value;
    return cudaSuccess;
}
