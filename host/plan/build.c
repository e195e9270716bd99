/* build.c - the order of the passes, and where everything that outlives a step lies. */
#include <string.h>

#include "plan/build.h"
#include "base/err.h"
#include "base/str.h"
#include "base/table.h"
#include "plan/layout.h"
#include "plan/passes.h"

#define CHUNK_BYTES ((int64_t)128 << 20) /* logits of one chunk of rows of a vocabulary's head */

static int64_t aligned(int64_t n) { return (n + ALIGN - 1) / ALIGN * ALIGN; }

/* ---- adapt: what is trained, in which group ---- */

static hone_status freeze(graph *g, const plan_options *o, hone_err *err) {
    int left = 0;
    for (int f = 0; f < o->n_freeze; f++) {
        int found = 0;
        for (int i = 1; i <= g->n_params; i++)
            if (str_matches(o->freeze[f], g->param[i].name)) found = 1, g->param[i].wants_grad = 0;
        if (found) continue;
        hone_fail(
            err, HONE_EUSAGE,
            "freeze: \"%.128s\" matches none of %d parameters, expected a pattern like \"*embeddings*\"",
            o->freeze[f], g->n_params);
        return hone_hint(err, "the first parameter is called %s", g->param[1].name);
    }
    for (int i = 1; i <= g->n_params; i++) {
        left += g->param[i].wants_grad;
        g->param[i].group = (int16_t)(2 * (g->param[i].layer + 1) + g->param[i].decays);
    }
    return left ? HONE_OK
                : hone_fail(err, HONE_EUSAGE,
                            "freeze: all %d parameters are frozen, expected something to train", g->n_params);
}

/* A head that makes gradients in the forward makes none of what is frozen. */
static void unbind_frozen(graph *g) {
    for (int i = 0; i < g->n_steps; i++)
        for (int k = 0; k < HONE_MAX_OUT; k++) {
            const hone_value *x = &g->value[g->step[i].out[k]];
            if (g->step[i].out[k] && x->cls == HONE_GRAD && x->param && !g->param[x->param].wants_grad)
                g->step[i].out[k] = 0;
        }
}

/* ---- programs ---- */

static void keep_program(hone_plan *p, graph *g, hone_program_kind kind) {
    p->program[kind].n_steps = g->n_steps;
    p->program[kind].step = ARENA_ARRAY(g->a, (size_t)g->n_steps + 1, hone_step);
    memcpy(p->program[kind].step, g->step, sizeof *g->step * (size_t)g->n_steps);
}

static void larger(size_t *to, size_t x) { *to = x > *to ? x : *to; }

/* Last, as products come from several passes. */
static void set_tf32(graph *g, int tf32) {
    for (int i = 0; i < g->n_steps; i++) {
        const hone_op op = g->step[i].op;
        if (op == HONE_OP_LINEAR_FWD || op == HONE_OP_LINEAR_BWD || op == HONE_OP_LINEAR_BWD_W)
            g->step[i].attr.linear.tf32 = tf32;
    }
}

/* Rows of which a vocabulary's logits exist at once: each chunk reads and writes the gradient of the whole table, so
 * there should be few; 256 rows keep a product busy. */
static int64_t rows_of_a_chunk(const graph *g) {
    const int64_t row = g->config->vocab * (int64_t)hone_dtype_bytes(g->dtype), n = CHUNK_BYTES / row / ALIGN * ALIGN;
    return n < 256 ? 256 : n;
}

/* The passes after the forward is written; `kind` is kept in the plan. */
static hone_status run_passes(hone_plan *p, graph *g, const plan_options *o, hone_program_kind kind,
                              hone_err *err) {
    size_t act, bound;
    HONE_TRY(g->status);
    HONE_TRY(plan_verify(g, "build", 0, err));
    if (!o->no_narrow) pass_narrow(g);
    HONE_TRY(plan_verify(g, "narrow", 0, err));
    if (!o->no_pack) pass_pack(g);
    HONE_TRY(plan_verify(g, "pack", 0, err));
    if (kind == HONE_MICRO) HONE_TRY(pass_grad(g, err));
    HONE_TRY(plan_verify(g, "grad", 0, err));
    pass_split(g, o->device);
    HONE_TRY(plan_verify(g, "split", 0, err));
    pass_expand(g, o->chunk_rows ? o->chunk_rows : rows_of_a_chunk(g));
    HONE_TRY(plan_verify(g, "expand", 0, err));
    if (!o->no_fuse) pass_fuse(g, o->device);
    HONE_TRY(plan_verify(g, "fuse", 0, err));
    if (kind == HONE_MICRO) pass_recompute(g, o->recompute);
    HONE_TRY(plan_verify(g, "recompute", 0, err));
    HONE_TRY(pass_lists(g, o->device, p->list, &p->n_lists, err));
    HONE_TRY(plan_verify(g, "lists", 0, err));
    set_tf32(g, o->tf32 && g->dtype == HONE_F32);
    pass_memory(g, &act, &bound);
    HONE_TRY(plan_verify(g, "memory", 1, err));
    HONE_TRY(pass_bind(g, o->device, &p->slab_bytes[HONE_WORK], err));
    larger(&p->slab_bytes[HONE_ACTIVATION], act);
    larger(&p->bound_bytes, bound);
    keep_program(p, g, kind);
    return HONE_OK;
}

