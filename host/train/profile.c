/* profile.c - spans of calls, added up by name. A name is the op and the size of its result, of products also what they
 * sum over. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "train/profile.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/table.h"
#include "plan/cost.h"

typedef struct {
    char name[64];
    int64_t calls;
    double s, at_work_s, flops, bytes;
} row;

static const hone_step *step_of(const profile *p, const trace_span *x) {
    return &p->plan->program[x->program].step[x->step];
}

static int64_t extent_of(const profile *p, const hone_dim *d) { return d->space ? p->rows[d->space] : d->n; }

static void name_call(const profile *p, const hone_step *s, char out[64]) {
    const hone_op_info *op = hone_op_find(s->op);
    int k = 0;
    while (k < op->n_out - 1 && !s->out[k]) k++;
    const hone_value *y = &p->plan->value[s->out[k]];
    int64_t columns = 1;
    for (int d = 1; d < y->n_dims; d++) columns *= y->dim[d].n;
    const int64_t rows = y->n_dims ? extent_of(p, &y->dim[0]) : 0;
    const double flops = plan_step_flops(p->plan, s, p->rows, p->mean_length);
    int n = snprintf(out, 64, "%s %lld", op->name, (long long)rows);
    if (y->n_dims > 1) n += snprintf(out + n, 64 - (size_t)n, "x%lld", (long long)columns);
    if (flops > 0 && s->op != HONE_OP_ATTENTION_FWD && s->op != HONE_OP_ATTENTION_BWD)
        snprintf(out + n, 64 - (size_t)n, "x%.0f", flops / 2 / (double)rows / (double)columns);
}

static row *row_of(row *rows, int *n, const char *name) {
    for (int i = 0; i < *n; i++)
        if (!strcmp(rows[i].name, name)) return &rows[i];
    row *r = &rows[(*n)++];
    *r = (row){0};
    memcpy(r->name, name, sizeof r->name);
    return r;
}

static int by_time(const void *a, const void *b) {
    const double x = ((const row *)a)->s, y = ((const row *)b)->s;
    return (x < y) - (x > y);
}

static double seconds_of(const trace_span *x) { return (double)(x->to_ns - x->from_ns) * 1e-9; }

/* Rows of one step: sums over all, divided by the number of steps. */
static row *add_up(const profile *p, const trace *t, int *n_rows) {
    int64_t n;
    int most = 1;
    for (int k = 0; k < HONE_N_PROGRAMS; k++) most += p->plan->program[k].n_steps;
    row *rows = mem_new((size_t)most * sizeof *rows, "profile");
    *n_rows = 0;
    for (int thread = -1; thread < trace_threads(t); thread++) {
        const trace_span *x = trace_spans(t, thread, &n);
        for (int64_t i = 0; i < n; i++) {
            const hone_step *s = step_of(p, &x[i]);
            char name[64] = {0};
            name_call(p, s, name);
            row *r = row_of(rows, n_rows, name);
            if (thread >= 0) {
                r->at_work_s += seconds_of(&x[i]) / (double)p->n_steps;
                continue;
            }
            r->calls++;
            r->s += seconds_of(&x[i]) / (double)p->n_steps;
            r->flops += plan_step_flops(p->plan, s, p->rows, p->mean_length) / (double)p->n_steps;
            r->bytes += plan_step_bytes(p->plan, s, p->rows) / (double)p->n_steps;
        }
    }
    for (int i = 0; i < *n_rows; i++) rows[i].calls /= p->n_steps;
    qsort(rows, (size_t)*n_rows, sizeof *rows, by_time);
    return rows;
}

/* The time that the machine's rates allow, of the time taken. */
static double share_of_machine(const profile *p, const row *r) {
    const double flops = r->flops / p->flops_per_s, bytes = r->bytes / p->bytes_per_s;
    return (flops > bytes ? flops : bytes) / r->s;
}

