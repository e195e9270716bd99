/* graph.c - the tables of a plan in the making, and the check of a step against its op's line. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/graph.h"
#include "base/err.h"

static void *grow(graph *g, void *p, int n, int *cap, size_t item) {
    if (n + 1 < *cap) return p;
    const int more = *cap ? *cap * 2 : 64;
    void *q = arena_array(g->a, (size_t)more, item);
    if (p) memcpy(q, p, item * (size_t)*cap);
    *cap = more;
    return q;
}

void graph_init(graph *g, arena *a, const model_config *config, hone_dtype dtype, hone_err *err) {
    memset(g, 0, sizeof *g);
    g->a = a;
    g->config = config;
    g->dtype = dtype;
    g->err = err;
}

void graph_begin(graph *g, int training) {
    g->step = NULL;
    g->n_steps = g->cap_steps = g->n_sites = 0;
    g->layer = -1;
    g->training = training;
    g->phase = HONE_FORWARD;
    for (int v = 1; v <= g->n_values; v++) g->value[v].maker = -1, g->value[v].grad = 0;
}

hone_dtype graph_float(const graph *g) { return g->dtype == HONE_F64 ? HONE_F64 : HONE_F32; }

int graph_space(graph *g, const char *name, int64_t cap, int seqs, int parent) {
    g->space = grow(g, g->space, g->n_spaces, &g->cap_spaces, sizeof *g->space);
    g->space[++g->n_spaces] = (hone_space){.name = name, .cap = cap, .seqs = seqs, .parent = parent};
    return g->n_spaces;
}

int graph_value(graph *g, const char *name, hone_class cls, hone_dtype dtype, int n_dims, const int64_t *dims,
                int row_dim, int space) {
    g->value = grow(g, g->value, g->n_values, &g->cap_values, sizeof *g->value);
    hone_value *v = &g->value[++g->n_values];
    *v = (hone_value){.name = name, .cls = cls, .dtype = dtype, .n_dims = n_dims, .maker = -1, .ld = 1};
    for (int d = 0; d < n_dims; d++)
        v->dim[d] = (hone_dim){d == row_dim ? g->space[space].cap : dims[d], d == row_dim ? space : 0};
    for (int d = 1; d < n_dims; d++) v->ld *= v->dim[d].n;
    return g->n_values;
}

int graph_view(graph *g, const char *name, int base, int64_t at, int64_t n1, int64_t n2) {
    g->value = grow(g, g->value, g->n_values, &g->cap_values, sizeof *g->value);
    const hone_value *b = &g->value[base];
    hone_value v = *b;
    v.name = name;
    v.n_dims = n2 ? 3 : 2;
    v.dim[1] = (hone_dim){n1, 0};
    v.dim[2] = (hone_dim){n2, 0};
    v.base = b->base ? b->base : base;
    v.at = b->at + at;
    v.grad = 0;
    v.span = 0;
    g->value[++g->n_values] = v;
    return g->n_values;
}

int graph_slice(graph *g, int space, int64_t at, int64_t cap) {
    const char *name = arena_print(g->a, "%s[%lld]", g->space[space].name, (long long)at);
    for (int i = 1; i <= g->n_spaces; i++)
        if (g->space[i].slice_of == space && g->space[i].slice_at == at && g->space[i].cap == cap) return i;
    const int s = graph_space(g, name, cap, 0, 0);
    g->space[s].slice_of = space;
    g->space[s].slice_at = at;
    return s;
}

int graph_rows(graph *g, int base, int slice) {
    g->value = grow(g, g->value, g->n_values, &g->cap_values, sizeof *g->value);
    hone_value v = g->value[base];
    HONE_ASSERT(!v.base && v.n_dims < 3 && v.dim[0].space == g->space[slice].slice_of);
    v.name = arena_print(g->a, "%s[%lld]", v.name, (long long)g->space[slice].slice_at);
    v.dim[0] = (hone_dim){g->space[slice].cap, slice};
    v.base = base;
    v.row_at = g->space[slice].slice_at;
    v.fill = HONE_FILL_NONE;
    v.fill_space = v.fill_of = v.grad = v.span = 0;
    g->value[++g->n_values] = v;
    return g->n_values;
}

int graph_like(graph *g, const char *name, int v, hone_class cls, hone_dtype dtype) {
    const hone_value x = g->value[v];
    int64_t dims[3] = {1, 1, 1};
    int row_dim = -1, space = 0;
    for (int d = 0; d < x.n_dims; d++) {
        dims[d] = x.dim[d].n;
        if (x.dim[d].space) row_dim = d, space = x.dim[d].space;
    }
    return graph_value(g, arena_print(g->a, "%s%s", name, x.name), cls, dtype, x.n_dims, dims, row_dim, space);
}

int graph_gradient(graph *g, int v) {
    for (int i = 1; i <= g->n_values; i++)
        if (g->value[i].cls == HONE_GRAD && g->value[i].fill_of == v) return i;
    const int span = g->value[v].span, first = span ? graph_gradient(g, span) : 0,
              d = graph_like(g, "d", v, HONE_GRAD, graph_float(g));
    g->value[d].param = g->value[v].param;
    g->value[d].fill_of = v; /* whose gradient: private to the passes, cleared by the build */
    g->value[d].span = first;
    return d;
}