static void sum_into(graph *g, int x, int into, int sum) {
    const hone_step s = {.op = HONE_OP_SUM, .in = {x, into}, .out = {sum}};
    graph_emit(g, &s);
}

static hone_status write_micro(hone_plan *p, graph *g, const plan_options *o, hone_err *err) {
    model_values m;
    const int64_t one = 1;
    graph_begin(g, 1);
    spec_write(g, &o->head, o->tokens_max, o->seqs_max, &m);
    HONE_TRY(g->status);
    HONE_TRY(freeze(g, o, err));
    unbind_frozen(g);
    p->loss = graph_value(g, "loss", HONE_GRAD, graph_float(g), 1, &one, -1, 0);
    p->scale = m.scale;
    sum_into(g, m.row_loss, 0, p->loss);
    if (m.sequence_loss) {
        p->sequence_scale = m.sequence_scale;
        p->sequence_loss = graph_value(g, "loss.sequence", HONE_GRAD, graph_float(g), 1, &one, -1, 0);
        g->value[p->sequence_loss].offset = ALIGN * hone_dtype_bytes(graph_float(g)) / 4; /* in the row of the loss, which is added and sent as one */
        sum_into(g, m.sequence_loss, 0, p->sequence_loss);
        sum_into(g, m.sequence_loss, p->loss, p->loss);
    }
    return run_passes(p, g, o, HONE_MICRO, err);
}

static hone_status write_eval(hone_plan *p, graph *g, const plan_options *o, hone_err *err) {
    model_values m;
    graph_begin(g, 0);
    spec_write(g, &o->head, o->tokens_max, o->seqs_max, &m);
    HONE_TRY(g->status);
    if (m.row_loss) g->value[m.row_loss].cls = HONE_RESULT;
    if (m.logits) g->value[m.logits].cls = HONE_RESULT;
    if (m.best) g->value[m.best].cls = HONE_RESULT;
    p->eval_logits = m.logits;
    p->eval_best = m.best;
    p->eval_loss = m.row_loss;
    p->scale = m.scale;
    return run_passes(p, g, o, HONE_EVAL, err);
}

static hone_status write_decode(hone_plan *p, graph *g, const plan_options *o, hone_err *err) {
    graph_begin(g, 0);
    p->decode_logits = spec_write_decoder(g, o->tokens_max, o->seqs_max, o->cached);
    HONE_TRY(run_passes(p, g, o, HONE_DECODE, err));
    if (!o->moves) return HONE_OK;
    graph_begin(g, 0);
    spec_write_moves(g, o->moves);
    return run_passes(p, g, o, HONE_MOVE, err);
}

/* ---- slabs that outlive a step ---- */

static void place_unit(layout *l, const int *params, int n) {
    unit *u = &l->unit[l->n_units++];
    *u = (unit){.first = l->end, .group = l->g->param[params[0]].group};
    for (int k = 0; k < n; k++) {
        l->at[params[k]] = u->first + u->n;
        u->n += graph_elements(l->g, l->g->param[params[k]].value);
    }
    l->end = aligned(u->first + u->n);
}

/* The parameter with the longest span that holds it; shorter spans (keys and values of the last layer) are
 * tails of it. */
static void place_param(layout *l, int param) {
    const graph *g = l->g;
    const param_span *best = NULL;
    if (l->at[param] >= 0) return;
    for (int i = 0; i < g->n_spans; i++)
        for (int k = 0; k < g->span[i].n; k++)
            if (g->value[g->span[i].member[k]].param == param && (!best || g->span[i].n > best->n))
                best = &g->span[i];
    int members[SPAN_MAX] = {param}, n = 1;
    for (n = 0; best && n < best->n; n++) members[n] = g->value[best->member[n]].param;
    if (!n) n = 1;
    place_unit(l, members, n);
}

static void place_all(layout *l, const hone_plan *p) {
    graph *g = l->g;
    for (int i = 1; i <= g->n_params; i++) l->at[i] = -1;
    for (int s = 0; s < p->program[HONE_MICRO].n_steps; s++)
        for (int k = 0; k < HONE_MAX_OUT; k++) {
            const int v = p->program[HONE_MICRO].step[s].out[k];
            if (v && g->value[v].cls == HONE_GRAD && g->value[v].param) place_param(l, g->value[v].param);
        }
}

