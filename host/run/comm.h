/* comm.h - what the ranks of a run say to each other.
 *
 * Every call is collective: all ranks make the same calls in the same order. Everything is built on one exchange, in
 * which each rank has a piece for every other: bytes, no numbers, so a communicator cannot change a sum. The sums are
 * in tree.h.
 *
 * A rank that dies or stops is noticed by those that wait for it: the call fails with HONE_ECOMM and one line that
 * names rank, host, process, and the step and phase in which it was last seen. After a failure only comm_close may
 * follow. A communicator is used by one thread at a time: while gradients leave beside the backward it is the thread of
 * share.c, else the run's own. comm_seen and comm_abandon may be called by any. */
#ifndef RUN_COMM_H
#define RUN_COMM_H
#include <stddef.h>
#include <stdint.h>

#include "hone/status.h"

typedef struct comm comm;

typedef struct {
    void *p; /* may be NULL where bytes is 0 */
    size_t bytes;
} comm_piece;

/* A way for bytes to travel: shared memory (comm_shm.c) ... */
typedef struct {
    const char *name;
    hone_status (*exchange)(comm *c, const comm_piece *to, const comm_piece *from, hone_err *err);
    void (*seen)(comm *c, int64_t step, const char *phase); /* tell the others where this rank is */
    void (*abandon)(comm *c);                               /* tell them that this rank gives up */
    void (*close)(comm *c);
    hone_status (*look)(comm *c, hone_err *err); /* HONE_ECOMM: somebody has gone. NULL: only an exchange notices */
} comm_way;

struct comm {
    const comm_way *way;
    int rank, n;
    uint64_t spent_ns; /* in exchanges so far, mostly in waiting for others */
    int lost; /* the rank whose loss this one has noticed + 1; 0: none */
    int local_rank;      /* on its machine: which of its devices is this rank's */
    int per_machine;     /* ranks of a machine, where all have as many and neighbours share one: rank r is on machine
                            r / per_machine; 0: all are on one, or nothing of the kind is known */
    uint64_t bytes_sent; /* to other ranks, by exchanges and by sums between devices (tree_device.h) */
};

/* One rank by itself: every call is a copy. */
comm *comm_alone(void);

/* Shared memory of one machine. path: a file that one process made with comm_shm_make for n ranks; each rank opens it
 * once. limit_s: how long a rank may show no sign of life before it is given up. */
hone_status comm_shm_make(const char *path, int n, hone_err *err);
hone_status comm_shm_open(comm **out, const char *path, int rank, int n, double limit_s, hone_err *err);
void comm_close(comm *c); /* NULL is fine */

/* to[r] goes to rank r, from[r] comes from it; to[r].bytes there and from[r].bytes here must agree. */
hone_status comm_exchange(comm *c, const comm_piece *to, const comm_piece *from, hone_err *err);
/* Everybody's bytes, in rank order: all[r * bytes]. mine may be its own place in all. */
hone_status comm_gather(comm *c, const void *mine, size_t bytes, void *all, hone_err *err);
/* Root's bytes for everybody. */
hone_status comm_broadcast(comm *c, void *p, size_t bytes, int root, hone_err *err);
hone_status comm_barrier(comm *c, hone_err *err);
/* The largest of everybody's x. */
hone_status comm_largest(comm *c, int64_t *x, hone_err *err);

/* The first rank whose word is not 0 decides: *word becomes its word, and *rank who it is (-1: all are 0). */
hone_status comm_first_word(comm *c, int64_t *word, int *rank, hone_err *err);

/* While this rank waits for something else than an exchange (a device whose sums need the others): are they all still
 * there? HONE_ECOMM names one that is not. Cheap: it looks twenty times a second, however often it is asked, and otherwise
 * rests a moment, longer if nothing has moved for some time (n_asked: how often it was asked in a row). */
hone_status comm_look(comm *c, int64_t n_asked, hone_err *err);

/* Where this rank is, for the line that names it should it die: phase is a constant string ("forward", "save" ...). */
void comm_seen(comm *c, int64_t step, const char *phase);
/* This rank ends with an error: the others stop waiting. They name it, or the rank that it has lost itself. */
void comm_abandon(comm *c);

#define COMM_RANKS_MAX 64
#endif
