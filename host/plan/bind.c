/* bind.c - what the device says of each step: that it can, and how much workspace it wants. */
#include <stdio.h>
#include <string.h>

#include "plan/passes.h"
#include "plan/build.h"

static void describe(const hone_value *value, hone_tensor *t, int v) {
    if (!v) return;
    const hone_value *x = &value[v];
    t->n_dims = x->n_dims;
    t->ld = x->ld;
    t->dtype = x->dtype;
    for (int d = 0; d < 3; d++) t->dim[d] = d < x->n_dims ? x->dim[d].n : 1;
}

static void ask(const hone_value *value, const hone_step *s, hone_query *q) {
    memset(q, 0, sizeof *q);
    q->op = s->op;
    q->attr = s->attr;
    for (int k = 0; k < HONE_MAX_IN; k++) describe(value, &q->in[k], s->in[k]);
    for (int k = 0; k < HONE_MAX_OUT; k++) describe(value, &q->out[k], s->out[k]);
}

void step_query(const graph *g, const hone_step *s, hone_query *q) { ask(g->value, s, q); }
void plan_query(const hone_plan *p, const hone_step *s, hone_query *q) { ask(p->value, s, q); }

hone_status pass_bind(graph *g, const hone_device_v1 *device, size_t *work_bytes, hone_err *err) {
    for (int i = 0; i < g->n_steps; i++) {
        hone_step *s = &g->step[i];
        hone_query q;
        char why[256] = "";
        step_query(g, s, &q);
        if (!device->can(&q, why, sizeof why)) {
            char where[32];
            snprintf(where, sizeof where,
                     s->layer < 0                    ? "embeddings"
                     : s->layer >= g->config->layers ? "head"
                                                     : "layer %d",
                     s->layer);
            return hone_fail(err, HONE_EUSAGE, "%s: %s, %s: %s", device->name, hone_op_find(s->op)->name,
                             where, why);
        }
        s->work_bytes = device->work_bytes(&q);
        if (s->work_bytes > *work_bytes) *work_bytes = s->work_bytes;
    }
    return HONE_OK;
}
