/* tree_device.c - sums made by emulated GPUs, each rank a process with one of its own: the bits of the tree, the bytes of a
 * ring, and ranks that go away while a device waits for them. */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"
#include "base/host.h"
#include "emu/control.h"
#include "forked.h"
#include "run/tree_device.h"
#include "shards.h"
#include "test.h"

typedef struct {
    int ranks, leaves, bf16, fast;
} device_case;

typedef struct {
    const hone_device_v1 *table;
    hone_device *device;
    hone_queue *queue;
    pool *pool;
    tree_device *sum;
    wire_limits wire;
    void *slab;
    int64_t n;
} gpu;

static hone_status open_gpu_of(gpu *g, const hone_device_v1 *table, comm *c, int most_leaves, int bf16, int64_t n,
                               hone_err *err) {
    g->table = table;
    g->pool = pool_new(1);
    g->n = n;
    g->wire = (wire_limits){c->n, tree_device_nodes(c->n, most_leaves), bf16};
    HONE_TRY(g->table->open(&g->device, pool_host(g->pool), 0, err));
    HONE_TRY(g->table->queue_new(g->device, &g->queue));
    HONE_TRY(g->table->slab_new(g->device, 0, wire_bytes(&g->wire, n), &g->slab, err));
    const tree_device_options o = {.ranks = c,
                                   .table = g->table,
                                   .device = g->device,
                                   .queue = g->queue,
                                   .linked = c->n > 1,
                                   .wire = g->wire,
                                   .slab = g->slab,
                                   .n_elements = n,
                                   .n_exact = SHARD_EXACT};
    return tree_device_new(&g->sum, &o, err);
}

static hone_status open_gpu(gpu *g, comm *c, int most_leaves, int bf16, int64_t n, hone_err *err) {
    const hone_device_v1 *table = device_load("emu", err);
    return table ? open_gpu_of(g, table, c, most_leaves, bf16, n, err) : HONE_EUSAGE;
}

static void close_gpu(gpu *g) {
    tree_device_free(g->sum);
    g->table->slab_free(g->device, g->slab);
    g->table->queue_free(g->queue);
    g->table->close(g->device);
    pool_free(g->pool);
}

static hone_status put_floats(gpu *g, float **out, const float *from, hone_err *err) {
    void *p;
    HONE_TRY(g->table->slab_new(g->device, 0, (size_t)g->n * sizeof(float), &p, err));
    *out = p;
    HONE_TRY(g->table->put(g->queue, p, from, (size_t)g->n * sizeof(float)));
    return g->table->queue_wait(g->queue);
}

static hone_status sum_on_devices(gpu *g, comm *c, const device_case *k, float *out, hone_err *err) {
    tree_node node[TREE_NODES_MAX];
    float *value[TREE_NODES_MAX];
    int64_t bound[COMM_RANKS_MAX + 1];
    int first, end;
    tree_run_of_rank(k->leaves, c->rank, c->n, &first, &end);
    const int n = tree_maximal_nodes(k->leaves, first, end, node);
    for (int i = 0; i < n; i++) HONE_TRY(put_floats(g, &value[i], sum_of_run(k->leaves, node[i], k->bf16), err));
    if (!n) HONE_TRY(put_floats(g, &value[0], calloc(ELEMENTS, sizeof(float)), err));
    for (int r = 0; r <= c->n; r++) bound[r] = r < c->n ? (int64_t)ELEMENTS * r / c->n / 64 * 64 : ELEMENTS;
    const uint64_t before = c->bytes_sent;
    tree_device_begin(g->sum, k->leaves);
    if (k->fast) HONE_TRY(tree_device_sum(g->sum, value[0], 0, ELEMENTS, err));
    else HONE_TRY(tree_device_scatter(g->sum, value, value[0], bound, err));
    if (!k->fast) HONE_TRY(tree_device_gather_sums(g->sum, value[0], bound, err));
    HONE_TRY(tree_device_wait(g->sum, g->queue, err));
    HONE_TRY(g->table->get(g->queue, out, value[0], ELEMENTS * sizeof(float)));
    HONE_TRY(g->table->queue_wait(g->queue));
    for (int i = 0; i < n + !n; i++) g->table->slab_free(g->device, value[i]);
    return k->fast ? HONE_OK : check_bytes(c, k->leaves, k->bf16, c->bytes_sent - before, err);
}

