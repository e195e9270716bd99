/* trace.h - a run that is watched: when each call of a program was played, when each thread was at work on it; what the
 * machine can do, and what a program's products take without all that hangs on them. For benches: calls are waited for,
 * so a device that is late is slower while it is watched. Everything here allocates. */
#ifndef RUN_TRACE_H
#define RUN_TRACE_H
#include "run/run.h"

typedef struct trace trace;

typedef struct {
    hone_program_kind program;
    int step; /* of it */
    uint64_t from_ns, to_ns;
} trace_span;

/* Watch what r plays from here on, while on. The trace ends before the run does; NULL is fine. */
trace *trace_new(run *r);
void trace_free(trace *t);
void trace_watch(trace *t, int on);
int trace_threads(const trace *t); /* of the host */
/* What was seen so far, in order of time. thread -1: the calls; else that thread at work within them (of a device with
 * queues of its own: nothing). */
const trace_span *trace_spans(const trace *t, int thread, int64_t *n);

/* Rates of the run's device, the best of a few tries: of a product of 2,048 x 1,536 x 1,536 in the plan's type, by the
 * run's own product code, and of a copy of 64 MiB (bytes read and written). */
hone_status trace_rates(trace *t, double *flops_per_s, double *bytes_per_s, hone_err *err);

/* Play a program as run_play does (MICRO, EVAL: of the image that was fed last, slot 0), and after each call that is a
 * product that product alone: the same operands, neither bias nor activation nor sums, its result thrown away. Gives the
 * seconds of these. */
hone_status trace_play_bare(trace *t, hone_program_kind program, const int64_t *rows, double *seconds,
                            hone_err *err);
#endif
