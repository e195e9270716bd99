/* run.c - binding and playing. A bound step is a function and its call, ready but for the extents of row
 * spaces: on devices that play at the batch's count those are listed apart and set before a program is
 * played. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "run/run.h"
#include "run/convert.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/table.h"

typedef struct {
    hone_status (*fn)(hone_queue *, const hone_call *);
    hone_call call;
} bound_step;

typedef struct {
    int64_t *extent;
    int space;
} row_extent;

typedef struct {
    bound_step *step;
    row_extent *extent;
    int n_steps, n_extents;
} bound;

struct run {
    arena *a;
    const hone_plan *plan;
    const hone_device_v1 *table;
    const hone_host_v1 *host;
    hone_device *device;
    hone_queue *queue;
    void *slab[HONE_N_CLASSES], *image; /* image: the host's INPUT */
    bound *program[HONE_N_PROGRAMS];    /* [n_slots] */
    hone_limits limits;
    int begun, timed;
    double phase_s[3];
};

static int root_of(const hone_plan *p, int v) {
    while (p->value[v].base) v = p->value[v].base;
    return v;
}

static size_t value_offset(const hone_plan *p, int v) {
    return p->value[root_of(p, v)].offset + (size_t)p->value[v].at * hone_dtype_bytes(p->value[v].dtype);
}

static size_t value_bytes(const hone_plan *p, int v) {
    size_t n = hone_dtype_bytes(p->value[v].dtype);
    for (int d = 0; d < p->value[v].n_dims; d++) n *= (size_t)p->value[v].dim[d].n;
    return n;
}

static void *address(const run *r, int v, int slot) {
    const hone_value *x = &r->plan->value[v];
    char *slab = r->slab[x->cls];
    if (x->cls == HONE_GRAD) slab += (size_t)(slot + x->slot) * r->plan->slot_bytes;
    return slab + value_offset(r->plan, v);
}

static void bind_tensor(const run *r, hone_tensor *t, int v, int slot) {
    if (!v) return;
    const hone_value *x = &r->plan->value[v];
    t->p = r->slab[x->cls] ? address(r, v, slot) : NULL;
    t->n_dims = x->n_dims;
    t->ld = x->ld;
    t->dtype = x->dtype;
    for (int d = 0; d < 3; d++) t->dim[d] = d < x->n_dims ? x->dim[d].n : 1;
}

static void list_extents(const run *r, bound *b, hone_tensor *t, int v, int fill) {
    if (!v) return;
    const hone_value *x = &r->plan->value[v];
    for (int d = 0; d < x->n_dims; d++) {
        if (!x->dim[d].space) continue;
        if (fill) b->extent[b->n_extents] = (row_extent){&t->dim[d], x->dim[d].space};
        b->n_extents++;
    }
}

static hone_status bind_step(run *r, const hone_step *s, bound_step *out, int slot, hone_err *err) {
    const hone_op_info *op = hone_op_find(s->op);
    out->fn = r->table->op[s->op];
    if (!out->fn) return hone_fail(err, HONE_EUSAGE, "device %s has no %s", r->table->name, op->name);
    hone_call *c = &out->call;
    hone_query query = {.op = s->op, .attr = s->attr};
    c->op = s->op;
    c->attr = s->attr;
    for (int i = 0; i < op->n_in; i++) bind_tensor(r, &c->in[i], s->in[i], slot);
    for (int i = 0; i < op->n_out; i++) bind_tensor(r, &c->out[i], s->out[i], slot);
    memcpy(query.in, c->in, sizeof query.in);
    memcpy(query.out, c->out, sizeof query.out);
    for (int i = 0; i < HONE_MAX_IN; i++) query.in[i].p = NULL;
    for (int i = 0; i < HONE_MAX_OUT; i++) query.out[i].p = NULL;
    c->tick = r->plan->tick ? address(r, r->plan->tick, 0) : NULL;
    c->work = r->slab[HONE_WORK];
    c->work_bytes = s->work_bytes;
    return r->table->choose ? r->table->choose(r->device, &query, &c->choice, err) : HONE_OK;
}