static hone_status same_bits(comm *c, void *arg, hone_err *err) {
    const device_case *k = arg;
    gpu g = {0};
    float *out = malloc(ELEMENTS * sizeof *out);
    HONE_TRY(open_gpu(&g, c, k->leaves + 2, k->bf16, ELEMENTS, err));
    for (int twice = 0; twice < 2; twice++) { /* the second one finds what the first one left on the wire */
        HONE_TRY(sum_on_devices(&g, c, k, out, err));
        for (int64_t e = 0; e < ELEMENTS; e++) {
            const float tree = tree_value(0, k->leaves, e, k->bf16),
                        wanted = k->bf16 && e >= SHARD_EXACT ? shard_rounded(tree) : tree;
            if (out[e] != wanted)
                return hone_fail(err, HONE_EBUG, "element %lld is %.9g, expected %.9g", (long long)e, (double)out[e],
                                 (double)wanted);
        }
    }
    close_gpu(&g);
    free(out);
    return HONE_OK;
}

static void all_have_the_same_bits(const device_case *k, size_t n) {
    for (size_t i = 0; i < n; i++) {
        device_case own = k[i];
        forked_all_end_well(own.ranks, same_bits, &own);
    }
}

TEST(emulated_gpus_add_shards_to_the_bits_of_the_tree) {
    static const device_case k[] = {{2, 2, 0, 0}, {2, 7, 0, 0}, {3, 8, 0, 0}, {4, 8, 0, 0},
                                    {5, 4, 0, 0}, {8, 8, 0, 0}, {4, 24, 0, 0}};
    all_have_the_same_bits(k, sizeof k / sizeof *k);
}

TEST(emulated_gpus_round_to_bf16_on_every_edge_of_the_tree) {
    static const device_case k[] = {{2, 4, 1, 0}, {3, 7, 1, 0}, {4, 4, 1, 0}, {8, 8, 1, 0}};
    all_have_the_same_bits(k, sizeof k / sizeof *k);
}

/* Two terms commute, so the library's order is the tree's. */
TEST(the_librarys_sum_of_two_ranks_is_the_trees) {
    static const device_case k[] = {{2, 2, 0, 1}};
    all_have_the_same_bits(k, sizeof k / sizeof *k);
}

static hone_status near(comm *c, void *arg, hone_err *err) {
    const device_case *k = arg;
    gpu g = {0};
    float *out = malloc(ELEMENTS * sizeof *out);
    HONE_TRY(open_gpu(&g, c, k->leaves, k->bf16, ELEMENTS, err));
    HONE_TRY(sum_on_devices(&g, c, k, out, err));
    for (int64_t e = 0; e < ELEMENTS; e++) {
        double sum = 0, size = 0;
        for (int leaf = 0; leaf < k->leaves; leaf++) {
            const double x = shard_element(leaf, e);
            sum += x, size += x < 0 ? -x : x;
        }
        const double bound = size * (k->bf16 && e >= SHARD_EXACT ? 0x1p-6 : 0x1p-21), apart = out[e] - sum;
        if (apart > bound || apart < -bound)
            return hone_fail(err, HONE_EBUG, "element %lld is off by %g, the bound is %g", (long long)e, apart, bound);
    }
    /* and it is the same everywhere, which no bound says */
    float *all = malloc((size_t)c->n * ELEMENTS * sizeof *all);
    HONE_TRY(comm_gather(c, out, ELEMENTS * sizeof *out, all, err));
    for (int r = 1; r < c->n; r++)
        if (memcmp(all, all + (size_t)r * ELEMENTS, ELEMENTS * sizeof *all))
            return hone_fail(err, HONE_EBUG, "rank %d has other bits", r);
    close_gpu(&g);
    return HONE_OK;
}

