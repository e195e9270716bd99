/* pack.c - LINEARs of one x become one product on adjacent parameters; their results become columns of its
 * result. */
#include "plan/passes.h"

static int same_kind(const graph *g, const hone_step *a, const hone_step *b) {
    if (b->op != HONE_OP_LINEAR_FWD || a->in[0] != b->in[0] || !a->in[2] != !b->in[2]) return 0;
    for (int k = 1; k <= 2; k++) {
        if (!a->in[k]) continue;
        const int p = graph_param_of(g, a->in[k]), q = graph_param_of(g, b->in[k]);
        if (!p || !q || g->value[a->in[k]].span || g->value[b->in[k]].span) return 0;
        if (g->param[p].wants_grad != g->param[q].wants_grad || g->param[p].group != g->param[q].group)
            return 0;
    }
    return 1;
}

static void make_view(graph *g, int v, int base, int64_t at) {
    hone_value *x = &g->value[v];
    x->base = base;
    x->at = at;
    x->ld = g->value[base].ld;
    for (int u = 1; u <= g->n_values; u++) { /* views of v are views of base now */
        hone_value *y = &g->value[u];
        if (y->base != v) continue;
        y->base = base;
        y->at += at;
        y->ld = x->ld;
    }
}

static void pack_at(graph *g, int first) {
    int step[SPAN_MAX], w[SPAN_MAX], b[SPAN_MAX], n = 0;
    for (int i = first; i < g->n_steps && n < SPAN_MAX; i++)
        if (i == first || same_kind(g, &g->step[first], &g->step[i])) {
            w[n] = g->step[i].in[1];
            b[n] = g->step[i].in[2];
            step[n++] = i;
        }
    if (n < 2) return;
    int64_t dims[2] = {0, 0};
    const char *name = "";
    for (int k = 0; k < n; k++) {
        const hone_value *y = &g->value[g->step[step[k]].out[0]];
        dims[1] += y->dim[1].n;
        name = k ? arena_print(g->a, "%s+%s", name, y->name) : y->name;
    }
    hone_step *s = &g->step[first];
    const int y =
        graph_value(g, name, HONE_ACTIVATION, g->dtype, 2, dims, 0, g->value[s->out[0]].dim[0].space);
    int64_t at = 0;
    for (int k = 0; k < n; k++) {
        const int part = g->step[step[k]].out[0];
        make_view(g, part, y, at);
        at += g->value[part].dim[1].n;
        if (k) g->step[step[k]].op = HONE_N_OPS;
    }
    s->in[1] = graph_span(g, w, n);
    if (s->in[2]) s->in[2] = graph_span(g, b, n);
    s->out[0] = y;
}

void pass_pack(graph *g) {
    for (int i = 0; i < g->n_steps; i++)
        if (g->step[i].op == HONE_OP_LINEAR_FWD) {
            pack_at(g, i);
            graph_drop_dead(g);
        }
}
