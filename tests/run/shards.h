/* shards.h - shards with numbers whose sum depends on the order, and their tree, written down once more. */
#ifndef SHARDS_H
#define SHARDS_H
#include "run/tree.h"

enum { ELEMENTS = 150007, SHARD_EXACT = 64 };
float shard_element(int shard, int64_t e);
float shard_rounded(float x);
/* Of the node over leaves first .. first + n - 1. bf16: edges round beyond SHARD_EXACT (the node's own value does not). */
float tree_value(int first, int n, int64_t e, int bf16);
/* [ELEMENTS], made left to right, adding siblings as training does; NULL: the run is not one node. */
float *sum_of_run(int n_leaves, tree_node at, int bf16);
/* Where every rank of a power of two has one node, a sum sends 2 (n - 1) / n of its bytes, as a ring would: within 1 %. */
hone_status check_bytes(comm *c, int n_leaves, int bf16, uint64_t sent, hone_err *err);
#endif