int graph_root(const graph *g, int v) {
    while (g->value[v].base) v = g->value[v].base;
    return v;
}

int64_t graph_width(const graph *g, int v) {
    int64_t n = 1;
    for (int d = 1; d < g->value[v].n_dims; d++) n *= g->value[v].dim[d].n;
    return n;
}

int64_t graph_elements(const graph *g, int v) {
    return g->value[v].n_dims ? g->value[v].dim[0].n * graph_width(g, v) : 0;
}

static const char *const fill_name[] = {"",
#define XX(name, text) text,
                                        HONE_FILL_MAP(XX)
#undef XX
};

int graph_companion(graph *g, int space, hone_fill fill, int of) {
    hone_space *s = &g->space[space];
    if (fill == HONE_FILL_ORDER) {
        for (int v = 1; v <= g->n_values; v++)
            if (g->value[v].fill == fill && g->value[v].fill_of == of) return v;
    } else if (s->companion[fill]) return s->companion[fill];
    const hone_dtype type = fill == HONE_FILL_KEY      ? HONE_KEY
                            : fill == HONE_FILL_AT     ? HONE_RANGE
                            : fill == HONE_FILL_TARGET ? graph_float(g)
                                                       : HONE_I32;
    const int64_t dims[2] = {0, fill == HONE_FILL_TARGET ? g->targets : 2};
    const char *name = of ? arena_print(g->a, "%s.order", g->value[of].name)
                          : arena_print(g->a, "%s.%s", s->name, fill_name[fill]);
    const int rows = fill == HONE_FILL_AT && s->seqs ? s->seqs : space;
    const int v = graph_value(g, name, HONE_INPUT, type,
                              fill == HONE_FILL_TARGET || fill == HONE_FILL_SPAN ? 2 : 1, dims, 0, rows);
    g->value[v].fill = fill;
    g->value[v].fill_space = space;
    g->value[v].fill_of = of;
    if (fill != HONE_FILL_ORDER) g->space[space].companion[fill] = v;
    return v;
}

int graph_param_of(const graph *g, int value) {
    return g->value[value].cls == HONE_PARAM ? g->value[value].param : 0;
}

int graph_param(graph *g, role r, const char *leaf, int64_t n0, int64_t n1) {
    const char *name = family_tensor(g->a, g->config->family, r, g->layer, leaf);
    for (int i = 1; i <= g->n_params; i++)
        if (!strcmp(g->param[i].name, name)) return g->param[i].value;
    const int64_t dims[2] = {n0, n1};
    const int is_norm = r == ROLE_EMBED_NORM || r == ROLE_NORM1 || r == ROLE_NORM2 || r == ROLE_FINAL_NORM ||
                        r == ROLE_MLM_NORM;
    const int is_weight = !strcmp(leaf, "weight");
    g->param = grow(g, g->param, g->n_params, &g->cap_params, sizeof *g->param);
    const int v = graph_value(g, name, HONE_PARAM, g->dtype, n1 ? 2 : 1, dims, -1, 0);
    g->param[++g->n_params] = (hone_param){.name = name,
                                           .value = v,
                                           .wants_grad = 1,
                                           .decays = is_weight && !is_norm,
                                           .layer = (int16_t)g->layer,
                                           .init = !is_weight ? HONE_INIT_ZERO
                                                   : is_norm  ? HONE_INIT_ONE
                                                              : HONE_INIT_NORMAL,
                                           .init_std = config_init_std(g->config, (int)r),
                                           .transposed = n1 && family_transposes(g->config->family, r)};
    g->value[v].param = g->n_params;
    return v;
}

