/* comm.c - ranks as processes of one machine: what arrives, sums of any number of ranks, and ranks that go away. */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/host.h"
#include "base/mem.h"
#include "forked.h"
#include "shards.h"
#include "test.h"

/* Pieces of unlike sizes, larger than a ring too: what rank a sends to b is known by both. */
static unsigned char byte_of(int from, int to, size_t i) {
    return (unsigned char)(i * 31 + (size_t)from * 7 + (size_t)to * 131);
}
static size_t bytes_of(int from, int to) { return (size_t)((from * 5 + to * 3) % 7) * 150001; }

static hone_status trade(comm *c, void *arg, hone_err *err) {
    comm_piece to[8], from[8];
    (void)arg;
    for (int r = 0; r < c->n; r++) {
        to[r] = (comm_piece){malloc(bytes_of(c->rank, r) + 1), bytes_of(c->rank, r)};
        from[r] = (comm_piece){malloc(bytes_of(r, c->rank) + 1), bytes_of(r, c->rank)};
        for (size_t i = 0; i < to[r].bytes; i++) ((unsigned char *)to[r].p)[i] = byte_of(c->rank, r, i);
    }
    for (int round = 0; round < 3; round++) HONE_TRY(comm_exchange(c, to, from, err));
    for (int r = 0; r < c->n; r++)
        for (size_t i = 0; i < from[r].bytes; i++)
            if (((unsigned char *)from[r].p)[i] != byte_of(r, c->rank, i))
                return hone_fail(err, HONE_EBUG, "byte %zu of %d", i, r);
    int64_t x = 100 + c->rank * (c->rank == 1 ? 50 : 1), word = c->rank == c->n - 1 ? 77 : 0;
    HONE_TRY(comm_largest(c, &x, err));
    HONE_TRY(comm_broadcast(c, &word, sizeof word, c->n - 1, err));
    return x == 150 && word == 77
               ? HONE_OK
               : hone_fail(err, HONE_EBUG, "largest %lld, broadcast %lld", (long long)x, (long long)word);
}

TEST(every_byte_reaches_the_rank_it_was_for) {
    forked_all_end_well(2, trade, NULL);
    forked_all_end_well(5, trade, NULL);
}

typedef struct {
    int ranks, leaves, bf16, plain;
} sum_case;

/* Of a plain sum: what each rank adds by itself, in the order of the ranks. */
static float plain_value(int n_leaves, int n_ranks, int64_t e) {
    float all = 0;
    for (int r = 0; r < n_ranks; r++) {
        int first, end;
        float own = 0;
        tree_run_of_rank(n_leaves, r, n_ranks, &first, &end);
        for (int leaf = first; leaf < end; leaf++)
            own = leaf == first ? shard_element(leaf, e) : own + shard_element(leaf, e);
        if (end > first) all = all == 0 ? own : all + own;
    }
    return all;
}

static float expected(const sum_case *k, int64_t e) {
    const float x = k->plain ? plain_value(k->leaves, k->ranks, e) : tree_value(0, k->leaves, e, k->bf16);
    return k->bf16 && e >= SHARD_EXACT ? shard_rounded(x) : x;
}

static float *plain_sum_of_run(int first, int end) {
    float *sum = malloc(ELEMENTS * sizeof *sum);
    for (int64_t e = 0; e < ELEMENTS; e++) {
        sum[e] = shard_element(first, e);
        for (int leaf = first + 1; leaf < end; leaf++) sum[e] += shard_element(leaf, e);
    }
    return sum;
}

static hone_status sum_shards(comm *c, void *arg, hone_err *err) {
    const sum_case *k = arg;
    tree_node node[TREE_NODES_MAX];
    const float *value[TREE_NODES_MAX];
    float *out = calloc(ELEMENTS, sizeof(float));
    int64_t bound[COMM_RANKS_MAX + 1];
    int first, end;
    pool *p = pool_new(1);
    tree_sum *t = tree_sum_new(c, k->leaves + 3, p);
    tree_sum_travel(t, k->bf16, SHARD_EXACT, k->plain);
    tree_run_of_rank(k->leaves, c->rank, c->n, &first, &end);
    const int n = k->plain ? end > first : tree_maximal_nodes(k->leaves, first, end, node);
    for (int i = 0; i < n; i++)
        if (!(value[i] = k->plain ? plain_sum_of_run(first, end) : sum_of_run(k->leaves, node[i], k->bf16)))
            return hone_fail(err, HONE_EBUG, "node %d is not one sum", i);
    for (int r = 0; r <= c->n; r++) bound[r] = (int64_t)ELEMENTS * r / c->n;
    const uint64_t before = c->bytes_sent;
    mem_refuse(1); /* as in a run: nothing is allocated any more */
    tree_sum_begin(t, k->leaves);
    HONE_TRY(tree_sum_scatter(t, value, out, bound, err));
    HONE_TRY(tree_sum_gather_sums(t, out, bound, err));
    mem_refuse(0);
    for (int64_t e = 0; e < ELEMENTS; e++)
        if (out[e] != expected(k, e))
            return hone_fail(err, HONE_EBUG, "element %lld is %.9g, expected %.9g", (long long)e, (double)out[e],
                             (double)expected(k, e));
    HONE_TRY(check_bytes(c, k->leaves, k->bf16, c->bytes_sent - before, err));
    tree_sum_free(t);
    pool_free(p);
    return HONE_OK;
}

