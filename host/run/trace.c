/* trace.c - spans are noted by whoever makes them, each thread in a list of its own. */
#include <string.h>

#include "run/trace.h"
#include "run/inside.h"
#include "base/err.h"
#include "base/mem.h"

#define TRIES 5
#define TRIES_S 0.5 /* after which one more is not worth it */
#define RATE_ROWS 2048
#define RATE_COLUMNS 1536
#define COPY_BYTES ((size_t)64 << 20)

typedef struct {
    trace_span *span;
    int64_t n, room;
} spans;

struct trace {
    run *r;
    spans *of; /* [1 + threads]: the calls, then each thread */
    trace_span now;
    void *thrown; /* where bare products write */
    size_t thrown_bytes;
};

static void add_span(spans *s, trace_span span) {
    if (s->n == s->room) {
        const int64_t room = s->room ? 2 * s->room : 1024;
        s->span = mem_grow(s->span, (size_t)s->room * sizeof span, (size_t)room * sizeof span, "trace");
        s->room = room;
    }
    s->span[s->n++] = span;
}

static void note_thread(void *arg, int thread, uint64_t from_ns, uint64_t to_ns) {
    trace *t = arg;
    trace_span span = t->now;
    span.from_ns = from_ns, span.to_ns = to_ns;
    add_span(&t->of[1 + thread], span);
}

trace *trace_new(run *r) {
    trace *t = mem_new(sizeof *t, "trace");
    t->r = r;
    t->of = mem_new((size_t)(1 + pool_threads(r->pool)) * sizeof *t->of, "trace");
    return t;
}

void trace_watch(trace *t, int on) {
    const pool_watcher w = {note_thread, t};
    pool_watch(t->r->pool, on ? &w : NULL);
    t->r->trace = on ? t : NULL;
}

void trace_free(trace *t) {
    if (!t) return;
    trace_watch(t, 0);
    if (t->thrown) t->r->table->slab_free(t->r->device, t->thrown);
    for (int k = 0; k <= pool_threads(t->r->pool); k++) mem_free(t->of[k].span);
    mem_free(t->of);
    mem_free(t);
}

int trace_threads(const trace *t) { return pool_threads(t->r->pool); }

const trace_span *trace_spans(const trace *t, int thread, int64_t *n) {
    *n = t->of[1 + thread].n;
    return t->of[1 + thread].span;
}

void trace_begin(run *r, const hone_program *p, int i) {
    if (!r->trace) return;
    r->trace->now = (trace_span){.program = (hone_program_kind)(p - r->plan->program), .step = i, .from_ns = clock_ns()};
}

hone_status trace_end(run *r, hone_err *err) {
    if (!r->trace) return HONE_OK;
    HONE_TRY(run_settle(r, r->queue, err));
    r->trace->now.to_ns = clock_ns();
    add_span(&r->trace->of[0], r->trace->now);
    return HONE_OK;
}

/* ---- a call alone ---- */

static hone_tensor matrix(hone_dtype dtype, int64_t rows, int64_t columns, void *p) {
    return (hone_tensor){.p = p, .n_dims = 2, .dim = {rows, columns, 1}, .ld = columns, .dtype = dtype};
}

/* Prepare a call as bind_step does; calls of this file need no workspace. */
static hone_status choose_for(run *r, hone_call *c, hone_err *err) {
    hone_query query = {.op = c->op, .attr = c->attr};
    memcpy(query.in, c->in, sizeof query.in);
    memcpy(query.out, c->out, sizeof query.out);
    for (int i = 0; i < HONE_MAX_IN; i++) query.in[i].p = NULL;
    for (int i = 0; i < HONE_MAX_OUT; i++) query.out[i].p = NULL;
    c->choice = NULL;
    c->work = r->slab[HONE_WORK];
    c->work_bytes = r->table->work_bytes ? r->table->work_bytes(&query) : 0;
    if (c->work_bytes > r->plan->slab_bytes[HONE_WORK])
        return hone_fail(err, HONE_EBUG, "%s alone asks for %zu bytes of workspace, more than the plan's %zu",
                         hone_op_find(c->op)->name, c->work_bytes, r->plan->slab_bytes[HONE_WORK]);
    return r->table->choose ? r->table->choose(r->device, &query, &c->choice, err) : HONE_OK;
}

static hone_status time_call(run *r, const hone_call *c, double *seconds, hone_err *err) {
    const uint64_t from = clock_ns();
    const hone_status status = r->table->op[c->op](r->queue, c);
    if (status)
        return hone_fail(err, status, "device %s: %s alone failed", r->table->name, hone_op_find(c->op)->name);
    HONE_TRY(run_settle(r, r->queue, err));
    *seconds = (double)(clock_ns() - from) * 1e-9;
    return HONE_OK;
}

