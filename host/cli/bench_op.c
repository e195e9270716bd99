/* bench_op.c - cases of one family, checked against ref and timed. */
#include <stdio.h>
#include <string.h>

#include "cli/bench_op.h"
#include "cli/bench_gpu.h"
#include "base/err.h"
#include "base/file.h"
#include "base/host.h"
#include "base/table.h"
#include "cases/cases.h"
#include "cli/cmd.h"
#include "train/train.h"

typedef struct {
    const char *name, *also;
    hone_op op[4];
    int n;
} op_family;

static const op_family families[] = {
    {"embed", "embedding", {HONE_OP_EMBED_FWD, HONE_OP_EMBED_BWD}, 2},
    {"norm", "layernorm", {HONE_OP_NORM_FWD, HONE_OP_NORM_BWD}, 2},
    {"linear", "gemm", {HONE_OP_LINEAR_FWD, HONE_OP_LINEAR_BWD, HONE_OP_LINEAR_BWD_W}, 3},
    {"act", "gelu", {HONE_OP_ACT_FWD, HONE_OP_ACT_BWD, HONE_OP_DROPOUT, HONE_OP_ADD}, 4},
    {"attention", "sdpa", {HONE_OP_ATTENTION_FWD, HONE_OP_ATTENTION_BWD}, 2},
    {"gather", "pool", {HONE_OP_GATHER, HONE_OP_SCATTER, HONE_OP_POOL_FWD, HONE_OP_POOL_BWD}, 4},
    {"softmax", "softmax", {HONE_OP_SOFTMAX_FWD, HONE_OP_SOFTMAX_BWD}, 2},
    {"loss", "crossentropy", {HONE_OP_XENT, HONE_OP_BCE, HONE_OP_MSE, HONE_OP_SPAN_XENT}, 4},
    {"reduce", "sum", {HONE_OP_SUM, HONE_OP_SQSUM, HONE_OP_HASH}, 3},
    {"optim", "adamw", {HONE_OP_GUARD, HONE_OP_ADAMW_STEP, HONE_OP_ADAMW_ROWS, HONE_OP_ADAMW_MISSED}, 4},
    {"convert", "copy", {HONE_OP_COPY}, 1}};
enum { N_FAMILIES = sizeof families / sizeof *families };

typedef struct {
    const op_family *family;
    const char *name, *shape, *device;
    struct {
        char letter;
        int64_t from, to; /* letter 0: no sweep */
    } sweep;
    hone_dtype dtype;
    int tf32, as_json, list, nvtx;
    cases_on on;
    const hone_host_v1 *host;
    double seconds, copy, gemm;
    table *rows;
    text json_rows;
    int n_rows, n_failed;
    cases_on counting; /* of the emulated GPU: the device that counts; table NULL: not emulated */
    const hone_emu_v1 *emu;
    gpu_figures gpu;
    hone_status status;
    hone_err *err;
} bench;

static const char *const columns_shown[] = {
    "op",     "case",    "dtype",    "device",    "median_us",       "p10_us",
    "p90_us", "cold_us", "gb_per_s", "tflops",    "percent_of_copy", "percent_of_gemm",
    "peer",   "peer_us", "ratio",    "max_error", "error_bound",     "bits"};
enum { N_COLUMNS = sizeof columns_shown / sizeof *columns_shown, FIRST_TIME = 4, N_TIMES = 8 };

/* Another way to the same result, timed in the same run. */
typedef struct {
    const char *name; /* NULL: there is none */
    double us;        /* 0: not timed */
    char why[160];    /* there is none */
} peer;
/* Emulated: bytes moved / floor, what of that was partial sums and lists in the workspace, bank conflicts, tensor core instructions, and what they mean for the GPU named. */
static const char *const columns_counted[] = {"of_floor", "of_partials", "conflicts", "n_mma", "predicted_us", "bound_by"};
enum { N_COUNTED = sizeof columns_counted / sizeof *columns_counted };

static int is_of_family(const op_family *f, hone_op op) {
    for (int i = 0; i < f->n; i++)
        if (f->op[i] == op) return 1;
    return 0;
}

static int is_product(hone_op op) {
    return op == HONE_OP_LINEAR_FWD || op == HONE_OP_LINEAR_BWD || op == HONE_OP_LINEAR_BWD_W;
}

static double of_floor(const cases_counts *c) {
    const double moved = 32 * (double)(c->sum.memory_read + c->sum.memory_written);
    return moved > 0 && c->floor_bytes > 0 ? moved / c->floor_bytes : 0;
}

