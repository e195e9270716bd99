/* print.c - a plan as text that people read and bug reports contain. */
#include <stdio.h>
#include <string.h>

#include "plan/build.h"
#include "base/err.h"
#include "base/table.h"

static const char *const class_name[] = {"",
#define XX(name, text, what) text,
                                         HONE_CLASS_MAP(XX)
#undef XX
};
static const char *const class_what[] = {"",
#define XX(name, text, what) what,
                                         HONE_CLASS_MAP(XX)
#undef XX
};
static const char *const program_name[] = {
#define XX(name, text) text,
    HONE_PROGRAM_MAP(XX)
#undef XX
};
static const char *const act_name[] = {"none", "gelu", "gelu_tanh", "relu", "silu", "tanh"};

static void add_shape(const hone_plan *p, const hone_value *v, text *out) {
    for (int d = 0; d < v->n_dims; d++) {
        text_str(out, d ? "," : "[");
        if (v->dim[d].space) text_str(out, p->space[v->dim[d].space].name);
        else text_printf(out, "%lld", (long long)v->dim[d].n);
    }
    text_str(out, "]");
}

static void add_value(const hone_plan *p, int v, int made, text *out) {
    const hone_value *x = &p->value[v];
    text_printf(out, " %s", x->name);
    if (!made || x->base || (x->cls != HONE_ACTIVATION && x->cls != HONE_RESULT)) return;
    add_shape(p, x, out);
    if (x->cls == HONE_ACTIVATION) text_printf(out, "@%zu", x->offset / 1024);
    else text_str(out, "@result");
}

static void add_step(const hone_plan *p, const hone_step *s, int i, text *out) {
    const hone_op_info *op = hone_op_find(s->op);
    text_printf(out, "%3d %-13s", i, op->name);
    for (int k = 0; k < op->n_in; k++) {
        if (!s->in[k]) continue;
        if (op->in[k].adds) text_printf(out, " +%s", p->value[s->in[k]].name);
        else add_value(p, s->in[k], 0, out);
    }
    text_str(out, " ->");
    for (int k = 0; k < op->n_out; k++)
        if (s->out[k]) add_value(p, s->out[k], 1, out);
    const int has_act = s->op == HONE_OP_ACT_FWD || s->op == HONE_OP_ACT_BWD,
              linear = s->op == HONE_OP_LINEAR_FWD || s->op == HONE_OP_LINEAR_BWD;
    const int act = has_act ? s->attr.act.kind : linear ? s->attr.linear.act : 0;
    if (act) text_printf(out, " %s", act_name[act]);
    if ((linear || s->op == HONE_OP_LINEAR_BWD_W) && s->attr.linear.tf32) text_str(out, " tf32");
    if (s->attr.engine == HONE_ENGINE_CUDNN) text_str(out, " cudnn");
    if (s->attr.p > 0) text_printf(out, " /%d", s->attr.site);
    if (s->attr.p_out > 0) text_printf(out, " out/%d", s->attr.site_out);
    if (s->work_bytes) text_printf(out, " work %zu", s->work_bytes);
    text_str(out, "\n");
}

void plan_print_steps(const hone_plan *p, text *out) {
    static const char *const phase_name[] = {"forward", "backward", "update"};
    for (int k = 0; k < HONE_N_PROGRAMS; k++) {
        if (!p->program[k].n_steps) continue;
        text_printf(out, "program %s\n", program_name[k]);
        int phase = -1;
        for (int i = 0; i < p->program[k].n_steps; i++) {
            const hone_step *s = &p->program[k].step[i];
            if (s->phase != phase) text_printf(out, "%s\n", phase_name[phase = s->phase]);
            add_step(p, s, i, out);
        }
    }
}

void plan_print_bytes(const hone_plan *p, text *out) {
    table *t = table_new(3);
    char size[24];
    const char *const head[] = {"slab", "bytes", "holds"};
    for (int i = 0; i < 3; i++) table_cell(t, "%s", head[i]);
    for (int c = 1; c < HONE_N_CLASSES; c++) {
        if (!p->slab_bytes[c]) continue;
        bytes_text(size, (double)p->slab_bytes[c]);
        table_cell(t, "%s", class_name[c]);
        table_cell(t, "%s", size);
        table_cell(t, "%s", class_what[c]);
    }
    bytes_text(size, (double)hone_plan_device_bytes(p));
    table_cell(t, "all");
    table_cell(t, "%s", size);
    table_cell(t, "%zu bytes", hone_plan_device_bytes(p));
    table_print(t, out);
    table_free(t);
    bytes_text(size, (double)p->bound_bytes);
    text_printf(out, "activations: no placing can be below %s; rows:", size);
    for (int s = 1; s <= p->n_spaces; s++)
        text_printf(out, " %s %lld", p->space[s].name, (long long)p->space[s].cap);
    text_str(out, "\n");
}
