/* comm_shm.c - ranks of one machine: a ring of bytes for each ordered pair in one shared mapping.
 *
 * In an exchange a rank fills the rings to its peers and empties those from them until all pieces are through. When
 * nothing moves it sleeps on its bell, which whoever fills or empties a ring of his rings. Twice a second a thread
 * leaves a sign of life; who sleeps looks now and then whether those it waits for still live. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "run/comm.h"
#include "base/err.h"
#include "base/host.h"
#include "base/mem.h"
#include "base/shm.h"

#define RING_BYTES ((uint64_t)256 << 10)
#define LOOKS 2000         /* before sleeping */
#define SLEEP_MS 50        /* at most, between two looks at the others' lives */
#define BEAT_NS 500000000u /* between two signs of life */
#define MAGIC 0x686f6e65636d6d31u

typedef struct {
    _Alignas(64) _Atomic uint64_t written;
    _Alignas(64) _Atomic uint64_t read;
    _Alignas(64) unsigned char byte[RING_BYTES];
} ring;

typedef struct { /* of a rank, written by it alone */
    _Alignas(64) _Atomic int64_t pid, step;
    _Atomic uint64_t beat_ns;
    _Atomic uint32_t bell, closed;
    _Atomic uint32_t abandoned; /* 1: it gave up; above: because it has lost rank abandoned - 2 */
    char phase[24], host[64];
} pulse;

typedef struct {
    uint64_t magic;
    int32_t n;
    pulse rank[COMM_RANKS_MAX];
} head;

typedef struct {
    comm base;
    head *shared;
    ring *rings; /* [n][n]: from, to */
    size_t bytes;
    double limit_s;
    uint64_t opened_ns;
    pthread_t beater;
    pthread_mutex_t lock;
    pthread_cond_t end;
    int ending;
} shm;

static size_t head_bytes(void) { return (sizeof(head) + 4095) / 4096 * 4096; }
static size_t all_bytes(int n) { return head_bytes() + (size_t)n * (size_t)n * sizeof(ring); }
static ring *ring_of(shm *s, int from, int to) { return &s->rings[from * s->base.n + to]; }

hone_status comm_shm_make(const char *path, int n, hone_err *err) {
    HONE_ASSERT(n >= 1 && n <= COMM_RANKS_MAX);
    void *p;
    HONE_TRY(shm_make(path, all_bytes(n), err));
    HONE_TRY(shm_map(&p, path, all_bytes(n), err));
    ((head *)p)->n = n;
    ((head *)p)->magic = MAGIC;
    shm_unmap(p, all_bytes(n));
    return HONE_OK;
}