static hone_status bind_program(run *r, int kind, int slot, hone_err *err) {
    const hone_program *p = &r->plan->program[kind];
    bound *b = &r->program[kind][slot];
    b->n_steps = p->n_steps;
    b->step = ARENA_ARRAY(r->a, (size_t)p->n_steps + 1, bound_step);
    for (int i = 0; i < p->n_steps; i++) HONE_TRY(bind_step(r, &p->step[i], &b->step[i], slot, err));
    for (int fill = 0; fill < 2; fill++) {
        if (fill) b->extent = ARENA_ARRAY(r->a, (size_t)b->n_extents + 1, row_extent);
        b->n_extents = 0;
        for (int i = 0; i < p->n_steps; i++) {
            const hone_op_info *op = hone_op_find(p->step[i].op);
            for (int k = 0; k < op->n_in; k++)
                list_extents(r, b, &b->step[i].call.in[k], p->step[i].in[k], fill);
            for (int k = 0; k < op->n_out; k++)
                list_extents(r, b, &b->step[i].call.out[k], p->step[i].out[k], fill);
        }
    }
    return HONE_OK;
}

static hone_status reserve_slabs(run *r, hone_err *err) {
    hone_err why = {0};
    for (int c = 1; c < HONE_N_CLASSES; c++) {
        if (!r->plan->slab_bytes[c]) continue;
        if (r->table->slab_new(r->device, 0, r->plan->slab_bytes[c], &r->slab[c], &why) == HONE_OK) continue;
        char need[24], all[24];
        bytes_text(need, (double)r->plan->slab_bytes[c]);
        bytes_text(all, (double)hone_plan_device_bytes(r->plan));
        hone_fail(err, HONE_ENOFIT, "device %s refused %s of the %s planned: %.400s", r->table->name, need,
                  all, why.text);
        return hone_hint(err, "a smaller batch, max_seq_length, or gradient_checkpointing: 2 needs less");
    }
    return r->table->slab_new(r->device, 1, r->plan->slab_bytes[HONE_INPUT] + 1, &r->image, err);
}

hone_status run_open(run **out, const hone_plan *plan, const hone_device_v1 *device, pool *p, hone_err *err) {
    arena *a = arena_new("run");
    run *r = ARENA_NEW(a, run);
    r->a = a;
    r->plan = plan;
    r->table = device;
    r->host = pool_host(p);
    hone_status status = device->open(&r->device, r->host, 0, err);
    if (!status) status = device->limits(r->device, &r->limits);
    if (!status) status = device->queue_new(r->device, &r->queue);
    if (!status) status = reserve_slabs(r, err);
    for (int k = 0; k < HONE_N_PROGRAMS && !status; k++) {
        r->program[k] = ARENA_ARRAY(a, (size_t)plan->n_slots, bound);
        const int slots = k == HONE_MICRO ? plan->n_slots : k == HONE_FOLD ? plan->n_slots - 1 : 1;
        for (int s = 0; s < slots && !status; s++) status = bind_program(r, k, s, err);
    }
    for (int v = 1; v <= plan->n_values && !status; v++)
        if (plan->value[v].cls == HONE_CONST && plan->value[v].data)
            status = run_put(r, v, plan->value[v].data, err);
    if (status) {
        run_close(r);
        return status;
    }
    *out = r;
    return HONE_OK;
}

void run_begin(run *r) {
    r->begun = 1;
    mem_refuse(1);
}

void run_end(run *r) {
    if (r->begun) mem_refuse(0);
    r->begun = 0;
}

void run_close(run *r) {
    if (!r) return;
    run_end(r);
    if (r->device) {
        if (r->queue) r->table->queue_free(r->queue);
        for (int c = 1; c < HONE_N_CLASSES; c++)
            if (r->slab[c]) r->table->slab_free(r->device, r->slab[c]);
        if (r->image) r->table->slab_free(r->device, r->image);
        r->table->close(r->device);
    }
    arena_free(r->a);
}

