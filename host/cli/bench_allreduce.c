/* bench_allreduce.c - the same numbers summed in each way, checked, timed, printed by rank 0. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bench_allreduce.h"
#include "base/err.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/host.h"
#include "base/mem.h"
#include "base/table.h"
#include "run/fixed.h"
#include "run/rendezvous.h"
#include "run/tree_device.h"
#include "train/train.h"

#define RUNS_MOST 200
#define LARGEST_BYTES (1 << 25)

typedef enum { EXACT, FAST, FIXED, N_KINDS } kind;
static const char *const kind_names[] = {"exact", "fast", "fixed"};

typedef struct {
    comm *c;
    pool *pool;
    tree_sum *sum[2]; /* exact, fast */
    fixed_sum *fixed;
    const hone_device_v1 *table; /* NULL: the host sums */
    hone_device *device;
    hone_queue *queue;
    tree_device *between;
    void *slab, *given; /* of the device: the wire, x as it was given */
    float *x, *out;     /* [n_most] on the host; of the device, if there is one, out */
    float *back;        /* and what came of it */
    int64_t n_most;
    int bf16;
    double seconds;
    table *rows;
    text json_rows;
    int n_rows, n_failed;
} bench;

static const char *const columns[] = {"kind",   "bytes",  "elements",   "dtype",      "way",        "runs",  "median_us",
                                      "p10_us", "p90_us", "algbw_gb_s", "busbw_gb_s", "sent_bytes", "wrong", "bits"};
enum { N_COLUMNS = sizeof columns / sizeof *columns };

/* ---- what is summed, and what must come of it ---- */

/* Of either sign, over 2^20 of sizes: a sum in another order has other bits. */
static float element(int rank, int64_t e) {
    uint64_t u = ((uint64_t)rank * 0x9E3779B97F4A7C15u + (uint64_t)e * 0xBF58476D1CE4E5B9u + 1) * 0x94D049BB133111EBu;
    u ^= u >> 29;
    return (float)((double)(int64_t)u * 0x1p-63) * (float)(1 << (u % 21)) * 0x1p-20f;
}

static float rounded(const bench *b, float x) {
    uint32_t u;
    if (!b->bf16) return x;
    memcpy(&u, &x, 4);
    u = (u + 0x7fff + (u >> 16 & 1)) & 0xffff0000u;
    memcpy(&x, &u, 4);
    return x;
}

static float tree_of(const bench *b, int first, int n, int64_t e) {
    if (n == 1) return rounded(b, element(first, e));
    const int k = tree_left_leaves(n);
    return rounded(b, tree_of(b, first, k, e) + tree_of(b, first + k, n - k, e));
}

static float line_of(const bench *b, int64_t e) {
    float s = rounded(b, element(0, e));
    for (int r = 1; r < b->c->n; r++) s += rounded(b, element(r, e));
    return rounded(b, s);
}

/* A sum near enough: unit is the rounding of one addition, relative to all that was added; floor what it may lose besides. */
static int is_near(const bench *b, float x, int64_t e, double unit, double floor, int of_sum) {
    double sum = 0, size = 0;
    for (int r = 0; r < b->c->n; r++) {
        sum += (double)element(r, e);
        size += fabs((double)element(r, e));
    }
    return fabs((double)x - sum) <= unit * (of_sum ? fabs(sum) : size) + floor;
}

static int is_right(const bench *b, kind k, float x, int64_t e, int shift) {
    const int n = b->c->n;
    if (k == EXACT) return x == tree_of(b, 0, n, e);
    if (k == FIXED) return is_near(b, x, e, 0x1.0001p-24, n * ldexp(1, -shift - 1), 1);
    if (b->table) return is_near(b, x, e, b->bf16 ? n * 0x1p-8 : n * 0x1p-23, 0, 0);
    return x == line_of(b, e);
}

/* ---- one sum ---- */

static void cut(const bench *b, int64_t n, int64_t *bound) {
    for (int r = 0; r <= b->c->n; r++) bound[r] = r < b->c->n ? n * r / b->c->n / 64 * 64 : n;
}