int graph_span(graph *g, const int *members, int n) {
    for (int i = 0; i < g->n_spans; i++)
        if (g->span[i].n == n && !memcmp(g->span[i].member, members, sizeof *members * (size_t)n))
            return g->span[i].value;
    const hone_value *first = &g->value[members[0]];
    int64_t dims[2] = {0, first->n_dims == 2 ? first->dim[1].n : 1};
    const char *name = first->name;
    for (int i = 0; i < n; i++) {
        dims[0] += g->value[members[i]].dim[0].n;
        if (i) name = arena_print(g->a, "%s+%s", name, g->value[members[i]].name);
    }
    const int v = graph_value(g, name, HONE_PARAM, g->dtype, g->value[members[0]].n_dims, dims, -1, 0);
    g->value[v].span = members[0];
    g->value[v].param = g->value[members[0]].param;
    g->span = grow(g, g->span, g->n_spans, &g->cap_spans, sizeof *g->span);
    param_span *s = &g->span[g->n_spans++];
    s->value = v;
    s->n = n;
    memcpy(s->member, members, sizeof *members * (size_t)n);
    return v;
}

const char *graph_name(graph *g, const char *name) {
    return g->layer >= 0 && g->layer < g->config->layers ? arena_print(g->a, "L%d.%s", g->layer, name)
                                                         : arena_copy(g->a, name, strlen(name));
}

/* ---- binding ---- */

/* What a letter was first seen as. */
typedef struct {
    int64_t n;
    int space;
    const hone_operand *by;
} letter;

static const char *shape_of(const hone_operand *o, char out[40]) {
    int at = snprintf(out, 40, "%s[", o->name);
    for (int d = 0; d < o->n_dims; d++)
        at += snprintf(out + at, 40 - (size_t)at, d ? ",%c" : "%c", o->dim[d]);
    snprintf(out + at, 40 - (size_t)at, "]");
    return out;
}

static int type_fits(const graph *g, const hone_operand *o, hone_dtype t) {
    switch (o->type) {
    case 'f':
        return t == graph_float(g);
    case 'i':
        return t == HONE_I32;
    case 'k':
        return t == HONE_KEY;
    case 'r':
        return t == HONE_RANGE;
    case '*':
        return t <= HONE_F16;
    default:
        return t == g->dtype;
    }
}

static hone_status bind_operand(const graph *g, const hone_op_info *op, const hone_operand *o, int v,
                                letter *letters, hone_err *err) {
    char a[40], b[40];
    if (v < 0 || v > g->n_values)
        return hone_fail(err, HONE_EBUG, "%s: %s is value %d of %d", op->name, shape_of(o, a), v,
                         g->n_values);
    if (!v)
        return o->opt ? HONE_OK : hone_fail(err, HONE_EBUG, "%s: %s is missing", op->name, shape_of(o, a));
    const hone_value *x = &g->value[v];
    if (x->n_dims != o->n_dims)
        return hone_fail(err, HONE_EBUG, "%s: %s is %s with %d dimensions", op->name, shape_of(o, a), x->name,
                         x->n_dims);
    if (!type_fits(g, o, x->dtype))
        return hone_fail(err, HONE_EBUG, "%s: %s is %s of type %s", op->name, shape_of(o, a), x->name,
                         hone_dtype_name(x->dtype));
    for (int d = 0; d < o->n_dims; d++) {
        const int c = o->dim[d];
        const int64_t n = x->dim[d].n;
        if (c >= '0' && c <= '9') {
            if (n != c - '0')
                return hone_fail(err, HONE_EBUG, "%s: %s is %s with %lld where the line has %c", op->name,
                                 shape_of(o, a), x->name, (long long)n, c);
            continue;
        }
        letter *l = &letters[c];
        if (!l->by) {
            *l = (letter){n, x->dim[d].space, o};
        } else if (l->n != n) {
            return hone_fail(err, HONE_EBUG, "%s: %s has %c = %lld where %s has %lld", op->name,
                             shape_of(o, a), c, (long long)n, shape_of(l->by, b), (long long)l->n);
        } else if (l->space != x->dim[d].space) {
            return hone_fail(err, HONE_EBUG, "%s: %s has %c in space %s where %s has it in %s", op->name,
                             shape_of(o, a), c, x->dim[d].space ? g->space[x->dim[d].space].name : "none",
                             shape_of(l->by, b), l->space ? g->space[l->space].name : "none");
        }
    }
    return HONE_OK;
}

