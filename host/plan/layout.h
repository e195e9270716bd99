/* layout.h - where parameters, their gradients and the optimizer's state lie: between build.c, own.c, update.c and
 * table.c. */
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

/* table.c: choose it and bind what it needs in MICRO; its part of UPDATE; MISSED. */
void choose_table(hone_plan *p, const layout *l, const plan_options *o);
void write_table_update(hone_plan *p, graph *g, const plan_options *o, int factor);
void write_missed(hone_plan *p, graph *g, const plan_options *o);

/* update.c: SQSUM, GUARD, ADAMW_STEP over what this rank updates, with the state that they need. */
void write_update(hone_plan *p, const layout *l, const plan_options *o);
/* Bytes of a gradient slot before the first trained element: the loss's row, and what says which rows of the table are touched. */
size_t grad_bytes_before(const hone_plan *p, const graph *g);
int flat_value(graph *g, const char *name, int64_t n, hone_class cls, size_t offset, hone_dtype dtype);
#endif
