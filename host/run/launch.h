/* launch.h - hone launch: the ranks of one machine, one process each.
 *
 * Ranks get cores of their own (place.h), a shared memory to talk through, and HONE_RANK and its like. What they write to
 * standard error is passed on line by line, with "[rank N] " before the lines of all but rank 0. SIGTERM, SIGUSR1 and
 * SIGINT go on to all; when one rank fails the others get time to say so, then end. */
#ifndef RUN_LAUNCH_H
#define RUN_LAUNCH_H
#include "base/str.h"
#include "run/place.h"

typedef struct {
    int n;               /* ranks of this machine */
    int n_nodes, node;   /* of so many machines with as many each, this one; they meet at MASTER_ADDR. 1, 0: alone */
    double limit_s;      /* how long ranks may go on after another one has failed */
    char *const *argv;   /* "hone", and what comes behind it */
} launch_options;

/* Run it and wait. *exit_code: of the rank whose failure came first (6 for one that a signal ended), 0 if all did well. */
hone_status launch_ranks(const launch_options *o, int *exit_code, hone_err *err);

/* The cores and GPUs that the ranks of o would get: one line a rank. */
void launch_show(const launch_options *o, text *out);

/* Many machines: hone starts nothing there itself. Become the mpirun or srun that does, or only show its command line. */
typedef struct {
    const char *hosts; /* "a,b" */
    int n;             /* ranks in all, dealt evenly */
    int only_show;
    const char *by;    /* "mpirun", "srun"; NULL: srun inside a Slurm job, else mpirun */
    char *const *argv; /* as above */
} launch_hosts_options;
hone_status launch_hosts(const launch_hosts_options *o, text *shown, hone_err *err);
#endif
