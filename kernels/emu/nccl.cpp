/* nccl.cpp - NCCL as the plugin sees it, between emulated devices of several processes of one machine: a ring of bytes for
 * each ordered pair in memory that all of them map. It works late, as streams do: nothing moves until a stream is waited
 * for or asked about, and a piece whose other side is not there yet is asked for again.
 *
 * As with NCCL's communicators that do not block, opening takes until all ranks have come, and after each call the state
 * must be asked for before the next: whoever does not gets ncclInvalidUsage. The memory has no name: an id is the path to
 * an open file of the process that made it. */
#include "cuda/nccl.h"
#include "control.h"

#include <atomic>
#include <fcntl.h>
#include <functional>
#include <memory>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include "cuda/ptx/convert.cuh"

namespace {
constexpr uint64_t RING_BYTES = 1 << 16;
constexpr int RANKS_MAX = 64;
struct ring {
    alignas(64) std::atomic<uint64_t> written;
    alignas(64) std::atomic<uint64_t> read;
    unsigned char byte[RING_BYTES];
};
struct head {
    std::atomic<int> joined[RANKS_MAX], aborted[RANKS_MAX];
};
size_t head_bytes() { return (sizeof(head) + 4095) / 4096 * 4096; }
size_t all_bytes(int n) { return head_bytes() + (size_t)n * (size_t)n * sizeof(ring); }

struct piece {
    char *p;
    size_t bytes, done;
    int peer;
};
struct transfer { /* what one group sends and receives */
    std::vector<piece> to, from;
};
} // namespace

struct ncclComm {
    char path[128];
    head *shared = nullptr;
    int rank = 0, n = 0;
    bool in_progress = false; /* a call has not been asked about */
    std::atomic<bool> gone{false};
};

