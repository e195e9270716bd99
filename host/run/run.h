/* run.h - a plan on a live device: slabs reserved, calls bound, programs played.
 *
 * After run_begin nothing is allocated any more, on host or device: playing only sets the counts of a batch
 * and calls. A run is used by one thread. */
#ifndef RUN_RUN_H
#define RUN_RUN_H
#include "base/host.h"
#include "hone/plan.h"
#include "plan/wire.h"
#include "run/tree.h"

typedef struct run run;

/* Reserve every slab of the plan (exactly plan->slab_bytes) and bind every step of every program and slot.
 * plan and p must outlive the run. HONE_ENOFIT: the device refused a slab; the message has planned bytes by
 * class. */
hone_status run_open(run **out, const hone_plan *plan, const hone_device_v1 *device, pool *p, hone_err *err);
/* The same on a certain one of several devices. */
hone_status run_open_on(run **out, const hone_plan *plan, const hone_device_v1 *device, int ordinal, pool *p,
                        hone_err *err);
void run_close(run *r);
void run_begin(run *r); /* from here on allocation aborts */
void run_end(run *r);   /* and from here on it does not; run_close implies it */

/* Bytes asked of the device for slabs: equals hone_plan_device_bytes(plan). */
size_t run_device_bytes(const run *r);
const hone_plan *run_plan(const run *r);
const char *run_device_name(const run *r);

/* Copy a value's whole storage (its dtype, capacity rows) in or out; GRAD: of slot 0. Waits. */
hone_status run_put(run *r, int value, const void *from, hone_err *err);
hone_status run_get(run *r, int value, void *to, hone_err *err);
/* Rows 0 .. n_rows of a value: as floats where it is of a floating type, as int32 of I32; room for so many. */
hone_status run_get_rows(run *r, int value, int64_t n_rows, void *to, hone_err *err);
/* n bytes from byte `at` of a value's storage on. */
hone_status run_put_part(run *r, int value, size_t at, const void *from, size_t n, hone_err *err);
hone_status run_get_part(run *r, int value, size_t at, void *to, size_t n, hone_err *err);
/* A parameter's fp32 weights (the master, and the compute copy made from it); put: n of them, from `first`
 * on. */
hone_status run_put_param(run *r, int param, int64_t first, int64_t n, const float *from, hone_err *err);
hone_status run_get_param(run *r, int param, float *to, hone_err *err);

/* flat.c: the optimizer's fp32 state by parameter (plan.h: hone_flat). Put: elements first .. first + n of the parameter, of
 * which the rank takes what it holds. Get: all elements of it; where the state is divided every rank makes the same calls in
 * the same order. run_get_param is run_get_flat of HONE_MASTER. */
hone_status run_put_flat(run *r, hone_flat_kind kind, int param, int64_t first, int64_t n, const float *from, hone_err *err);
hone_status run_get_flat(run *r, hone_flat_kind kind, int param, float *to, hone_err *err);
/* Elements first .. first + n of the flat order, all of which this rank holds. */
hone_status run_get_held(run *r, hone_flat_kind kind, int64_t first, int64_t n, float *to, hone_err *err);
/* One rank reads a divided state while the others answer: it calls run_asks, then run_get_flat and run_get_param as it
 * likes, then run_asks_no_more; the others call run_answer, which returns when it has. Not divided: nothing is said. */
void run_asks(run *r);
hone_status run_asks_no_more(run *r, hone_err *err);
hone_status run_answer(run *r, int reader, hone_err *err);

/* Begin the image of another batch (waits until the device has taken what lies there), and the place of an INPUT value
 * in it. MICRO, EVAL, DECODE and MOVE bring the image to the device; the update's rates and clip are those of the last one. */
hone_status run_feed(run *r, hone_err *err);
void *run_input(run *r, int value);

/* Play a program into gradient slot `slot`. rows[space]: the batch's count in every row space of the plan. A device
 * that is late (run_is_late) goes on by itself: what it does is done when a value is read, or a result heard. */
hone_status run_play(run *r, hone_program_kind program, int slot, const int64_t *rows, hone_err *err);
int run_is_late(const run *r);

/* Where the device captures graphs: make the one that run_play will launch for such a batch, unless it is there; a
 * program is first played once as it is. Allocates, so it is called outside run_begin and run_end. The bits are the
 * same with graphs and without; run_graphs(r, 0): without. */