size_t run_device_bytes(const run *r) {
    size_t sum = 0;
    for (int c = 1; c < HONE_N_CLASSES; c++)
        if (r->slab[c]) sum += r->plan->slab_bytes[c];
    return sum;
}

const hone_plan *run_plan(const run *r) { return r->plan; }
const char *run_device_name(const run *r) { return r->limits.name; }

static hone_status waited(run *r, hone_status status, const char *what, int v, hone_err *err) {
    if (!status) status = r->table->queue_wait(r->queue);
    return status ? hone_fail(err, status, "device %s: %s of %s failed", r->table->name, what,
                              r->plan->value[v].name)
                  : HONE_OK;
}

hone_status run_put_part(run *r, int v, size_t at, const void *from, size_t n, hone_err *err) {
    HONE_ASSERT(at <= value_bytes(r->plan, v) && n <= value_bytes(r->plan, v) - at);
    return waited(r, r->table->put(r->queue, (char *)address(r, v, 0) + at, from, n), "writing", v, err);
}

hone_status run_put(run *r, int v, const void *from, hone_err *err) {
    return run_put_part(r, v, 0, from, value_bytes(r->plan, v), err);
}

hone_status run_get(run *r, int v, void *to, hone_err *err) {
    return waited(r, r->table->get(r->queue, to, address(r, v, 0), value_bytes(r->plan, v)), "reading", v,
                  err);
}

hone_status run_get_rows(run *r, int v, int64_t n_rows, float *to, hone_err *err) {
    const hone_value *x = &r->plan->value[v];
    HONE_ASSERT(n_rows <= x->dim[0].n);
    const size_t bytes = value_bytes(r->plan, v) / (size_t)x->dim[0].n * (size_t)n_rows;
    void *raw = x->dtype == HONE_F32 ? to : mem_new(bytes, "rows in the compute type");
    const hone_status status =
        waited(r, r->table->get(r->queue, raw, address(r, v, 0), bytes), "reading", v, err);
    if (raw == to) return status;
    convert_to_float(to, raw, x->dtype, bytes / hone_dtype_bytes(x->dtype));
    mem_free(raw);
    return status;
}

static size_t param_elements(const run *r, int param) {
    const int v = r->plan->param[param].value;
    return value_bytes(r->plan, v) / hone_dtype_bytes(r->plan->value[v].dtype);
}

hone_status run_put_param(run *r, int param, int64_t first, int64_t n, const float *from, hone_err *err) {
    const hone_param *p = &r->plan->param[param];
    const size_t at = (size_t)first, many = (size_t)n;
    if (p->master && p->master != p->value) HONE_TRY(run_put_part(r, p->master, 4 * at, from, 4 * many, err));
    const hone_dtype dtype = r->plan->value[p->value].dtype;
    if (dtype == HONE_F32) return run_put_part(r, p->value, 4 * at, from, 4 * many, err);
    const size_t size = hone_dtype_bytes(dtype);
    void *copy = mem_new(many * size, "weights in the compute type");
    convert_from_float(copy, dtype, from, many);
    const hone_status status = run_put_part(r, p->value, size * at, copy, size * many, err);
    mem_free(copy);
    return status;
}

hone_status run_get_param(run *r, int param, float *to, hone_err *err) {
    const hone_param *p = &r->plan->param[param];
    const int v = p->master ? p->master : p->value;
    const hone_dtype dtype = r->plan->value[v].dtype;
    if (dtype == HONE_F32) return run_get(r, v, to, err);
    const size_t n = param_elements(r, param);
    void *copy = mem_new(n * hone_dtype_bytes(dtype), "weights in the compute type");
    const hone_status status = run_get(r, v, copy, err);
    convert_to_float(to, copy, dtype, n);
    mem_free(copy);
    return status;
}

void *run_input(run *r, int v) { return (char *)r->image + value_offset(r->plan, v); }

