/* verify.c - what must hold of a program between any two passes. */
#include <math.h>
#include <string.h>

#include "plan/passes.h"

typedef struct {
    const graph *g;
    const char *after;
    int *made;      /* by value: step that made it, -1 */
    int *last_read; /* by root: last step that reads it, -1 */
    int *columns;   /* by root: the value made last of those that lie in it, 0 */
    int *next;      /* by value: the one made before it in the same root */
    hone_err *err;
} check;

static hone_status broken(const check *c, int step, const char *what, int value) {
    const graph *g = c->g;
    return hone_fail(c->err, HONE_EBUG, "after %s: step %d, %s: %s%s%s", c->after, step,
                     hone_op_find(g->step[step].op)->name, what, value ? " " : "",
                     value ? g->value[value].name : "");
}

static int is_transient(const graph *g, int v) {
    const hone_class c = g->value[v].cls;
    return c == HONE_ACTIVATION || c == HONE_RESULT;
}

/* ---- the step by itself ---- */

static hone_status check_attr(const check *c, int i) {
    const hone_step *s = &c->g->step[i];
    const hone_op_info *op = hone_op_find(s->op);
    const int key = hone_op_operand(op, "key");
    const double p = s->attr.p, p_out = s->attr.p_out;
    if (!(p >= 0 && p < 1) || !(p_out >= 0 && p_out < 1))
        return broken(c, i, "drops with a probability outside [0, 1)", 0);
    if (key >= 0 && (p > 0 || p_out > 0) && !s->in[key]) return broken(c, i, "drops without a key", 0);
    if (key >= 0 && ((p > 0 && s->attr.site < 1) || (p_out > 0 && s->attr.site_out < 1)))
        return broken(c, i, "drops at no site", 0);
    if ((s->op == HONE_OP_NORM_FWD || s->op == HONE_OP_NORM_BWD) &&
        !(s->attr.norm.eps > 0 && isfinite(s->attr.norm.eps)))
        return broken(c, i, "has an epsilon that is not above 0", 0);
    if ((s->op == HONE_OP_ATTENTION_FWD || s->op == HONE_OP_ATTENTION_BWD) &&
        !isfinite(s->attr.attention.scale))
        return broken(c, i, "has a scale that is not finite", 0);
    if ((s->op == HONE_OP_ACT_FWD || s->op == HONE_OP_ACT_BWD) &&
        (s->attr.act.kind < 0 || s->attr.act.kind > HONE_ACT_TANH))
        return broken(c, i, "has an activation that there is not", 0);
    return HONE_OK;
}

/* A list belongs to the ranges of its step's queries. */
static hone_status check_list(const check *c, int i) {
    const hone_step *s = &c->g->step[i];
    const hone_op_info *op = hone_op_find(s->op);
    const int list = hone_op_operand(op, "list"), q_at = hone_op_operand(op, "q_at");
    if (list < 0 || !s->in[list]) return HONE_OK;
    const hone_value *x = &c->g->value[s->in[list]];
    if (x->fill != HONE_FILL_LIST) return broken(c, i, "works through what is no list:", s->in[list]);
    return x->fill_of == s->in[q_at]
               ? HONE_OK
               : broken(c, i, "works through the list of other sequences:", s->in[list]);
}

static hone_status check_step(const check *c, int i) {
    const graph *g = c->g;
    const hone_step *s = &g->step[i];
    int n_out = 0;
    for (int k = 0; k < HONE_MAX_OUT; k++) n_out += s->out[k] != 0;
    if (!n_out) return broken(c, i, "makes nothing", 0);
    if (i && s->phase < g->step[i - 1].phase)
        return broken(c, i, "is of an earlier phase than the step before it", 0);
    if (s->phase > HONE_UPDATE) return broken(c, i, "is of no phase", 0);
    if (s->layer < -1 || s->layer > g->config->layers)
        return broken(c, i, "is of a layer that there is not", 0);
    if (s->n_wait > 2) return broken(c, i, "waits for more events than it has room for", 0);
    for (int w = 0; w < s->n_wait; w++) {
        int found = 0;
        for (int k = 0; k < i && !found; k++) found = s->wait[w] && g->step[k].record == s->wait[w];
        if (!found) return broken(c, i, "waits for an event that no step before it records", 0);
    }
    HONE_TRY(check_list(c, i));
    return check_attr(c, i);
}