static hone_status sum_on_host(bench *b, kind k, int64_t n, int *shift, hone_err *err) {
    int64_t bound[COMM_RANKS_MAX + 1];
    const float *node[] = {b->x};
    cut(b, n, bound);
    if (k == FIXED) return fixed_sum_all(b->fixed, b->out, node, 1, b->c->n, n, shift, err);
    HONE_TRY(tree_sum_scatter(b->sum[k], node, b->out, bound, err));
    return tree_sum_gather_sums(b->sum[k], b->out, bound, err);
}

static hone_status sum_on_device(bench *b, kind k, int64_t n, hone_err *err) {
    int64_t bound[COMM_RANKS_MAX + 1];
    float *node[] = {b->out};
    cut(b, n, bound);
    if (k == FAST) HONE_TRY(tree_device_sum(b->between, b->out, 0, n, err));
    else {
        HONE_TRY(tree_device_scatter(b->between, node, b->out, bound, err));
        HONE_TRY(tree_device_gather_sums(b->between, b->out, bound, err));
    }
    return tree_device_wait(b->between, b->queue, err);
}

static hone_status device_copies(bench *b, hone_status status, hone_err *err) {
    if (!status) status = b->table->queue_wait(b->queue);
    return status ? hone_fail(err, status, "device %s: copying failed", b->table->name) : HONE_OK;
}

/* The device's sums overwrite what they add, so it is brought again each time; outside what is timed. */
static hone_status run_once(bench *b, kind k, int64_t n, int *shift, int64_t *ns, hone_err *err) {
    const size_t bytes = (size_t)n * sizeof(float);
    const int by_device = b->table != NULL;
    if (by_device) HONE_TRY(device_copies(b, b->table->put(b->queue, b->out, b->given, bytes), err));
    HONE_TRY(comm_barrier(b->c, err));
    const uint64_t from = clock_ns();
    HONE_TRY(by_device ? sum_on_device(b, k, n, err) : sum_on_host(b, k, n, shift, err));
    *ns = (int64_t)(clock_ns() - from);
    if (by_device) return device_copies(b, b->table->get(b->queue, b->back, b->out, bytes), err);
    memcpy(b->back, b->out, bytes);
    return HONE_OK;
}

/* ---- a row ---- */

typedef struct {
    int64_t wrong, sent;
    uint32_t bits;
} verdict;

static hone_status check(bench *b, kind k, int64_t n, int shift, verdict *v, hone_err *err) {
    struct {
        int64_t wrong, sent;
        uint64_t bits;
    } own = {0, v->sent, hash64(b->back, (size_t)n * sizeof(float), 0)}, all[COMM_RANKS_MAX];
    for (int64_t e = 0; e < n; e++) own.wrong += !is_right(b, k, b->back[e], e, shift);
    HONE_TRY(comm_gather(b->c, &own, sizeof own, all, err));
    *v = (verdict){0, 0, (uint32_t)all[0].bits};
    for (int r = 0; r < b->c->n; r++) {
        v->wrong += all[r].bits == all[0].bits ? all[r].wrong : n;
        if (all[r].sent > v->sent) v->sent = all[r].sent;
    }
    return HONE_OK;
}

static int compare_times(const void *x, const void *y) {
    const int64_t a = *(const int64_t *)x, b = *(const int64_t *)y;
    return (a > b) - (a < b);
}

