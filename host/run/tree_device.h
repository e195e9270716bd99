/* tree_device.h - the sums of tree.h, made by devices in their own memory: same tree, same bits.
 *
 * Messages go from device to device (hone_comm_v1), additions are the device's ADD, and all of it is put on one queue, late
 * like everything there. The host's communicator carries no numbers, but it knows who lives: waiting is done by
 * tree_device_wait, which names a rank that has gone.
 *
 * Where every rank holds one node and the ranks are a power of two, an exchange is recursive halving with partners at
 * distance 1, 2, 4 ...: a rank gets half of what it still has from its partner, and adds; neighbours, who share a machine,
 * exchange the most, and of k ranks a machine each sends 1 / k of its bytes to other machines, as a sum would of machines that
 * first add up themselves. Else each rank sends its nodes to those that add them, each a part of the elements, wherever they
 * are. Gathering goes back the same way by doubling, or from each to all. Rank r adds elements bound[r] .. bound[r + 1] - 1 in
 * both. */
#ifndef RUN_TREE_DEVICE_H
#define RUN_TREE_DEVICE_H
#include "hone/device.h"
#include "plan/wire.h"
#include "run/comm.h"
#include "run/tree.h"

typedef struct tree_device tree_device;

typedef struct {
    comm *ranks;
    const hone_device_v1 *table;
    hone_device *device;
    hone_queue *queue; /* that all is put on */
    int linked;        /* 0: no messages, only tree_device_round */
    wire_limits wire;
    void *slab;         /* wire_bytes(&wire, n_elements), of the device */
    int64_t n_elements; /* of a value */
    int64_t n_exact;    /* the first elements, which never travel as bf16 */
} tree_device_options;

/* Most values that come from other ranks in a step of up to most_leaves shards: wire_limits.n_nodes. (Of more ranks than can be
 * started: of most_leaves.) */
int tree_device_nodes(int n_ranks, int most_leaves);

/* linked: all ranks together; the id of the communicator between devices travels by o->ranks. HONE_ECOMM, or what the
 * library lacks. */
hone_status tree_device_new(tree_device **out, const tree_device_options *o, hone_err *err);
/* Waits for what is under way, or aborts it where a rank has gone. NULL is fine. */
void tree_device_free(tree_device *t);
int tree_device_is_linked(const tree_device *t);

/* As tree_sum_scatter, _gather and _gather_sums; the values of nodes are overwritten. */
void tree_device_begin(tree_device *t, int n_leaves);
hone_status tree_device_scatter(tree_device *t, float *const *node, float *out, const int64_t *bound, hone_err *err);
hone_status tree_device_gather(tree_device *t, void *x, size_t element_bytes, const int64_t *bound, hone_err *err);
hone_status tree_device_gather_sums(tree_device *t, float *x, const int64_t *bound, hone_err *err);
/* "fast": the library's sum of elements first .. end, in its order. */
hone_status tree_device_sum(tree_device *t, float *x, int64_t first, int64_t end, hone_err *err);
/* As tree_sum_add, of elements first .. end; rounds: both are rounded to bf16 before. */
hone_status tree_device_fold(tree_device *t, float *to, float *from, int64_t first, int64_t end, int rounds, hone_err *err);

/* An edge of the tree that no message crosses: x's elements beyond n_exact are rounded to bf16, on a queue that the sums
 * are ordered with (they use the same place on the wire). */
hone_status tree_device_round(tree_device *t, hone_queue *queue, float *x, hone_err *err);

/* Until all that was put on the queue so far is done. */
hone_status tree_device_wait(tree_device *t, hone_queue *queue, hone_err *err);
#endif
