/* inside.h - what a run is made of: for the files of this folder. */
#ifndef RUN_INSIDE_H
#define RUN_INSIDE_H
#include "plan/rung.h"
#include "run/run.h"
#include "run/tree_device.h"
#include "base/arena.h"

#define N_IMAGES 3   /* one is written, one copied in, one played */
#define WINDOW 65536 /* elements */
#define N_RESULTS 2  /* a step may be played while the one before is read */

typedef struct {
    hone_status (*fn)(hone_queue *, const hone_call *);
    hone_call call;
    int slice;        /* without rows of this row space it is not played; 0: it always is */
    const char *name; /* its range; NULL: none are made */
} bound_step;

typedef struct {
    int64_t *extent;
    int space;
} row_extent;

/* What the device chose for a call of a fixed number of rows, at each rung. */
typedef struct {
    int step;
    void *of[HONE_N_RUNGS];
} rung_choice;

/* A program in a gradient slot. Its calls are ready but for the extents of row spaces, which are set before
 * it is played or captured. */
typedef struct {
    bound_step *step;
    row_extent *extent;
    rung_choice *by_rung;
    int n_steps, n_extents, n_by_rung;
    int64_t n_played;
    const int *part; /* [n_parts + 1] steps part[k] .. part[k + 1] are played, and captured, without anything between */
    int n_parts;
    const int *reads; /* [n_parts] the first bucket of which a part reads weights; plan->n_buckets: none */
    hone_exec **graph; /* [HONE_N_RUNGS][n_parts] */
    int refused; /* the device could not capture it once: it is played call by call */
    const char *name, *captured, *replayed; /* of its ranges */
} bound;

typedef struct sharing sharing;

struct run {
    arena *a;
    const hone_plan *plan;
    const hone_device_v1 *table;
    const hone_host_v1 *host;
    hone_device *device;
    hone_limits limits;
    void *slab[HONE_N_CLASSES];
    bound *program[HONE_N_PROGRAMS]; /* [n_slots] */
    int64_t *played;                 /* rows of the program being played, by space */
    int begun, timed, graphs;
    double phase_s[3];

    /* Everything is played on one queue. A device that is late works while the host goes on: batches come in
     * on a queue of their own, and a third one only ever waits for events, for the host to wait on. */
    int is_late;
    hone_queue *queue, *copies, *waiter;
    void *image[N_IMAGES]; /* pinned: the host's INPUT */
    int n_images, image_now;
    hone_event *copied[N_IMAGES]; /* the image lies on the device */
    hone_event *taken;            /* and has been taken from there: the place is free for the next one */
    run_result *result;           /* pinned [N_RESULTS] */
    int partials;                 /* the value of SQSUM's partial sums; 0: none */
    size_t partial_bytes;
    int64_t window_at[N_RESULTS], window_n[N_RESULTS];
    char *marks; /* pinned [N_RESULTS]: a window's gradients, its weights, the partial sums */
    hone_event *answered[N_RESULTS];
    int64_t n_asked, n_heard;

    int rows_missed; /* rows of the plan's table may have missed updates (missed.c) */

    struct zones *zones; /* NULL: the plan has none */
    struct trace *trace; /* NULL: nobody watches */

    pool *pool;
    sharing *sharing; /* with other ranks (share.c); NULL: none */
    int asks;         /* reads a divided state while the others answer (flat.c) */
    int hands_over;   /* MICRO is played for the last time in this step */

    /* Sums made by the devices, and rounding (share_device.c); NULL: neither. */
    tree_device *between;
    run_sums how;
    hone_queue *sums;
    hone_event *gradients, *summed; /* lie there; and are added */
};

void *run_address(const run *r, int v, int slot);
/* Set the extents of row spaces; returns the rung. */
int set_rows(run *r, bound *b, const int64_t *rows);
hone_status copy_in(run *r, hone_err *err);
hone_status play_step(run *r, const hone_program *p, const bound *b, int i, hone_err *err);
/* share.c. The first `played` steps of MICRO are on their way: the buckets that these complete leave. */
hone_status share_gradients(run *r, int played, hone_err *err);
/* In a divided plan's UPDATE: the ranks' sums over chunks, before GUARD; then the weights, bucket by bucket as they are
 * updated; until all have arrived. */
hone_status share_sums(run *r, hone_err *err);
void share_begin_weights(run *r);
hone_status share_weights(run *r, int played, hone_err *err);
hone_status share_end_weights(run *r, hone_err *err);
/* Devices of a divided plan gather weights beside what comes after UPDATE: what is put on r->queue from here on may read those of
 * buckets `from` and after (0: all). */
void await_weights(run *r, int from);
/* The host waits for all of them. Whoever then speaks with the other ranks leaves none of them waiting for its device. */
hone_status settle_weights(run *r, hone_err *err);
/* The sum of all ranks' x. */
hone_status share_marks(run *r, uint64_t *x, hone_err *err);
void close_sharing(run *r);
tree_sum *sharing_sum(const run *r);
/* flat.c: where the element that lies at `held` of a kind of state is in the slab. */
char *flat_address(const run *r, hone_flat_kind kind, int64_t held);
/* The host waits until what was recorded is done. */
hone_status wait_for(run *r, hone_event *e, hone_err *err);
/* Queues, events, pinned memory of a run that is being opened; their end. */
hone_status open_queues(run *r, hone_err *err);
void close_queues(run *r);
void close_sums(run *r);
/* share_device.c. What is given so far is added, or gathered, on the sums' queue; in the end r->queue waits for it. */
hone_status sum_bucket_on_device(run *r, int bucket, int n_held, int n_folds, hone_err *err);
hone_status gather_on_device(run *r, void *x, size_t element_bytes, const int64_t *cut, hone_err *err);
void wait_on_device(run *r);
/* Wait for all that a queue was given. Where other ranks may be what it waits for, they are looked after. */
hone_status run_settle(run *r, hone_queue *queue, hone_err *err);

/* missed.c: updates that rows of the plan's table have missed (plan.h: hone_table; without one nothing happens). Of the rows that the
 * batch in INPUT reads; of those with any of elements at .. end of the flat order; of all, before the host, or another
 * program than MICRO, looks at the weights or the optimizer's state. */
hone_status update_rows_of_batch(run *r, const int64_t *rows, hone_err *err);
hone_status update_rows_between(run *r, int64_t at, int64_t end, hone_err *err);
hone_status update_all_rows(run *r, hone_err *err);
/* Weights and state are what the last UPDATE made of them, on this rank: settle_weights and update_all_rows. */
hone_status settle_state(run *r, hone_err *err);

/* trace.c: before and after step i of a program. */
void trace_begin(run *r, const hone_program *p, int i);
hone_status trace_end(run *r, hone_err *err);

/* zones.c: red zones, after slabs and queues are there; before and after step i of a program. HONE_EBUG: it wrote behind a
 * value. A run with zones plays no graphs. */
hone_status zones_open(run *r, hone_err *err);
hone_status zones_arm(run *r, const hone_step *s, int i);
hone_status zones_check(run *r, const hone_step *s, int i, hone_err *err);
#endif