TEST(the_librarys_sums_are_near_and_equal_on_all_ranks) {
    device_case k[] = {{3, 3, 0, 1}, {4, 4, 0, 1}, {4, 4, 1, 1}};
    for (size_t i = 0; i < sizeof k / sizeof *k; i++) forked_all_end_well(k[i].ranks, near, &k[i]);
}

/* ---- several machines ---- */

static struct {
    hone_device_v1 table;
    hone_comm_v1 comm;
    const hone_comm_v1 *own;
    int machine, per_machine;
    uint64_t crossed; /* bytes from this rank to other machines */
} border;

static hone_status count_and_exchange(hone_comm *c, hone_queue *queue, const hone_comm_piece *to, int n_to,
                                      const hone_comm_piece *from, int n_from, hone_err *err) {
    for (int i = 0; i < n_to; i++)
        if (to[i].rank / border.per_machine != border.machine) border.crossed += to[i].bytes;
    return border.own->exchange(c, queue, to, n_to, from, n_from, err);
}

static hone_status cross(comm *c, void *arg, hone_err *err) {
    gpu g = {0};
    const device_case k = {c->n, c->n, 0, 0};
    float *out = malloc(ELEMENTS * sizeof *out);
    const hone_device_v1 *table = device_load("emu", err);
    if (!table) return HONE_EUSAGE;
    border.own = table->comm;
    border.comm = *table->comm;
    border.comm.exchange = count_and_exchange;
    border.table = *table;
    border.table.comm = &border.comm;
    border.per_machine = *(int *)arg;
    border.machine = c->rank / border.per_machine;
    HONE_TRY(open_gpu_of(&g, &border.table, c, k.leaves, 0, ELEMENTS, err));
    HONE_TRY(sum_on_devices(&g, c, &k, out, err));
    close_gpu(&g);
    free(out);
    uint64_t crossed[COMM_RANKS_MAX], all = 0;
    HONE_TRY(comm_gather(c, &border.crossed, sizeof *crossed, crossed, err));
    for (int r = 0; r < c->n; r++) all += crossed[r];
    const int machines = c->n / border.per_machine;
    const double least = 2.0 * (machines - 1) * ELEMENTS * sizeof(float); /* of all machines, were their sums added */
    if ((double)all >= 0.99 * least && (double)all <= 1.01 * least) return HONE_OK;
    return hone_fail(err, HONE_EBUG, "%llu bytes cross, expected %.0f", (unsigned long long)all, least);
}

/* Near partners exchange halves first, so that 1 / (ranks of a machine) of the gradients leaves a rank for another machine. */
TEST(sums_of_gpus_of_several_machines_cross_between_them_once) {
    int two = 2, four = 4;
    forked_all_end_well(4, cross, &two);
    forked_all_end_well(8, cross, &four);
    forked_all_end_well(8, cross, &two);
}

/* ---- what goes wrong ---- */

static hone_status one_goes(comm *c, void *arg, hone_err *err) {
    gpu g = {0};
    device_case k = {3, 3, 0, 0};
    float *out = malloc(ELEMENTS * sizeof *out);
    HONE_TRY(open_gpu(&g, c, 3, 0, ELEMENTS, err));
    comm_seen(c, 41, "adding gradients");
    hone_status status = HONE_OK;
    if (c->rank == 1 && *(int *)arg) raise(*(int *)arg);
    if (c->rank == 1) status = hone_fail(err, HONE_ENOTFINITE, "step 41 is not finite");
    else status = sum_on_devices(&g, c, &k, out, err);
    if (status) comm_abandon(c);
    tree_device_free(g.sum); /* must not wait for those who have gone */
    return status;
}

static void one_is_named(int signal, double limit_s, double bar_s, const char *says) {
    pid_t pid[3];
    const uint64_t from = clock_ns();
    forked_start(3, limit_s, one_goes, &signal, pid);
    CHECK_INT(forked_end(pid[0]), 6);
    CHECK_INT(forked_end(pid[2]), 6);
    if ((double)(clock_ns() - from) * 1e-9 > bar_s)
        test_fail(__FILE__, __LINE__, "noticed after more than %g s", bar_s);
    int n_first = 0; /* who hears of it from the other one says so */
    for (int r = 0; r < 3; r += 2) {
        const char *said = forked_said(r);
        n_first += strstr(said, says) != NULL;
        if (!strstr(said, "rank 1 (host ") || !strstr(said, "step 41 in adding gradients") ||
            (!strstr(said, says) && !strstr(said, "was lost by another rank")))
            test_fail(__FILE__, __LINE__, "rank %d says: %s", r, said);
    }
    CHECK(n_first >= 1);
    kill(pid[1], SIGKILL);
    forked_end(pid[1]);
}

