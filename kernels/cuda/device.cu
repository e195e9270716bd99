/* device.cu - the device table over the CUDA runtime: memory, queues, events, graphs. */
#include "common.cuh"

#include <stdio.h>
#include <stdlib.h>

extern "C" {
#include "limits.h"
#include "ops.h"
}
#include "comm.cuh"
#include "cudnn.cuh"
#include "linear.cuh"
#include "products.cuh"
#include "ranges.cuh"
#include "ready.cuh"

/* 1: every call is waited for, so that a fault is reported with its op. Builds of type Debug. */
#ifndef HONE_WAITS
#define HONE_WAITS 0
#endif

#define TRY_CUDA(queue, what, call)                                                                          \
    do {                                                                                                     \
        const cudaError_t tried = (call);                                                                    \
        if (tried != cudaSuccess) return cuda_failed(queue, what, tried);                                    \
    } while (0)

hone_status cuda_failed(const hone_queue *q, const char *what, cudaError_t error) {
    char line[512];
    snprintf(line, sizeof line, HONE_DEVICE_NAME ": %s: %s failed: %s (%s)%s", q->device->properties.name,
             what, cudaGetErrorString(error), cudaGetErrorName(error),
             is_device_lost(error) ? "; drain this machine and look at its kernel log (XID)" : "");
    q->device->host->log(q->device->host->context, line);
    (void)cudaGetLastError(); /* or every later call would report it too */
    return error == cudaErrorMemoryAllocation ? HONE_ENOFIT : is_device_lost(error) ? HONE_ECOMM : HONE_EBUG;
}

static int count_devices() {
    int n = 0;
    if (cudaGetDeviceCount(&n) == cudaSuccess) return n;
    (void)cudaGetLastError();
    return 0;
}

static hone_status open_device(hone_device **out, const hone_host_v1 *host, int ordinal, hone_err *err) {
    cudaDeviceProp properties;
    HONE_TRY(machine_ready(&properties, ordinal, err));
    hone_device *d = (hone_device *)calloc(1, sizeof *d);
    if (!d)
        return hone_fail(err, HONE_ENOFIT, HONE_DEVICE_NAME ": the system refused %zu bytes of memory",
                         sizeof *d);
    d->host = host;
    d->ordinal = ordinal;
    d->properties = properties;
    const hone_status status = products_open(d, err);
    if (status) {
        free(d);
        return status;
    }
    *out = d;
    return HONE_OK;
}

static void close_device(hone_device *d) {
    cudnn_close(d);
    products_close(d);
    free(d);
}

static hone_status tell_limits(hone_device *d, hone_limits *out) {
    size_t free_bytes = 0, all = 0;
    const hone_status status = cuda_limits(d, out);
    if (!d) return status;
    if (cudaMemGetInfo(&free_bytes, &all) != cudaSuccess) free_bytes = 0;
    snprintf(out->name, sizeof out->name, "%.90s", d->properties.name);
    out->memory_bytes = free_bytes;
    out->cache_bytes = d->properties.l2CacheSize > 0 ? (size_t)d->properties.l2CacheSize : 0;
    return status;
}

static hone_status choose(hone_device *d, const hone_query *query, void **out, hone_err *err) {
    switch (query->op) {
    case HONE_OP_ATTENTION_FWD:
    case HONE_OP_ATTENTION_BWD:
    case HONE_OP_NORM_FWD:
    case HONE_OP_NORM_BWD:
        return cudnn_choose(d, query, out, err);
    default:
        return linear_choose(d, query, out, err);
    }
}

static hone_status slab_new(hone_device *d, int pinned, size_t bytes, void **out, hone_err *err) {
    const cudaError_t error = pinned ? cudaHostAlloc(out, bytes ? bytes : 1, cudaHostAllocDefault)
                                     : cudaMalloc(out, bytes ? bytes : 1);
    if (error != cudaSuccess) {
        (void)cudaGetLastError();
        size_t free_bytes = 0, all = 0;
        (void)cudaMemGetInfo(&free_bytes, &all);
        hone_fail(err, error == cudaErrorMemoryAllocation ? HONE_ENOFIT : HONE_ECOMM,
                  HONE_DEVICE_NAME ": %s refused %zu bytes of %s memory: %s; %zu of its %zu bytes are free",
                  d->properties.name, bytes, pinned ? "pinned host" : "device", cudaGetErrorString(error),
                  free_bytes, all);
        return hone_hint(err, pinned ? "the system limits locked memory (ulimit -l), or has none left"
                                     : "another process may hold memory (nvidia-smi names it); a smaller "
                                       "batch or max_seq_length needs less");
    }
    if (pinned) memset(*out, 0, bytes);
    else (void)cudaMemset(*out, 0, bytes);
    /* Queues do not wait for the default stream, which has just been given the zeros. */
    (void)cudaDeviceSynchronize();
    return HONE_OK;
}

/* Pinned memory and device memory are one address space, so the pointer tells which it is. */
static void slab_free(hone_device *, void *slab) {
    if (cudaFree(slab) != cudaSuccess) {
        (void)cudaGetLastError();
        (void)cudaFreeHost(slab);
    }
}

#ifdef HONE_EMULATED
static void tell_emulator(const hone_queue *q) { cuemu::set_workers(q->stream, q->device->host->n_threads); }
#else
static void tell_emulator(const hone_queue *) {}
#endif

