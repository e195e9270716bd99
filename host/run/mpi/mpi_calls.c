/* mpi_calls.c - libhone_mpi.so: each entry is one or two calls of MPI. */
#include <mpi.h>

#include "run/mpi_calls.h"

static char said[MPI_MAX_ERROR_STRING] = "";
static MPI_Request sent[COMM_RANKS_MAX], coming[COMM_RANKS_MAX];

static int ok(int error) {
    int n;
    if (error == MPI_SUCCESS) return 1;
    MPI_Error_string(error, said, &n);
    return 0;
}

static const char *why(void) { return said; }

static int begin(int *rank, int *n) {
    int given;
    if (!ok(MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &given))) return 0;
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    for (int r = 0; r < COMM_RANKS_MAX; r++) sent[r] = coming[r] = MPI_REQUEST_NULL;
    return ok(MPI_Comm_rank(MPI_COMM_WORLD, rank)) && ok(MPI_Comm_size(MPI_COMM_WORLD, n));
}

static void end(void) { MPI_Finalize(); }

static int broadcast(void *p, size_t bytes, int root) {
    return ok(MPI_Bcast(p, (int)bytes, MPI_BYTE, root, MPI_COMM_WORLD));
}
static int gather(const void *mine, size_t bytes, void *all) {
    return ok(MPI_Allgather(mine, (int)bytes, MPI_BYTE, all, (int)bytes, MPI_BYTE, MPI_COMM_WORLD));
}

static int send(int to, const void *p, size_t bytes) {
    return ok(MPI_Isend(p, (int)bytes, MPI_BYTE, to, 0, MPI_COMM_WORLD, &sent[to]));
}
static int receive(int from, void *p, size_t bytes) {
    return ok(MPI_Irecv(p, (int)bytes, MPI_BYTE, from, 0, MPI_COMM_WORLD, &coming[from]));
}
static int send_done(int to, int *done) { return ok(MPI_Test(&sent[to], done, MPI_STATUS_IGNORE)); }
static int receive_done(int from, int *done) { return ok(MPI_Test(&coming[from], done, MPI_STATUS_IGNORE)); }

__attribute__((visibility("default"))) const mpi_calls hone_mpi_calls_v1 = {
    sizeof(mpi_calls), why, begin, end, broadcast, gather, send, receive, send_done, receive_done};