static void print_row(const profile *p, const trace *t, const row *r, table *to, text *json) {
    const double at_work = r->at_work_s / r->s / trace_threads(t);
    table_cell(to, "%s", r->name);
    table_cell(to, "%lld", (long long)r->calls);
    table_cell(to, "%.2f", r->s * 1e3);
    table_cell(to, "%.1f", 100 * r->s / p->step_s);
    table_cell(to, r->flops > 0 ? "%.1f" : "-", r->flops / r->s * 1e-9);
    table_cell(to, "%.1f", r->bytes / r->s * 1e-9);
    table_cell(to, "%.0f", 100 * share_of_machine(p, r));
    table_cell(to, at_work > 0 ? "%.0f" : "-", 100 * at_work);
    text_printf(json,
                "{\"op\":\"%s\",\"calls\":%lld,\"seconds\":%.9g,\"flops\":%.9g,\"bytes\":%.9g,\"share_of_machine\":%.4g,"
                "\"threads_at_work\":%.4g}",
                r->name, (long long)r->calls, r->s, r->flops, r->bytes, share_of_machine(p, r), at_work);
}

void profile_print(const profile *p, const trace *t, text *json, text *people) {
    static const char *const head[] = {"op",     "calls", "ms",          "% of step",
                                       "GFLOP/s", "GB/s",  "% of machine", "% threads"};
    const int n_columns = sizeof head / sizeof *head;
    int n;
    double all_s = 0;
    row *rows = add_up(p, t, &n);
    table *to = table_new(n_columns);
    for (int i = 0; i < n_columns; i++) table_cell(to, "%s", head[i]);
    text_printf(json,
                ",\"machine\":{\"flops_per_s\":%.9g,\"bytes_per_s\":%.9g},\"bare_products_s\":%.9g,"
                "\"step_by_bare_products\":%.6g,\"ops\":[",
                p->flops_per_s, p->bytes_per_s, p->bare_s, p->step_s / p->bare_s);
    for (int i = 0; i < n; i++) {
        if (i) text_str(json, ",");
        print_row(p, t, &rows[i], to, json);
        all_s += rows[i].s;
    }
    text_str(json, "]");
    text_printf(people,
                "bare products %.4f s: the step takes %.2f times as long\n\n"
                "a step by op; the machine: %.1f GFLOP/s (a product of 2048x1536x1536), %.1f GB/s (a copy)\n",
                p->bare_s, p->step_s / p->bare_s, p->flops_per_s * 1e-9, p->bytes_per_s * 1e-9);
    table_print(to, people);
    text_printf(people, "%.2f ms between calls\n", (p->step_s - all_s) * 1e3);
    table_free(to);
    mem_free(rows);
}

/* ---- Trace Event Format ---- */

static void add_lane(text *to, int lane, const char *name) {
    text_printf(to, "{\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":1,\"tid\":%d,\"args\":{\"name\":\"%s\"}},\n", lane, name);
}

static void add_event(const profile *p, text *to, const trace_span *x, int lane, uint64_t zero_ns) {
    static const char *const phase[] = {"forward", "backward", "update"};
    const hone_step *s = step_of(p, x);
    char name[64] = {0};
    name_call(p, s, name);
    text_printf(to,
                "{\"name\":\"%s\",\"cat\":\"%s\",\"ph\":\"X\",\"pid\":1,\"tid\":%d,\"ts\":%.3f,\"dur\":%.3f,\"args\":{"
                "\"step\":%d,\"layer\":%d}},\n",
                name, phase[s->phase], lane, (double)(x->from_ns - zero_ns) * 1e-3, seconds_of(x) * 1e6, x->step, s->layer);
}

hone_status profile_write(const profile *p, const trace *t, const char *path, hone_err *err) {
    text out = {0};
    char name[32];
    int64_t n;
    const trace_span *calls = trace_spans(t, -1, &n);
    const uint64_t zero_ns = n ? calls[0].from_ns : 0;
    text_str(&out, "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n");
    for (int thread = -1; thread < trace_threads(t); thread++) {
        const trace_span *x = trace_spans(t, thread, &n);
        snprintf(name, sizeof name, thread < 0 ? "calls" : "thread %d", thread);
        for (int64_t i = 0; i < n; i++) add_event(p, &out, &x[i], 1 + thread, zero_ns);
        add_lane(&out, 1 + thread, name);
    }
    out.n -= 2; /* the last comma */
    text_str(&out, "\n]}\n");
    const hone_status status = file_write(path, out.p, out.n, err);
    text_free(&out);
    return status;
}