static hone_status queue_new(hone_device *d, hone_queue **out) {
    hone_queue *q = (hone_queue *)calloc(1, sizeof *q);
    if (!q) return HONE_ENOFIT;
    q->device = d;
    const cudaError_t error = cudaStreamCreateWithFlags(&q->stream, cudaStreamNonBlocking);
    if (error != cudaSuccess) {
        const hone_status status = cuda_failed(q, "making a stream", error);
        free(q);
        return status;
    }
    tell_emulator(q);
    *out = q;
    return HONE_OK;
}
static void queue_free(hone_queue *q) {
    (void)cudaStreamDestroy(q->stream);
    free(q);
}
/* What went wrong on the device since the last wait is seen here: any of the calls given since may have done it. */
static hone_status queue_wait(hone_queue *q) {
    const cudaError_t error = cudaStreamSynchronize(q->stream);
    const hone_op first = q->first, last = q->last;
    const int n = q->n_calls;
    q->n_calls = 0;
    if (error == cudaSuccess) return HONE_OK;
    char what[256] = "waiting";
    if (n == 1) snprintf(what, sizeof what, "%s", hone_op_find(last)->name);
    else if (n)
        snprintf(what, sizeof what, "one of %d calls (%s ... %s; a build of type Debug tells which)", n,
                 hone_op_find(first)->name, hone_op_find(last)->name);
    return cuda_failed(q, what, error);
}
/* An op of the table: its call is noted and, in builds that look for faults, waited for. */
template <hone_op OP, hone_status (*ENTRY)(hone_queue *, const hone_call *)>
static hone_status play(hone_queue *q, const hone_call *c) {
    if (!q->n_calls++) q->first = OP;
    q->last = OP;
    const hone_status status = ENTRY(q, c);
    return status || !HONE_WAITS || q->captures ? status : queue_wait(q);
}
static hone_status copy_bytes(hone_queue *q, void *to, const void *from, size_t bytes) {
    if (bytes) TRY_CUDA(q, "a copy", cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, q->stream));
    return HONE_OK;
}

struct hone_event {
    cudaEvent_t event;
};
static hone_status event_new(hone_device *, int is_timed, hone_event **out) {
    const unsigned flags =
        is_timed ? cudaEventDefault : cudaEventDisableTiming; /* a time makes waits slower */
    hone_event *e = (hone_event *)calloc(1, sizeof *e);
    if (!e || cudaEventCreateWithFlags(&e->event, flags) != cudaSuccess) {
        free(e);
        return HONE_ENOFIT;
    }
    *out = e;
    return HONE_OK;
}
static void event_free(hone_event *e) {
    (void)cudaEventDestroy(e->event);
    free(e);
}
static void event_record(hone_queue *q, hone_event *e) { (void)cudaEventRecord(e->event, q->stream); }
static void event_wait(hone_queue *q, hone_event *e) { (void)cudaStreamWaitEvent(q->stream, e->event, 0); }
/* An event that failed is done: the wait that follows reports why. */
static int event_done(hone_event *e) { return cudaEventQuery(e->event) != cudaErrorNotReady; }
static hone_status event_ns(hone_event *from, hone_event *to, uint64_t *ns) {
    float ms = 0;
    if (cudaEventElapsedTime(&ms, from->event, to->event) != cudaSuccess) return HONE_EBUG;
    *ns = (uint64_t)((double)ms * 1e6 + 0.5);
    return HONE_OK;
}

struct hone_exec {
    cudaGraphExec_t graph;
};
static hone_status capture(hone_queue *q, int begin, hone_exec **out) {
    q->captures = begin;
    if (begin) {
        TRY_CUDA(q, "beginning a capture",
                 cudaStreamBeginCapture(q->stream, cudaStreamCaptureModeThreadLocal));
        return HONE_OK;
    }
    cudaGraph_t graph;
    TRY_CUDA(q, "ending a capture", cudaStreamEndCapture(q->stream, &graph));
    hone_exec *e = (hone_exec *)calloc(1, sizeof *e);
    const cudaError_t error = e ? cudaGraphInstantiate(&e->graph, graph, 0) : cudaErrorMemoryAllocation;
    (void)cudaGraphDestroy(graph);
    if (error != cudaSuccess) {
        free(e);
        return cuda_failed(q, "making a graph", error);
    }
    *out = e;
    return HONE_OK;
}
static hone_status graph_launch(hone_queue *q, hone_exec *e) {
    TRY_CUDA(q, "launching a graph", cudaGraphLaunch(e->graph, q->stream));
    return HONE_OK;
}
static void graph_free(hone_exec *e) {
    (void)cudaGraphExecDestroy(e->graph);
    free(e);
}

static hone_device_v1 make_table() {
    hone_device_v1 t = {};
    t.name = HONE_DEVICE_NAME;
    t.struct_bytes = sizeof t;
    t.can = cuda_can;
    t.work_bytes = cuda_work_bytes;
    t.list_bytes = cuda_list_bytes;
    t.list_fill = cuda_list_fill;
    t.count = count_devices;
    t.open = open_device;
    t.close = close_device;
    t.limits = tell_limits;
    t.choose = choose;
    t.slab_new = slab_new;
    t.slab_free = slab_free;
    t.queue_new = queue_new;
    t.queue_free = queue_free;
    t.queue_wait = queue_wait;
    t.put = copy_bytes;
    t.get = copy_bytes;
    t.event_new = event_new;
    t.event_free = event_free;
    t.event_record = event_record;
    t.event_wait = event_wait;
    t.event_done = event_done;
    t.event_ns = event_ns;
    t.range = device_range;
    t.capture = capture;
    t.graph_launch = graph_launch;
    t.graph_free = graph_free;
    t.comm = &comm_nccl;
#define XX(op_name, entry) t.op[HONE_OP_##op_name] = play<HONE_OP_##op_name, entry>;
    CUDA_OP_MAP(XX)
#undef XX
    return t;
}
extern "C" __attribute__((visibility("default"))) const hone_device_v1 hone_device_v1_table = make_table();