/* The slowest rank's times, sorted; how many. */
static hone_status time_runs(bench *b, kind k, int64_t n, int64_t first_ns, int64_t *ns, int *n_runs, hone_err *err) {
    int64_t of_ranks[COMM_RANKS_MAX][RUNS_MOST], runs = (int64_t)(b->seconds * 1e9 / (double)(first_ns + 1));
    int shift;
    runs = runs < 3 ? 3 : runs > RUNS_MOST ? RUNS_MOST : runs;
    HONE_TRY(comm_broadcast(b->c, &runs, sizeof runs, 0, err));
    for (int i = 0; i < runs; i++) HONE_TRY(run_once(b, k, n, &shift, &ns[i], err));
    HONE_TRY(comm_gather(b->c, ns, RUNS_MOST * sizeof *ns, of_ranks, err));
    for (int i = 0; i < runs; i++)
        for (int r = 0; r < b->c->n; r++)
            if (of_ranks[r][i] > ns[i]) ns[i] = of_ranks[r][i];
    qsort(ns, (size_t)runs, sizeof *ns, compare_times);
    *n_runs = (int)runs;
    return HONE_OK;
}

static void add_row(bench *b, kind k, int64_t n, const verdict *v, const int64_t *ns, int n_runs) {
    const int by_device = b->table != NULL, is_library = by_device && k == FAST;
    const char *way = by_device ? b->table->comm->name : b->c->way->name, *dtype = b->bf16 && k != FIXED ? "bf16" : "fp32";
    const double bytes = (double)n * 4;
    double time[5] = {0};
    if (n_runs) {
        for (int i = 0; i < 3; i++) time[i] = (double)ns[n_runs * (i == 0 ? 5 : i == 1 ? 1 : 9) / 10] * 1e-3;
        time[3] = bytes / time[0] * 1e-3;
        time[4] = time[3] * 2 * (b->c->n - 1) / b->c->n;
    }
    table_cell(b->rows, "%s", kind_names[k]);
    table_cell(b->rows, "%.0f", bytes);
    table_cell(b->rows, "%lld", (long long)n);
    table_cell(b->rows, "%s", dtype);
    table_cell(b->rows, "%s", way);
    table_cell(b->rows, n_runs ? "%d" : "-", n_runs);
    for (int i = 0; i < 5; i++) table_cell(b->rows, n_runs ? "%.4g" : "-", time[i]);
    table_cell(b->rows, is_library ? "-" : "%lld", (long long)v->sent);
    table_cell(b->rows, "%lld", (long long)v->wrong);
    table_cell(b->rows, "%08x", v->bits);
    text *t = &b->json_rows;
    text_printf(t, "%s{\"kind\":\"%s\",\"bytes\":%.0f,\"elements\":%lld,\"dtype\":\"%s\",\"way\":", b->n_rows++ ? "," : "",
                kind_names[k], bytes, (long long)n, dtype);
    text_json(t, way, strlen(way));
    for (int i = 0; i < 5 && n_runs; i++) text_printf(t, ",\"%s\":%.9g", columns[6 + i], time[i]);
    if (!is_library) text_printf(t, ",\"sent_bytes\":%lld", (long long)v->sent);
    text_printf(t, ",\"wrong\":%lld,\"bits\":\"%08x\"}", (long long)v->wrong, v->bits);
}

static hone_status bench_size(bench *b, kind k, int64_t n, hone_err *err) {
    int64_t ns[RUNS_MOST] = {0}, once;
    int n_runs = 0, shift = 0;
    verdict v = {0};
    const uint64_t before = b->c->bytes_sent;
    HONE_TRY(run_once(b, k, n, &shift, &once, err));
    v.sent = (int64_t)(b->c->bytes_sent - before) - (b->c->n - 1) /* the barrier */;
    HONE_TRY(check(b, k, n, shift, &v, err));
    const int is_timed = !v.wrong && !(b->table && !strcmp(b->table->name, "emu"));
    if (is_timed) HONE_TRY(run_once(b, k, n, &shift, &once, err)); /* the first one met cold memory */
    if (is_timed) HONE_TRY(time_runs(b, k, n, once, ns, &n_runs, err));
    b->n_failed += v.wrong > 0;
    add_row(b, k, n, &v, ns, n_runs);
    return HONE_OK;
}

/* ---- opening ---- */

