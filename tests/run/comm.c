/* comm.c - ranks as processes of one machine: what arrives, sums of any number of ranks, and ranks that go away. */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/host.h"
#include "base/mem.h"
#include "base/shm.h"
#include "run/tree.h"
#include "test.h"

typedef hone_status rank_fn(comm *c, void *arg, hone_err *err);

/* Start n ranks; pid[r]. Each ends with the exit code of its status and leaves what it says of a failure in a file. */
static int next;
static void start_ranks(int n, double limit_s, rank_fn *fn, void *arg, pid_t *pid) {
    char path[4096], said[4200];
    snprintf(path, sizeof path, "%s/shared-%d-%d", test_folder(), n,
             next++); /* goes with the test's folder */
    snprintf(said, sizeof said, "%s", test_folder());
    CHECK_OK(comm_shm_make(path, n, err));
    for (int r = 0; r < n; r++) {
        pid[r] = fork();
        if (pid[r]) continue;
        hone_err err = {0};
        comm *c;
        hone_status status = comm_shm_open(&c, path, r, n, limit_s, &err);
        if (!status) {
            status = comm_barrier(c, &err);
            if (!status) status = fn(c, arg, &err);
            if (status) comm_abandon(c);
            comm_close(c);
        }
        snprintf(said + strlen(said), sizeof said - strlen(said), "/%d", r);
        hone_err ignored;
        if (status) file_write(said, err.text, strlen(err.text), &ignored);
        _exit(hone_status_exit(status));
    }
}

static const char *said_by(int rank) {
    static char what[1100];
    char path[4200];
    snprintf(path, sizeof path, "%s/%d", test_folder(), rank);
    FILE *f = fopen(path, "r");
    what[f ? fread(what, 1, sizeof what - 1, f) : 0] = 0;
    if (f) fclose(f);
    return what;
}

static int end_of(pid_t pid) {
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void all_end_well(int n, rank_fn *fn, void *arg) {
    pid_t pid[COMM_RANKS_MAX];
    start_ranks(n, 60, fn, arg, pid);
    for (int r = 0; r < n; r++)
        if (end_of(pid[r])) test_fail(__FILE__, __LINE__, "rank %d of %d: %s", r, n, said_by(r));
}

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
    all_end_well(2, trade, NULL);
    all_end_well(5, trade, NULL);
}

/* Shards with numbers whose sum depends on the order. */
enum { ELEMENTS = 150007 };
static float shard_element(int shard, int64_t e) {
    const uint64_t x =
        ((uint64_t)shard * 0x9E3779B97F4A7C15u + (uint64_t)e * 0xBF58476D1CE4E5B9u) * 0x94D049BB133111EBu;
    return (float)((double)(int64_t)x * 0x1p-63 * (double)(1 << (x % 23)));
}

static float tree_value(int first, int n, int64_t e) {
    int k = 1;
    if (n == 1) return shard_element(first, e);
    while (2 * k < n) k *= 2;
    return tree_value(first, k, e) + tree_value(first + k, n - k, e);
}

static float *sum_of_run(int n_leaves, tree_node at) { /* left to right, adding siblings as training does */
    float *slot[TREE_NODES_MAX];
    tree_node held[TREE_NODES_MAX];
    int n = 0;
    for (int leaf = at.first; leaf < at.first + at.n; leaf++) {
        slot[n] = malloc(ELEMENTS * sizeof(float));
        for (int64_t e = 0; e < ELEMENTS; e++) slot[n][e] = shard_element(leaf, e);
        held[n++] = (tree_node){leaf, 1};
        for (; n > 1 && tree_are_siblings(n_leaves, held[n - 2], held[n - 1]); n--) {
            for (int64_t e = 0; e < ELEMENTS; e++) slot[n - 2][e] += slot[n - 1][e];
            held[n - 2].n += held[n - 1].n;
            free(slot[n - 1]);
        }
    }
    return n == 1 ? slot[0] : NULL;
}

static hone_status sum_shards(comm *c, void *arg, hone_err *err) {
    const int n_leaves = *(int *)arg;
    tree_node node[TREE_NODES_MAX];
    const float *value[TREE_NODES_MAX];
    float *out = calloc(ELEMENTS, sizeof(float));
    int64_t bound[COMM_RANKS_MAX + 1];
    int first, end;
    pool *p = pool_new(1);
    tree_sum *t = tree_sum_new(c, n_leaves + 3, p);
    tree_run_of_rank(n_leaves, c->rank, c->n, &first, &end);
    const int n = tree_maximal_nodes(n_leaves, first, end, node);
    for (int i = 0; i < n; i++)
        if (!(value[i] = sum_of_run(n_leaves, node[i])))
            return hone_fail(err, HONE_EBUG, "node %d is not one sum", i);
    for (int r = 0; r <= c->n; r++) bound[r] = (int64_t)ELEMENTS * r / c->n;
    mem_refuse(1); /* as in a run: nothing is allocated any more */
    tree_sum_begin(t, n_leaves);
    HONE_TRY(tree_sum_scatter(t, value, out, bound, err));
    HONE_TRY(tree_sum_gather(t, out, sizeof *out, bound, err));
    mem_refuse(0);
    for (int64_t e = 0; e < ELEMENTS; e++)
        if (out[e] != tree_value(0, n_leaves, e))
            return hone_fail(err, HONE_EBUG, "element %lld differs", (long long)e);
    tree_sum_free(t);
    pool_free(p);
    return HONE_OK;
}

TEST(the_sum_of_shards_has_the_same_bits_for_any_number_of_ranks) {
    static const struct {
        int ranks, leaves;
    } pair[] = {{1, 1}, {1, 5}, {2, 2}, {2, 7}, {3, 8}, {4, 4}, {5, 48}, {8, 8}, {7, 6}};
    for (size_t i = 0; i < sizeof pair / sizeof *pair; i++) {
        int leaves = pair[i].leaves;
        all_end_well(pair[i].ranks, sum_shards, &leaves);
    }
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
    start_ranks(3, limit_s, one_goes, &signal, pid);
    CHECK_INT(end_of(pid[0]), 6);
    CHECK_INT(end_of(pid[2]), 6);
    if ((double)(clock_ns() - from) * 1e-9 > bar_s)
        test_fail(__FILE__, __LINE__, "noticed after more than %g s", bar_s);
    if (!strstr(said_by(0), "rank 1 (host ") || !strstr(said_by(2), says) ||
        !strstr(said_by(0), "step 41 in backward"))
        test_fail(__FILE__, __LINE__, "rank 0 says: %s", said_by(0));
    kill(pid[1], SIGKILL);
    end_of(pid[1]);
}

TEST(a_rank_that_dies_stops_or_gives_up_is_noticed_by_all) {
    one_is_named(SIGKILL, 60, 2, "has died");
    one_is_named(0, 60, 2, "gave up");
    one_is_named(SIGSTOP, 1, 6, "no sign of life");
}
