/* verify.c - what must hold between any two passes. */
#include <stdio.h>
#include <string.h>

#include "plan/passes.h"

typedef struct {
    const graph *g;
    const char *after;
    int *made;      /* by value: step that made it, -1 */
    int *last_read; /* by root: last step that reads it */
    hone_err *err;
} check;

static hone_status broken(const check *c, int step, const char *what, int value) {
    return hone_fail(c->err, HONE_EBUG, "after %s: step %d, %s: %s%s%s", c->after, step, hone_op_find(c->g->step[step].op)->name, what, value ? " " : "",
                     value ? c->g->value[value].name : "");
}

static int is_transient(const graph *g, int v) {
    const hone_class c = g->value[v].cls;
    return c == HONE_ACTIVATION || c == HONE_RESULT;
}

static int columns_overlap(const graph *g, int u, int v) {
    const int64_t a = g->value[u].at, b = g->value[v].at;
    if (u == graph_root(g, u) || v == graph_root(g, v)) return 1;
    return a < b + graph_width(g, v) && b < a + graph_width(g, u);
}

static hone_status check_inputs(check *c, int i) {
    const graph *g = c->g;
    const hone_step *s = &g->step[i];
    const hone_op_info *op = hone_op_find(s->op);
    for (int k = 0; k < op->n_in; k++) {
        const int v = s->in[k], root = v ? graph_root(g, v) : 0;
        if (!v) continue;
        if (is_transient(g, v) && c->made[root] < 0) return broken(c, i, "reads before it is made:", v);
        const int k_out = op->in[k].adds - 1;
        if (k_out < 0) continue;
        if (!s->out[k_out]) return broken(c, i, "adds into nothing:", v);
        if (!is_transient(g, v)) {
            if (root != graph_root(g, s->out[k_out])) return broken(c, i, "adds into other storage than that of", v);
        } else if (c->last_read[root] > i)
            return broken(c, i, "adds into what is read again later:", v);
    }
    return HONE_OK;
}

static hone_status check_results(check *c, int i) {
    const graph *g = c->g;
    const hone_step *s = &g->step[i];
    for (int k = 0; k < HONE_MAX_OUT; k++) {
        const int v = s->out[k];
        if (!v) continue;
        const hone_class cls = g->value[v].cls;
        if (cls == HONE_INPUT || cls == HONE_CONST) return broken(c, i, "writes an input:", v);
        if (cls == HONE_PARAM && s->phase != HONE_UPDATE) return broken(c, i, "writes a weight outside the update:", v);
        if (is_transient(g, v) && c->made[v] >= 0) return broken(c, i, "makes again:", v);
        for (int u = 1; u <= g->n_values && is_transient(g, v); u++)
            if (u != v && c->made[u] >= 0 && graph_root(g, u) == graph_root(g, v) && g->value[u].base && columns_overlap(g, u, v))
                return broken(c, i, "makes columns that are made already:", v);
        c->made[v] = i;
        if (c->made[graph_root(g, v)] < 0 || g->value[v].base) c->made[graph_root(g, v)] = i;
    }
    return HONE_OK;
}

/* No two values live at the same step may lie on the same bytes, unless one took the other's storage over. */
static hone_status check_places(check *c) {
    const graph *g = c->g;
    for (int i = 0; i < g->n_steps; i++) {
        const hone_step *s = &g->step[i];
        const hone_op_info *op = hone_op_find(s->op);
        for (int k = 0; k < op->n_out; k++) {
            const int v = s->out[k] ? graph_root(g, s->out[k]) : 0;
            if (!v || g->value[v].cls != HONE_ACTIVATION) continue;
            const int plus = op->out[k].adds ? s->in[op->out[k].adds - 1] : 0, share = op->out[k].shares ? s->in[op->out[k].shares - 1] : 0;
            const size_t from = g->value[v].offset, to = from + value_bytes(&g->value[v]);
            for (int u = 1; u <= g->n_values; u++) {
                if (u == v || g->value[u].base || g->value[u].cls != HONE_ACTIVATION || c->made[u] < 0 || c->made[u] > i || c->last_read[u] < i) continue;
                if ((plus && graph_root(g, plus) == u) || (share && graph_root(g, share) == u)) {
                    if (plus && graph_root(g, plus) == u && g->value[u].offset != from) return broken(c, i, "adds into another place than that of", u);
                    if (c->last_read[u] == i) continue;
                }
                if (g->value[u].offset < to && from < g->value[u].offset + value_bytes(&g->value[u])) return broken(c, i, "writes over what is still read:", u);
            }
        }
    }
    return HONE_OK;
}

hone_status plan_verify(const graph *g, const char *after, int placed, hone_err *err) {
    arena *a = arena_new("verify");
    check c = {.g = g, .after = after, .err = err};
    c.made = ARENA_ARRAY(a, (size_t)g->n_values + 1, int);
    c.last_read = ARENA_ARRAY(a, (size_t)g->n_values + 1, int);
    for (int v = 0; v <= g->n_values; v++) c.made[v] = c.last_read[v] = -1;
    for (int i = 0; i < g->n_steps; i++)
        for (int k = 0; k < HONE_MAX_IN; k++)
            if (g->step[i].in[k] > 0 && g->step[i].in[k] <= g->n_values) c.last_read[graph_root(g, g->step[i].in[k])] = i;
    hone_status status = HONE_OK;
    for (int i = 0; i < g->n_steps && !status; i++) {
        hone_err why = {0};
        if (graph_bind(g, &g->step[i], &why)) status = hone_fail(err, HONE_EBUG, "after %s: step %d: %s", after, i, why.text);
        if (!status) status = check_inputs(&c, i);
        if (!status) status = check_results(&c, i);
    }
    if (!status && placed) status = check_places(&c);
    arena_free(a);
    return status;
}
