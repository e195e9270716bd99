/* recompute.c - values that the backward reads are made again just before it reads them, so that they need
 * not lie in memory in between.
 *
 *   level 1   results of norms (again from the sum that NORM_BWD keeps) and of activations (again from what
 * ACT_BWD keeps): cheap, no product is played twice level 2   everything of a layer but its inputs and the
 * statistics of rows: about a third more arithmetic
 *
 * What is made again has the bits of the first time: the same ops on the same operands, dropout by the same
 * keys. */
#include <string.h>

#include "plan/passes.h"

typedef struct {
    graph *g;
    int level;
    const hone_step *step; /* the program as it was */
    int n_forward, n_steps;
    int *maker, *n_makers; /* by root: first forward step that makes it, and how many do; maker -1: none */
    uint8_t *crosses;      /* by root: a step of another layer reads it in the forward */
    uint8_t *lent;         /* by root: a "+" took its storage, so it is gone after the forward */
    uint8_t *backward;     /* by root: the backward reads it */
    int *again;            /* by value: its second making, 0: none */
    int n_room;            /* values before the pass */
} redo;

static void look(redo *r) {
    const graph *g = r->g;
    for (int v = 0; v < r->n_room; v++) r->maker[v] = -1;
    for (int i = 0; i < r->n_steps; i++) {
        const hone_step *s = &r->step[i];
        const hone_op_info *op = hone_op_find(s->op);
        for (int k = 0; k < op->n_in; k++) {
            const int root = graph_root(g, s->in[k]);
            if (!root) continue;
            if (i >= r->n_forward) {
                r->backward[root] = 1;
                continue;
            }
            if (op->in[k].adds) r->lent[root] = 1;
            if (r->maker[root] >= 0 && r->step[r->maker[root]].layer != s->layer) r->crosses[root] = 1;
        }
        for (int k = 0; k < op->n_out && i < r->n_forward; k++) {
            const int root = graph_root(g, s->out[k]);
            if (!root) continue;
            if (r->maker[root] < 0) r->maker[root] = i;
            r->n_makers[root]++;
        }
    }
}

static void append(graph *g, const hone_step *s) { *graph_insert(g, g->n_steps) = *s; }

static int new_value(graph *g, int v) {
    const int again = graph_like(g, "", v, HONE_ACTIVATION, g->value[v].dtype);
    g->value[again].name = arena_print(g->a, "%s'", g->value[v].name);
    return again;
}

/* The second making of v: columns of its root's. */
static int new_view(graph *g, int v, int root_again) {
    if (!g->value[v].base) return root_again;
    const hone_value x = g->value[v];
    return graph_view(g, arena_print(g->a, "%s'", x.name), root_again, x.at, x.dim[1].n,
                      x.n_dims == 3 ? x.dim[2].n : 0);
}

static int is_statistic(const hone_step *s, const graph *g, int root) {
    const hone_op_info *op = hone_op_find(s->op);
    for (int k = 0; k < op->n_out; k++)
        if (s->out[k] && graph_root(g, s->out[k]) == root) return op->out[k].type == 'f';
    return 0;
}

/* ---- level 1 ---- */

/* The plain op that makes v from what the backward keeps anyway; 0: v is kept. */
static int cheap_step(const redo *r, int v, hone_step *out) {
    const hone_step *m = &r->step[r->maker[v]];
    memset(out, 0, sizeof *out);
    if (m->out[0] != v || r->n_makers[v] > 1) return 0;
    out->attr = m->attr;
    if (m->op == HONE_OP_NORM_FWD) {
        const int plain = !m->in[1] && !m->in[3] && !(m->attr.p > 0);
        out->op = HONE_OP_NORM_FWD;
        out->in[0] = m->out[3] ? m->out[3] : plain ? m->in[0] : 0;
        out->in[2] = m->attr.p_out > 0 ? m->in[2] : 0;
        out->in[4] = m->in[4];
        out->in[5] = m->in[5];
        out->attr.p = 0;
        out->attr.site = 0;
        out->out[2] = m->out[2]; /* every NORM_FWD writes it; a new value takes its place */
    } else if (m->op == HONE_OP_ACT_FWD) {
        *out = *m;
    } else if (m->op == HONE_OP_LINEAR_FWD && m->out[1]) {
        out->op = HONE_OP_ACT_FWD;
        out->in[0] = m->out[1];
        out->attr = (hone_attr){.act.kind = m->attr.linear.act};
    } else return 0;
    for (int k = 0; k < 2; k++) { /* from x, and what gates it */
        const int from = k && out->op != HONE_OP_ACT_FWD ? 0 : graph_root(r->g, out->in[k]);
        if (!k && !from) return 0;
        if (from && (!r->backward[from] || r->lent[from] || r->g->value[from].cls != HONE_ACTIVATION))
            return 0;
    }
    out->layer = m->layer;
    return 1;
}