hone_status graph_bind(const graph *g, const hone_step *s, hone_err *err) {
    const hone_op_info *op = hone_op_find(s->op);
    letter letters[128] = {0};
    if (!op) return hone_fail(err, HONE_EBUG, "step of op %d, of which there is none", (int)s->op);
    for (int i = 0; i < op->n_in; i++) HONE_TRY(bind_operand(g, op, &op->in[i], s->in[i], letters, err));
    for (int i = 0; i < op->n_out; i++) HONE_TRY(bind_operand(g, op, &op->out[i], s->out[i], letters, err));
    return HONE_OK;
}

/* ---- steps ---- */

int graph_emit(graph *g, const hone_step *s) {
    if (g->status) return 0;
    g->status = graph_bind(g, s, g->err);
    g->step = grow(g, g->step, g->n_steps, &g->cap_steps, sizeof *g->step);
    hone_step *to = &g->step[g->n_steps];
    *to = *s;
    to->phase = (uint8_t)g->phase;
    to->layer = (int16_t)g->layer;
    for (int i = 0; i < HONE_MAX_OUT; i++)
        if (s->out[i]) g->value[graph_root(g, s->out[i])].maker = g->value[s->out[i]].maker = g->n_steps;
    return g->n_steps++;
}

hone_step *graph_insert(graph *g, int at) {
    g->step = grow(g, g->step, g->n_steps, &g->cap_steps, sizeof *g->step);
    memmove(g->step + at + 1, g->step + at, sizeof *g->step * (size_t)(g->n_steps - at));
    g->n_steps++;
    memset(&g->step[at], 0, sizeof *g->step);
    return &g->step[at];
}

void graph_makers(graph *g) {
    for (int v = 1; v <= g->n_values; v++) g->value[v].maker = -1, g->value[v].n_readers = 0;
    for (int i = 0; i < g->n_steps; i++) {
        const hone_step *s = &g->step[i];
        for (int k = 0; k < HONE_MAX_IN; k++) {
            if (!s->in[k]) continue;
            const int root = graph_root(g, s->in[k]);
            g->value[s->in[k]].n_readers++;
            if (root != s->in[k]) g->value[root].n_readers++;
        }
        for (int k = 0; k < HONE_MAX_OUT; k++)
            if (s->out[k]) g->value[s->out[k]].maker = g->value[graph_root(g, s->out[k])].maker = i;
    }
}

void graph_drop_dead(graph *g) {
    int n = 0;
    for (int i = 0; i < g->n_steps; i++)
        if (g->step[i].op != HONE_N_OPS) g->step[n++] = g->step[i];
    g->n_steps = n;
    graph_makers(g);
}

int graph_reads(const hone_step *s, const graph *g, int value) {
    const int root = graph_root(g, value);
    for (int k = 0; k < HONE_MAX_IN; k++)
        if (s->in[k] && graph_root(g, s->in[k]) == root) return 1;
    return 0;
}

/* ---- ops ---- */

static int act_value(graph *g, const char *name, int space, int64_t width) {
    const int64_t dims[2] = {0, width};
    return graph_value(g, graph_name(g, name), HONE_ACTIVATION, g->dtype, 2, dims, 0, space);
}

static int stat_value(graph *g, const char *name, const char *what, int space) {
    const int64_t dims[1] = {0};
    return graph_value(g, graph_name(g, arena_print(g->a, "%s.%s", name, what)), HONE_ACTIVATION,
                       graph_float(g), 1, dims, 0, space);
}

