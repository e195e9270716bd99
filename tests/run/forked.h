/* forked.h - ranks of a test as processes of their own, which talk through shared memory. */
#ifndef FORKED_H
#define FORKED_H
#include <sys/types.h>

#include "run/comm.h"

typedef hone_status rank_fn(comm *c, void *arg, hone_err *err);

/* Start n ranks; pid[r]. Each ends with the exit code of its status and leaves what it says of a failure in a file. */
void forked_start(int n, double limit_s, rank_fn *fn, void *arg, pid_t *pid);
const char *forked_said(int rank); /* what a rank of the test's last start has said; "" if it ended well */
int forked_end(pid_t pid);         /* its exit code, or 128 + the signal that ended it */
void forked_all_end_well(int n, rank_fn *fn, void *arg);
#endif
