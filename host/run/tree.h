/* tree.h - the one order in which the gradients of a step's shards are added, whoever computed them.
 *
 * A step has n shards (a shard is a micro-batch). They are the leaves of a binary tree: a node over k > 1 leaves has a
 * left child over the largest power of two below k, and a right child over the rest. A node's value is left + right.
 * Each rank computes a run of neighbouring shards and adds what has both children in its run; what is left over are
 * the maximal nodes of its run, and the ranks add those together, each a part of the elements. Additions of fp32
 * commute, so the bits depend on n alone, not on the number of ranks. */
#ifndef RUN_TREE_H
#define RUN_TREE_H
#include "base/host.h"
#include "run/comm.h"

typedef struct {
    int first, n; /* leaves first .. first + n - 1 */
} tree_node;

/* The shards of a rank: first .. end - 1; ranks in order, their numbers differ by at most one. */
void tree_run_of_rank(int n_leaves, int rank, int n_ranks, int *first, int *end);
/* Is there a node whose children are left and right? */
int tree_are_siblings(int n_leaves, tree_node left, tree_node right);
/* The maximal nodes inside a run, from left to right; how many. out has room for TREE_NODES_MAX. */
int tree_maximal_nodes(int n_leaves, int first, int end, tree_node *out);
/* Values that a rank holds at once while it computes its run from left to right and adds siblings as they are complete. */
int tree_slots(int n_leaves, int first, int end);
/* Leaves of the left child of a node over n > 1. */
int tree_left_leaves(int n);
#define TREE_NODES_MAX 64

/* ---- over ranks ----------------------------------------------------------------------------------------------
 * Where ranks are on several machines (comm.per_machine) a sum goes through them in two turns. First the k ranks of a machine:
 * the one with number j there gets from its neighbours all that the ranks of number j anywhere will add, and adds what has
 * both children on its machine. Then the ranks of number j of all M machines: what is left over are the maximal nodes of each
 * machine's run of shards, one of them as a rule, and each gets those of its own part. So 1 / k of the gradients leaves a rank
 * for other machines: (M - 1) / M of them a machine, and as much when sums are gathered, across machines first: what a sum of
 * machines moves that first add up themselves. The tree is the same, so the bits are. */
typedef struct tree_sum tree_sum;

/* Steps of up to most_leaves shards over c's ranks. pool: whose threads add. Allocates all that summing needs. */
tree_sum *tree_sum_new(comm *c, int most_leaves, pool *p);
/* How they travel, before the first step:
 *   bf16   the values of nodes beyond their first n_exact elements (the loss is there) travel as bf16, half the bytes. So
 *          that bits still depend on the number of shards alone, every edge of the tree rounds, whether it joins two ranks
 *          or not (nearest even): a node's value is bf16(left) + bf16(right), in fp32, and the root's is rounded too. What
 *          a rank adds by itself is rounded by whoever adds it (run_fold).
 *   plain  no tree: each rank has added all its shards into one node, and ranks are added in their order (those of a
 *          machine, then machines). Fewer bytes where the tree would leave a rank several nodes; other bits for another
 *          number of ranks. */
void tree_sum_travel(tree_sum *t, int bf16, int64_t n_exact, int plain);
void tree_sum_free(tree_sum *t);          /* NULL is fine */
size_t tree_sum_bytes(const tree_sum *t); /* of its buffers */
/* The step at hand has so many shards (the last one of an epoch may have fewer). */
void tree_sum_begin(tree_sum *t, int n_leaves);
comm *tree_sum_comm(const tree_sum *t);
int tree_sum_leaves(const tree_sum *t); /* of the step at hand */
/* Who adds from here on: the pool's threads, or (NULL) the calling thread alone, while the pool is another's. */
void tree_sum_threads(tree_sum *t, pool *p);

/* Add up: node[i] is the value [bound[n_ranks]] of this rank's i-th maximal node; bound[r] .. bound[r + 1] are the
 * elements that rank r adds. Afterwards out[bound[rank] .. bound[rank + 1]] holds this rank's part of the root's value;
 * out may be node[0]. node is read only. */
hone_status tree_sum_scatter(tree_sum *t, const float *const *node, float *out, const int64_t *bound,
                             hone_err *err);
/* An edge of the tree that no message crosses: to += from, elements at .. at + n of two values. Where gradients travel as
 * bf16 both are rounded first. */
void tree_sum_add(tree_sum *t, float *to, float *from, int64_t at, int64_t n);
/* Everybody's parts for everybody. element_bytes: of x's elements. */
hone_status tree_sum_gather(tree_sum *t, void *x, size_t element_bytes, const int64_t *bound, hone_err *err);
/* The same of what tree_sum_scatter left: in the type in which sums travel. */
hone_status tree_sum_gather_sums(tree_sum *t, float *x, const int64_t *bound, hone_err *err);
#endif
