/* pulse.h - signs of life between ranks of several machines: a socket between each two, and a thread.
 *
 * Twice a second the thread says on every socket where this rank is, and it hears where the others are. A process that
 * ends closes its sockets; one that is stopped says nothing; one that gives up says so. */
#ifndef RUN_PULSE_H
#define RUN_PULSE_H
#include "run/comm.h"

typedef struct pulse pulse;

/* fd[r]: an open connection to every other rank, owned from now on. */
hone_status pulse_open(pulse **out, int rank, int n, const int *fd, double limit_s, hone_err *err);
void pulse_close(pulse *p);

void pulse_seen(pulse *p, int64_t step, const char *phase); /* where this rank is */
/* This rank gives up: lost is 0, or the rank that it has lost + 1. */
void pulse_give_up(pulse *p, int lost);
/* Wait until all others have given up or ended, at most so long. */
void pulse_wait_for_ends(pulse *p, int milliseconds);

/* HONE_ECOMM, as pulse_lost says it, if this rank has given up or shown no sign of life for the limit. */
hone_status pulse_look(pulse *p, comm *c, int rank, hone_err *err);
int pulse_has_ended(pulse *p, int rank); /* its end of the connection is closed */
/* The line that names a lost rank, or the one that it has lost before; c->lost is set. how: "has died". */
hone_status pulse_lost(pulse *p, comm *c, int rank, const char *how, hone_err *err);
#endif