static hone_status begin_program(run *r, bound *b, const int64_t *rows, hone_err *err) {
    if (!r->limits.fixed_rows)
        for (int i = 0; i < b->n_extents; i++) *b->extent[i].extent = rows[b->extent[i].space];
    const hone_status status =
        r->table->put(r->queue, r->slab[HONE_INPUT], r->image, r->plan->slab_bytes[HONE_INPUT]);
    return status ? hone_fail(err, status, "device %s: copying a batch in failed", r->table->name) : HONE_OK;
}

static hone_status play_step(run *r, const hone_program *p, const bound *b, int i, hone_err *err) {
    const hone_status status = b->step[i].fn(r->queue, &b->step[i].call);
    if (!status) return HONE_OK;
    return hone_fail(err, status, "device %s: step %d, %s of layer %d failed", r->table->name, i,
                     hone_op_find(p->step[i].op)->name, p->step[i].layer);
}

hone_status run_play(run *r, hone_program_kind kind, int slot, const int64_t *rows, hone_err *err) {
    const hone_program *p = &r->plan->program[kind];
    bound *b = &r->program[kind][slot];
    HONE_TRY(begin_program(r, b, rows, err));
    uint64_t before = r->timed ? r->host->clock_ns(r->host->context) : 0;
    for (int i = 0; i < b->n_steps; i++) {
        HONE_TRY(play_step(r, p, b, i, err));
        if (!r->timed || (i + 1 < b->n_steps && p->step[i + 1].phase == p->step[i].phase)) continue;
        const uint64_t now = r->host->clock_ns(r->host->context);
        r->phase_s[p->step[i].phase] += (double)(now - before) * 1e-9;
        before = now;
    }
    const hone_status status = r->table->queue_wait(r->queue);
    return status ? hone_fail(err, status, "device %s failed while playing", r->table->name) : HONE_OK;
}

/* First value of a tensor's played rows that is not finite. */
static int find_not_finite(const hone_tensor *t, int64_t *row, double *seen) {
    const int64_t width = t->n_dims == 3 ? t->dim[1] * t->dim[2] : t->n_dims == 2 ? t->dim[1] : 1;
    for (int64_t i = 0; i < t->dim[0]; i++)
        for (int64_t c = 0; c < width; c++) {
            const double x = convert_element(t->p, t->dtype, (size_t)(i * t->ld + c));
            if (isfinite(x)) continue;
            *row = i;
            *seen = x;
            return 1;
        }
    return 0;
}

static int probe_step(run *r, const hone_step *s, const bound_step *b, run_culprit *out) {
    const hone_op_info *op = hone_op_find(s->op);
    for (int k = 0; k < op->n_out; k++) {
        const hone_tensor *t = &b->call.out[k];
        const hone_value *x = &r->plan->value[s->out[k]];
        if (!s->out[k] || t->dtype == HONE_I32 || !strcmp(op->out[k].name, "lse"))
            continue; /* lse: inf where no keys */
        if (!find_not_finite(t, &out->row, &out->seen)) continue;
        out->value = s->out[k];
        out->space = x->dim[0].space;
        return 1;
    }
    return 0;
}

hone_status run_play_probing(run *r, hone_program_kind kind, int slot, const int64_t *rows, run_culprit *out,
                             hone_err *err) {
    const hone_program *p = &r->plan->program[kind];
    bound *b = &r->program[kind][slot];
    *out = (run_culprit){.step = -1};
    HONE_TRY(begin_program(r, b, rows, err));
    for (int i = 0; i < b->n_steps; i++) {
        HONE_TRY(play_step(r, p, b, i, err));
        HONE_TRY(r->table->queue_wait(r->queue));
        if (!probe_step(r, &p->step[i], &b->step[i], out)) continue;
        out->step = i;
        return HONE_OK;
    }
    return HONE_OK;
}

void run_time(run *r, int on) {
    r->timed = on;
    memset(r->phase_s, 0, sizeof r->phase_s);
}

void run_times(run *r, double phase_s[3]) {
    memcpy(phase_s, r->phase_s, sizeof r->phase_s);
    memset(r->phase_s, 0, sizeof r->phase_s);
}
