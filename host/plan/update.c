/* update.c - the end of an optimizer step as a program: SQSUM, GUARD, ADAMW_STEP, and the state that they keep.
 *
 * Of one rank, or where the optimizer is not divided, each is one step over the whole trained range. A divided plan sums
 * squares over this rank's chunks (the run brings the others' before GUARD), and updates its part of each bucket by a step
 * of its own, so that weights can leave while the next part is updated. Rows of a table have a step of their own (table.c). */
#include <string.h>

#include "plan/layout.h"

/* First / 64 (counted from `origin`), elements and group of the chunks numbered from .. to - 1. */
static int32_t *list_chunks(const layout *l, int64_t from, int64_t to, int64_t origin, int32_t *out) {
    int64_t q = 0;
    for (int i = 0; i < l->n_units; i++)
        for (int64_t at = 0; at < l->unit[i].n; at += CHUNK, q++) {
            if (q >= to) return out;
            if (q < from) continue;
            *out++ = (int32_t)((l->unit[i].first + at - origin) / ALIGN);
            *out++ = (int32_t)(l->unit[i].n - at < CHUNK ? l->unit[i].n - at : CHUNK);
            *out++ = l->unit[i].group;
        }
    return out;
}

static int chunk_value(graph *g, const char *name, int64_t n, const int32_t *data) {
    const int64_t dims[2] = {n, 3};
    const int v = graph_value(g, name, HONE_CONST, HONE_I32, 2, dims, -1, 0);
    g->value[v].data = data;
    return v;
}

static int32_t *room_for_chunks(graph *g, int64_t n) { return ARENA_ARRAY(g->a, (size_t)n * 3 + 3, int32_t); }

size_t grad_bytes_before(const hone_plan *p, const graph *g) {
    const int64_t n = p->table.touched ? g->value[p->table.touched].dim[0].n : 0;
    return (size_t)(ALIGN + (n + ALIGN - 1) / ALIGN * ALIGN) * hone_dtype_bytes(graph_float(g));
}

int flat_value(graph *g, const char *name, int64_t n, hone_class cls, size_t offset, hone_dtype dtype) {
    const int v = graph_value(g, name, cls, dtype, 1, &n, -1, 0);
    g->value[v].offset = offset;
    return v;
}

static int input_value(graph *g, const char *name, hone_fill fill, int64_t n0, int64_t n1) {
    const int64_t dims[2] = {n0, n1};
    const int v = graph_value(g, name, HONE_INPUT, graph_float(g), n1 ? 2 : 1, dims, -1, 0);
    g->value[v].fill = fill;
    return v;
}

static int result_value(graph *g, const char *name, hone_dtype dtype, int64_t n) {
    return graph_value(g, name, HONE_RESULT, dtype, 1, &n, -1, 0);
}

/* Room for n elements of a kind of state. */
static void flat_state(hone_plan *p, hone_flat_kind kind, int64_t n, size_t element) {
    p->flat[kind] = (hone_flat){HONE_STATE, p->slab_bytes[HONE_STATE], p->divided};
    p->slab_bytes[HONE_STATE] += (size_t)n * element;
}

/* Views of whole moments by parameter, so that who looks at a plan finds them. */
static void name_moments(hone_plan *p, const layout *l, int which, const char *name) {
    graph *g = l->g;
    for (int i = 1; i <= g->n_params; i++) {
        if (!g->param[i].wants_grad || l->at[i] >= p->n_trained) continue;
        const hone_value x = g->value[g->param[i].value];
        int64_t dims[3] = {x.dim[0].n, x.dim[1].n, 1};
        const int v = graph_value(g, arena_print(g->a, "%s.%s", name, x.name), HONE_STATE, graph_float(g),
                                  x.n_dims, dims, -1, 0);
        g->value[v].offset =
            p->flat[HONE_EXP_AVG + which].at + (size_t)l->at[i] * hone_dtype_bytes(graph_float(g));
        g->value[v].param = i;
        g->param[i].moment[which] = v;
    }
}

/* ADAMW_STEP on n elements from `first` on, whose state lies at `held`. */
static int write_adamw(hone_plan *p, graph *g, const plan_options *o, const char *suffix, int64_t first,
                       int64_t n, int64_t held, int chunk, int factor) {
    const hone_dtype f = graph_float(g);
    const size_t size = hone_dtype_bytes(f), at = (size_t)held * size;
    const int has_copy = g->dtype != f;
    const hone_flat *master = &p->flat[HONE_MASTER];
    const int grad = flat_value(g, arena_print(g->a, "grad%s", suffix), n, HONE_GRAD,
                                grad_bytes_before(p, g) + (size_t)first * size, f),
              m = flat_value(g, arena_print(g->a, "exp_avg%s", suffix), n, HONE_STATE,
                             p->flat[HONE_EXP_AVG].at + at, f),
              v = flat_value(g, arena_print(g->a, "exp_avg_sq%s", suffix), n, HONE_STATE,
                             p->flat[HONE_EXP_AVG_SQ].at + at, f),
              w = flat_value(g, arena_print(g->a, "weights%s", suffix), n, master->cls,
                             master->at + (size_t)(master->divided ? held : first) * size, f),
              copy = has_copy ? flat_value(g, arena_print(g->a, "weights.copy%s", suffix), n, HONE_PARAM,
                                           (size_t)first * hone_dtype_bytes(g->dtype), g->dtype)
                              : 0;
    const hone_step adam = {.op = HONE_OP_ADAMW_STEP,
                            .in = {grad, chunk, p->rate, factor, p->ok, w, m, v},
                            .out = {w, m, v, copy},
                            .attr.adamw = {o->beta1, o->beta2, o->epsilon, 0}};
    return graph_emit(g, &adam);
}

