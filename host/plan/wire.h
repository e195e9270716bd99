/* wire.h - the slab in which the sums of gradients over ranks are made: parts that other ranks send, and what travels as
 * bf16. A part is the run of elements of one rank that is under way at once. */
#ifndef PLAN_WIRE_H
#define PLAN_WIRE_H
#include <stddef.h>
#include <stdint.h>

typedef struct {
    int n_ranks; /* 0: gradients do not travel by the device, and are not rounded: no wire */
    int n_nodes; /* most values that come from other ranks in one step (tree_device.h) */
    int bf16;    /* 1: they travel as bf16 */
} wire_limits;

/* The largest part of a slot of so many elements. */
int64_t wire_part(const wire_limits *w, int64_t n_elements);
/* Bytes of the slab, and where its places begin:
 *   float  [n_nodes][part]      values as they are added
 *   bf16   [2][n_ranks][part]   going out, coming in
 *   bf16   [part]               on its way through rounding */
size_t wire_bytes(const wire_limits *w, int64_t n_elements);
typedef struct {
    float *value;
    void *out, *in, *rounded;
} wire_places;
wire_places wire_at(const wire_limits *w, int64_t n_elements, void *slab);
#endif