/* ---- operands ---- */

static hone_status check_inputs(const check *c, int i) {
    const graph *g = c->g;
    const hone_step *s = &g->step[i];
    const hone_op_info *op = hone_op_find(s->op);
    for (int k = 0; k < op->n_in; k++) {
        const int v = s->in[k], root = v ? graph_root(g, v) : 0, k_out = op->in[k].adds - 1;
        if (!v) continue;
        if (is_transient(g, v) && c->made[root] < 0) return broken(c, i, "reads before it is made:", v);
        if (g->value[v].cls == HONE_GRAD && k_out < 0 && s->phase != HONE_UPDATE)
            return broken(c, i, "reads a gradient outside the update:", v);
        if (k_out < 0) continue;
        if (!s->out[k_out]) return broken(c, i, "adds into nothing:", v);
        const int same = root == graph_root(g, s->out[k_out]);
        if (!same && (!is_transient(g, v) || !is_transient(g, s->out[k_out])))
            return broken(c, i, "adds into other storage than that of", v);
        if (!same && c->last_read[root] > i) return broken(c, i, "adds into what is read again later:", v);
    }
    return HONE_OK;
}

static int columns_overlap(const graph *g, int u, int v) {
    const int64_t a = g->value[u].at, b = g->value[v].at, ra = g->value[u].row_at, rb = g->value[v].row_at;
    if (!g->value[u].base || !g->value[v].base) return 1;
    if (ra >= rb + g->value[v].dim[0].n || rb >= ra + g->value[u].dim[0].n) return 0;
    return a < b + graph_width(g, v) && b < a + graph_width(g, u);
}

/* Rows put into a cache, whose others stay. */
static int keeps_rows(const graph *g, const hone_step *s, int v) {
    return s->op == HONE_OP_SCATTER && s->in[2] == v && g->value[v].fill_space;
}

/* A value, or columns of one, is made once, unless the step adds to it. */
static hone_status check_first_making(check *c, int i, int v, int plus) {
    const graph *g = c->g;
    const int root = graph_root(g, v);
    if (plus && graph_root(g, plus) == root) return HONE_OK;
    for (int u = c->columns[root]; u; u = c->next[u])
        if (columns_overlap(g, u, v))
            return broken(c, i, u == v ? "makes again:" : "makes columns that are made already:", v);
    c->next[v] = c->columns[root];
    c->columns[root] = v;
    return HONE_OK;
}

static hone_status check_results(check *c, int i) {
    const graph *g = c->g;
    const hone_step *s = &g->step[i];
    const hone_op_info *op = hone_op_find(s->op);
    int read = 0;
    for (int k = 0; k < op->n_out; k++) {
        const int v = s->out[k], plus = v && op->out[k].adds ? s->in[op->out[k].adds - 1] : 0,
                  root = graph_root(g, v);
        if (!v) continue;
        const hone_class cls = g->value[v].cls;
        if (cls == HONE_INPUT || cls == HONE_CONST) return broken(c, i, "writes an input:", v);
        if (cls == HONE_PARAM && s->phase != HONE_UPDATE)
            return broken(c, i, "writes a weight outside the update:", v);
        if (cls == HONE_STATE && s->phase != HONE_UPDATE && !keeps_rows(g, s, v))
            return broken(c, i, "writes state outside the update:", v);
        if (cls == HONE_GRAD && g->value[v].param && !g->param[g->value[v].param].wants_grad)
            return broken(c, i, "makes the gradient of what is frozen:", v);
        if (cls == HONE_GRAD && s->phase == HONE_UPDATE)
            return broken(c, i, "writes a gradient in the update:", v);
        if (is_transient(g, v) || cls == HONE_GRAD) HONE_TRY(check_first_making(c, i, v, plus));
        read |= cls != HONE_ACTIVATION || c->last_read[root] > i;
        c->made[v] = c->made[root] = i;
    }
    return read ? HONE_OK : broken(c, i, "makes only what nobody reads:", s->out[0]);
}

