/* run.h - a plan on a live device: slabs reserved, calls bound, programs played.
 *
 * After run_begin nothing is allocated any more, on host or device: playing only sets the counts of a batch
 * and calls. A run is used by one thread. */
#ifndef RUN_RUN_H
#define RUN_RUN_H
#include "base/host.h"
#include "hone/plan.h"

typedef struct run run;

/* Reserve every slab of the plan (exactly plan->slab_bytes) and bind every step of every program and slot.
 * plan and p must outlive the run. HONE_ENOFIT: the device refused a slab; the message has planned bytes by
 * class. */
hone_status run_open(run **out, const hone_plan *plan, const hone_device_v1 *device, pool *p, hone_err *err);
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
/* Rows 0 .. n_rows of a value as fp32, whatever the plan computes in. */
hone_status run_get_rows(run *r, int value, int64_t n_rows, float *to, hone_err *err);
/* The same for n bytes from byte `at` of a value's storage on. */
hone_status run_put_part(run *r, int value, size_t at, const void *from, size_t n, hone_err *err);
/* A parameter's fp32 weights (the master, and the compute copy made from it); put: n of them, from `first`
 * on. */
hone_status run_put_param(run *r, int param, int64_t first, int64_t n, const float *from, hone_err *err);
hone_status run_get_param(run *r, int param, float *to, hone_err *err);

/* The host's image of an INPUT value: written by the feeder, copied to the device by run_play. */
void *run_input(run *r, int value);

/* Play a program into gradient slot `slot`. rows[space]: the batch's count in every row space of the plan. */
hone_status run_play(run *r, hone_program_kind program, int slot, const int64_t *rows, hone_err *err);

/* The same, step by step, stopping at the first step after which an output holds a value that is not finite:
 * *step
 * (-1: none), its operand, and the first such row (rows_space 0: no row). Slow; for finding the culprit. */
typedef struct {
    int step, value;
    int64_t row;
    int space;
    double seen;
} run_culprit;
hone_status run_play_probing(run *r, hone_program_kind program, int slot, const int64_t *rows,
                             run_culprit *out, hone_err *err);

/* Seconds spent in each phase since the last call, when asked for by run_time(r, 1). */
void run_time(run *r, int on);
void run_times(run *r, double phase_s[3]);
#endif
