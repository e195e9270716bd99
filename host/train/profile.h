/* profile.h - what a bench saw of its steps, for people: a table by op, and a file for Chrome's or Perfetto's viewer. */
#ifndef TRAIN_PROFILE_H
#define TRAIN_PROFILE_H
#include "base/str.h"
#include "hone/plan.h"
#include "run/trace.h"

typedef struct {
    const hone_plan *plan;
    const int64_t *rows; /* [n_spaces + 1] of every step's batch */
    double mean_length;  /* tokens of a sequence */
    int64_t n_steps;     /* training steps that the trace holds */
    double flops_per_s, bytes_per_s; /* what the machine can do (trace_rates) */
    double step_s, bare_s;           /* medians: a step, the bare products of one */
} profile;

/* Calls of the same op and size are one row, the slowest first. json: the members "machine", "bare_products_s",
 * "step_by_bare_products" and "ops", after a comma; people: a table. */
void profile_print(const profile *p, const trace *t, text *json, text *people);

/* Trace Event Format: lane 0 is the plan's calls, lane 1 + k thread k at work on them; times from the first call on. */
hone_status profile_write(const profile *p, const trace *t, const char *path, hone_err *err);
#endif
