/* simulate.h - gradients on their way between GPUs, on paper: buckets played over links, message by message.
 *
 * GPUs stand in machines of per_node. A sum over all of them is a reduce-scatter inside each machine, one across machines
 * (each GPU with those of its number), and the same two backwards as all-gathers. Inside a machine and across them messages go
 * around rings or, halving, between partners at distances 1, 2, 4, ... (recursive halving and doubling). A message leaves
 * when both sides are there and takes latency + bytes / rate; so a slow GPU holds up whom it really holds up.
 *
 * Weights of a divided optimizer are gathered before the next step begins: that hone's devices do it beside the next forward
 * is not counted on.
 *
 * For equal GPUs a ring of n moves B bytes in 2 (n-1) / n B / rate + 2 (n-1) latency. Everything is a function of its
 * arguments: the same seed gives the same times. */
#ifndef PLAN_SIMULATE_H
#define PLAN_SIMULATE_H
#include <stdint.h>

typedef struct {
    int n, per_node;                         /* GPUs; n is a multiple of per_node, or at most it */
    double node_bytes_per_s, node_latency_s; /* of a GPU inside its machine, one direction */
    double net_bytes_per_s, net_latency_s;   /* of a GPU to other machines, one direction */
    int halving;                             /* 0: rings */
} sim_links;

typedef struct {
    double ready_s; /* complete, so long after the step's begin on a GPU of usual speed */
    double bytes;
} sim_bucket;

typedef struct {
    double compute_s, update_s; /* until the end of the backward; the optimizer's */
    const sim_bucket *bucket;   /* in the order in which they are ready */
    int n_buckets;
    int scatter;         /* 1: buckets are only reduced and scattered (ZeRO-1), and ... */
    double gather_bytes; /* ... after the update so much is gathered */
    double
        jitter; /* a GPU's step takes 1 + jitter e times as long, e exponential of mean 1, anew each step */
    uint64_t seed;
    int n_steps; /* played; their mean is the result */
} sim_step;

/* Seconds of a step, from the end of all GPUs' last one to that of this one. */
double sim_step_seconds(const sim_links *l, const sim_step *s);
/* Seconds of the sum of so many bytes over all GPUs, begun by all at once. */
double sim_sum_seconds(const sim_links *l, double bytes);
#endif
