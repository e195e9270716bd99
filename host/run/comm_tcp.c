/* comm_tcp.c - ranks of several machines: a socket for data between each two, and their signs of life (pulse.h).
 *
 * Data are the bytes of the pieces, in order, nothing between them: both sides know how many come. */
#include "run/rendezvous.h"
#include "run/pulse.h"
#include "base/mem.h"
#include "base/net.h"

typedef struct {
    comm base;
    int data[COMM_RANKS_MAX];
    pulse *pulse;
} tcp;

static hone_status look_around(tcp *t, const uint64_t *sent, const uint64_t *got, const comm_piece *to,
                               const comm_piece *from, hone_err *err) {
    for (int r = 0; r < t->base.n; r++)
        if (r != t->base.rank && (sent[r] < to[r].bytes || got[r] < from[r].bytes))
            HONE_TRY(pulse_look(t->pulse, &t->base, r, err));
    return HONE_OK;
}

/* Outside an exchange no socket of data tells that its other end was closed. */
static hone_status look(comm *c, hone_err *err) {
    pulse *p = ((tcp *)c)->pulse;
    for (int r = 0; r < c->n; r++) {
        if (r == c->rank) continue;
        HONE_TRY(pulse_look(p, c, r, err));
        if (pulse_has_ended(p, r)) return pulse_lost(p, c, r, "has died", err);
    }
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
            if (out < 0 || in < 0) return pulse_lost(t->pulse, c, r, "has died", err);
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

static void seen(comm *c, int64_t step, const char *phase) { pulse_seen(((tcp *)c)->pulse, step, phase); }
static void abandon(comm *c) { pulse_give_up(((tcp *)c)->pulse, c->lost); }

static void close_tcp(comm *c) {
    tcp *t = (tcp *)c;
    pulse_close(t->pulse);
    for (int r = 0; r < c->n; r++) net_close(t->data[r]);
    mem_free(t);
}

static const comm_way way = {"sockets", exchange, seen, abandon, close_tcp, look};

hone_status comm_tcp_open(comm **out, int rank, int n, const int *data, const int *beats, double limit_s,
                          hone_err *err) {
    pulse *p;
    const hone_status status = pulse_open(&p, rank, n, beats, limit_s, err);
    if (status) {
        for (int r = 0; r < n; r++) net_close(data[r]);
        return status;
    }
    tcp *t = mem_new(sizeof *t, "communicator");
    t->base = (comm){.way = &way, .rank = rank, .n = n};
    t->pulse = p;
    for (int r = 0; r < n; r++) t->data[r] = data[r];
    *out = &t->base;
    return HONE_OK;
}