static void add_kernels(text *t, const cases_counts *c) {
    const int n = sizeof c->kernel / sizeof *c->kernel;
    text_str(t, ",\"kernels\":[");
    for (int i = 0; i < c->n_kernels && i < n; i++) {
        const hone_emu_counts *k = &c->kernel[i];
        text_printf(t, "%s{\"kernel\":", i ? "," : "");
        text_json(t, k->kernel, strlen(k->kernel));
        text_printf(t, ",\"launches\":%llu,\"blocks\":%llu", (unsigned long long)k->n_launches,
                    (unsigned long long)k->n_blocks);
        const struct {
            const char *name;
            uint64_t n;
        } count[] = {{"sectors_read", k->sectors_read},
                     {"sectors_written", k->sectors_written},
                     {"bytes_read", k->bytes_read},
                     {"bytes_written", k->bytes_written},
                     {"memory_read", k->memory_read},
                     {"memory_written", k->memory_written},
                     {"memory_work", k->memory_work},
                     {"shared_requests", k->shared_requests},
                     {"shared_wavefronts", k->shared_wavefronts},
                     {"mma", k->n_mma},
                     {"exp", k->n_exp},
                     {"barriers", k->n_barriers}};
        for (size_t j = 0; j < sizeof count / sizeof *count; j++)
            text_printf(t, ",\"%s\":%llu", count[j].name, (unsigned long long)count[j].n);
        text_str(t, "}");
    }
    text_str(t, "]");
}

/* What the case asks of memory, and the least time that the GPU named would need. Never a time of the emulator. */
static void add_counts(bench *b, const cases_case *k, int passed) {
    cases_counts c;
    char why[256];
    if (!passed || !cases_counted(&b->counting, b->emu, k, &c, why, sizeof why)) {
        for (int i = 0; i < N_COUNTED; i++) table_cell(b->rows, "-");
        return;
    }
    const char *binds;
    const double us = 1e6 * gpu_least_seconds(&b->gpu, &c, k->dtype, &binds), ratio = of_floor(&c);
    const double partials = ratio > 0 ? 32 * (double)c.sum.memory_work / c.floor_bytes : 0;
    const unsigned long long conflicts = c.sum.shared_wavefronts - c.sum.shared_requests;
    table_cell(b->rows, ratio > 0 ? "%.4f" : "-", ratio);
    table_cell(b->rows, ratio > 0 ? "%.4f" : "-", partials);
    table_cell(b->rows, "%llu", conflicts);
    table_cell(b->rows, "%llu", (unsigned long long)c.sum.n_mma);
    table_cell(b->rows, "%.4g", us);
    table_cell(b->rows, "%s", binds);
    text_printf(
        &b->json_rows,
        ",\"floor_bytes\":%.17g,\"of_floor\":%.9g,\"of_partials\":%.9g,\"conflicts\":%llu,\"n_mma\":%llu,\"predicted_us\":%.9g,"
        "\"bound_by\":\"%s\"",
        c.floor_bytes, ratio, partials, conflicts, (unsigned long long)c.sum.n_mma, us, binds);
    add_kernels(&b->json_rows, &c);
}

static const char *type_name(const cases_case *k) {
    return is_product(k->op) && k->attr.linear.tf32 ? "tf32" : hone_dtype_name(k->dtype);
}

static void add_peer(bench *b, const peer *p, double median_us) {
    const int is_timed = p->us > 0 && median_us > 0;
    text *t = &b->json_rows;
    table_cell(b->rows, "%s", p->name ? p->name : "-");
    table_cell(b->rows, is_timed ? "%.4g" : "-", p->us);
    table_cell(b->rows, is_timed ? "%.3g" : "-", p->us / median_us);
    if (p->name) text_printf(t, ",\"peer\":\"%s\"", p->name);
    if (is_timed) text_printf(t, ",\"peer_us\":%.9g,\"ratio\":%.9g", p->us, p->us / median_us);
    if (p->name || !p->why[0]) return;
    text_str(t, ",\"peer\":null,\"peer_why\":");
    text_json(t, p->why, strlen(p->why));
}

