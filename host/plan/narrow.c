/* narrow.c - rows that nobody reads are not made. A head that looks at one row a sequence gathers it from the
 * last layer's output; that GATHER climbs above every row-wise op, so the last layer's feed-forward, norms,
 * output product and queries run on those rows only. Keys and values stay whole. */
#include <string.h>

#include "plan/passes.h"
#include "base/err.h"

static int is_row_wise(hone_op op) {
    return op == HONE_OP_NORM_FWD || op == HONE_OP_LINEAR_FWD || op == HONE_OP_ACT_FWD ||
           op == HONE_OP_DROPOUT || op == HONE_OP_ADD || op == HONE_OP_ATTENTION_FWD;
}

/* Does anything but step `but` read the storage of v? */
static int read_elsewhere(const graph *g, int v, int but) {
    for (int i = 0; i < g->n_steps; i++)
        if (i != but && graph_reads(&g->step[i], g, v)) return 1;
    return 0;
}

static void set_space(graph *g, int v, int space) {
    hone_value *x = &g->value[v];
    for (int d = 0; d < x->n_dims; d++)
        if (x->dim[d].space) x->dim[d] = (hone_dim){g->space[space].cap, space};
    if (x->n_dims == 2 && x->dim[1].space) x->ld = x->dim[1].n; /* lse [H,N] */
}

/* The rows `index` of u: a GATHER that is there already, else a new one right after u's maker. Returns its
 * value. */
static int rows_of(graph *g, int u, int index, int space) {
    const int root = graph_root(g, u);
    int y = 0;
    for (int i = 0; i < g->n_steps && !y; i++)
        if (g->step[i].op == HONE_OP_GATHER && g->step[i].in[0] == root && g->step[i].in[1] == index)
            y = g->step[i].out[0];
    if (!y) {
        const int64_t dims[2] = {0, graph_width(g, root)};
        y = graph_value(g, arena_print(g->a, "%s.%s", g->value[root].name, g->space[space].name),
                        g->value[root].cls, g->value[root].dtype, 2, dims, 0, space);
        hone_step *s = graph_insert(g, g->value[root].maker + 1);
        s->op = HONE_OP_GATHER;
        s->layer = g->step[g->value[root].maker].layer;
        s->in[0] = root;
        s->in[1] = index;
        s->out[0] = y;
    } else { /* it must stand where it is made, not where it was first asked for */
        graph_makers(g);
        const int at = g->value[y].maker, want = g->value[root].maker + 1;
        if (at > want) {
            const hone_step moved = g->step[at];
            memmove(g->step + want + 1, g->step + want, sizeof moved * (size_t)(at - want));
            g->step[want] = moved;
        }
    }
    graph_makers(g);
    if (root == u) return y;
    const hone_value *view = &g->value[u];
    return graph_view(g, arena_print(g->a, "%s.%s", view->name, g->space[space].name), y, view->at,
                      view->dim[1].n, view->n_dims == 3 ? view->dim[2].n : 0);
}

/* Put the maker of what GATHER step `at` reads onto the gathered rows. Returns 0 if it may not climb. */
static int climb(graph *g, int at) {
    const hone_step gather = g->step[at];
    const int v = gather.in[0], y = gather.out[0], space = g->value[y].dim[0].space,
              maker = g->value[v].maker;
    if (maker < 0 || g->value[v].base || !is_row_wise(g->step[maker].op) || read_elsewhere(g, v, at))
        return 0;
    const hone_op_info *op = hone_op_find(g->step[maker].op);
    const int attends = g->step[maker].op == HONE_OP_ATTENTION_FWD;
    const hone_step *m = &g->step[maker];
    if (attends && graph_width(g, graph_root(g, m->in[0])) != graph_width(g, m->in[0]))
        return 0; /* queries that are columns beside keys and values: a gather would take those too */
    const int from = g->value[v].dim[0].space;
    for (int k = 0; k < op->n_out; k++) { /* other results (statistics) must be unread too */
        const int o = g->step[maker].out[k];
        if (o && graph_root(g, o) != v && read_elsewhere(g, o, -1)) return 0;
    }
    g->step[at].op = HONE_N_OPS;
    hone_step s = g->step[maker];
    g->step[maker].op = HONE_N_OPS;
    for (int k = 0; k < op->n_in; k++) {
        if (!s.in[k] || g->value[s.in[k]].cls == HONE_PARAM || g->value[s.in[k]].cls == HONE_CONST) continue;
        if (attends && (k == 1 || k == 2 || k == 4)) continue; /* keys and values stay whole */
        if (g->value[s.in[k]].fill) {
            if (g->value[s.in[k]].fill_space == from)
                s.in[k] = graph_companion(g, space, g->value[s.in[k]].fill, 0);
        } else s.in[k] = rows_of(g, s.in[k], gather.in[1], space);
    }
    if (attends && s.attr.attention.mask != HONE_MASK_FULL)
        s.in[5] = graph_companion(g, space, HONE_FILL_POS, 0);
    for (int k = 0; k < op->n_out; k++) {
        const int o = s.out[k];
        if (!o) continue;
        if (o == v) s.out[k] = y;
        else if (graph_root(g, o) == v)
            s.out[k] = graph_view(g, g->value[o].name, y, g->value[o].at, g->value[o].dim[1].n,
                                  g->value[o].n_dims == 3 ? g->value[o].dim[2].n : 0);
        else set_space(g, o, space);
    }
    int where =
        0; /* right after the last operand is made: what reads y stands behind the old GATHER at least */
    for (int i = 0; i < g->n_steps; i++)
        if (g->step[i].op == HONE_N_OPS && i > where) where = i;
    *graph_insert(g, where) = s;
    graph_drop_dead(g);
    return 1;
}

void pass_narrow(graph *g) {
    graph_makers(g);
    for (int i = 0; i < g->n_steps; i++)
        if (g->step[i].op == HONE_OP_GATHER && climb(g, i)) i = -1;
}
