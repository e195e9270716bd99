/* launch.h - hone launch: the ranks of one machine, one process each.
 *
 * Ranks get cores of their own, a shared memory to talk through, and HONE_RANK and its like. What they write to
 * standard error is passed on line by line, with "[rank N] " before the lines of all but rank 0. SIGTERM, SIGUSR1 and
 * SIGINT go on to all; when one rank fails the others get time to say so, then end. */
#ifndef RUN_LAUNCH_H
#define RUN_LAUNCH_H
#include "hone/status.h"

/* Run `hone argv[1] ...` as n ranks and wait. *exit_code: of the rank whose failure came first (6 for one that a signal
 * ended), 0 if all did well. limit_s: how long ranks may go on after another one has failed. */
hone_status launch_ranks(int n, char *const *argv, double limit_s, int *exit_code, hone_err *err);
#endif