static void *beat(void *arg) {
    shm *s = arg;
    pthread_mutex_lock(&s->lock);
    while (!s->ending) {
        struct timespec until;
        atomic_store(&s->shared->rank[s->base.rank].beat_ns, clock_ns());
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += BEAT_NS;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&s->end, &s->lock, &until);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static void ring_bell(shm *s, int rank) {
    _Atomic uint32_t *bell = &s->shared->rank[rank].bell;
    atomic_fetch_add(bell, 1);
    shm_wake(bell);
}

/* Copy what fits between a piece and a ring; how many bytes moved. */
static uint64_t fill_ring(ring *g, const comm_piece *piece, uint64_t done) {
    const uint64_t written = atomic_load_explicit(&g->written, memory_order_relaxed),
                   room = RING_BYTES - (written - atomic_load_explicit(&g->read, memory_order_acquire));
    uint64_t n = piece->bytes - done < room ? piece->bytes - done : room;
    const uint64_t at = written % RING_BYTES, first = n < RING_BYTES - at ? n : RING_BYTES - at;
    if (!n) return 0;
    memcpy(g->byte + at, (const char *)piece->p + done, first);
    memcpy(g->byte, (const char *)piece->p + done + first, n - first);
    atomic_store_explicit(&g->written, written + n, memory_order_release);
    return n;
}
static uint64_t empty_ring(ring *g, const comm_piece *piece, uint64_t done) {
    const uint64_t read = atomic_load_explicit(&g->read, memory_order_relaxed),
                   there = atomic_load_explicit(&g->written, memory_order_acquire) - read;
    const uint64_t n = piece->bytes - done < there ? piece->bytes - done : there;
    const uint64_t at = read % RING_BYTES, first = n < RING_BYTES - at ? n : RING_BYTES - at;
    if (!n) return 0;
    memcpy((char *)piece->p + done, g->byte + at, first);
    memcpy((char *)piece->p + done + first, g->byte, n - first);
    atomic_store_explicit(&g->read, read + n, memory_order_release);
    return n;
}

static hone_status lost(shm *s, int rank, const char *how, hone_err *err) {
    const pulse *p = &s->shared->rank[rank];
    if (p->abandoned > 1) { /* a victim: who was lost first is named, as far as is known here */
        rank = (int)p->abandoned - 2;
        p = &s->shared->rank[rank];
        how = p->abandoned                        ? "gave up"
              : p->pid && process_is_gone(p->pid) ? "has died"
                                                  : "was lost by another rank";
    }
    s->base.lost = rank + 1;
    char phase[sizeof p->phase];
    memcpy(phase, p->phase, sizeof phase);
    phase[sizeof phase - 1] = 0;
    hone_fail(err, HONE_ECOMM, "rank %d (host %.63s, process %lld) %s; last seen at step %lld in %s", rank,
              p->host, (long long)p->pid, how, (long long)p->step, *phase ? phase : "its start");
    return hone_hint(err, "its own last lines say why; the newest checkpoint holds, and "
                          "resume_from_checkpoint: true goes on from it");
}

/* Has the rank gone? unread: what it has left for us is taken first. */
static hone_status look_at(shm *s, int r, int unread_counts, hone_err *err) {
    const pulse *p = &s->shared->rank[r];
    const ring *in = ring_of(s, r, s->base.rank);
    /* first whether it has gone, then whether it has left something: it may have done both since */
    const int gave_up = p->abandoned != 0, left = p->closed != 0,
              died = !left && p->pid && process_is_gone(p->pid);
    if (unread_counts && in->written != in->read) return HONE_OK;
    if (gave_up) return lost(s, r, "gave up", err);
    if (left) return lost(s, r, "has left", err);
    if (died) return lost(s, r, "has died", err);
    char how[80];
    snprintf(how, sizeof how, "has shown no sign of life for %.0f s", s->limit_s);
    const uint64_t sign = p->beat_ns ? p->beat_ns : s->opened_ns; /* of one that never came: since we have been waiting */
    return (double)(clock_ns() - sign) * 1e-9 > s->limit_s + 1 ? lost(s, r, how, err) : HONE_OK;
}

/* Are those that this rank waits for still there? */
static hone_status look_around(shm *s, const uint64_t *sent, const uint64_t *got, const comm_piece *to,
                               const comm_piece *from, hone_err *err) {
    for (int r = 0; r < s->base.n; r++)
        if (r != s->base.rank && (sent[r] != to[r].bytes || got[r] != from[r].bytes))
            HONE_TRY(look_at(s, r, 1, err));
    return HONE_OK;
}

static hone_status look(comm *c, hone_err *err) {
    for (int r = 0; r < c->n; r++)
        if (r != c->rank) HONE_TRY(look_at((shm *)c, r, 0, err));
    return HONE_OK;
}

/* One round over all peers: 1 if bytes moved; *left: peers with bytes to go. */
static int move_bytes(shm *s, const comm_piece *to, const comm_piece *from, uint64_t *sent, uint64_t *got,
                      int *left) {
    int moved = 0;
    *left = 0;
    for (int k = 1; k < s->base.n; k++) { /* everybody begins with another one */
        const int r = (s->base.rank + k) % s->base.n;
        const uint64_t out = fill_ring(ring_of(s, s->base.rank, r), &to[r], sent[r]),
                       in = empty_ring(ring_of(s, r, s->base.rank), &from[r], got[r]);
        sent[r] += out, got[r] += in;
        if (out || in) ring_bell(s, r), moved = 1;
        *left += sent[r] < to[r].bytes || got[r] < from[r].bytes;
    }
    return moved;
}

static hone_status exchange(comm *c, const comm_piece *to, const comm_piece *from, hone_err *err) {
    shm *s = (shm *)c;
    uint64_t sent[COMM_RANKS_MAX] = {0}, got[COMM_RANKS_MAX] = {0}, looked = clock_ns();
    _Atomic uint32_t *bell = &s->shared->rank[c->rank].bell;
    sent[c->rank] = to[c->rank].bytes, got[c->rank] = from[c->rank].bytes;
    for (int idle = 0, left = 1; left;) {
        const uint32_t rung = atomic_load(bell);
        if (move_bytes(s, to, from, sent, got, &left)) idle = 0;
        else if (left && ++idle > LOOKS) {
            shm_sleep(bell, rung, SLEEP_MS);
            if (clock_ns() - looked < SLEEP_MS * 1000000u) continue;
            looked = clock_ns();
            HONE_TRY(look_around(s, sent, got, to, from, err));
        }
    }
    return HONE_OK;
}

static void seen(comm *c, int64_t step, const char *phase) {
    pulse *p = &((shm *)c)->shared->rank[c->rank];
    atomic_store(&p->step, step);
    snprintf(p->phase, sizeof p->phase, "%s", phase);
}

static void wake_all(shm *s) {
    for (int r = 0; r < s->base.n; r++)
        if (r != s->base.rank) ring_bell(s, r);
}

static void abandon(comm *c) {
    shm *s = (shm *)c;
    atomic_store(&s->shared->rank[c->rank].abandoned, (uint32_t)(1 + c->lost));
    wake_all(s);
}

static void close_shm(comm *c) {
    shm *s = (shm *)c;
    pthread_mutex_lock(&s->lock);
    s->ending = 1;
    pthread_cond_signal(&s->end);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->beater, NULL);
    atomic_store(&s->shared->rank[c->rank].closed, 1);
    wake_all(s);
    shm_unmap(s->shared, s->bytes);
    mem_free(s);
}

