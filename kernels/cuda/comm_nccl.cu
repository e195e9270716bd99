/* comm_nccl.cu - hone_comm_v1 over NCCL, which is opened when it is first asked for: never linked, never required.
 *
 * The communicator does not block: a call that must wait for other ranks says "in progress", and state() asks again. So the
 * host is never caught in a call when a rank has died. */
#include "comm.cuh"
#include "nccl.h"

#include <stdio.h>
#include <stdlib.h>

struct hone_comm {
    ncclComm_t comm;
    hone_device *device;
    int rank;
};

static struct {
#define XX(name, result, arguments) result(*name) arguments;
    NCCL_MAP(XX)
#undef XX
    int version;
} nccl;

#ifdef HONE_EMULATED
static hone_status load(hone_err *) {
#define XX(name, result, arguments) nccl.name = ::name;
    NCCL_MAP(XX)
#undef XX
    return HONE_OK;
}
#else
#include <dlfcn.h>
static hone_status load(hone_err *err) {
    void *library = dlopen("libnccl.so.2", RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        hone_fail(err, HONE_EUSAGE, HONE_DEVICE_NAME ": NCCL cannot be opened: %s; expected libnccl.so.2", dlerror());
        return hone_hint(err, "install NVIDIA's package libnccl2, or name its folder in LD_LIBRARY_PATH");
    }
#define XX(name, result, arguments)                                                                          \
    *(void **)&nccl.name = dlsym(library, #name);                                                            \
    if (!nccl.name)                                                                                          \
        return hone_fail(err, HONE_EUSAGE, HONE_DEVICE_NAME ": libnccl.so.2 has no " #name "; expected NCCL 2.18 or later");
    NCCL_MAP(XX)
#undef XX
    return HONE_OK;
}
#endif

static hone_status ready(hone_err *err) {
    if (nccl.version) return HONE_OK;
    HONE_TRY(load(err));
    int version = 0;
    (void)nccl.ncclGetVersion(&version);
    if (version < NCCL_VERSION_LEAST)
        return hone_fail(err, HONE_EUSAGE, HONE_DEVICE_NAME ": NCCL has version %d; expected %d (2.18) or later", version,
                         NCCL_VERSION_LEAST);
    nccl.version = version;
    return HONE_OK;
}

static hone_status failed(ncclResult_t result, const char *what, hone_err *err) {
    hone_fail(err, HONE_ECOMM, HONE_DEVICE_NAME ": NCCL: %s: %s", what, nccl.ncclGetErrorString(result));
    return hone_hint(err, "NCCL_DEBUG=WARN makes the library say more");
}

static hone_status make_id(hone_comm_id *out, hone_err *err) {
    static_assert(sizeof(ncclUniqueId) == sizeof *out, "an id of NCCL");
    HONE_TRY(ready(err));
    const ncclResult_t result = nccl.ncclGetUniqueId((ncclUniqueId *)out);
    return result == ncclSuccess ? HONE_OK : failed(result, "making an id", err);
}

static hone_status open_comm(hone_comm **out, hone_device *device, const hone_comm_id *id, int rank, int n, hone_err *err) {
    HONE_TRY(ready(err));
    hone_comm *c = (hone_comm *)calloc(1, sizeof *c);
    if (!c) return hone_fail(err, HONE_ENOFIT, HONE_DEVICE_NAME ": the system refused %zu bytes of memory", sizeof *c);
    c->device = device;
    c->rank = rank;
    ncclConfig_t config = NCCL_NOT_BLOCKING;
    (void)cudaSetDevice(device->ordinal);
    const ncclResult_t result = nccl.ncclCommInitRankConfig(&c->comm, n, *(const ncclUniqueId *)id, rank, &config);
    if (result != ncclSuccess && result != ncclInProgress) {
        free(c);
        return failed(result, "opening a communicator", err);
    }
    *out = c;
    return HONE_OK;
}

static int state(hone_comm *c, hone_err *err) {
    ncclResult_t now = ncclSuccess;
    const ncclResult_t asked = nccl.ncclCommGetAsyncError(c->comm, &now);
    const ncclResult_t result = asked == ncclSuccess ? now : asked;
    if (result == ncclSuccess) return 1;
    if (result == ncclInProgress) return 0;
    failed(result, "between ranks", err);
    return -1;
}

static ncclResult_t all_of(hone_comm *c, hone_queue *q, const hone_comm_piece *to, int n_to, const hone_comm_piece *from,
                           int n_from) {
    ncclResult_t result = ncclSuccess;
    for (int i = 0; i < n_to && result == ncclSuccess; i++)
        if (to[i].bytes) result = nccl.ncclSend(to[i].p, to[i].bytes, ncclUint8, to[i].rank, c->comm, q->stream);
    for (int i = 0; i < n_from && result == ncclSuccess; i++)
        if (from[i].bytes) result = nccl.ncclRecv(from[i].p, from[i].bytes, ncclUint8, from[i].rank, c->comm, q->stream);
    return result;
}

static hone_status exchange(hone_comm *c, hone_queue *q, const hone_comm_piece *to, int n_to, const hone_comm_piece *from,
                            int n_from, hone_err *err) {
    ncclResult_t result = nccl.ncclGroupStart();
    if (result == ncclSuccess) result = all_of(c, q, to, n_to, from, n_from);
    const ncclResult_t ended = nccl.ncclGroupEnd(); /* also after a failure: a group must not stay open */
    if (result == ncclSuccess || result == ncclInProgress) result = ended;
    return result == ncclSuccess || result == ncclInProgress ? HONE_OK : failed(result, "sending and receiving", err);
}

static hone_status sum(hone_comm *c, hone_queue *q, void *x, int64_t n, hone_dtype dtype, hone_err *err) {
    const ncclDataType_t type = dtype == HONE_BF16 ? ncclBfloat16 : ncclFloat32;
    const ncclResult_t result = nccl.ncclAllReduce(x, x, (size_t)n, type, ncclSum, c->comm, q->stream);
    return result == ncclSuccess || result == ncclInProgress ? HONE_OK : failed(result, "an all-reduce", err);
}

static void abort_comm(hone_comm *c) {
    (void)nccl.ncclCommAbort(c->comm);
    free(c);
}

/* All was done everywhere, so this takes no time; a rank that dies just now must not hold the others up for ever. */
static void close_comm(hone_comm *c) {
    const hone_host_v1 *host = c->device->host;
    const uint64_t until = host->clock_ns(host->context) + 5000000000u;
    hone_err ignored = {};
    const ncclResult_t begun = nccl.ncclCommFinalize(c->comm);
    int done = begun == ncclSuccess || begun == ncclInProgress ? 0 : -1;
    while (!done && host->clock_ns(host->context) < until) done = state(c, &ignored);
    if (done == 1) (void)nccl.ncclCommDestroy(c->comm);
    else (void)nccl.ncclCommAbort(c->comm);
    free(c);
}

static hone_comm_v1 make_table() {
    hone_comm_v1 t = {};
    t.name = "NCCL";
    t.struct_bytes = sizeof t;
    t.ready = ready;
    t.make_id = make_id;
    t.open = open_comm;
    t.state = state;
    t.exchange = exchange;
    t.sum = sum;
    t.abort = abort_comm;
    t.close = close_comm;
    return t;
}
const hone_comm_v1 comm_nccl = make_table();
