/* layout.h - where parameters, their gradients and the optimizer's state lie: between build.c, own.c and update.c. */
#ifndef PLAN_LAYOUT_H
#define PLAN_LAYOUT_H
#include "plan/build.h"
#include "plan/own.h"
#include "plan/passes.h"

#define ALIGN 64   /* elements: parameters begin at multiples, so chunks and gradients do too */
#define CHUNK 8192 /* elements of one chunk of the optimizer at most */

/* Parameters lie in the order in which the backward completes their gradients, spans together, then the frozen ones. One
 * unit is one span, or one parameter. */
typedef struct {
    int64_t first, n; /* elements; first is a multiple of ALIGN */
    int group;
} unit;

typedef struct {
    graph *g;
    int64_t *at; /* by parameter: first element, -1 not yet placed */
    unit *unit;
    int n_units;
    int64_t end;
} layout;

/* own.c: the buckets of a plan whose trained parameters are placed. */
void cut_buckets(hone_plan *p, const layout *l, const plan_options *o);

/* update.c: SQSUM, GUARD, ADAMW_STEP over what this rank updates, with the state that they need. */
void write_update(hone_plan *p, const layout *l, const plan_options *o);
int flat_value(graph *g, const char *name, int64_t n, hone_class cls, size_t offset, hone_dtype dtype);
#endif