static hone_status best_of_tries(run *r, hone_call *c, double *best, hone_err *err) {
    HONE_TRY(choose_for(r, c, err));
    double all = 0;
    for (int i = 0; i < TRIES && all < TRIES_S; i++) {
        double seconds;
        HONE_TRY(time_call(r, c, &seconds, err));
        if (!i || seconds < *best) *best = seconds;
        all += seconds;
    }
    return HONE_OK;
}

/* Small numbers of all kinds of bits: some processors multiply zeros with less power. */
static hone_status fill_some(run *r, void *to, hone_dtype dtype, int64_t n, hone_err *err) {
    const size_t size = hone_dtype_bytes(dtype);
    unsigned char *from = mem_new((size_t)n * size, "trace");
    for (int64_t i = 0; i < n; i++) {
        const uint32_t bits = 0x3f000000u | ((uint32_t)i * 2654435761u >> 9);
        memcpy(from + (size_t)i * size, size == 4 ? (const char *)&bits : (const char *)&bits + 2, size);
    }
    hone_status status = r->table->put(r->queue, to, from, (size_t)n * size);
    status = status ? hone_fail(err, status, "device %s: writing failed", r->table->name) : run_settle(r, r->queue, err);
    mem_free(from);
    return status;
}

hone_status trace_rates(trace *t, double *flops_per_s, double *bytes_per_s, hone_err *err) {
    run *r = t->r;
    const hone_dtype dtype = r->plan->dtype;
    const int64_t n = COPY_BYTES / sizeof(float), rows = RATE_ROWS, columns = RATE_COLUMNS;
    char *slab = NULL;
    double product_s = 0, copy_s = 0;
    HONE_TRY(r->table->slab_new(r->device, 0, 2 * COPY_BYTES, (void **)&slab, err));
    char *weight = slab + COPY_BYTES / 2, *result = slab + COPY_BYTES;
    hone_call product = {.op = HONE_OP_LINEAR_FWD}, copy = {.op = HONE_OP_COPY};
    product.in[0] = matrix(dtype, rows, columns, slab), product.in[1] = matrix(dtype, columns, columns, weight);
    product.out[0] = matrix(dtype, rows, columns, result);
    copy.in[0] = (hone_tensor){.p = slab, .n_dims = 1, .dim = {n, 1, 1}, .ld = 1, .dtype = HONE_F32};
    copy.out[0] = copy.in[0];
    copy.out[0].p = result;
    hone_status status = fill_some(r, slab, dtype, rows * columns, err);
    if (!status) status = fill_some(r, weight, dtype, columns * columns, err);
    if (!status) status = best_of_tries(r, &product, &product_s, err);
    if (!status) status = best_of_tries(r, &copy, &copy_s, err);
    r->table->slab_free(r->device, slab);
    *flops_per_s = 2 * (double)rows * (double)columns * (double)columns / product_s;
    *bytes_per_s = 2 * (double)COPY_BYTES / copy_s;
    return status;
}

static int is_product(hone_op op) {
    return op == HONE_OP_LINEAR_FWD || op == HONE_OP_LINEAR_BWD || op == HONE_OP_LINEAR_BWD_W;
}

/* The call with what every product has: two operands, one result, which is thrown away. */
static hone_status bare_of(trace *t, const hone_call *c, hone_call *bare, hone_err *err) {
    hone_tensor *y = &bare->out[0];
    *bare = (hone_call){.op = c->op, .attr = c->attr, .in = {c->in[0], c->in[1]}, .out = {c->out[0]}, .tick = c->tick};
    bare->attr.linear.act = HONE_ACT_NONE;
    y->ld = y->dim[1] * y->dim[2];
    const size_t bytes = (size_t)(y->dim[0] * y->ld) * hone_dtype_bytes(y->dtype);
    if (bytes > t->thrown_bytes) {
        if (t->thrown) t->r->table->slab_free(t->r->device, t->thrown);
        t->thrown = NULL, t->thrown_bytes = 0;
        HONE_TRY(t->r->table->slab_new(t->r->device, 0, bytes, &t->thrown, err));
        t->thrown_bytes = bytes;
    }
    y->p = t->thrown;
    return choose_for(t->r, bare, err);
}

hone_status trace_play_bare(trace *t, hone_program_kind kind, const int64_t *rows, double *seconds,
                            hone_err *err) {
    run *r = t->r;
    const hone_program *p = &r->plan->program[kind];
    bound *b = &r->program[kind][0];
    *seconds = 0;
    set_rows(r, b, rows);
    HONE_TRY(copy_in(r, err));
    for (int i = 0; i < b->n_steps; i++) {
        hone_call bare;
        double one;
        HONE_TRY(play_step(r, p, b, i, err));
        if (!is_product(p->step[i].op) || (b->step[i].slice && !r->played[b->step[i].slice])) continue;
        HONE_TRY(bare_of(t, &b->step[i].call, &bare, err));
        HONE_TRY(run_settle(r, r->queue, err));
        HONE_TRY(time_call(r, &bare, &one, err));
        *seconds += one;
    }
    return HONE_OK;
}