void run_prepare(run *r, hone_program_kind program, int slot, const int64_t *rows);
void run_graphs(run *r, int on);

/* Name what is played on the timeline of the device's profiler, from here on: "micro 0" around a program in gradient slot
 * 0, in it "12 LINEAR_FWD layer 3" around each step of the plan; "micro 0 captured" around the steps that become a
 * graph, and "micro 0 as a graph" around its launch, which has no steps for the host. Allocates. HONE_EUSAGE: the device has no
 * profiler. */
hone_status run_ranges(run *r, hone_err *err);

/* What a training step leaves for the host. run_ask, after UPDATE: have it read; run_hear waits for the reading asked
 * for first. Two may be under way, so that the host need not wait for the step that is being played. */
typedef struct {
    float loss, norm;
    float sequence_loss; /* the part of loss that is a second one's (plan.h); 0: there is none */
    int32_t ok;
    hone_tick tick; /* after the step */
    /* A hash of the step's bits: SQSUM's partial sums (one of each 8,192 elements of the gradient), and a window of 65,536
     * elements, another one in each step: their gradients, and weights after it. Over the window it is a sum, so parts
     * of it may be hashed apart and added. */
    uint64_t marks;
} run_result;
hone_status run_ask(run *r, int64_t step,
                    hone_err *err); /* step: which one it is, from 0: decides the window */
hone_status run_hear(run *r, run_result *out, hone_err *err);
int run_is_asked(const run *r); /* a result is still to be heard */

/* Sums over ranks. run_share, once, before run_begin: make room for what they need, and a thread (linked: little, the
 * devices add). tree_sum_begin says how
 * many shards the step has.
 *
 * run_play_last instead of the run_play of a rank's last micro-batch: slots 0 .. slot - 1 hold values of this step, and
 * `slot` will; n_folds of these are then still to be added, each of the last ones into the one before it, which leaves this
 * rank's maximal nodes (tree.h). Buckets leave as soon as the plan says that they are complete. Afterwards slot 0 of every
 * rank holds gradient and loss of the whole step; of a divided plan, the parts of the buckets that the rank owns (own.h).
 * run_play_none: this rank has no micro-batch in this step; the batch that was fed brings only rates and clip.
 *
 * UPDATE of a divided plan speaks with the other ranks by itself: it returns with all weights updated. Devices that exchange by
 * themselves still gather them then, beside the next MICRO's forward: whoever reads weights waits for them on the device. */
hone_status run_share(run *r, tree_sum *t, int linked, hone_err *err);
hone_status run_play_last(run *r, int slot, const int64_t *rows, int n_folds, hone_err *err);
hone_status run_play_none(run *r, hone_err *err);
/* Buckets that are summed in the step being played (for a test, from any thread); and, over all steps, how many were
 * before the backward had ended. */
int run_buckets_done(run *r);
int64_t run_buckets_beside(const run *r);

/* The first elements of a slot, where the loss is, never travel as bf16. */
#define RUN_EXACT 64

/* How they are made beyond that: once, after run_share, with what the plan was made for (plan_options.wire). Linked: by
 * the devices themselves (tree_device.h): buckets are then only put on a queue. bf16: every edge of the tree rounds,
 * so that run_fold is the way to add slots s and s + 1 into s, and with one rank run_round_root ends a step's sum. */
typedef struct {
    wire_limits wire;
    int linked, plain;
} run_sums;
hone_status run_share_device(run *r, comm *ranks, const run_sums *how, hone_err *err);
hone_status run_fold(run *r, int slot, const int64_t *rows, hone_err *err);
hone_status run_round_root(run *r, hone_err *err);

/* MICRO or EVAL step by step, stopping at the first step after which an output holds a value that is not finite: step
 * (-1: none), its operand, and the first such row (space 0: no row). Slow, allocates; for finding the culprit. */
typedef struct {
    int step, value;
    int64_t row;
    int space;
    double seen;
} run_culprit;
hone_status run_play_probing(run *r, hone_program_kind program, int slot, const int64_t *rows,
                             run_culprit *out, hone_err *err);

/* Seconds spent in each phase since the last call, when asked for by run_time(r, 1); phases are waited for then, and
 * graphs are not used. */
void run_time(run *r, int on);
void run_times(run *r, double phase_s[3]);
#endif
