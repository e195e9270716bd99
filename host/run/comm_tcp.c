/* comm_tcp.c - ranks of several machines: a socket for data and one for signs of life between each two.
 *
 * Data are the bytes of the pieces, in order, nothing between them: both sides know how many come. A thread says twice
 * a second on the other sockets where this rank is, and hears where the others are. A process that ends closes its
 * sockets; one that is stopped says nothing. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "run/rendezvous.h"
#include "base/err.h"
#include "base/host.h"
#include "base/mem.h"
#include "base/net.h"
#include "base/shm.h"

#define BEAT_NS 500000000u

typedef struct { /* what goes over a pulse socket, whole */
    int64_t step, pid;
    int32_t gives_up; /* 1: it does; above: because it has lost rank gives_up - 2 */
    char phase[24], host[64];
} sign;

typedef struct {
    comm base;
    int data[COMM_RANKS_MAX], pulse[COMM_RANKS_MAX];
    double limit_s;
    pthread_t beater;
    pthread_mutex_t lock; /* of all below */
    sign own, of[COMM_RANKS_MAX];
    size_t heard[COMM_RANKS_MAX]; /* bytes of a sign that is on its way in */
    sign coming[COMM_RANKS_MAX];
    char deaf[COMM_RANKS_MAX], gone[COMM_RANKS_MAX]; /* does not read; has closed its end */
    uint64_t heard_ns[COMM_RANKS_MAX];
    atomic_int ending;
} tcp;

static void hear_signs(tcp *t) {
    for (int r = 0; r < t->base.n; r++) {
        int64_t n = 0;
        while (t->pulse[r] >= 0 && (n = net_read(t->pulse[r], (char *)&t->coming[r] + t->heard[r],
                                                 sizeof(sign) - t->heard[r])) > 0) {
            t->heard[r] += (size_t)n;
            t->heard_ns[r] = clock_ns();
            if (t->heard[r] < sizeof(sign)) continue;
            t->of[r] = t->coming[r];
            t->heard[r] = 0;
        }
        if (n < 0) t->gone[r] = 1;
    }
}

/* Who does not take a sign at once has not read for minutes: he gets no more, for half a sign may lie on the way. */
static void give_signs(tcp *t) {
    for (int r = 0; r < t->base.n; r++)
        if (t->pulse[r] >= 0 && !t->deaf[r])
            t->deaf[r] = !net_send_all(t->pulse[r], &t->own, sizeof t->own, clock_ns() + 1000000u);
}

static void *beat(void *arg) {
    tcp *t = arg;
    int silent[COMM_RANKS_MAX] = {0};
    for (uint64_t next = 0; !atomic_load(&t->ending);) {
        pthread_mutex_lock(&t->lock);
        if (clock_ns() > next) {
            give_signs(t);
            next = clock_ns() + BEAT_NS;
        }
        hear_signs(t);
        pthread_mutex_unlock(&t->lock);
        net_wait(t->pulse, silent, t->base.n, 50);
    }
    return NULL;
}

static hone_status lost(tcp *t, int rank, const char *how, hone_err *err) {
    pthread_mutex_lock(&t->lock);
    hear_signs(t);
    sign s = t->of[rank];
    if (s.gives_up == 1) how = "gave up";
    if (s.gives_up > 1 && s.gives_up - 2 < t->base.n) { /* a victim: who was lost first is named */
        rank = s.gives_up - 2;
        s = t->of[rank];
        how = s.gives_up ? "gave up" : "was lost by another rank";
    }
    t->base.lost = rank + 1;
    pthread_mutex_unlock(&t->lock);
    hone_fail(err, HONE_ECOMM, "rank %d (host %.63s, process %lld) %s; last seen at step %lld in %.23s", rank,
              s.host, (long long)s.pid, how, (long long)s.step, *s.phase ? s.phase : "its start");
    return hone_hint(err, "its own last lines say why; the newest checkpoint holds, and "
                          "resume_from_checkpoint: true goes on from it");
}

static hone_status look_at(tcp *t, int r, int closed_counts, hone_err *err) {
    pthread_mutex_lock(&t->lock);
    const int gives_up = t->of[r].gives_up, gone = t->gone[r] && closed_counts;
    const double silent_s = (double)(clock_ns() - t->heard_ns[r]) * 1e-9;
    pthread_mutex_unlock(&t->lock);
    char how[80];
    snprintf(how, sizeof how, "has shown no sign of life for %.0f s", t->limit_s);
    if (gives_up) return lost(t, r, "gave up", err);
    if (gone) return lost(t, r, "has died", err);
    return silent_s > t->limit_s + 1 ? lost(t, r, how, err) : HONE_OK;
}

