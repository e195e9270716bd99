/* pulse.c - signs are sent and heard whole; a lock stands between the thread and the rank. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "run/pulse.h"
#include "base/err.h"
#include "base/host.h"
#include "base/mem.h"
#include "base/net.h"
#include "base/shm.h"

#define BEAT_NS 500000000u

typedef struct { /* what goes over a socket */
    int64_t step, pid;
    int32_t gives_up; /* 1: it does; above: because it has lost rank gives_up - 2 */
    char phase[24], host[64];
} sign;

struct pulse {
    int rank, n, fd[COMM_RANKS_MAX];
    double limit_s;
    pthread_t beater;
    pthread_mutex_t lock; /* of all below */
    sign own, of[COMM_RANKS_MAX];
    size_t heard[COMM_RANKS_MAX]; /* bytes of a sign that is on its way in */
    sign coming[COMM_RANKS_MAX];
    char deaf[COMM_RANKS_MAX], ended[COMM_RANKS_MAX];
    uint64_t heard_ns[COMM_RANKS_MAX];
    atomic_int ending;
};

static void hear_signs(pulse *p) {
    for (int r = 0; r < p->n; r++) {
        int64_t n = 0;
        while (p->fd[r] >= 0 && !p->ended[r] &&
               (n = net_read(p->fd[r], (char *)&p->coming[r] + p->heard[r], sizeof(sign) - p->heard[r])) >
                   0) {
            p->heard[r] += (size_t)n;
            p->heard_ns[r] = clock_ns();
            if (p->heard[r] < sizeof(sign)) continue;
            p->of[r] = p->coming[r];
            p->heard[r] = 0;
        }
        if (n < 0) p->ended[r] = 1;
    }
}

/* Who does not take a sign at once has not read for minutes: he gets no more, for half a sign may lie on the way. */
static void give_signs(pulse *p) {
    for (int r = 0; r < p->n; r++)
        if (p->fd[r] >= 0 && !p->deaf[r])
            p->deaf[r] = !net_send_all(p->fd[r], &p->own, sizeof p->own, clock_ns() + 1000000u);
}

static void *beat(void *arg) {
    pulse *p = arg;
    int silent[COMM_RANKS_MAX] = {0}, fd[COMM_RANKS_MAX];
    for (uint64_t next = 0; !atomic_load(&p->ending);) {
        pthread_mutex_lock(&p->lock);
        if (clock_ns() > next) {
            give_signs(p);
            next = clock_ns() + BEAT_NS;
        }
        hear_signs(p);
        for (int r = 0; r < p->n; r++) fd[r] = p->ended[r] ? -1 : p->fd[r]; /* a closed one is always ready */
        pthread_mutex_unlock(&p->lock);
        net_wait(fd, silent, p->n, 50);
    }
    return NULL;
}

hone_status pulse_lost(pulse *p, comm *c, int rank, const char *how, hone_err *err) {
    pthread_mutex_lock(&p->lock);
    hear_signs(p);
    sign s = p->of[rank];
    if (s.gives_up == 1) how = "gave up";
    if (s.gives_up > 1 && s.gives_up - 2 < p->n) { /* a victim: who was lost first is named */
        rank = s.gives_up - 2;
        s = p->of[rank];
        how = s.gives_up ? "gave up" : p->ended[rank] ? "has died" : "was lost by another rank";
    }
    c->lost = rank + 1;
    pthread_mutex_unlock(&p->lock);
    hone_fail(err, HONE_ECOMM, "rank %d (host %.63s, process %lld) %s; last seen at step %lld in %.23s", rank,
              s.host, (long long)s.pid, how, (long long)s.step, *s.phase ? s.phase : "its start");
    return hone_hint(err, "its own last lines say why; the newest checkpoint holds, and "
                          "resume_from_checkpoint: true goes on from it");
}

hone_status pulse_look(pulse *p, comm *c, int rank, hone_err *err) {
    pthread_mutex_lock(&p->lock);
    const int gives_up = p->of[rank].gives_up;
    const double silent_s = (double)(clock_ns() - p->heard_ns[rank]) * 1e-9;
    pthread_mutex_unlock(&p->lock);
    char how[80];
    snprintf(how, sizeof how, "has shown no sign of life for %.0f s", p->limit_s);
    if (gives_up) return pulse_lost(p, c, rank, "gave up", err);
    return silent_s > p->limit_s + 1 ? pulse_lost(p, c, rank, how, err) : HONE_OK;
}

int pulse_has_ended(pulse *p, int rank) {
    pthread_mutex_lock(&p->lock);
    const int ended = p->ended[rank];
    pthread_mutex_unlock(&p->lock);
    return ended;
}

void pulse_seen(pulse *p, int64_t step, const char *phase) {
    pthread_mutex_lock(&p->lock);
    p->own.step = step;
    snprintf(p->own.phase, sizeof p->own.phase, "%s", phase);
    pthread_mutex_unlock(&p->lock);
}

void pulse_give_up(pulse *p, int lost) {
    pthread_mutex_lock(&p->lock);
    p->own.gives_up = 1 + lost;
    give_signs(p);
    pthread_mutex_unlock(&p->lock);
}

void pulse_wait_for_ends(pulse *p, int milliseconds) {
    const struct timespec moment = {0, 10000000};
    for (int left = 1; left && milliseconds > 0; milliseconds -= 10) {
        left = 0;
        pthread_mutex_lock(&p->lock);
        for (int r = 0; r < p->n; r++) left += r != p->rank && !p->ended[r] && !p->of[r].gives_up;
        pthread_mutex_unlock(&p->lock);
        if (left) nanosleep(&moment, NULL);
    }
}

hone_status pulse_open(pulse **out, int rank, int n, const int *fd, double limit_s, hone_err *err) {
    pulse *p = mem_new(sizeof *p, "signs of life");
    p->rank = rank, p->n = n;
    p->limit_s = limit_s;
    p->own.pid = process_self();
    host_name(p->own.host);
    for (int r = 0; r < n; r++) {
        p->fd[r] = fd[r];
        p->heard_ns[r] = clock_ns();
        snprintf(p->of[r].host, sizeof p->of[r].host, "not heard of");
    }
    pthread_mutex_init(&p->lock, NULL);
    if (pthread_create(&p->beater, NULL, beat, p)) {
        for (int r = 0; r < n; r++) net_close(fd[r]);
        mem_free(p);
        return hone_fail(err, HONE_ENOFIT, "the system gives no thread for signs of life");
    }
    *out = p;
    return HONE_OK;
}

void pulse_close(pulse *p) {
    atomic_store(&p->ending, 1);
    pthread_join(p->beater, NULL);
    for (int r = 0; r < p->n; r++) net_close(p->fd[r]);
    mem_free(p);
}