/* p: what the row is compared with; its product alone is what percent_of_gemm is of. */
static void add_row(bench *b, const cases_case *k, const char *name, const cases_result *r, const peer *p) {
    const hone_op_info *op = hone_op_find(k->op);
    const double of_copy = b->copy > 0 ? 100 * r->gb_per_s / b->copy : 0,
                 of_gemm = is_product(k->op) && p->name && r->n_runs ? 100 * p->us / r->median_us : 0;
    const double number[N_TIMES] = {r->median_us, r->p10_us, r->p90_us, r->cold_us,
                                    r->gb_per_s,  r->tflops, of_copy,   of_gemm};
    text *t = &b->json_rows;
    char shape[128];
    text_printf(t, "%s{\"op\":\"%s\",\"case\":", b->n_rows ? "," : "", op->name);
    text_json(t, name, strlen(name));
    cases_shape(k, shape, sizeof shape);
    text_printf(t, ",\"shape\":\"%s\",\"dtype\":\"%s\",\"device\":\"%s\",\"pass\":%s", shape, type_name(k), b->device,
                r->outcome == CASES_PASS ? "true" : "false");
    for (int i = 0; i < N_TIMES && r->n_runs; i++)
        text_printf(t, ",\"%s\":%.9g", columns_shown[FIRST_TIME + i], number[i]);
    table_cell(b->rows, "%s", op->name);
    table_cell(b->rows, "%s", name);
    table_cell(b->rows, "%s", type_name(k));
    table_cell(b->rows, "%s", b->device);
    for (int i = 0; i < N_TIMES; i++)
        table_cell(b->rows, r->n_runs && number[i] > 0 ? "%.4g" : "-", number[i]);
    add_peer(b, p, r->median_us);
    table_cell(b->rows, "%.2g", r->max_error);
    table_cell(b->rows, "%.2g", r->error_bound);
    if (r->outcome == CASES_PASS) table_cell(b->rows, "%08x", r->bits);
    else table_cell(b->rows, "%s", r->what);
    text_printf(t, ",\"max_error\":%.9g,\"error_bound\":%.9g,\"bits\":\"%08x\"", r->max_error, r->error_bound,
                r->bits);
    if (b->counting.table) add_counts(b, k, r->outcome == CASES_PASS);
    text_str(t, "}");
    b->n_rows++;
}

/* A product alone: on a GPU a call of the library, chosen among those of its algorithms whose bits do not depend on the
 * number of rows. Other ops: the device's library, where it has one that plays them. Emulated, it is checked alone. */
static peer find_peer(const bench *b, const cases_case *k, const cases_result *r) {
    cases_case alone;
    cases_result other = {0};
    peer p = {0};
    if (r->outcome != CASES_PASS) return p;
    if (!cases_alone(k, &alone)) {
        cases_peer(&b->on, k, b->counting.table ? NULL : b->host, b->seconds, &other);
        p = (peer){.name = other.peer, .us = other.peer_us};
        memcpy(p.why, other.peer_what, sizeof p.why);
    } else if (!b->counting.table && cases_bench(&b->on, &alone, b->host, b->seconds, &other) == CASES_PASS)
        p = (peer){.name = strcmp(b->device, "cuda") ? "the product alone" : "cuBLASLt", .us = other.median_us};
    return p;
}

static void list_case(const cases_case *k, const char *name) {
    text line = {0};
    text_printf(&line, "%s %s\n", hone_op_find(k->op)->name, name);
    stdout_add(line.p, line.n);
    text_free(&line);
}

static void bench_case(bench *b, const cases_case *k) {
    char name[256];
    cases_result r = {0};
    cases_describe(k, name, sizeof name);
    if (b->list) {
        list_case(k, name);
        return;
    }
    char range[320];
    snprintf(range, sizeof range, "%s %s", hone_op_find(k->op)->name, name);
    log_debug("%s", range);
    if (b->nvtx) b->on.table->range(range);
    /* The emulator's own time says nothing about a GPU's: not measured, not shown. */
    if (b->counting.table) b->n_failed += cases_check(&b->on, k, &r) == CASES_FAIL;
    else b->n_failed += cases_bench(&b->on, k, b->host, b->seconds, &r) == CASES_FAIL;
    const peer p = find_peer(b, k, &r);
    if (b->nvtx) b->on.table->range(NULL);
    add_row(b, k, name, &r, &p);
}

/* The case, or each size of the sweep that it has an extent for. 0: b->status says why not. */
static int bench_sizes(bench *b, const cases_case *given) {
    for (int64_t n = b->sweep.from; n <= b->sweep.to; n *= 2) {
        cases_case k = *given;
        char swept[48];
        snprintf(swept, sizeof swept, "%c=%lld", b->sweep.letter, (long long)n);
        if (b->shape && (b->status = cases_set_shape(&k, b->shape, b->err))) return 0;
        if (b->sweep.letter && (b->status = cases_set_shape(&k, swept, b->err))) return 0;
        bench_case(b, &k);
    }
    return 1;
}

static int visit(void *arg, const cases_case *k) {
    bench *b = arg;
    if (!is_of_family(b->family, k->op) || !(k->modes & CASES_BENCH) ||
        (k->op != HONE_OP_COPY && k->dtype != b->dtype) ||
        (is_product(k->op) && k->attr.linear.tf32 != b->tf32))
        return 1;
    return bench_sizes(b, k);
}