static hone_status look_around(tcp *t, const uint64_t *sent, const uint64_t *got, const comm_piece *to,
                               const comm_piece *from, hone_err *err) {
    for (int r = 0; r < t->base.n; r++) /* a socket of data tells by itself that it was closed */
        if (r != t->base.rank && (sent[r] != to[r].bytes || got[r] != from[r].bytes))
            HONE_TRY(look_at(t, r, 0, err));
    return HONE_OK;
}

static hone_status look(comm *c, hone_err *err) {
    for (int r = 0; r < c->n; r++)
        if (r != c->rank) HONE_TRY(look_at((tcp *)c, r, 1, err));
    return HONE_OK;
}

static hone_status exchange(comm *c, const comm_piece *to, const comm_piece *from, hone_err *err) {
    tcp *t = (tcp *)c;
    uint64_t sent[COMM_RANKS_MAX] = {0}, got[COMM_RANKS_MAX] = {0};
    int fd[COMM_RANKS_MAX], writes[COMM_RANKS_MAX];
    sent[c->rank] = to[c->rank].bytes, got[c->rank] = from[c->rank].bytes;
    for (int left = 1; left;) {
        int moved = 0;
        left = 0;
        for (int k = 1; k < c->n; k++) {
            const int r = (c->rank + k) % c->n;
            int64_t out = 0, in = 0;
            if (sent[r] < to[r].bytes)
                out = net_send(t->data[r], (char *)to[r].p + sent[r], to[r].bytes - sent[r]);
            if (got[r] < from[r].bytes)
                in = net_read(t->data[r], (char *)from[r].p + got[r], from[r].bytes - got[r]);
            if (out < 0 || in < 0) return lost(t, r, "has died", err);
            sent[r] += (uint64_t)out, got[r] += (uint64_t)in;
            moved |= out || in;
            writes[r] = sent[r] < to[r].bytes;
            fd[r] = writes[r] || got[r] < from[r].bytes ? t->data[r] : -1;
            left += fd[r] >= 0;
        }
        fd[c->rank] = -1, writes[c->rank] = 0;
        if (!left || moved) continue;
        net_wait(fd, writes, c->n, 50);
        HONE_TRY(look_around(t, sent, got, to, from, err));
    }
    return HONE_OK;
}

static void seen(comm *c, int64_t step, const char *phase) {
    tcp *t = (tcp *)c;
    pthread_mutex_lock(&t->lock);
    t->own.step = step;
    snprintf(t->own.phase, sizeof t->own.phase, "%s", phase);
    pthread_mutex_unlock(&t->lock);
}

static void abandon(comm *c) {
    tcp *t = (tcp *)c;
    pthread_mutex_lock(&t->lock);
    t->own.gives_up = 1 + c->lost;
    give_signs(t);
    pthread_mutex_unlock(&t->lock);
}

static void close_tcp(comm *c) {
    tcp *t = (tcp *)c;
    atomic_store(&t->ending, 1);
    pthread_join(t->beater, NULL);
    for (int r = 0; r < c->n; r++) net_close(t->data[r]), net_close(t->pulse[r]);
    mem_free(t);
}

static const comm_way way = {"sockets", exchange, seen, abandon, close_tcp, look};

hone_status comm_tcp_open(comm **out, int rank, int n, const int *data, const int *pulse, double limit_s,
                          hone_err *err) {
    tcp *t = mem_new(sizeof *t, "communicator");
    t->base = (comm){.way = &way, .rank = rank, .n = n};
    t->limit_s = limit_s;
    t->own.pid = process_self();
    host_name(t->own.host);
    for (int r = 0; r < n; r++) {
        t->data[r] = data[r], t->pulse[r] = pulse[r];
        t->heard_ns[r] = clock_ns();
        snprintf(t->of[r].host, sizeof t->of[r].host, "not heard of");
    }
    pthread_mutex_init(&t->lock, NULL);
    if (pthread_create(&t->beater, NULL, beat, t)) {
        mem_free(t);
        return hone_fail(err, HONE_ENOFIT, "the system gives no thread for signs of life");
    }
    *out = &t->base;
    return HONE_OK;
}