namespace {
/* The group of this thread that is being written down. */
thread_local struct {
    bool open = false;
    ncclComm_t comm = nullptr;
    cudaStream_t stream = nullptr;
    transfer what;
} group;

ring *ring_of(ncclComm_t c, int from, int to) {
    return (ring *)((char *)c->shared + head_bytes()) + from * c->n + to;
}

size_t fill(ring *g, const char *p, size_t n) {
    const uint64_t written = g->written.load(std::memory_order_relaxed),
                   room = RING_BYTES - (written - g->read.load(std::memory_order_acquire));
    if (n > room) n = room;
    for (size_t i = 0; i < n; i++) g->byte[(written + i) % RING_BYTES] = (unsigned char)p[i];
    g->written.store(written + n, std::memory_order_release);
    return n;
}
size_t empty(ring *g, char *p, size_t n) {
    const uint64_t read = g->read.load(std::memory_order_relaxed),
                   there = g->written.load(std::memory_order_acquire) - read;
    if (n > there) n = there;
    for (size_t i = 0; i < n; i++) p[i] = (char)g->byte[(read + i) % RING_BYTES];
    g->read.store(read + n, std::memory_order_release);
    return n;
}

/* Pieces of one peer move in their order. True: all are through. */
template <typename MOVE> bool move_pieces(std::vector<piece> &pieces, const MOVE &move) {
    bool waits[RANKS_MAX] = {}, all = true;
    for (piece &x : pieces) {
        if (x.done == x.bytes || waits[x.peer]) continue;
        x.done += move(x);
        if (x.done < x.bytes) waits[x.peer] = true, all = false;
    }
    return all;
}
bool move(ncclComm_t c, transfer &t) {
    if (c->gone) return true; /* aborted: the work ends, whatever is in its memory */
    const bool sent = move_pieces(t.to, [&](piece &x) { return fill(ring_of(c, c->rank, x.peer), x.p + x.done, x.bytes - x.done); });
    const bool got = move_pieces(t.from, [&](piece &x) { return empty(ring_of(c, x.peer, c->rank), x.p + x.done, x.bytes - x.done); });
    return sent && got;
}

bool is_open(ncclComm_t c) {
    if (!c->shared) {
        struct stat s;
        const int fd = open(c->path, O_RDWR | O_CLOEXEC);
        if (fd < 0) return false;
        void *p = MAP_FAILED;
        if (!fstat(fd, &s) && (size_t)s.st_size == all_bytes(c->n)) /* rank 0 gives it its size */
            p = mmap(nullptr, all_bytes(c->n), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        close(fd);
        if (p == MAP_FAILED) return false;
        c->shared = (head *)p;
        c->shared->joined[c->rank] = 1;
    }
    for (int r = 0; r < c->n; r++)
        if (!c->shared->joined[r]) return false;
    return true;
}

/* Work of a communicator that has been asked about since its last call. */
ncclResult_t give(ncclComm_t c, cudaStream_t s, std::function<bool()> work) {
    c->in_progress = true;
    return cuemu::enqueue_until(s, std::move(work)) == cudaSuccess ? ncclInProgress : ncclSystemError;
}

size_t bytes_of(ncclDataType_t type) { return type == ncclUint8 ? 1 : type == ncclBfloat16 ? 2 : 4; }

ncclResult_t note(std::vector<piece> &pieces, const void *p, size_t n, ncclDataType_t type, int peer, ncclComm_t c,
                  cudaStream_t s) {
    if (!group.open) return ncclInvalidUsage; /* hone sends in groups */
    if (c->in_progress || peer < 0 || peer >= c->n || peer == c->rank) return ncclInvalidUsage;
    if (group.comm && (group.comm != c || group.stream != s)) return ncclInvalidUsage;
    group.comm = c, group.stream = s;
    pieces.push_back({(char *)const_cast<void *>(p), n * bytes_of(type), 0, peer});
    return ncclSuccess;
}

/* Parts of x of all ranks, added from the owner's successor round to the owner, as a ring adds them: another order for each part. */
template <typename T> void add_round(T *x, const std::vector<T> &others, size_t n, int me, int n_ranks) {
    for (size_t e = 0; e < n; e++) {
        float s = 0;
        for (int k = 1; k <= n_ranks; k++) {
            const int r = (me + k) % n_ranks;
            const float v = to_float(r == me ? x[e] : others[(size_t)r * n + e]);
            s = k == 1 ? v : to_float(from_float<T>(s + v));
        }
        x[e] = from_float<T>(s);
    }
}
template <typename T> ncclResult_t all_reduce(T *x, size_t n, ncclComm_t c, cudaStream_t s) {
    const auto first = [=](int r) { return n * (size_t)r / (size_t)c->n; };
    const size_t own = first(c->rank + 1) - first(c->rank);
    auto others = std::make_shared<std::vector<T>>(own * (size_t)c->n);
    auto scatter = std::make_shared<transfer>(), gather = std::make_shared<transfer>();
    for (int r = 0; r < c->n; r++) {
        if (r == c->rank) continue;
        const size_t bytes = (first(r + 1) - first(r)) * sizeof(T), own_bytes = own * sizeof(T);
        scatter->to.push_back({(char *)(x + first(r)), bytes, 0, r});
        scatter->from.push_back({(char *)(others->data() + (size_t)r * own), own_bytes, 0, r});
        gather->to.push_back({(char *)(x + first(c->rank)), own_bytes, 0, r});
        gather->from.push_back({(char *)(x + first(r)), bytes, 0, r});
    }
    auto added = std::make_shared<bool>(false);
    return give(c, s, [=] {
        if (!move(c, *scatter)) return false;
        if (!*added && !c->gone) add_round(x + first(c->rank), *others, own, c->rank, c->n);
        *added = true;
        return move(c, *gather);
    });
}

/* Communicators stay until the process ends: work on streams may still look at one that has been left. */
ncclComm_t keep(ncclComm_t c) {
    static auto *all = new std::vector<ncclComm_t>;
    return all->push_back(c), c;
}
void leave(ncclComm_t c) {
    c->gone = true;
    if (c->shared) munmap(c->shared, all_bytes(c->n));
    c->shared = nullptr;
}
} // namespace

ncclResult_t ncclGetVersion(int *version) { return *version = cuemu_control()->nccl_version, ncclSuccess; }
const char *ncclGetErrorString(ncclResult_t result) {
    switch (result) {
    case ncclSuccess: return "no error";
    case ncclSystemError: return "unhandled system error";
    case ncclInvalidArgument: return "invalid argument";
    case ncclInvalidUsage: return "invalid usage";
    case ncclRemoteError: return "remote process exited or there was a network error";
    case ncclInProgress: return "operation in progress";
    }
    return "unknown result code";
}

ncclResult_t ncclGetUniqueId(ncclUniqueId *id) {
    const int fd = memfd_create("hone-emu-nccl", 0); /* open for as long as this process lives */
    if (fd < 0) return ncclSystemError;
    memset(id, 0, sizeof *id);
    snprintf(id->internal, sizeof id->internal, "/proc/%ld/fd/%d", (long)getpid(), fd);
    return ncclSuccess;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t *out, int n, ncclUniqueId id, int rank, ncclConfig_t *config) {
    if (n < 1 || n > RANKS_MAX || rank < 0 || rank >= n || config->magic != 0xcafebeef || config->blocking != 0)
        return ncclInvalidArgument;
    ncclComm_t c = new ncclComm;
    memcpy(c->path, id.internal, sizeof c->path);
    c->rank = rank, c->n = n, c->in_progress = true;
    if (rank == 0) {
        const int fd = open(c->path, O_RDWR | O_CLOEXEC);
        const bool sized = fd >= 0 && !ftruncate(fd, (off_t)all_bytes(n));
        if (fd >= 0) close(fd);
        if (!sized) return delete c, ncclSystemError;
    }
    return *out = keep(c), ncclInProgress;
}
ncclResult_t ncclCommGetAsyncError(ncclComm_t c, ncclResult_t *result) {
    *result = ncclSuccess;
    if (!is_open(c)) *result = ncclInProgress;
    else c->in_progress = false;
    for (int r = 0; c->shared && r < c->n; r++)
        if (c->shared->aborted[r]) *result = ncclRemoteError;
    return ncclSuccess;
}
ncclResult_t ncclCommFinalize(ncclComm_t) { return ncclSuccess; }
ncclResult_t ncclCommDestroy(ncclComm_t c) { return leave(c), ncclSuccess; }
ncclResult_t ncclCommAbort(ncclComm_t c) {
    if (c->shared) c->shared->aborted[c->rank] = 1;
    return leave(c), ncclSuccess;
}

ncclResult_t ncclGroupStart(void) {
    if (group.open) return ncclInvalidUsage;
    group.open = true, group.comm = nullptr, group.what = {};
    return ncclSuccess;
}
ncclResult_t ncclGroupEnd(void) {
    if (!group.open) return ncclInvalidUsage;
    group.open = false;
    if (!group.comm) return ncclSuccess;
    auto what = std::make_shared<transfer>(std::move(group.what));
    ncclComm_t c = group.comm;
    return give(c, group.stream, [=] { return move(c, *what); });
}
ncclResult_t ncclSend(const void *p, size_t n, ncclDataType_t type, int peer, ncclComm_t c, cudaStream_t s) {
    return note(group.what.to, p, n, type, peer, c, s);
}
ncclResult_t ncclRecv(void *p, size_t n, ncclDataType_t type, int peer, ncclComm_t c, cudaStream_t s) {
    return note(group.what.from, p, n, type, peer, c, s);
}
ncclResult_t ncclAllReduce(const void *from, void *to, size_t n, ncclDataType_t type, ncclRedOp_t, ncclComm_t c, cudaStream_t s) {
    if (c->in_progress) return ncclInvalidUsage;
    if (from != to) return ncclInvalidArgument; /* hone sums in place */
    return type == ncclBfloat16 ? all_reduce((bf16 *)to, n, c, s) : all_reduce((float *)to, n, c, s);
}
