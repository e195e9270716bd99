/* passes.h - the passes of a plan, in order; each turns the program in a graph into another one.
 *
 *   narrow   a GATHER climbs above the row-wise maker of what it reads: rows that nobody reads are not made
 *   pack     LINEARs of one x with adjacent parameters become one product on the span
 *   grad     the gradient rules of the op lines, walked backwards
 *   split    a sum that the device cannot make in place ("+") becomes an ADD
 *   expand   the loss over a vocabulary becomes ordinary ops on chunks of its rows
 *   fuse     makers move into neighbours with more operands bound, where the device can
 *   recompute   what the backward reads is made again instead of kept (level 1, 2)
 *   lists    attention gets the work lists that the device wants
 *   memory   places of activations in one slab
 *   bind     what the device says: can it, how much workspace
 *
 * Values keep their names and contents through every pass. verify holds between any two. */
#ifndef PLAN_PASSES_H
#define PLAN_PASSES_H
#include "model/graph.h"

void pass_narrow(graph *g);
void pass_pack(graph *g);
hone_status pass_grad(graph *g, hone_err *err);
void pass_split(graph *g, const hone_device_v1 *device);
void pass_expand(graph *g, int64_t chunk_rows);
void pass_fuse(graph *g, const hone_device_v1 *device);
void pass_recompute(graph *g, int level);
/* Bind the work lists; equal ones are shared by all programs. list, n: those of the plan so far. */
hone_status pass_lists(graph *g, const hone_device_v1 *device, hone_list *list, int *n, hone_err *err);

/* Places every activation; *bytes: the slab, *bound: what is live at the fullest step, so no placing can be
 * below. */
void pass_memory(graph *g, size_t *bytes, size_t *bound);
hone_status pass_bind(graph *g, const hone_device_v1 *device, size_t *work_bytes, hone_err *err);

/* Lines bind; operands are made before they are read; a value has one maker (or makers of unlike columns);
 * what a "+" input lent is not read again; dropout has a key and a site; no step makes what nobody reads.
 * `placed`: also that no two values that are live together share a byte. HONE_EBUG names step and value. */
hone_status plan_verify(const graph *g, const char *after, int placed, hone_err *err);
hone_status verify_values(const graph *g, const char *after,
                          hone_err *err); /* the table alone; plan_verify begins with it */
/* The finished plan: slabs, spans, gradients, chunks, workspace. HONE_EBUG names the value. */
hone_status plan_verify_layout(const hone_plan *p, hone_err *err);

/* A step as a device is asked about it: capacities, no pointers. */
void step_query(const graph *g, const hone_step *s, hone_query *q);
size_t value_bytes(const hone_value *v); /* of its storage, 256-byte aligned */

/* memory.c: the planner by itself. A buffer is live from step first to last. Offsets are multiples of 256 if
 * bytes are. */
typedef struct {
    int first, last;
    size_t bytes, offset;
} buffer;
size_t buffers_place(buffer *b, int n, arena *a); /* returns the slab's bytes */
size_t buffers_bound(const buffer *b, int n, int n_steps, arena *a);
#endif
