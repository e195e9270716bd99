/* run.c - reserving and binding: from a plan to calls that are ready to be played (play.c), and values in and
 * out. */
#include <stdio.h>
#include <string.h>

#include "run/inside.h"
#include "run/convert.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/table.h"
#include "plan/own.h"

static int root_of(const hone_plan *p, int v) {
    while (p->value[v].base) v = p->value[v].base;
    return v;
}

static size_t value_offset(const hone_plan *p, int v) {
    const hone_value *x = &p->value[v];
    return p->value[root_of(p, v)].offset + (size_t)(x->row_at * x->ld + x->at) * hone_dtype_bytes(x->dtype);
}

static size_t value_bytes(const hone_plan *p, int v) {
    size_t n = hone_dtype_bytes(p->value[v].dtype);
    for (int d = 0; d < p->value[v].n_dims; d++) n *= (size_t)p->value[v].dim[d].n;
    return n;
}

void *run_address(const run *r, int v, int slot) {
    const hone_value *x = &r->plan->value[v];
    char *slab = r->slab[x->cls];
    if (x->cls == HONE_GRAD) slab += (size_t)(slot + x->slot) * r->plan->slot_bytes;
    return slab + value_offset(r->plan, v);
}

static void bind_tensor(const run *r, hone_tensor *t, int v, int slot) {
    if (!v) return;
    const hone_value *x = &r->plan->value[v];
    t->p = r->slab[x->cls] ? run_address(r, v, slot) : NULL;
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

/* Ask the device what it needs for a call as it stands. */
static hone_status choose(const run *r, const hone_call *c, void **out, hone_err *err) {
    hone_query query = {.op = c->op, .attr = c->attr};
    memcpy(query.in, c->in, sizeof query.in);
    memcpy(query.out, c->out, sizeof query.out);
    for (int i = 0; i < HONE_MAX_IN; i++) query.in[i].p = NULL;
    for (int i = 0; i < HONE_MAX_OUT; i++) query.out[i].p = NULL;
    return r->table->choose(r->device, &query, out, err);
}

/* What is chosen for a library's norm serves as many rows as it was chosen for (device.h). */
static int is_of_fixed_rows(const hone_step *s) {
    return s->attr.engine == HONE_ENGINE_CUDNN && (s->op == HONE_OP_NORM_FWD || s->op == HONE_OP_NORM_BWD);
}

static hone_status bind_step(run *r, const hone_step *s, bound_step *out, int slot, hone_err *err) {
    const hone_op_info *op = hone_op_find(s->op);
    out->fn = r->table->op[s->op];
    if (!out->fn) return hone_fail(err, HONE_EUSAGE, "device %s has no %s", r->table->name, op->name);
    out->slice = plan_step_slice(r->plan, s);
    hone_call *c = &out->call;
    c->op = s->op;
    c->attr = s->attr;
    for (int i = 0; i < op->n_in; i++) bind_tensor(r, &c->in[i], s->in[i], slot);
    for (int i = 0; i < op->n_out; i++) bind_tensor(r, &c->out[i], s->out[i], slot);
    c->tick = r->plan->tick ? run_address(r, r->plan->tick, 0) : NULL;
    c->work = r->slab[HONE_WORK];
    c->work_bytes = s->work_bytes;
    return r->table->choose && !is_of_fixed_rows(s) ? choose(r, c, &c->choice, err) : HONE_OK;
}

/* Calls of fixed rows, at every rung that there is: which of them a run meets is not known before it. */
static hone_status choose_by_rung(run *r, const hone_program *p, bound *b, hone_err *err) {
    for (int i = 0; i < p->n_steps; i++) b->n_by_rung += is_of_fixed_rows(&p->step[i]);
    b->by_rung = ARENA_ARRAY(r->a, (size_t)b->n_by_rung + 1, rung_choice);
    for (int i = 0, n = 0; i < p->n_steps; i++)
        if (is_of_fixed_rows(&p->step[i])) b->by_rung[n++].step = i;
    for (int rung = 0; rung < HONE_N_RUNGS && b->n_by_rung && r->table->choose; rung++) {
        plan_rung_played(r->plan, rung, r->played);
        for (int i = 0; i < b->n_extents; i++) *b->extent[i].extent = r->played[b->extent[i].space];
        for (int i = 0; i < b->n_by_rung; i++)
            HONE_TRY(choose(r, &b->step[b->by_rung[i].step].call, &b->by_rung[i].of[rung], err));
    }
    return HONE_OK;
}

/* The first bucket of which steps from .. to - 1 read weights; n_buckets: none. */
static int bucket_read(const hone_plan *p, int kind, int from, int to) {
    int least = p->n_buckets;
    for (int i = from; i < to; i++)
        for (int k = 0; k < HONE_MAX_IN; k++) {
            const int v = root_of(p, p->program[kind].step[i].in[k]);
            if (!v || p->value[v].cls != HONE_PARAM) continue;
            const size_t size = hone_dtype_bytes(p->value[v].dtype);
            const int64_t at = (int64_t)(p->value[v].offset / size),
                          end = at + (int64_t)(value_bytes(p, v) / size);
            for (int b = 0; b < least; b++) {
                int64_t first, last, inner;
                plan_own(p, b, 0, &first, &inner);
                plan_own(p, b, p->n_ranks - 1, &inner, &last);
                if (at < last && end > first) least = b;
            }
        }
    return least;
}

/* Where a program is cut: after steps at which ranks have something to say to each other, and before those that read what
 * devices may still be gathering (play.c). */
static void cut_program(run *r, int kind, bound *b) {
    const hone_plan *p = r->plan;
    int *part = ARENA_ARRAY(r->a, 2 * (size_t)p->n_buckets + 3, int), n = 0;
    const int gathers = kind == HONE_MICRO && p->divided && r->table->comm;
    for (int i = 0, least = p->n_buckets; gathers && i < b->n_steps; i++) {
        const int read = bucket_read(p, kind, i, i + 1);
        if (read < least && i > part[n]) part[++n] = i;
        least = read < least ? read : least;
    }
    if (kind == HONE_UPDATE_WEIGHTS && p->divided) part[++n] = p->own_part != 0; /* before GUARD */
    for (int k = 0; k < p->n_buckets; k++) {
        const int end = kind == HONE_MICRO                          ? p->bucket[k].ready + 1
                        : kind == HONE_UPDATE_WEIGHTS && p->divided ? p->bucket[k].update + 1
                                                                    : 0;
        if (end > part[n]) part[++n] = end;
    }
    if (b->n_steps > part[n]) part[++n] = b->n_steps;
    int *reads = ARENA_ARRAY(r->a, (size_t)n + 1, int);
    for (int k = 0; k < n; k++)
        reads[k] = gathers ? bucket_read(p, kind, part[k], part[k + 1]) : p->n_buckets;
    b->part = part;
    b->n_parts = n;
    b->reads = reads;
    b->graph = ARENA_ARRAY(r->a, (size_t)(HONE_N_RUNGS * n) + 1, hone_exec *);
}

static hone_status bind_program(run *r, int kind, int slot, hone_err *err) {
    const hone_program *p = &r->plan->program[kind];
    bound *b = &r->program[kind][slot];
    b->n_steps = p->n_steps;
    cut_program(r, kind, b);
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
    return choose_by_rung(r, p, b, err);
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
    return HONE_OK;
}

hone_status run_open(run **out, const hone_plan *plan, const hone_device_v1 *device, pool *p, hone_err *err) {
    return run_open_on(out, plan, device, 0, p, err);
}

hone_status run_open_on(run **out, const hone_plan *plan, const hone_device_v1 *device, int ordinal, pool *p,
                        hone_err *err) {
    arena *a = arena_new("run");
    run *r = ARENA_NEW(a, run);
    r->a = a;
    r->plan = plan;
    r->table = device;
    r->host = pool_host(p);
    r->pool = p;
    r->graphs = 1;
    r->played = ARENA_ARRAY(a, (size_t)plan->n_spaces + 1, int64_t);
    hone_status status = device->open(&r->device, r->host, ordinal, err);
    if (!status) status = device->limits(r->device, &r->limits);
    if (!status) status = reserve_slabs(r, err);
    if (!status) status = open_queues(r, err);
    if (!status) status = zones_open(r, err);
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
        close_sharing(r);
        close_sums(r);
        close_queues(r);
        for (int c = 1; c < HONE_N_CLASSES; c++)
            if (r->slab[c]) r->table->slab_free(r->device, r->slab[c]);
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
    if (!status) HONE_TRY(run_settle(r, r->queue, err));
    return status ? hone_fail(err, status, "device %s: %s of %s failed", r->table->name, what,
                              r->plan->value[v].name)
                  : HONE_OK;
}

hone_status run_put_part(run *r, int v, size_t at, const void *from, size_t n, hone_err *err) {
    HONE_ASSERT(at <= value_bytes(r->plan, v) && n <= value_bytes(r->plan, v) - at);
    HONE_TRY(settle_state(r, err));
    return waited(r, r->table->put(r->queue, (char *)run_address(r, v, 0) + at, from, n), "writing", v, err);
}

hone_status run_put(run *r, int v, const void *from, hone_err *err) {
    return run_put_part(r, v, 0, from, value_bytes(r->plan, v), err);
}

hone_status run_get_part(run *r, int v, size_t at, void *to, size_t n, hone_err *err) {
    HONE_ASSERT(at <= value_bytes(r->plan, v) && n <= value_bytes(r->plan, v) - at);
    HONE_TRY(settle_state(r, err));
    return waited(r, r->table->get(r->queue, to, (char *)run_address(r, v, 0) + at, n), "reading", v, err);
}

hone_status run_get(run *r, int v, void *to, hone_err *err) {
    return run_get_part(r, v, 0, to, value_bytes(r->plan, v), err);
}

/* 2-byte elements are read into the second half of their room and spread from there: element i is read before
 * what replaces it is written. */
hone_status run_get_rows(run *r, int v, int64_t n_rows, void *to, hone_err *err) {
    const hone_value *x = &r->plan->value[v];
    const size_t size = hone_dtype_bytes(x->dtype);
    HONE_ASSERT(n_rows <= x->dim[0].n && size <= sizeof(float));
    const size_t n = value_bytes(r->plan, v) / size / (size_t)x->dim[0].n * (size_t)n_rows;
    char *from = (char *)to + n * (sizeof(float) - size);
    HONE_TRY(waited(r, r->table->get(r->queue, from, run_address(r, v, 0), n * size), "reading", v, err));
    if (x->dtype != HONE_F32 && x->dtype != HONE_I32) convert_to_float(to, from, x->dtype, n);
    return HONE_OK;
}

void *run_input(run *r, int v) { return (char *)r->image[r->image_now] + value_offset(r->plan, v); }