/* This rank's part of each bucket. */
static void write_parts(hone_plan *p, const layout *l, const plan_options *o, int factor) {
    graph *g = l->g;
    int64_t held = 0, first, end;
    for (int b = 0; b < p->n_buckets; b++) {
        const int64_t *chunk = p->bucket[b].chunk + p->rank, n = chunk[1] - chunk[0];
        plan_own(p, b, p->rank, &first, &end);
        if (n) {
            const char *suffix = arena_print(g->a, ".%d", b);
            int32_t *list = room_for_chunks(g, n);
            list_chunks(l, chunk[0], chunk[1], first, list);
            const int v = chunk_value(g, arena_print(g->a, "chunk%s", suffix), n, list);
            p->bucket[b].update = write_adamw(p, g, o, suffix, first, end - first, held, v, factor);
        }
        held += end - first;
    }
}

/* All but the table's chunks; 0: there are no others. */
static int other_chunks(const hone_plan *p, const layout *l) {
    graph *g = l->g;
    int32_t *list = room_for_chunks(g, p->n_chunks);
    const int32_t *all = g->value[p->chunk].data;
    const int64_t first = l->at[p->table.param],
                  end = first + graph_elements(g, g->param[p->table.param].value);
    int64_t n = 0;
    for (int64_t q = 0; q < p->n_chunks; q++, all += 3)
        if (all[0] * (int64_t)ALIGN < first || all[0] * (int64_t)ALIGN >= end)
            memcpy(list + 3 * n++, all, 3 * sizeof *all);
    return n ? chunk_value(g, "chunk.others", n, list) : 0;
}

/* The sums over chunks that GUARD reads. */
static int write_sums(hone_plan *p, const layout *l) {
    graph *g = l->g;
    const hone_dtype f = graph_float(g);
    const int64_t n = p->divided ? plan_own_chunks(p, p->rank) : p->n_chunks;
    int32_t *list = room_for_chunks(g, n), *to = list;
    for (int b = 0; b < p->n_buckets && p->divided; b++)
        to = list_chunks(l, p->bucket[b].chunk[p->rank], p->bucket[b].chunk[p->rank + 1], 0, to);
    if (!p->divided) list_chunks(l, 0, n, 0, list);
    if (n) p->chunk = chunk_value(g, "chunk", n, list);
    const int grad = n ? flat_value(g, "grad", p->n_trained, HONE_GRAD, grad_bytes_before(p, g), f) : 0;
    int part = n ? graph_value(g, "part", p->divided ? HONE_RESULT : HONE_ACTIVATION, f, 1, &n, -1, 0) : 0;
    hone_step sq = {.op = HONE_OP_SQSUM, .in = {grad, p->chunk, p->table.touched}, .out = {part}};
    if (p->table.param) {
        const int w = g->param[p->table.param].value;
        sq.attr.table.first = l->at[p->table.param], sq.attr.table.width = graph_width(g, w);
    }
    if (n) graph_emit(g, &sq);
    if (!p->divided) return part;
    p->own_part = part;
    p->part = flat_value(g, "parts", p->n_chunks, HONE_STATE, p->slab_bytes[HONE_STATE], f);
    p->slab_bytes[HONE_STATE] += value_bytes(&g->value[p->part]);
    return p->part;
}

void write_update(hone_plan *p, const layout *l, const plan_options *o) {
    graph *g = l->g;
    const hone_dtype f = graph_float(g);
    const int64_t n = p->divided ? plan_own_elements(p, p->rank) : p->n_trained;
    graph_begin(g, 1);
    g->phase = HONE_UPDATE;
    p->rate = input_value(g, "rate", HONE_FILL_RATE, p->n_groups, 2);
    p->clip = input_value(g, "clip", HONE_FILL_CLIP, 1, 0);
    flat_state(p, HONE_EXP_AVG, n, hone_dtype_bytes(f));
    flat_state(p, HONE_EXP_AVG_SQ, n, hone_dtype_bytes(f));
    if (!p->divided) name_moments(p, l, 0, "exp_avg"), name_moments(p, l, 1, "exp_avg_sq");
    p->tick = flat_value(g, "tick", 16, HONE_STATE, p->slab_bytes[HONE_STATE], HONE_I32);
    p->slab_bytes[HONE_STATE] += 256;
    const int part = write_sums(p, l), factor = result_value(g, "factor", f, 1);
    p->norm = result_value(g, "norm", f, 1);
    p->ok = result_value(g, "ok", HONE_I32, 1);
    const hone_step guard = {
        .op = HONE_OP_GUARD,
        .in = {part, p->loss, p->clip, p->tick},
        .out = {factor, p->norm, p->ok, p->tick},
        .attr.guard = {o->guard.dynamic, o->guard.window, o->guard.hysteresis, o->guard.min_scale}};
    graph_emit(g, &guard);
    const int chunk = p->table.param ? other_chunks(p, l) : p->chunk;
    if (p->divided) write_parts(p, l, o, factor);
    else if (chunk) write_adamw(p, g, o, "", 0, p->n_trained, 0, chunk, factor);
    if (p->table.param) write_table_update(p, g, o, factor);
}
