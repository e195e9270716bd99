/* table.c - the table of which a step touches few rows: which parameter that is, and the program that brings its rows up to
 * date. Gradient, squares and update of it visit the touched rows alone (update.c). */
#include "plan/layout.h"

#define PAST 64 /* updates; a row misses fewer */

static int is_played(const hone_device_v1 *device, hone_op op) {
    const hone_query q = {.op = op};
    char why[256];
    return device->can(&q, why, sizeof why);
}

/* Do all that read the weights pick rows by the ids that step `bwd` sums by, and makes nobody else the gradient? */
static int is_read_by_id_alone(const graph *g, const hone_program *micro, int w, const hone_step *bwd) {
    for (int i = 0; i < micro->n_steps; i++) {
        const hone_step *s = &micro->step[i];
        for (int k = 0; k < HONE_MAX_IN; k++)
            if (s->in[k] && graph_root(g, s->in[k]) == w &&
                (s->op != HONE_OP_EMBED_FWD || s->in[k] != w || s->in[k - 1] != bwd->in[1]))
                return 0;
        for (int k = 0; k < HONE_MAX_OUT && s != bwd; k++)
            if (s->out[k] && graph_root(g, s->out[k]) == bwd->out[0]) return 0;
    }
    return 1;
}

static int64_t rows_of(const graph *g, int v) { return g->value[v].dim[0].n; }

/* A table for step i of MICRO: its parameter, else 0. */
static int table_of(const hone_plan *p, const layout *l, int i) {
    const graph *g = l->g;
    const hone_step *s = &p->program[HONE_MICRO].step[i];
    const int param = s->op == HONE_OP_EMBED_BWD ? g->value[s->out[0]].param : 0,
              w = param ? g->param[param].value : 0;
    if (!w || rows_of(g, w) <= rows_of(g, s->in[1]) || g->value[w].span || s->in[3]) return 0;
    return is_read_by_id_alone(g, &p->program[HONE_MICRO], w, s) ? param : 0;
}

void choose_table(hone_plan *p, const layout *l, const plan_options *o) {
    graph *g = l->g;
    int best = -1, param;
    if (p->n_ranks > 1 || o->wire.n_ranks || !is_played(o->device, HONE_OP_ADAMW_ROWS)) return;
    for (int i = 0; i < p->program[HONE_MICRO].n_steps; i++)
        if ((param = table_of(p, l, i)) &&
            (best < 0 ||
             graph_elements(g, g->param[param].value) > graph_elements(g, g->param[p->table.param].value)))
            p->table.param = param, best = i;
    if (best < 0) return;
    hone_step *bwd = &p->program[HONE_MICRO].step[best];
    p->table.touched = flat_value(g, "touched", rows_of(g, bwd->out[0]), HONE_GRAD,
                                  ALIGN * hone_dtype_bytes(graph_float(g)), graph_float(g));
    bwd->in[4] = bwd->out[1] = p->table.touched;
}

/* The step of MICRO that makes the gradient. */
static const hone_step *backward_of(const hone_plan *p) {
    const hone_step *s = p->program[HONE_MICRO].step;
    while (s->op != HONE_OP_EMBED_BWD || s->out[1] != p->table.touched) s++;
    return s;
}

static int state_value(hone_plan *p, graph *g, const char *name, hone_dtype dtype, int64_t n0, int64_t n1) {
    const int64_t dims[2] = {n0, n1};
    const int v = graph_value(g, name, HONE_STATE, dtype, n1 ? 2 : 1, dims, -1, 0);
    g->value[v].offset = p->slab_bytes[HONE_STATE];
    p->slab_bytes[HONE_STATE] += value_bytes(&g->value[v]);
    return v;
}

void write_table_update(hone_plan *p, graph *g, const plan_options *o, int factor) {
    hone_table *t = &p->table;
    const hone_param *w = &g->param[t->param];
    const int copy = w->master == w->value ? 0 : w->value;
    t->missed = state_value(p, g, "missed", HONE_I32, rows_of(g, w->value), 0);
    t->past = state_value(p, g, "past", graph_float(g), PAST, 2);
    const hone_step s = {.op = HONE_OP_ADAMW_ROWS,
                         .in = {backward_of(p)->out[0], t->touched, p->rate, factor, p->ok, w->master,
                                w->moment[0], w->moment[1], t->missed, t->past, copy},
                         .out = {w->master, w->moment[0], w->moment[1], t->missed, t->past, copy},
                         .attr.adamw = {o->beta1, o->beta2, o->epsilon, w->group}};
    graph_emit(g, &s);
}

/* Of the ids that MICRO reads the table's rows by. */
void write_missed(hone_plan *p, graph *g, const plan_options *o) {
    const hone_table *t = &p->table;
    const hone_param *w = &g->param[t->param];
    const int copy = w->master == w->value ? 0 : w->value;
    const hone_step *bwd = backward_of(p);
    const hone_step s = {
        .op = HONE_OP_ADAMW_MISSED,
        .in = {bwd->in[1], bwd->in[2], t->past, w->master, w->moment[0], w->moment[1], t->missed, copy},
        .out = {w->master, w->moment[0], w->moment[1], t->missed, copy},
        .attr.adamw = {o->beta1, o->beta2, o->epsilon, w->group}};
    graph_begin(g, 1);
    g->phase = HONE_UPDATE;
    graph_emit(g, &s);
}