static hone_status open_on_device(bench *b, const char *name, int ordinal, hone_err *err) {
    void *out, *given;
    const size_t bytes = (size_t)b->n_most * sizeof(float);
    const wire_limits w = {b->c->n, tree_device_nodes(b->c->n, b->c->n), b->bf16};
    b->table = device_pick(name, err);
    if (!b->table) return HONE_EUSAGE;
    if (!b->table->comm || b->c->n == 1) return b->table = NULL, HONE_OK;
    HONE_TRY(b->table->comm->ready(err));
    HONE_TRY(b->table->open(&b->device, pool_host(b->pool), b->table->count && b->table->count() > 1 ? ordinal : 0, err));
    HONE_TRY(b->table->slab_new(b->device, 0, wire_bytes(&w, b->n_most), &b->slab, err));
    HONE_TRY(b->table->slab_new(b->device, 0, bytes, &out, err));
    b->out = out;
    HONE_TRY(b->table->slab_new(b->device, 0, bytes, &given, err));
    b->given = given;
    HONE_TRY(b->table->queue_new(b->device, &b->queue));
    HONE_TRY(device_copies(b, b->table->put(b->queue, given, b->x, bytes), err));
    const tree_device_options o = {.ranks = b->c,
                                   .table = b->table,
                                   .device = b->device,
                                   .queue = b->queue,
                                   .linked = 1,
                                   .wire = w,
                                   .slab = b->slab,
                                   .n_elements = b->n_most};
    HONE_TRY(tree_device_new(&b->between, &o, err));
    tree_device_begin(b->between, b->c->n);
    return HONE_OK;
}

static hone_status open_bench(bench *b, const char *device, int ordinal, hone_err *err) {
    const size_t bytes = (size_t)b->n_most * sizeof(float);
    b->x = mem_new(bytes, "what is summed");
    b->back = mem_new(bytes, "what came of it");
    for (int64_t e = 0; e < b->n_most; e++) b->x[e] = element(b->c->rank, e);
    for (int k = EXACT; k <= FAST; k++) {
        b->sum[k] = tree_sum_new(b->c, b->c->n, b->pool);
        tree_sum_travel(b->sum[k], b->bf16, 0, k == FAST);
    }
    b->fixed = fixed_sum_new(b->c);
    HONE_TRY(open_on_device(b, device, ordinal, err));
    if (!b->table) b->out = mem_new(bytes, "sums");
    return HONE_OK;
}

static void close_bench(bench *b) {
    tree_device_free(b->between);
    if (b->device) {
        void *const slabs[] = {b->slab, b->out, b->given};
        for (int i = 0; i < 3; i++)
            if (slabs[i]) b->table->slab_free(b->device, slabs[i]);
        if (b->queue) b->table->queue_free(b->queue);
        b->table->close(b->device);
    } else mem_free(b->out);
    for (int k = EXACT; k <= FAST; k++) tree_sum_free(b->sum[k]);
    fixed_sum_free(b->fixed);
    mem_free(b->x);
    mem_free(b->back);
}

/* "8:1048576" */
static hone_status read_sizes(const args *a, pool *p, int64_t *from, int64_t *to, hone_err *err) {
    const char *given = args_value(a, "bytes"), *file = args_value(a, "job");
    long long low = 8, high = LARGEST_BYTES;
    int n = 0;
    if (given && (sscanf(given, "%lld:%lld%n", &low, &high, &n) != 2 || given[n] || low < 8 || high < low ||
                  high > (1LL << 34)))
        return hone_fail(err, HONE_EUSAGE, "--bytes: \"%.40s\", expected FROM:TO from 8 on, like 8:33554432", given);
    *from = low, *to = high;
    if (!file || given) return HONE_OK;
    job *j;
    session *s;
    HONE_TRY(job_of_args(&j, a, file, err));
    const hone_status status = plan_of_job(&s, NULL, j, p, 0, 0, 1, err);
    if (!status) *to = (int64_t)s->plan->slot_bytes;
    if (!status) session_close(s);
    job_free(j);
    return status;
}