/* ---- places ---- */

/* Steps of a value's storage, first to last. */
typedef struct {
    int value, last;
} live;

static int is_read_by(const check *c, int i, int root, int but) {
    const graph *g = c->g;
    for (int k = 0; k < HONE_MAX_IN; k++)
        if (k != but && g->step[i].in[k] && graph_root(g, g->step[i].in[k]) == root) return 1;
    return 0;
}

/* Result k of step i against what lives: no byte in common, unless it takes the whole place of an operand
 * that ends. */
static hone_status check_place(const check *c, int i, int k, const live *l, int n) {
    const graph *g = c->g;
    const hone_step *s = &g->step[i];
    const hone_operand *o = &hone_op_find(s->op)->out[k];
    const int v = graph_root(g, s->out[k]),
              lends = o->adds && s->in[o->adds - 1] ? o->adds - 1 : o->shares - 1;
    const int lender = lends >= 0 ? graph_root(g, s->in[lends]) : 0;
    const size_t from = g->value[v].offset, to = from + value_bytes(&g->value[v]);
    if (from % 256) return broken(c, i, "makes at a byte that is no multiple of 256:", v);
    for (int j = 0; j < n; j++) {
        const int u = l[j].value;
        if (u == v) continue;
        const size_t at = g->value[u].offset, end = at + value_bytes(&g->value[u]);
        if (u == lender && o->adds && s->in[o->adds - 1] && at != from)
            return broken(c, i, "adds into another place than that of", u);
        if (at >= to || from >= end) continue;
        if (u != lender || l[j].last > i || at != from)
            return broken(c, i, "writes over what is still read:", u);
        if (is_read_by(c, i, u, lends)) return broken(c, i, "writes over what it reads a second time:", u);
    }
    return HONE_OK;
}

static hone_status check_places(const check *c, arena *a) {
    const graph *g = c->g;
    live *l = ARENA_ARRAY(a, (size_t)g->n_values + 1, live);
    int n = 0;
    for (int i = 0; i < g->n_steps; i++) {
        const hone_step *s = &g->step[i];
        for (int k = 0; k < HONE_MAX_OUT; k++) {
            const int v = graph_root(g, s->out[k]);
            int known = 0;
            if (!v || g->value[v].cls != HONE_ACTIVATION) continue;
            HONE_TRY(check_place(c, i, k, l, n));
            for (int j = 0; j < n; j++) known |= l[j].value == v;
            if (!known) l[n++] = (live){v, c->last_read[v] > c->made[v] ? c->last_read[v] : c->made[v]};
        }
        int left = 0;
        for (int j = 0; j < n; j++)
            if (l[j].last > i) l[left++] = l[j];
        n = left;
    }
    return HONE_OK;
}

hone_status plan_verify(const graph *g, const char *after, int placed, hone_err *err) {
    arena *a = arena_new("verify");
    const size_t room = (size_t)g->n_values + 1;
    check c = {.g = g, .after = after, .err = err};
    c.made = ARENA_ARRAY(a, room, int);
    c.last_read = ARENA_ARRAY(a, room, int);
    c.columns = ARENA_ARRAY(a, room, int);
    c.next = ARENA_ARRAY(a, room, int);
    for (size_t v = 0; v < room; v++) c.made[v] = c.last_read[v] = -1;
    hone_status status = verify_values(g, after, err);
    for (int i = 0; i < g->n_steps && !status; i++) {
        hone_err why = {0};
        if (graph_bind(g, &g->step[i], &why))
            status = hone_fail(err, HONE_EBUG, "after %s: step %d: %s", after, i, why.text);
        for (int k = 0; k < HONE_MAX_IN && !status; k++)
            if (g->step[i].in[k]) c.last_read[graph_root(g, g->step[i].in[k])] = i;
    }
    for (int i = 0; i < g->n_steps && !status; i++) {
        status = check_step(&c, i);
        if (!status) status = check_inputs(&c, i);
        if (!status) status = check_results(&c, i);
    }
    if (!status && placed) status = check_places(&c, a);
    arena_free(a);
    return status;
}