static int space_of(const graph *g, hone_v x) { return g->value[x].dim[0].space; }

static int has_bias(const graph *g, role r) {
    return r != ROLE_CLASSIFIER || !g->config->family->classes.no_bias;
}

hone_v g_linear(graph *g, hone_v x, role r, int64_t features, const char *name) {
    if (!x || g->status) return 0;
    hone_step s = {.op = HONE_OP_LINEAR_FWD};
    s.in[0] = x;
    s.in[1] = graph_param(g, r, "weight", features, graph_width(g, x));
    if (has_bias(g, r)) s.in[2] = graph_param(g, r, "bias", features, 0);
    const int y = s.out[0] = act_value(g, name, space_of(g, x), features);
    graph_emit(g, &s);
    return y;
}

hone_v g_norm(graph *g, hone_v x, role r, const char *name) {
    if (!x || g->status) return 0;
    const int64_t width = graph_width(g, x);
    hone_step s = {.op = HONE_OP_NORM_FWD,
                   .attr.engine = (int32_t)g->norm,
                   .attr.norm = {HONE_NORM_LAYER, g->config->eps}};
    s.in[0] = x;
    s.in[4] = graph_param(g, r, "weight", width, 0);
    s.in[5] = graph_param(g, r, "bias", width, 0);
    const int y = s.out[0] = act_value(g, name, space_of(g, x), width);
    s.out[1] = stat_value(g, name, "mean", space_of(g, x));
    s.out[2] = stat_value(g, name, "rstd", space_of(g, x));
    graph_emit(g, &s);
    return y;
}

hone_v g_dropout(graph *g, hone_v x, double p, const char *name) {
    if (!x || g->status) return 0;
    const int site = ++g->n_sites; /* counted even where nothing is dropped: sites are places of the model */
    if (!g->training || p <= 0) return x;
    hone_step s = {.op = HONE_OP_DROPOUT, .attr = {.p = (float)p, .site = site}};
    s.in[0] = x;
    s.in[1] = graph_companion(g, space_of(g, x), HONE_FILL_KEY, 0);
    const int y = s.out[0] = act_value(g, name, space_of(g, x), graph_width(g, x));
    graph_emit(g, &s);
    return y;
}

hone_v g_act(graph *g, hone_v x, hone_v gate, hone_act act, const char *name) {
    if (!x || g->status) return 0;
    hone_step s = {.op = HONE_OP_ACT_FWD, .attr.act.kind = act};
    s.in[0] = x;
    s.in[1] = gate;
    const int y = s.out[0] = act_value(g, name, space_of(g, x), graph_width(g, x));
    graph_emit(g, &s);
    return y;
}

hone_v g_add(graph *g, hone_v a, hone_v b, const char *name) {
    if (!a || !b || g->status) return 0;
    hone_step s = {.op = HONE_OP_ADD};
    s.in[0] = a;
    s.in[1] = b;
    const int y = s.out[0] = act_value(g, name, space_of(g, a), graph_width(g, a));
    graph_emit(g, &s);
    return y;
}

hone_v g_gather(graph *g, hone_v x, int space, const char *name) {
    if (!x || g->status) return 0;
    hone_step s = {.op = HONE_OP_GATHER};
    s.in[0] = x;
    s.in[1] = graph_companion(g, space, HONE_FILL_INDEX, 0);
    const int y = s.out[0] = act_value(g, name, space, graph_width(g, x));
    graph_emit(g, &s);
    return y;
}

hone_v g_pool(graph *g, hone_v x, const char *name) {
    if (!x || g->status) return 0;
    const int tok = space_of(g, x);
    hone_step s = {.op = HONE_OP_POOL_FWD};
    s.in[0] = x;
    s.in[1] = graph_companion(g, tok, HONE_FILL_AT, 0);
    const int y = s.out[0] = act_value(g, name, g->space[tok].seqs, graph_width(g, x));
    graph_emit(g, &s);
    return y;
}