static void print_rows(const bench *b, const args *a) {
    text out = {0};
    if (a->json)
        text_printf(&out, "{\"world_size\":%d,\"rows\":[%.*s]}\n", b->c->n, (int)b->json_rows.n,
                    b->json_rows.n ? b->json_rows.p : "");
    else if (args_value(a, "csv")) table_csv(b->rows, &out);
    else if (args_value(a, "md")) table_markdown(b->rows, &out);
    else {
        text_printf(&out, "# %d ranks by %s; busbw = algbw * %.4g, algbw = bytes / time; wrong: of all ranks\n", b->c->n,
                    b->c->way->name, 2.0 * (b->c->n - 1) / b->c->n);
        if (b->table)
            text_printf(&out, "# device %s, %s%s\n", b->table->name, b->table->comm->name,
                        strcmp(b->table->name, "emu") ? "" : ", emulated: no time is measured");
        table_print(b->rows, &out);
    }
    stdout_add(out.p, out.n);
    text_free(&out);
}

/* What would be summed; device unknown, so of all kinds. */
static void list_rows(int64_t from, int64_t to) {
    text out = {0};
    for (int64_t bytes = from; bytes <= to; bytes = bytes < to && bytes * 2 > to ? to : bytes * 2)
        for (int k = EXACT; k < N_KINDS; k++)
            text_printf(&out, "%s %lld\n", kind_names[k], (long long)bytes);
    stdout_add(out.p, out.n);
    text_free(&out);
}

static hone_status bench_all(bench *b, int64_t from, int64_t to, hone_err *err) {
    const int n_kinds = b->table ? FIXED : N_KINDS; /* fixed is the host's: --device cpu shows it */
    for (int64_t bytes = from; bytes <= to; bytes = bytes < to && bytes * 2 > to ? to : bytes * 2)
        for (int k = EXACT; k < n_kinds; k++) HONE_TRY(bench_size(b, (kind)k, bytes / 4, err));
    return HONE_OK;
}

static hone_status bench_ranks(bench *b, const args *a, const rank_place *place, hone_err *err) {
    int64_t from = 0, to = 0;
    HONE_TRY(read_sizes(a, b->pool, &from, &to, err));
    if (args_value(a, "list") || args_value(a, "dry-run")) {
        if (place->rank == 0) list_rows(from, to);
        return HONE_OK;
    }
    b->n_most = to / 4;
    HONE_TRY(open_bench(b, a->device ? a->device : "auto", place->local_rank, err));
    HONE_TRY(bench_all(b, from, to, err));
    if (place->rank == 0) print_rows(b, a);
    return b->n_failed ? hone_fail(err, HONE_EBUG, "%d of %d sums are wrong; their times are not shown", b->n_failed, b->n_rows)
                       : HONE_OK;
}

hone_status bench_allreduce(const args *a, hone_err *err) {
    const char *dtype = args_value(a, "dtype");
    bench b = {.bf16 = dtype && !strcmp(dtype, "bf16")};
    rank_place place;
    int64_t milliseconds;
    if (dtype && !b.bf16 && strcmp(dtype, "fp32"))
        return hone_fail(err, HONE_EUSAGE, "--dtype: \"%.32s\", expected fp32 or bf16", dtype);
    HONE_TRY(args_integer(a, "seconds", 1, 1 << 20, 200, &milliseconds, err));
    b.seconds = (double)milliseconds * 1e-3;
    HONE_TRY(rank_find(&place, NULL, NULL, err));
    if (place.rank) log_set(LOG_WARN); /* rank 0 speaks for all */
    HONE_TRY(ranks_open(&b.c, &place, 60, err));
    b.pool = pool_new(a->threads);
    b.rows = table_new(N_COLUMNS);
    for (int i = 0; i < N_COLUMNS; i++) table_cell(b.rows, "%s", columns[i]);
    const hone_status status = bench_ranks(&b, a, &place, err);
    if (status) comm_abandon(b.c);
    close_bench(&b);
    comm_close(b.c);
    table_free(b.rows);
    text_free(&b.json_rows);
    pool_free(b.pool);
    return status;
}