static int is_new(const cases_case *seen, int n, const cases_case *k) {
    char name[256], other[256];
    cases_describe(k, name, sizeof name);
    for (int i = 0; i < n; i++) {
        cases_describe(&seen[i], other, sizeof other);
        if (seen[i].op == k->op && !strcmp(name, other)) return 0;
    }
    return 1;
}

/* Every distinct call of the family in the plan's programs. */
static hone_status visit_plan(bench *b, const hone_plan *p) {
    enum { MOST = 64 };
    static cases_case seen[MOST];
    int n = 0;
    for (int program = 0; program < HONE_N_PROGRAMS; program++)
        for (int i = 0; i < p->program[program].n_steps && n < MOST; i++) {
            const hone_step *s = &p->program[program].step[i];
            hone_query q;
            if (!is_of_family(b->family, s->op)) continue;
            plan_query(p, s, &q);
            if (!cases_planned(&seen[n], &q) || !is_new(seen, n, &seen[n])) continue;
            if (!bench_sizes(b, &seen[n++])) return b->status;
        }
    return HONE_OK;
}

static hone_status visit_job(bench *b, const args *a, const char *file, pool *threads) {
    job *j;
    session *s;
    HONE_TRY(job_of_args(&j, a, file, b->err));
    j->device = b->device;
    hone_status status = plan_of_job(&s, NULL, j, threads, 0, 0, 1, b->err);
    if (!status) {
        status = visit_plan(b, s->plan);
        session_close(s);
    }
    job_free(j);
    return status;
}

/* "S=16:512" */
static hone_status parse_sweep(bench *b, const char *given, hone_err *err) {
    long long from, to;
    int n = 0;
    b->sweep.from = b->sweep.to = 1;
    if (!given) return HONE_OK;
    if (sscanf(given, "%c=%lld:%lld%n", &b->sweep.letter, &from, &to, &n) != 3 || given[n] || from < 1 ||
        to < from || to > (1LL << 32))
        return hone_fail(err, HONE_EUSAGE, "--sweep: \"%.40s\", expected LETTER=FROM:TO, like S=16:512",
                         given);
    b->sweep.from = from, b->sweep.to = to;
    return HONE_OK;
}

/* The emulated GPU that counts, which is a device of its own beside emu. */
static hone_status open_counting(bench *b, hone_err *err) {
    b->counting = b->on;
    b->counting.table = device_load("emu_count", err);
    if (!b->counting.table) return HONE_EUSAGE;
    b->emu = device_symbol(b->counting.table, HONE_EMU_SYMBOL);
    if (!b->emu || b->emu->struct_bytes != sizeof *b->emu ||
        b->emu->counts_bytes != sizeof(hone_emu_counts)) {
        b->counting.table = NULL;
        return hone_fail(err, HONE_EUSAGE,
                         "device emu_count: belongs to another version of hone; build or install hone again");
    }
    return b->counting.table->open(&b->counting.device[0], b->host, 0, err);
}

static hone_status open_devices(bench *b, pool *p, hone_err *err) {
    b->host = pool_host(p);
    b->on.table = device_pick(b->device, err);
    b->on.ref = b->on.table ? device_load("ref", err) : NULL;
    if (!b->on.ref) return HONE_EUSAGE;
    b->device = b->on.table->name;
    HONE_TRY(b->on.table->open(&b->on.device[0], b->host, 0, err));
    b->on.n_devices = 1;
    if (b->nvtx && !b->on.table->range)
        return hone_fail(err, HONE_EUSAGE, "--nvtx, but device %s has no profiler; expected device cuda",
                         b->device);
    hone_limits limits;
    HONE_TRY(b->on.table->limits(b->on.device[0], &limits));
    if (b->tf32 && !limits.tf32)
        return hone_fail(err, HONE_EUSAGE, "--dtype: tf32, but device %s has no TF32; expected device cuda",
                         b->device);
    HONE_TRY(b->on.ref->open(&b->on.ref_device, b->host, 0, err));
    return strcmp(b->device, "emu") ? HONE_OK : open_counting(b, err);
}