void g_word_loss(graph *g, hone_v x, role bias, hone_v scale, hone_v *loss, hone_v *best) {
    *loss = *best = 0;
    if (!x || g->status) return;
    const int space = space_of(g, x);
    const int64_t rows[1] = {0};
    hone_step s = {.op = HONE_OP_HEAD_XENT};
    s.in[0] = x;
    s.in[1] = graph_param(g, ROLE_WORD, "weight", g->config->vocab, graph_width(g, x));
    if (bias != N_ROLES) s.in[2] = graph_param(g, bias, "bias", g->config->vocab, 0);
    s.in[3] = graph_companion(g, space, HONE_FILL_LABEL, 0);
    s.in[4] = scale;
    *loss = s.out[0] = graph_value(g, "row.loss", HONE_ACTIVATION, graph_float(g), 1, rows, 0, space);
    if (!g->training) *best = s.out[1] = graph_value(g, "row.best", HONE_ACTIVATION, HONE_I32, 1, rows, 0, space);
    if (g->training) {
        s.out[2] = graph_like(g, "d", x, HONE_ACTIVATION, g->dtype);
        s.out[3] = graph_gradient(g, s.in[1]);
        if (s.in[2]) s.out[4] = graph_gradient(g, s.in[2]);
    }
    graph_emit(g, &s);
}

hone_v g_word_logits(graph *g, hone_v x, role bias, const char *name) {
    if (!x || g->status) return 0;
    hone_step s = {.op = HONE_OP_LINEAR_FWD};
    s.in[0] = x;
    s.in[1] = graph_param(g, ROLE_WORD, "weight", g->config->vocab, graph_width(g, x));
    if (bias != N_ROLES) s.in[2] = graph_param(g, bias, "bias", g->config->vocab, 0);
    const int y = s.out[0] = act_value(g, name, space_of(g, x), g->config->vocab);
    graph_emit(g, &s);
    return y;
}

hone_v g_keep(graph *g, hone_v x, const char *name) {
    if (!x || g->status) return 0;
    const int64_t dims[2] = {g->space[g->cache].cap, graph_width(g, x)};
    /* Extents of no row space: what a cache holds does not depend on a batch's count. */
    const int kept = graph_value(g, graph_name(g, name), HONE_STATE, g->dtype, 2, dims, -1, 0);
    g->value[kept].fill_space = g->cache;
    hone_step s = {.op = HONE_OP_SCATTER};
    s.in[0] = x;
    s.in[1] = graph_companion(g, space_of(g, x), HONE_FILL_SLOT, 0);
    s.in[2] = s.out[0] = kept;
    graph_emit(g, &s);
    return kept;
}

hone_v g_attend(graph *g, hone_v q, hone_v k, hone_v v, hone_mask mask, double p, const char *name) {
    if (!q || !k || !v || g->status) return 0;
    const int64_t H = g->config->heads, K = g->config->head_width;
    const int rows = space_of(g, q), keys = g->cache ? g->cache : space_of(g, k), site = ++g->n_sites;
    hone_step s = {.op = HONE_OP_ATTENTION_FWD,
                   .attr.engine = (int32_t)g->attention.engine,
                   .attr.attention = {.mask = mask, .longest = g->attention.longest, .scale = 1 / sqrt((double)K)}};
    if (g->training && p > 0) s.attr.p = (float)p, s.attr.site = site;
    s.in[0] = graph_view(g, graph_name(g, "q.heads"), q, 0, H, K);
    s.in[1] = graph_view(g, graph_name(g, "k.heads"), k, 0, H, K);
    s.in[2] = graph_view(g, graph_name(g, "v.heads"), v, 0, H, K);
    s.in[3] = graph_companion(g, rows, HONE_FILL_AT, 0);
    s.in[4] = graph_companion(g, keys, HONE_FILL_AT, 0);
    if (s.attr.p > 0) s.in[6] = graph_companion(g, rows, HONE_FILL_KEY, 0);
    const int o = act_value(g, name, rows, H * K);
    const int64_t dims[2] = {H, 0};
    s.out[0] = graph_view(g, graph_name(g, "o.heads"), o, 0, H, K);
    s.out[1] = graph_value(g, graph_name(g, "lse"), HONE_ACTIVATION, graph_float(g), 2, dims, 1, rows);
    graph_emit(g, &s);
    return o;
}