static void place_values(layout *l, hone_plan *p) {
    graph *g = l->g;
    const size_t size = hone_dtype_bytes(g->dtype), fsize = hone_dtype_bytes(graph_float(g)),
                 before = grad_bytes_before(p, g);
    for (int v = 1; v <= g->n_values; v++) {
        hone_value *x = &g->value[v];
        if (x->base || !x->param) continue;
        const int64_t at = l->at[x->param];
        if (x->cls == HONE_PARAM) x->offset = (size_t)at * size;
        if (x->cls == HONE_GRAD) x->offset = before + (size_t)at * fsize, x->fill_of = 0;
    }
    p->slab_bytes[HONE_PARAM] = (size_t)l->end * size;
    p->flat[HONE_MASTER] = (hone_flat){HONE_PARAM, 0, 0};
    if (g->dtype == HONE_BF16 || g->dtype == HONE_F16) { /* masters of all, frozen ones too */
        const int64_t shared = p->divided ? p->n_trained - plan_own_elements(p, p->rank) : 0;
        p->flat[HONE_MASTER] = (hone_flat){HONE_STATE, 0, p->divided};
        p->slab_bytes[HONE_STATE] = (size_t)(l->end - shared) * fsize;
        for (int i = 1; i <= g->n_params && !p->divided; i++) {
            const hone_value x = g->value[g->param[i].value];
            int64_t dims[3] = {x.dim[0].n, x.dim[1].n, 1};
            const int v = graph_value(g, arena_print(g->a, "master.%s", x.name), HONE_STATE, HONE_F32,
                                      x.n_dims, dims, -1, 0);
            g->value[v].offset = (size_t)l->at[i] * fsize;
            g->value[v].param = i;
            g->param[i].master = v;
        }
    } else
        for (int i = 1; i <= g->n_params; i++) g->param[i].master = g->param[i].value;
}

static hone_status keep_update(hone_plan *p, const layout *l, const plan_options *o, hone_err *err) {
    graph *g = l->g;
    size_t act, bound;
    write_update(p, l, o);
    HONE_TRY(g->status);
    HONE_TRY(plan_verify(g, "update", 0, err));
    pass_memory(g, &act, &bound);
    larger(&p->slab_bytes[HONE_ACTIVATION], act);
    HONE_TRY(pass_bind(g, o->device, &p->slab_bytes[HONE_WORK], err));
    keep_program(p, g, HONE_UPDATE_WEIGHTS);
    return HONE_OK;
}

static hone_status keep_missed(hone_plan *p, graph *g, const plan_options *o, hone_err *err) {
    write_missed(p, g, o);
    HONE_TRY(g->status);
    HONE_TRY(plan_verify(g, "missed", 0, err));
    HONE_TRY(pass_bind(g, o->device, &p->slab_bytes[HONE_WORK], err));
    keep_program(p, g, HONE_MISSED);
    return HONE_OK;
}

/* The sums of two slots: what a slot holds as rows of 64 elements. In a bf16 plan these are fp32 all the
 * same. */
static hone_status write_fold(hone_plan *p, graph *g, const plan_options *o, hone_err *err) {
    const hone_dtype f = graph_float(g);
    const int64_t dims[2] = {(int64_t)(p->slot_bytes / hone_dtype_bytes(f)) / ALIGN, ALIGN};
    int v[2];
    graph_begin(g, 1);
    for (int k = 0; k < 2; k++) {
        v[k] = graph_value(g, k ? "slot1" : "slot0", HONE_GRAD, f, 2, dims, -1, 0);
        g->value[v[k]].slot = k;
    }
    const hone_step s = {
        .op = HONE_OP_ADD, .in = {v[0], v[1]}, .out = {v[0]}, .phase = HONE_BACKWARD};
    *graph_insert(g, 0) = s;
    HONE_TRY(pass_bind(g, o->device, &p->slab_bytes[HONE_WORK], err));
    keep_program(p, g, HONE_FOLD);
    return HONE_OK;
}

/* Inputs, constants and results lie one after another, caches behind what else is state. */
static void place_rest(hone_plan *p, graph *g) {
    for (int v = 1; v <= g->n_values; v++) {
        hone_value *x = &g->value[v];
        const int is_cache = x->cls == HONE_STATE && x->fill_space;
        if (x->base || (x->cls != HONE_INPUT && x->cls != HONE_CONST && x->cls != HONE_RESULT && !is_cache)) continue;
        x->offset = p->slab_bytes[x->cls];
        p->slab_bytes[x->cls] += value_bytes(x) + (is_cache ? 0 : p->zone_bytes);
    }
    p->input_bytes = p->slab_bytes[HONE_INPUT];
    if (p->fixed_rows) p->slab_bytes[HONE_INPUT] *= 2;
}

