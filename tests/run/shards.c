/* shards.c - see shards.h. */
#include <stdlib.h>
#include <string.h>

#include "shards.h"
#include "base/err.h"

float shard_element(int shard, int64_t e) {
    const uint64_t x =
        ((uint64_t)shard * 0x9E3779B97F4A7C15u + (uint64_t)e * 0xBF58476D1CE4E5B9u) * 0x94D049BB133111EBu;
    return (float)((double)(int64_t)x * 0x1p-63 * (double)(1 << (x % 23)));
}

/* fp32 to bf16 and back, nearest even: once more, for finite numbers. */
float shard_rounded(float x) {
    uint32_t u;
    memcpy(&u, &x, 4);
    u = (u + 0x7fff + (u >> 16 & 1)) & 0xffff0000u;
    memcpy(&x, &u, 4);
    return x;
}
static float on_edge(float x, int64_t e, int bf16) { return bf16 && e >= SHARD_EXACT ? shard_rounded(x) : x; }

float tree_value(int first, int n, int64_t e, int bf16) {
    int k = 1;
    if (n == 1) return shard_element(first, e);
    while (2 * k < n) k *= 2;
    return on_edge(tree_value(first, k, e, bf16), e, bf16) + on_edge(tree_value(first + k, n - k, e, bf16), e, bf16);
}

float *sum_of_run(int n_leaves, tree_node at, int bf16) { /* left to right, adding siblings as training does */
    float *slot[TREE_NODES_MAX];
    tree_node held[TREE_NODES_MAX];
    int n = 0;
    for (int leaf = at.first; leaf < at.first + at.n; leaf++) {
        slot[n] = malloc(ELEMENTS * sizeof(float));
        for (int64_t e = 0; e < ELEMENTS; e++) slot[n][e] = shard_element(leaf, e);
        held[n++] = (tree_node){leaf, 1};
        for (; n > 1 && tree_are_siblings(n_leaves, held[n - 2], held[n - 1]); n--) {
            for (int64_t e = 0; e < ELEMENTS; e++)
                slot[n - 2][e] = on_edge(slot[n - 2][e], e, bf16) + on_edge(slot[n - 1][e], e, bf16);
            held[n - 2].n += held[n - 1].n;
            free(slot[n - 1]);
        }
    }
    return n == 1 ? slot[0] : NULL;
}

hone_status check_bytes(comm *c, int n_leaves, int bf16, uint64_t sent, hone_err *err) {
    tree_node node[TREE_NODES_MAX];
    int first, end;
    tree_run_of_rank(n_leaves, c->rank, c->n, &first, &end);
    int64_t nodes = tree_maximal_nodes(n_leaves, first, end, node);
    HONE_TRY(comm_largest(c, &nodes, err));
    if ((c->n & (c->n - 1)) || n_leaves < c->n || nodes > 1) return HONE_OK;
    const double ring = 2.0 * (c->n - 1) / c->n * ELEMENTS * (bf16 ? 2 : 4);
    if ((double)sent >= 0.99 * ring && (double)sent <= 1.01 * ring) return HONE_OK;
    return hone_fail(err, HONE_EBUG, "%llu bytes sent, expected %.0f", (unsigned long long)sent, ring);
}