static void print_rows(const bench *b, const args *a) {
    text out = {0};
    if (a->json)
        text_printf(&out, "{\"copy_gb_per_s\":%.9g,\"gemm_tflops\":%.9g,%s%s%s\"rows\":[%.*s]}\n", b->copy,
                    b->gemm, b->counting.table ? "\"predicted_for\":\"" : "", b->gpu.name,
                    b->counting.table ? "\"," : "", (int)b->json_rows.n,
                    b->json_rows.n ? b->json_rows.p : "");
    else if (args_value(a, "csv")) table_csv(b->rows, &out);
    else if (args_value(a, "md")) table_markdown(b->rows, &out);
    else {
        if (b->counting.table)
            text_printf(
                &out,
                "# device emu, emulated: no time is measured; predicted_us: the least that %s would need\n",
                b->gpu.name);
        else
            text_printf(&out, "# device %s, timed by %s; copy %.1f GB/s; largest product %.3f TFLOP/s\n",
                        b->device, b->on.table->event_ns ? "its events" : "the host's clock", b->copy,
                        b->gemm);
        table_print(b->rows, &out);
    }
    stdout_add(out.p, out.n);
    text_free(&out);
}

hone_status bench_op(const args *a, hone_err *err) {
    bench b = {.err = err,
               .name = a->word[0],
               .shape = args_value(a, "shape"),
               .device = a->device ? a->device : "auto",
               .dtype = HONE_F32};
    const char *names[2 * N_FAMILIES + 1] = {"step"}, *dtype = args_value(a, "dtype");
    int64_t milliseconds;
    HONE_TRY(args_integer(a, "seconds", 1, 1 << 20, 200, &milliseconds, err));
    b.seconds = (double)milliseconds * 1e-3;
    for (int i = 0; i < N_FAMILIES; i++) {
        names[1 + 2 * i] = families[i].name, names[2 + 2 * i] = families[i].also;
        if (!strcmp(b.name, families[i].name) || !strcmp(b.name, families[i].also)) b.family = &families[i];
    }
    if (!b.family) {
        const char *near = nearest_word(b.name, names, 2 * N_FAMILIES + 1);
        hone_fail(err, HONE_EUSAGE, "hone bench: \"%.64s\", expected step, allreduce or a family of ops", b.name);
        return hone_hint(err,
                         near ? "nearest: %s"
                              : "embed norm linear act attention gather softmax loss reduce optim convert%s",
                         near ? near : "");
    }
    if (dtype && !strcmp(dtype, "bf16")) b.dtype = HONE_BF16;
    else if (dtype && !strcmp(dtype, "fp16")) b.dtype = HONE_F16;
    else if (dtype && !strcmp(dtype, "tf32") && !strcmp(b.family->name, "linear")) b.tf32 = 1;
    else if (dtype && strcmp(dtype, "fp32"))
        return hone_fail(err, HONE_EUSAGE,
                         "--dtype: \"%.32s\", expected fp32, bf16 or fp16, for linear also tf32", dtype);
    HONE_TRY(parse_sweep(&b, args_value(a, "sweep"), err));
    b.nvtx = args_value(a, "nvtx") != NULL;
    b.list = args_value(a, "list") || args_value(a, "dry-run");
    const int is_emulated = !strcmp(b.device, "emu");
    const char *gpu = args_value(a, "gpu");
    if (gpu && !is_emulated)
        return hone_fail(err, HONE_EUSAGE, "--gpu: predictions go with --device emu alone");
    if (is_emulated) HONE_TRY(gpu_read(&b.gpu, gpu ? gpu : "h100", err));
    pool *p = pool_new(a->threads);
    hone_status status = b.list ? HONE_OK : open_devices(&b, p, err);
    b.rows = table_new(N_COLUMNS + (is_emulated ? N_COUNTED : 0));
    for (int i = 0; i < N_COLUMNS; i++) table_cell(b.rows, "%s", columns_shown[i]);
    for (int i = 0; i < N_COUNTED && is_emulated; i++) table_cell(b.rows, "%s", columns_counted[i]);
    if (!status && !b.list && !is_emulated)
        cases_baselines(&b.on, b.dtype, b.tf32, b.host, b.seconds, &b.copy, &b.gemm);
    const char *file = args_value(a, "shapes-from");
    if (!status && file) status = visit_job(&b, a, file, p);
    else if (!status) cases_each(visit, &b);
    if (!status) status = b.status;
    if (!status && !b.list) print_rows(&b, a);
    if (!status && b.n_failed)
        status = hone_fail(err, HONE_EBUG, "%d of %d cases differ from ref; their times are not shown",
                           b.n_failed, b.n_rows);
    if (b.on.n_devices) b.on.table->close(b.on.device[0]);
    if (b.on.ref_device) b.on.ref->close(b.on.ref_device);
    if (b.counting.table) b.counting.table->close(b.counting.device[0]);
    text_free(&b.json_rows);
    table_free(b.rows);
    pool_free(p);
    return status;
}