TEST(a_rank_that_leaves_its_gpu_alone_is_named) {
    one_is_named(SIGKILL, 60, 4, "has died");
    one_is_named(0, 60, 4, "gave up");
    one_is_named(SIGSTOP, 2, 10, "no sign of life");
}

/* A call that was not asked about is refused by the library: the protocol of communicators that do not block. */
static hone_status impatient(comm *c, void *arg, hone_err *err) {
    gpu g = {0};
    (void)arg;
    HONE_TRY(open_gpu(&g, c, 2, 0, ELEMENTS, err));
    hone_comm_id id = {{0}};
    hone_comm *link;
    float x[64] = {0};
    hone_err why = {0};
    if (c->rank == 0) HONE_TRY(g.table->comm->make_id(&id, err));
    HONE_TRY(comm_broadcast(c, &id, sizeof id, 0, err));
    HONE_TRY(g.table->comm->open(&link, g.device, &id, c->rank, c->n, err));
    const hone_status refused = g.table->comm->sum(link, g.queue, x, 64, HONE_F32, &why);
    while (!g.table->comm->state(link, err)) usleep(1000);
    const hone_status taken = g.table->comm->sum(link, g.queue, x, 64, HONE_F32, err);
    HONE_TRY(comm_barrier(c, err));
    if (refused != HONE_ECOMM || !strstr(why.text, "invalid usage") || taken)
        return hone_fail(err, HONE_EBUG, "refused %d (%s), then %d", refused, why.text, taken);
    HONE_TRY(g.table->queue_wait(g.queue));
    HONE_TRY(comm_barrier(c, err));
    g.table->comm->close(link);
    close_gpu(&g);
    return HONE_OK;
}

TEST(a_call_between_devices_waits_until_the_one_before_is_under_way) { forked_all_end_well(2, impatient, NULL); }

TEST(an_old_library_is_refused_by_its_version) {
    hone_err err = {0};
    const hone_device_v1 *table = device_load("emu", &err);
    CHECK(table && table->comm);
    cuemu_state *(*const control)(void) = (cuemu_state *(*)(void))(uintptr_t)device_symbol(table, "cuemu_control");
    CHECK(control);
    control()->nccl_version = 21703;
    CHECK_INT(table->comm->ready(&err), HONE_EUSAGE);
    CHECK_STR(err.text, "emu: NCCL has version 21703; expected 21800 (2.18) or later");
    control()->nccl_version = 21800;
    CHECK_INT(table->comm->ready(&err), HONE_OK);
}

/* ---- the wire ---- */

TEST(places_on_the_wire_lie_apart_and_inside_the_slab) {
    static const int64_t elements[] = {1, 63, 64, 1000, 1 << 20, 400000000};
    for (int n = 1; n <= 64; n = n < 8 ? n + 1 : n * 2)
        for (size_t i = 0; i < sizeof elements / sizeof *elements; i++)
            for (int bf16 = 0; bf16 < 2; bf16++) {
                const wire_limits w = {n, tree_device_nodes(n, n), bf16};
                const int64_t part = wire_part(&w, elements[i]);
                CHECK(part >= 64 && part % 64 == 0);
                CHECK(part * n <= (1 << 23) + 128 * n);
                char *slab = (char *)(uintptr_t)4096;
                const wire_places at = wire_at(&w, elements[i], slab);
                CHECK_INT((char *)at.out - slab, w.n_nodes * part * 4);
                CHECK_INT((char *)at.in - (char *)at.out, n * part * 2);
                const size_t all = wire_bytes(&w, elements[i]);
                CHECK_INT(all, bf16 ? (char *)at.rounded + part * 2 - slab : w.n_nodes * part * 4);
            }
}
