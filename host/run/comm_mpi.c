/* comm_mpi.c - ranks of several machines by MPI's point-to-point messages: a piece travels in parts of at most
 * MPI_CALLS_PIECE bytes. MPI does not say that a rank is gone, so their signs of life travel beside it (pulse.h): the
 * connection of a process that has died is closed, and what it had sent before may still arrive. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "run/mpi_calls.h"
#include "run/pulse.h"
#include "base/err.h"
#include "base/host.h"
#include "base/mem.h"

#define LOOKS 2000              /* before a pause */
#define PAUSE_NS 50000          /* of one */
#define LOOK_NS 20000000u       /* between two looks at the others' lives */
#define LAST_WORDS_NS 200000000 /* what a rank has sent before it ended arrives within */
#define ENDS_MS 500             /* mpirun ends all after the first that ends: the others get to say why */

typedef struct {
    comm base;
    const mpi_calls *mpi;
    pulse *pulse;
    uint64_t ended_ns[COMM_RANKS_MAX]; /* when it was seen that a rank has ended; 0: it has not */
    int failed;
} by_mpi;

typedef struct { /* one direction of the exchange with one rank */
    uint64_t done;
    size_t on_way; /* bytes of the message posted; 0: none is */
} transfer;

/* Move on: is all through? -1: MPI has failed. */
static int advance(const mpi_calls *mpi, transfer *t, const comm_piece *piece, int rank, int sends,
                   int *moved) {
    int done = 1;
    if (t->on_way) {
        if (!(sends ? mpi->send_done : mpi->receive_done)(rank, &done)) return -1;
        if (!done) return 0;
        t->done += t->on_way;
        t->on_way = 0;
        *moved = 1;
    }
    const uint64_t left = piece->bytes - t->done;
    char *at = (char *)piece->p + t->done;
    if (!left) return 1;
    t->on_way = left < MPI_CALLS_PIECE ? left : MPI_CALLS_PIECE;
    return (sends ? mpi->send(rank, at, t->on_way) : mpi->receive(rank, at, t->on_way)) ? 0 : -1;
}

static hone_status look_at(by_mpi *m, int r, hone_err *err) {
    if (!m->ended_ns[r] && pulse_has_ended(m->pulse, r)) m->ended_ns[r] = clock_ns();
    if (m->ended_ns[r] && clock_ns() - m->ended_ns[r] > LAST_WORDS_NS)
        return pulse_lost(m->pulse, &m->base, r, "has died", err);
    return pulse_look(m->pulse, &m->base, r, err);
}

static hone_status look_around(by_mpi *m, const transfer *out, const transfer *in, hone_err *err) {
    for (int r = 0; r < m->base.n; r++)
        if (r != m->base.rank && (out[r].on_way || in[r].on_way)) HONE_TRY(look_at(m, r, err));
    return HONE_OK;
}

static hone_status look(comm *c, hone_err *err) {
    by_mpi *m = (by_mpi *)c;
    hone_status status = HONE_OK;
    for (int r = 0; r < c->n && !status; r++)
        if (r != c->rank) status = look_at(m, r, err);
    if (status) m->failed = 1;
    return status;
}

static hone_status exchange(comm *c, const comm_piece *to, const comm_piece *from, hone_err *err) {
    by_mpi *m = (by_mpi *)c;
    transfer out[COMM_RANKS_MAX], in[COMM_RANKS_MAX];
    const struct timespec pause = {0, PAUSE_NS};
    uint64_t looked = clock_ns();
    memset(out, 0, sizeof out);
    memset(in, 0, sizeof in);
    for (int idle = 0, left = 1; left;) {
        int moved = 0;
        left = 0;
        for (int k = 1; k < c->n; k++) {
            const int r = (c->rank + k) % c->n;
            const int has = advance(m->mpi, &in[r], &from[r], r, 0, &moved),
                      gave = advance(m->mpi, &out[r], &to[r], r, 1, &moved);
            if (has < 0 || gave < 0) {
                m->failed = 1;
                return hone_fail(err, HONE_ECOMM, "rank %d: MPI: %.300s", r, m->mpi->why());
            }
            left += !has || !gave;
        }
        if (moved) idle = 0;
        else if (left && ++idle > LOOKS) {
            nanosleep(&pause, NULL);
            if (clock_ns() - looked < LOOK_NS) continue;
            looked = clock_ns();
            const hone_status status = look_around(m, out, in, err);
            if (status) {
                m->failed = 1;
                return status;
            }
        }
    }
    return HONE_OK;
}

static void seen(comm *c, int64_t step, const char *phase) { pulse_seen(((by_mpi *)c)->pulse, step, phase); }

static void abandon(comm *c) {
    by_mpi *m = (by_mpi *)c;
    m->failed = 1;
    pulse_give_up(m->pulse, c->lost);
}

/* A process that ends without MPI_Finalize is an end of the whole job to mpirun, with this process's exit code. */
static void close_mpi(comm *c) {
    by_mpi *m = (by_mpi *)c;
    if (m->failed) pulse_wait_for_ends(m->pulse, ENDS_MS);
    else m->mpi->end();
    pulse_close(m->pulse);
    mem_free(m);
}

static const comm_way way = {"MPI", exchange, seen, abandon, close_mpi, look};

hone_status comm_mpi_open(comm **out, const mpi_calls *mpi, int rank, int n, const int *beats, double limit_s,
                          hone_err *err) {
    pulse *p;
    HONE_TRY(pulse_open(&p, rank, n, beats, limit_s, err));
    by_mpi *m = mem_new(sizeof *m, "communicator");
    m->base = (comm){.way = &way, .rank = rank, .n = n};
    m->mpi = mpi;
    m->pulse = p;
    *out = &m->base;
    return HONE_OK;
}
