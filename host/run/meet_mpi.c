/* meet_mpi.c - where mpirun has started the ranks nobody need name an address or a secret: MPI brings both to all. */
#include <stdio.h>
#include <string.h>

#include "run/mpi_calls.h"
#include "run/rendezvous.h"
#include "base/err.h"
#include "base/host.h"
#include "base/net.h"
#include "base/shm.h"

#define LIBRARY "libhone_mpi.so"

int mpi_is_there(void) { return library_is_there(LIBRARY); }

static hone_status load(const mpi_calls **out, hone_err *err) {
    const mpi_calls *mpi = library_load(LIBRARY, MPI_CALLS_SYMBOL, err);
    if (!mpi)
        return hone_hint(err, "build hone where mpi.h is (libopenmpi-dev), or give all ranks MASTER_ADDR, "
                              "MASTER_PORT, HONE_SECRET and HONE_COMM=sockets");
    if (mpi->struct_bytes != sizeof *mpi)
        return hone_fail(err, HONE_EUSAGE, LIBRARY ": its table has %u bytes; expected %zu",
                         mpi->struct_bytes, sizeof *mpi);
    *out = mpi;
    return HONE_OK;
}

typedef struct { /* what rank 0 has to say to all */
    uint8_t secret[32];
    char host[64];
    int32_t port; /* 0: it could not listen */
} invitation;

static hone_status spoiled(const mpi_calls *mpi, hone_err *err) {
    return hone_fail(err, HONE_ECOMM, "MPI, when the ranks met: %.300s", mpi->why());
}

/* Rank 0 listens on loopback where all are on one machine, else on the interface of MASTER_ADDR or of its own name. */
static hone_status invite(invitation *out, rendezvous_terms *terms, const mpi_calls *mpi,
                          const rank_place *place, hone_err *err) {
    char own[64], all[COMM_RANKS_MAX][64];
    hone_status status = HONE_OK;
    host_name(own);
    if (!mpi->gather(own, sizeof own, all)) return spoiled(mpi, err);
    int here = 1;
    for (int r = 1; r < place->n; r++) here &= !memcmp(all[r], all[0], sizeof all[0]);
    memset(out, 0, sizeof *out);
    if (!place->rank) {
        int port = 0;
        random_bytes(out->secret, sizeof out->secret);
        snprintf(out->host, sizeof out->host, "%.63s", here ? "127.0.0.1" : place->host ? place->host : own);
        status = net_listen(&terms->listener, out->host, &port, err);
        if (status) hone_hint(err, "MASTER_ADDR names the interface of rank 0 that the others can reach");
        else out->port = port;
    }
    if (!mpi->broadcast(out, sizeof *out, 0)) return spoiled(mpi, err);
    if (!status && !out->port) return hone_fail(err, HONE_ECOMM, "rank 0 cannot listen for the others");
    return status;
}

hone_status mpi_meet(comm **out, const rank_place *place, int apart, double limit_s, hone_err *err) {
    const mpi_calls *mpi = NULL;
    invitation v;
    int rank = -1, n = 0, beats[COMM_RANKS_MAX], per_machine;
    rendezvous_terms terms = {.listener = -1, .apart = apart, .limit_s = limit_s};
    HONE_TRY(load(&mpi, err));
    if (!mpi->begin(&rank, &n)) return spoiled(mpi, err);
    if (rank != place->rank || n != place->n)
        return hone_fail(err, HONE_EUSAGE, "MPI says rank %d of %d, and %s says %d of %d; expected the same",
                         rank, n, place->by, place->rank, place->n);
    HONE_TRY(invite(&v, &terms, mpi, place, err));
    terms.self = (rendezvous_self){.secret = v.secret, .secret_bytes = sizeof v.secret, .rank = rank, .n = n};
    terms.host = v.host;
    terms.port = v.port;
    HONE_TRY(rendezvous_meet(out, NULL, beats, &per_machine, &terms, err));
    if (*out) mpi->end(); /* they share memory from here on */
    else HONE_TRY(comm_mpi_open(out, mpi, rank, n, beats, limit_s, err));
    (*out)->per_machine = per_machine;
    return HONE_OK;
}