static void sums(const sum_case *k, size_t n) {
    for (size_t i = 0; i < n; i++) {
        sum_case own = k[i];
        forked_all_end_well(own.ranks, sum_shards, &own);
    }
}

TEST(the_sum_of_shards_has_the_same_bits_for_any_number_of_ranks) {
    static const sum_case k[] = {{1, 1, 0, 0}, {1, 5, 0, 0},  {2, 2, 0, 0}, {2, 7, 0, 0}, {3, 8, 0, 0},
                                 {4, 4, 0, 0}, {5, 48, 0, 0}, {8, 8, 0, 0}, {7, 6, 0, 0}};
    sums(k, sizeof k / sizeof *k);
}

/* The value that all ranks end with is written down without ranks, so it cannot depend on their number. */
TEST(sums_that_travel_as_bf16_have_the_same_bits_for_any_number_of_ranks) {
    static const sum_case k[] = {{1, 1, 1, 0}, {1, 7, 1, 0}, {2, 7, 1, 0}, {3, 7, 1, 0}, {4, 8, 1, 0}, {8, 8, 1, 0}, {5, 4, 1, 0}};
    sums(k, sizeof k / sizeof *k);
}

TEST(plain_sums_add_ranks_in_their_order) {
    static const sum_case k[] = {{2, 2, 0, 1}, {3, 7, 0, 1}, {4, 2, 0, 1}, {2, 1, 0, 1}};
    sums(k, sizeof k / sizeof *k);
}

TEST(runs_and_slots_of_the_tree) {
    tree_node node[TREE_NODES_MAX];
    CHECK_INT(tree_maximal_nodes(8, 0, 8, node), 1);
    CHECK_INT(tree_maximal_nodes(8, 1, 7, node), 4); /* 1 | 2 3 | 4 5 | 6 */
    CHECK_INT(node[1].first, 2);
    CHECK_INT(node[1].n, 2);
    CHECK(tree_are_siblings(7, (tree_node){0, 4}, (tree_node){4, 3}));
    CHECK(tree_are_siblings(7, (tree_node){4, 2}, (tree_node){6, 1}));
    CHECK(!tree_are_siblings(7, (tree_node){2, 2}, (tree_node){4, 2}));
    CHECK_INT(tree_slots(8, 0, 8), 4);
    CHECK_INT(tree_slots(1, 0, 1), 1);
    CHECK_INT(tree_slots(48, 0, 48), 6);
    for (int n = 1; n <= 48; n++)
        for (int ranks = 1; ranks <= 8; ranks++) {
            int covered = 0;
            for (int r = 0; r < ranks; r++) {
                int first, end;
                tree_run_of_rank(n, r, ranks, &first, &end);
                CHECK_INT(first, covered);
                covered = end;
            }
            CHECK_INT(covered, n);
        }
}

static hone_status one_goes(comm *c, void *arg, hone_err *err) {
    comm_seen(c, 41, "backward");
    if (c->rank == 1) {
        if (*(int *)arg == SIGKILL || *(int *)arg == SIGSTOP) raise(*(int *)arg);
        return hone_fail(err, HONE_ENOTFINITE, "step 41 is not finite");
    }
    return comm_barrier(c, err);
}

static void one_is_named(int signal, double limit_s, double bar_s, const char *says) {
    pid_t pid[3];
    const uint64_t from = clock_ns();
    forked_start(3, limit_s, one_goes, &signal, pid);
    CHECK_INT(forked_end(pid[0]), 6);
    CHECK_INT(forked_end(pid[2]), 6);
    if ((double)(clock_ns() - from) * 1e-9 > bar_s)
        test_fail(__FILE__, __LINE__, "noticed after more than %g s", bar_s);
    if (!strstr(forked_said(0), "rank 1 (host ") || !strstr(forked_said(2), says) ||
        !strstr(forked_said(0), "step 41 in backward"))
        test_fail(__FILE__, __LINE__, "rank 0 says: %s", forked_said(0));
    kill(pid[1], SIGKILL);
    forked_end(pid[1]);
}

TEST(a_rank_that_dies_stops_or_gives_up_is_noticed_by_all) {
    one_is_named(SIGKILL, 60, 2, "has died");
    one_is_named(0, 60, 2, "gave up");
    one_is_named(SIGSTOP, 1, 6, "no sign of life");
}
