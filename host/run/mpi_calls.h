/* mpi_calls.h - what hone asks of MPI, as a table that libhone_mpi.so fills.
 *
 * The program is not linked with MPI: it opens that shared object, built where CMake has found mpi.h, when mpirun has
 * started it. All calls are of one thread. Functions that return int: 1, or 0 with *why from mpi_calls.why(). */
#ifndef RUN_MPI_CALLS_H
#define RUN_MPI_CALLS_H
#include <stddef.h>
#include <stdint.h>

#include "run/comm.h"
#include "run/rank.h"

#define MPI_CALLS_SYMBOL "hone_mpi_calls_v1" /* const mpi_calls hone_mpi_calls_v1; */
#define MPI_CALLS_PIECE ((size_t)64 << 20)   /* bytes of one message at most */

typedef struct {
    uint32_t struct_bytes;
    const char *(*why)(void); /* the last failure in MPI's words */

    int (*begin)(int *rank, int *n); /* MPI_Init; MPI must not have been initialized before */
    void (*end)(void);               /* MPI_Finalize: waits for the others */

    /* Collective, before anything is posted. */
    int (*broadcast)(void *p, size_t bytes, int root);
    int (*gather)(const void *mine, size_t bytes, void *all); /* all[rank * bytes] */

    /* One message to (or from) each rank may be on its way: bytes is MPI_CALLS_PIECE at most, on both sides the same. */
    int (*send)(int to, const void *p, size_t bytes);
    int (*receive)(int from, void *p, size_t bytes);
    /* Has it arrived (been taken)? *done: 1 if so, and the next may be posted. */
    int (*send_done)(int to, int *done);
    int (*receive_done)(int from, int *done);
} mpi_calls;

/* comm_mpi.c: a communicator over MPI that has begun, and signs of life over sockets: beats[r] to every other rank, owned
 * from now on. Closing it ends MPI. */
hone_status comm_mpi_open(comm **out, const mpi_calls *mpi, int rank, int n, const int *beats, double limit_s,
                          hone_err *err);

/* meet_mpi.c: ranks that mpirun has started meet: MPI tells them rank 0's address and a secret of this run, and from
 * there on it is the rendezvous. On one machine they then share memory (unless apart), and MPI has ended; else data go
 * by MPI. HONE_EUSAGE: there is no libhone_mpi.so, or place is not what MPI says. */
hone_status mpi_meet(comm **out, const rank_place *place, int apart, double limit_s, hone_err *err);
int mpi_is_there(void); /* libhone_mpi.so */
#endif