static const comm_way way = {"shared memory", exchange, seen, abandon, close_shm, look};

hone_status comm_shm_open(comm **out, const char *path, int rank, int n, double limit_s, hone_err *err) {
    HONE_ASSERT(n >= 1 && n <= COMM_RANKS_MAX && rank >= 0 && rank < n);
    void *p;
    HONE_TRY(shm_map(&p, path, all_bytes(n), err));
    head *h = p;
    if (h->magic != MAGIC || h->n != n || h->rank[rank].pid) {
        hone_fail(err, HONE_ECOMM, "%s: %s; expected shared memory for rank %d of %d", path,
                  h->magic == MAGIC && h->n == n ? "that rank is there already" : "belongs to another run",
                  rank, n);
        shm_unmap(p, all_bytes(n));
        return HONE_ECOMM;
    }
    shm *s = mem_new(sizeof *s, "communicator");
    s->base = (comm){.way = &way, .rank = rank, .n = n};
    s->shared = h;
    s->rings = (ring *)((char *)p + head_bytes());
    s->bytes = all_bytes(n);
    s->limit_s = limit_s;
    s->opened_ns = clock_ns();
    host_name(h->rank[rank].host);
    atomic_store(&h->rank[rank].beat_ns, clock_ns());
    atomic_store(&h->rank[rank].pid, process_self());
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->end, NULL);
    if (pthread_create(&s->beater, NULL, beat, s)) {
        shm_unmap(p, s->bytes);
        mem_free(s);
        return hone_fail(err, HONE_ENOFIT, "the system gives no thread for signs of life");
    }
    *out = &s->base;
    return HONE_OK;
}