static hone_status check_budget(const hone_plan *p, const plan_options *o, hone_err *err) {
    const size_t need = hone_plan_device_bytes(p);
    if (!o->budget_bytes || need <= o->budget_bytes) return HONE_OK;
    char a[24], b[24], c[24];
    bytes_text(a, (double)need);
    bytes_text(b, (double)o->budget_bytes);
    bytes_text(c, (double)p->slab_bytes[HONE_ACTIVATION]);
    const size_t fixed = need - p->slab_bytes[HONE_ACTIVATION];
    hone_fail(err, HONE_ENOFIT, "needs %s of %s, %s of it activations of %lld tokens", a, b, c,
              (long long)o->tokens_max);
    if (fixed >= o->budget_bytes)
        return hone_hint(
            err, "weights, gradients and moments alone do not fit; freeze some, or take a smaller model");
    const double share = (double)(o->budget_bytes - fixed) / (double)p->slab_bytes[HONE_ACTIVATION];
    return hone_hint(err,
                     "about %lld tokens a batch would fit: per_device_train_batch_size with "
                     "gradient_accumulation_steps, or max_tokens_per_batch",
                     (long long)((double)o->tokens_max * share));
}

static hone_status build(hone_plan *p, graph *g, const plan_options *o, hone_err *err) {
    if (o->training) HONE_TRY(write_micro(p, g, o, err));
    HONE_TRY(o->cached ? write_decode(p, g, o, err) : write_eval(p, g, o, err));
    layout l = {.g = g};
    l.at = ARENA_ARRAY(g->a, (size_t)g->n_params + 1, int64_t);
    l.unit = ARENA_ARRAY(g->a, (size_t)g->n_params + 1, unit);
    place_all(&l, p);
    p->n_trained = l.end;
    cut_buckets(p, &l, o);
    for (int i = 1; i <= g->n_params; i++) place_param(&l, i);
    if (o->training) choose_table(p, &l, o);
    place_values(&l, p);
    p->n_groups = 2 * (g->config->layers + 2);
    p->n_slots = 1;
    if (o->training) {
        if (o->slots > 1) p->n_slots = o->slots;
        p->slot_bytes = grad_bytes_before(p, g) + (size_t)p->n_trained * hone_dtype_bytes(graph_float(g));
        p->slab_bytes[HONE_GRAD] = p->slot_bytes * (size_t)p->n_slots;
        p->slab_bytes[HONE_WIRE] = wire_bytes(&o->wire, ALIGN + p->n_trained);
        HONE_TRY(keep_update(p, &l, o, err));
        if (p->table.param) HONE_TRY(keep_missed(p, g, o, err));
        if (p->n_slots > 1) HONE_TRY(write_fold(p, g, o, err));
    }
    place_rest(p, g);
    const hone_class whole[] = {HONE_PARAM, HONE_STATE, HONE_GRAD, HONE_WORK};
    for (int i = 0; i < 4; i++)
        if (p->slab_bytes[whole[i]]) p->slab_bytes[whole[i]] += p->zone_bytes;
    p->space = g->space;
    p->n_spaces = g->n_spaces;
    p->value = g->value;
    p->n_values = g->n_values;
    p->param = g->param;
    p->n_params = g->n_params;
    HONE_TRY(plan_verify_layout(p, err));
    return check_budget(p, o, err);
}

hone_status plan_build(hone_plan **out, const plan_options *o, hone_err *err) {
    arena *a = arena_new("plan");
    hone_plan *p = ARENA_NEW(a, hone_plan);
    graph g;
    hone_err why = {0};
    graph_init(&g, a, o->config, o->dtype, &why);
    g.attention.engine = o->attention, g.attention.longest = o->longest, g.norm = o->norm;
    p->owner = a;
    p->dtype = o->dtype;
    p->zone_bytes = g.zone_bytes = o->zone_bytes;
    hone_limits kind;
    hone_status status = o->device->limits(NULL, &kind);
    p->fixed_rows = kind.fixed_rows;
    if (!status) status = build(p, &g, o, &why);
    if (status) {
        if (err) *err = why;
        arena_free(a);
        return status;
    }
    *out = p;
    return HONE_OK;
}

void hone_plan_free(hone_plan *p) {
    if (p) arena_free(p->owner);
}

size_t hone_plan_device_bytes(const hone_plan *p) {
    size_t sum = 0;
    for (int c = 1; c < HONE_N_CLASSES; c++) sum += p->slab_bytes[c];
    return sum;
}