static int make_cheaply(redo *r, int v) {
    graph *g = r->g;
    hone_step s;
    if (!cheap_step(r, v, &s)) return 0;
    s.phase = HONE_BACKWARD;
    s.out[0] = new_value(g, v);
    if (s.out[2]) s.out[2] = new_value(g, s.out[2]);
    append(g, &s);
    return s.out[0];
}

/* ---- level 2 ---- */

static int resolve(redo *r, int v);

static int is_kept(const redo *r, int root) {
    const hone_step *m = &r->step[r->maker[root]];
    if (r->lent[root]) return 0;
    return m->layer < 0 || m->layer >= r->g->config->layers || r->crosses[root] ||
           is_statistic(m, r->g, root);
}

/* Play again step i, which makes columns or all of root. Results that no op needs and that are kept stay
 * unbound. */
static void play_again(redo *r, int i) {
    graph *g = r->g;
    const hone_op_info *op = hone_op_find(r->step[i].op);
    hone_step s = r->step[i];
    for (int k = 0; k < op->n_in; k++) s.in[k] = resolve(r, s.in[k]);
    for (int k = 0; k < op->n_out; k++) {
        const int v = s.out[k], root = graph_root(g, v);
        if (!v) continue;
        if (op->out[k].opt && is_kept(r, root)) {
            s.out[k] = 0;
            continue;
        }
        int again = r->again[root];
        if (!again) again = new_value(g, root);
        if (!is_kept(r, root)) r->again[root] = again;
        s.out[k] = new_view(g, v, again);
        r->again[v] = is_kept(r, root) ? 0 : s.out[k];
    }
    s.phase = HONE_BACKWARD;
    append(g, &s);
}

/* v, or what stands for it once the backward has begun. */
static int resolve(redo *r, int v) {
    graph *g = r->g;
    const int root = v ? graph_root(g, v) : 0;
    if (!v || v >= r->n_room || g->value[root].cls != HONE_ACTIVATION || r->maker[root] < 0) return v;
    if (r->again[v]) return r->again[v];
    if (!r->again[root]) {
        if (r->level == 1) r->again[root] = make_cheaply(r, root);
        else if (!is_kept(r, root)) {
            for (int i = r->maker[root], left = r->n_makers[root]; left; i++)
                for (int k = 0; k < HONE_MAX_OUT; k++)
                    if (r->step[i].out[k] && graph_root(g, r->step[i].out[k]) == root) {
                        play_again(r, i);
                        left--;
                        break;
                    }
        }
        if (!r->again[root]) return v;
    }
    if (!r->again[v]) r->again[v] = new_view(g, v, r->again[root]);
    return r->again[v];
}

/* What the forward made for the backward alone is not made where the backward makes it itself. */
static void unbind_unread(graph *g) {
    for (int i = 0; i < g->n_steps; i++) {
        hone_step *s = &g->step[i];
        const hone_op_info *op = hone_op_find(s->op);
        for (int k = 0; k < op->n_out; k++)
            if (s->out[k] && op->out[k].opt && g->value[s->out[k]].cls == HONE_ACTIVATION &&
                !g->value[graph_root(g, s->out[k])].n_readers)
                s->out[k] = 0;
    }
    graph_makers(g);
}

void pass_recompute(graph *g, int level) {
    if (level < 1) return;
    const size_t room = (size_t)g->n_values + 1, n = (size_t)g->n_steps;
    hone_step *step = ARENA_ARRAY(g->a, n + 1, hone_step);
    memcpy(step, g->step, sizeof *step * n);
    redo r = {.g = g, .level = level, .step = step, .n_steps = g->n_steps, .n_room = (int)room};
    while (r.n_forward < r.n_steps && step[r.n_forward].phase == HONE_FORWARD) r.n_forward++;
    r.maker = ARENA_ARRAY(g->a, room, int);
    r.n_makers = ARENA_ARRAY(g->a, room, int);
    r.again = ARENA_ARRAY(g->a, room, int);
    r.crosses = arena_alloc(g->a, room);
    r.lent = arena_alloc(g->a, room);
    r.backward = arena_alloc(g->a, room);
    look(&r);
    g->n_steps = r.n_forward;
    for (int i = r.n_forward; i < r.n_steps; i++) {
        hone_step s = step[i];
        for (int k = 0; k < HONE_MAX_IN; k++) s.in[k] = resolve(&r, s.in[k]);
        append(g, &s);
    }
    graph_makers(g);
    unbind_unread(g);
}
