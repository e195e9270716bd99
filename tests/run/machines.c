/* machines.c - ranks of several machines, played on one: the bits of the tree, and the bytes that cross from one machine to
 * another, counted message by message. */
#include <stdlib.h>
#include <string.h>

#include "base/host.h"
#include "base/mem.h"
#include "forked.h"
#include "shards.h"
#include "test.h"

static struct {
    comm_way way;
    const comm_way *own;
    int per_machine;
    uint64_t crossed; /* bytes from this rank to other machines */
} counting;

static hone_status count_and_exchange(comm *c, const comm_piece *to, const comm_piece *from, hone_err *err) {
    for (int r = 0; r < c->n; r++)
        if (r / counting.per_machine != c->rank / counting.per_machine) counting.crossed += to[r].bytes;
    return counting.own->exchange(c, to, from, err);
}

static void count(comm *c, int per_machine) {
    counting.own = c->way;
    counting.way = *c->way;
    counting.way.exchange = count_and_exchange;
    counting.per_machine = per_machine;
    counting.crossed = 0;
    c->way = &counting.way;
}

typedef struct {
    int machines, per_machine, leaves, bf16;
    int knows; /* that there are machines */
    double
        times; /* the bytes that should cross, of those of a sum of machines that first add up themselves */
} machine_case;

static hone_status add_up(comm *c, const machine_case *k, float *out, hone_err *err) {
    tree_node node[TREE_NODES_MAX];
    const float *value[TREE_NODES_MAX];
    int64_t bound[COMM_RANKS_MAX + 1];
    int first, end;
    pool *p = pool_new(1);
    tree_sum *t = tree_sum_new(c, k->leaves + 3, p);
    tree_sum_travel(t, k->bf16, SHARD_EXACT, 0);
    tree_run_of_rank(k->leaves, c->rank, c->n, &first, &end);
    const int n = tree_maximal_nodes(k->leaves, first, end, node);
    for (int i = 0; i < n; i++) value[i] = sum_of_run(k->leaves, node[i], k->bf16);
    for (int r = 0; r <= c->n; r++) bound[r] = (int64_t)ELEMENTS * r / c->n;
    mem_refuse(1); /* as in a run: nothing is allocated any more */
    tree_sum_begin(t, k->leaves);
    hone_status status = tree_sum_scatter(t, value, out, bound, err);
    if (!status) status = tree_sum_gather_sums(t, out, bound, err);
    mem_refuse(0);
    tree_sum_free(t);
    pool_free(p);
    return status;
}

static hone_status sum_of_machines(comm *c, void *arg, hone_err *err) {
    const machine_case *k = arg;
    float *out = calloc(ELEMENTS, sizeof *out);
    count(c, k->per_machine);
    c->per_machine = k->knows ? k->per_machine : 0;
    HONE_TRY(add_up(c, k, out, err));
    uint64_t crossed[COMM_RANKS_MAX], all = 0;
    HONE_TRY(comm_gather(c, &counting.crossed, sizeof *crossed, crossed, err));
    for (int r = 0; r < c->n; r++) all += crossed[r];
    const double bytes = (double)ELEMENTS * (k->bf16 ? 2 : 4),
                 least = 2.0 * (k->machines - 1) * bytes, /* of all machines */
        wanted = k->times * least;
    for (int64_t e = 0; e < ELEMENTS; e++) {
        const float x = tree_value(0, k->leaves, e, k->bf16),
                    tree = k->bf16 && e >= SHARD_EXACT ? shard_rounded(x) : x;
        if (out[e] != tree)
            return hone_fail(err, HONE_EBUG, "element %lld is %.9g, expected %.9g", (long long)e,
                             (double)out[e], (double)tree);
    }
    free(out);
    if ((double)all >= 0.99 * wanted && (double)all <= 1.01 * wanted) return HONE_OK;
    return hone_fail(err, HONE_EBUG, "%llu bytes cross, expected %.0f", (unsigned long long)all, wanted);
}

static void sums(const machine_case *k, size_t n) {
    for (size_t i = 0; i < n; i++) {
        machine_case own = k[i];
        forked_all_end_well(own.machines * own.per_machine, sum_of_machines, &own);
    }
}

/* What crosses is 2 (M - 1) / M of the gradients a machine; without the two turns it would be so many times as much as a machine
 * has ranks. */
TEST(sums_of_several_machines_cross_between_them_once) {
    static const machine_case k[] = {
        {2, 2, 4, 0, 1, 1},    {2, 4, 8, 0, 1, 1}, {2, 4, 8, 1, 1, 1}, {4, 2, 8, 0, 1, 1},
        {2, 2, 48, 0, 1, 1.5}, /* a machine's 24 shards of 48 are 2 nodes: halves of 32 and 16 */
        {2, 3, 6, 0, 1, 1.5},  {3, 2, 6, 1, 1, 1}, {2, 2, 4, 0, 0, 2}, {2, 4, 8, 0, 0, 4}};
    sums(k, sizeof k / sizeof *k);
}
