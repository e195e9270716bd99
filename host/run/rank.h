/* rank.h - which rank of how many this process is, found in what started it. */
#ifndef RUN_RANK_H
#define RUN_RANK_H
#include "base/str.h"
#include "hone/status.h"

typedef struct {
    int rank, n;             /* of the run */
    int local_rank, local_n; /* on this machine; local_n 0: not said */
    const char *by;          /* who said it: "hone launch", "torchrun", "Open MPI" ...; "one process" */
    int mpi;                 /* mpirun has started it: MPI can be used */
    const char *comm;        /* HONE_COMM: path of hone launch's shared memory, "sockets", "mpi", or NULL */
    const char *host;        /* where rank 0 waits; NULL: not said */
    int port;
} rank_place;

/* The first of these that has spoken: --rank and --world_size (NULL or text; its devices are counted from 0, and it meets
 * the others at MASTER_ADDR), hone launch (HONE_RANK), torchrun
 * (RANK), torchelastic (PET_), Open MPI, PMIx, PMI, Slurm (only inside an srun step: the batch script has SLURM_PROCID
 * too), SkyPilot; else one process. HONE_EUSAGE: a number that is none, or a rank that is not below the world size. */
hone_status rank_find(rank_place *out, const char *rank, const char *world_size, hone_err *err);

/* Everything that was looked at, one line each, and which won: for hone doctor. */
hone_status rank_explain(text *out, hone_err *err);
#endif
