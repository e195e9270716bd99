/* bench_op.c - cases of one family, checked against ref and timed. */
#include <stdio.h>
#include <string.h>

#include "cli/bench_op.h"
#include "base/err.h"
#include "base/file.h"
#include "base/host.h"
#include "base/table.h"
#include "cases/cases.h"

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
    {"optim", "adamw", {HONE_OP_GUARD, HONE_OP_ADAMW_STEP}, 2},
    {"convert", "copy", {HONE_OP_COPY}, 1}};
enum { N_FAMILIES = sizeof families / sizeof *families };

typedef struct {
    const op_family *family;
    const char *name, *shape, *device;
    hone_dtype dtype;
    int as_json, list;
    cases_on on;
    const hone_host_v1 *host;
    double seconds, copy, gemm;
    table *rows;
    text json_rows;
    int n_rows, n_failed;
    hone_status status;
    hone_err *err;
} bench;

static const char *const columns_shown[] = {
    "op",       "case",   "dtype",           "device",          "median_us", "p10_us",      "p90_us",
    "gb_per_s", "tflops", "percent_of_copy", "percent_of_gemm", "max_error", "error_bound", "bits"};
enum { N_COLUMNS = sizeof columns_shown / sizeof *columns_shown };

static int is_of_family(const op_family *f, hone_op op) {
    for (int i = 0; i < f->n; i++)
        if (f->op[i] == op) return 1;
    return 0;
}

static int is_product(hone_op op) {
    return op == HONE_OP_LINEAR_FWD || op == HONE_OP_LINEAR_BWD || op == HONE_OP_LINEAR_BWD_W;
}

static void add_row(bench *b, const cases_case *k, const char *name, const cases_result *r) {
    const hone_op_info *op = hone_op_find(k->op);
    const double of_copy = b->copy > 0 ? 100 * r->gb_per_s / b->copy : 0,
                 of_gemm = b->gemm > 0 && is_product(k->op) ? 100 * r->tflops / b->gemm : 0;
    const double number[] = {r->median_us, r->p10_us, r->p90_us, r->gb_per_s, r->tflops, of_copy, of_gemm};
    table_cell(b->rows, "%s", op->name);
    table_cell(b->rows, "%s", name);
    table_cell(b->rows, "%s", hone_dtype_name(k->dtype));
    table_cell(b->rows, "%s", b->device);
    for (int i = 0; i < 7; i++) table_cell(b->rows, r->n_runs ? "%.4g" : "-", number[i]);
    table_cell(b->rows, "%.2g", r->max_error);
    table_cell(b->rows, "%.2g", r->error_bound);
    if (r->outcome == CASES_PASS) table_cell(b->rows, "%08x", r->bits);
    else table_cell(b->rows, "%s", r->what);
    text *t = &b->json_rows;
    text_printf(t, "%s{\"op\":\"%s\",\"case\":", b->n_rows ? "," : "", op->name);
    text_json(t, name, strlen(name));
    text_printf(t, ",\"dtype\":\"%s\",\"device\":\"%s\",\"passed\":%s", hone_dtype_name(k->dtype), b->device,
                r->outcome == CASES_PASS ? "true" : "false");
    for (int i = 0; i < 7 && r->n_runs; i++) text_printf(t, ",\"%s\":%.9g", columns_shown[4 + i], number[i]);
    text_printf(t, ",\"max_error\":%.9g,\"error_bound\":%.9g,\"bits\":\"%08x\"}", r->max_error,
                r->error_bound, r->bits);
    b->n_rows++;
}

static int visit(void *arg, const cases_case *given) {
    bench *b = arg;
    cases_case k = *given;
    char name[160];
    cases_result r = {0};
    if (!is_of_family(b->family, k.op) || !(k.modes & CASES_BENCH) ||
        (k.op != HONE_OP_COPY && k.dtype != b->dtype))
        return 1;
    if (b->shape && (b->status = cases_set_shape(&k, b->shape, b->err))) return 0;
    cases_describe(&k, name, sizeof name);
    if (b->list) {
        text line = {0};
        text_printf(&line, "%s %s\n", hone_op_find(k.op)->name, name);
        stdout_add(line.p, line.n);
        text_free(&line);
        return 1;
    }
    log_debug("%s %s", hone_op_find(k.op)->name, name);
    b->n_failed += cases_bench(&b->on, &k, b->host, b->seconds, &r) == CASES_FAIL;
    add_row(b, &k, name, &r);
    return 1;
}

static hone_status open_devices(bench *b, pool *p, hone_err *err) {
    b->host = pool_host(p);
    b->on.table = device_pick(b->device, err);
    b->on.ref = b->on.table ? device_load("ref", err) : NULL;
    if (!b->on.ref) return HONE_EUSAGE;
    b->device = b->on.table->name;
    HONE_TRY(b->on.table->open(&b->on.device[0], b->host, 0, err));
    b->on.n_devices = 1;
    return b->on.ref->open(&b->on.ref_device, b->host, 0, err);
}

static void print_rows(const bench *b, const args *a) {
    text out = {0};
    if (a->json)
        text_printf(&out, "{\"copy_gb_per_s\":%.9g,\"gemm_tflops\":%.9g,\"rows\":[%.*s]}\n", b->copy, b->gemm,
                    (int)b->json_rows.n, b->json_rows.n ? b->json_rows.p : "");
    else if (args_value(a, "csv")) table_csv(b->rows, &out);
    else if (args_value(a, "md")) table_markdown(b->rows, &out);
    else {
        text_printf(&out, "# device %s; copy %.1f GB/s; largest product %.3f TFLOP/s\n", b->device, b->copy,
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
        hone_fail(err, HONE_EUSAGE, "hone bench: \"%.64s\", expected step or a family of ops", b.name);
        return hone_hint(err,
                         near ? "nearest: %s"
                              : "embed norm linear act attention gather softmax loss reduce optim convert%s",
                         near ? near : "");
    }
    if (dtype && !strcmp(dtype, "bf16")) b.dtype = HONE_BF16;
    else if (dtype && strcmp(dtype, "fp32"))
        return hone_fail(err, HONE_EUSAGE, "--dtype: \"%.32s\", expected fp32 or bf16", dtype);
    b.list = args_value(a, "list") || args_value(a, "dry-run");
    b.rows = table_new(N_COLUMNS);
    for (int i = 0; i < N_COLUMNS; i++) table_cell(b.rows, "%s", columns_shown[i]);
    pool *p = pool_new(a->threads);
    hone_status status = b.list ? HONE_OK : open_devices(&b, p, err);
    if (!status && !b.list) cases_baselines(&b.on, b.dtype, b.host, b.seconds, &b.copy, &b.gemm);
    if (!status) cases_each(visit, &b);
    if (!status) status = b.status;
    if (!status && !b.list) print_rows(&b, a);
    if (!status && b.n_failed)
        status = hone_fail(err, HONE_EBUG, "%d of %d cases differ from ref; their times are not shown",
                           b.n_failed, b.n_rows);
    if (b.on.n_devices) b.on.table->close(b.on.device[0]);
    if (b.on.ref_device) b.on.ref->close(b.on.ref_device);
    text_free(&b.json_rows);
    table_free(b.rows);
    pool_free(p);
    return status;
}
