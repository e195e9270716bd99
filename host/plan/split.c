/* split.c - a backward step that adds into a gradient ("+") where the device cannot: the step makes its own part, and an
 * ADD stands behind it. (cuDNN's norms are such: a model with norms before its branches adds at each of them.) */
#include "plan/passes.h"

static int can(const graph *g, const hone_device_v1 *device, const hone_step *s) {
    hone_query q;
    char why[256];
    step_query(g, s, &q);
    return device->can(&q, why, sizeof why);
}

/* The result that an activation is added into; -1: none. */
static int sum_of(const graph *g, const hone_step *s, const hone_op_info *op) {
    for (int k = 0; k < op->n_out; k++)
        if (op->out[k].adds && s->in[op->out[k].adds - 1] && g->value[s->out[k]].cls == HONE_ACTIVATION) return k;
    return -1;
}

void pass_split(graph *g, const hone_device_v1 *device) {
    if (!device) return;
    for (int i = 0; i < g->n_steps; i++) {
        hone_step s = g->step[i];
        const hone_op_info *op = hone_op_find(s.op);
        const int k = sum_of(g, &s, op);
        if (k < 0 || can(g, device, &s)) continue;
        hone_step add = {.op = HONE_OP_ADD, .phase = s.phase, .layer = s.layer};
        add.in[1] = s.in[op->out[k].adds - 1];
        add.out[0] = s.out[k];
        s.in[op->out[k].adds - 1] = 0;
        add.in[0] = s.out[k] = graph_like(g, "part.", add.out[0], HONE_ACTIVATION, g->value[add.out[0]].dtype);
        if (!can(g, device, &s)) continue; /* for another reason, which bind will name */
        g->step[i] = s;
        *graph_insert(g, ++i) = add;
    }
    graph_makers(g);
}
