/* cost.c - what a program costs: operations of its products and attentions, bytes of its operands, and from both what
 * a machine would need. */
#include "plan/cost.h"
#include "plan/rung.h"

static double rows_of(const hone_plan *p, int v, const int64_t *rows) {
    const hone_dim d = p->value[v].dim[0];
    const hone_space *s = &p->space[d.space];
    if (d.space && s->slice_of) return (double)plan_slice_rows(s, rows[s->slice_of]);
    return (double)(d.space ? rows[d.space] : d.n);
}

double plan_step_flops(const hone_plan *p, const hone_step *s, const int64_t *rows, double mean_length) {
    switch (s->op) {
    case HONE_OP_LINEAR_FWD:
    case HONE_OP_LINEAR_BWD:
        return 2 * rows_of(p, s->in[0], rows) * (double)p->value[s->in[1]].dim[0].n *
               (double)p->value[s->in[1]].dim[1].n;
    case HONE_OP_LINEAR_BWD_W:
        return 2 * rows_of(p, s->in[0], rows) * (double)p->value[s->in[0]].dim[1].n *
               (double)p->value[s->in[1]].dim[1].n;
    case HONE_OP_ATTENTION_FWD:
        return 4 * rows_of(p, s->in[0], rows) * mean_length *
               (double)(p->value[s->in[0]].dim[1].n * p->value[s->in[0]].dim[2].n);
    case HONE_OP_ATTENTION_BWD:
        return 10 * rows_of(p, s->in[3], rows) * mean_length *
               (double)(p->value[s->in[3]].dim[1].n * p->value[s->in[3]].dim[2].n);
    default:
        return 0;
    }
}

double plan_flops(const hone_plan *p, hone_program_kind program, const int64_t *rows, double mean_length) {
    double sum = 0;
    for (int i = 0; i < p->program[program].n_steps; i++)
        sum += plan_step_flops(p, &p->program[program].step[i], rows, mean_length);
    return sum;
}

static double operand_bytes(const hone_plan *p, int v, const int64_t *rows) {
    const hone_value *x = &p->value[v];
    double n = rows_of(p, v, rows) * (double)hone_dtype_bytes(x->dtype);
    for (int d = 1; d < x->n_dims; d++) n *= (double)x->dim[d].n;
    return n;
}

/* Operands of which a step touches named rows alone; they have as many as another one. */
typedef struct {
    int in, out;    /* bits: inputs that are read, results that are added into */
    double n_bytes; /* of the rows */
} named_rows;

/* Rows of the plan's table that a step touches, at most; those that take what they have missed in it are some more. */
static double table_rows(const hone_plan *p, const int64_t *rows) {
    const double n = rows_of(p, p->program[HONE_MISSED].step->in[0], rows),
                 all = (double)p->value[p->table.missed].dim[0].n;
    return n < all ? n : all;
}

static named_rows named_of(const hone_plan *p, const hone_step *s, const int64_t *rows) {
    named_rows n = {0};
    switch (s->op) {
    case HONE_OP_EMBED_FWD:
        for (int k = 0; k < HONE_MAX_IN; k++) n.in |= (s->in[k] && p->value[s->in[k]].cls == HONE_PARAM) << k;
        n.n_bytes = operand_bytes(p, s->out[0], rows);
        break;
    case HONE_OP_EMBED_BWD:
        n.in = ~7;
        n.out = s->in[3] || s->in[4] ? ~0 : 0;
        n.n_bytes = operand_bytes(p, s->in[0], rows);
        break;
    case HONE_OP_GATHER:
        n.in = 1;
        n.n_bytes = operand_bytes(p, s->out[0], rows);
        break;
    case HONE_OP_SCATTER:
        n.in = ~3; /* what lies there, of one kind or the other */
        n.out = s->in[2] || s->in[3];
        n.n_bytes = operand_bytes(p, s->in[0], rows);
        break;
    case HONE_OP_SQSUM:
        if (!s->in[2]) break;
        n.in = 1;
        n.n_bytes = operand_bytes(p, s->in[0], rows) -
                    ((double)p->value[s->in[2]].dim[0].n - table_rows(p, rows)) *
                        (double)s->attr.table.width * (double)hone_dtype_bytes(p->value[s->in[0]].dtype);
        break;
    case HONE_OP_ADAMW_ROWS:
    case HONE_OP_ADAMW_MISSED:
        n.in = n.out = ~0;
        n.n_bytes =
            table_rows(p, rows) * operand_bytes(p, s->out[0], rows) / (double)p->value[s->out[0]].dim[0].n;
        break;
    default:
        break;
    }
    return n;
}

static double touched(double own, int is_named, double named) {
    return is_named && named < own ? named : own;
}

/* Every operand once; of tables, and of what rows are picked from or put into, only the rows that are named. */
double plan_step_bytes(const hone_plan *p, const hone_step *s, const int64_t *rows) {
    const named_rows n = named_of(p, s, rows);
    double sum = 0;
    for (int k = 0; k < HONE_MAX_IN; k++)
        if (s->in[k]) sum += touched(operand_bytes(p, s->in[k], rows), n.in >> k & 1, n.n_bytes);
    for (int k = 0; k < HONE_MAX_OUT; k++)
        if (s->out[k]) sum += touched(operand_bytes(p, s->out[k], rows), n.out >> k & 1, n.n_bytes);
    return sum;
}

double plan_step_seconds(const hone_plan *p, const hone_step *s, const int64_t *rows, double mean_length,
                         const plan_machine *m) {
    const double flops = plan_step_flops(p, s, rows, mean_length) / (m->flops[p->dtype] * m->product_share),
                 bytes = plan_step_bytes(p, s, rows) / (m->memory_bytes_per_s * m->memory_share);
    return (flops > bytes ? flops : bytes) + m->call_s;
}

double plan_seconds(const hone_plan *p, hone_program_kind program, const int64_t *rows, double mean_length,
                    const plan_machine *m) {
    double sum = 0;
    for (int i = 0; i < p->program[program].n_steps; i++)
        sum += plan_step_seconds(p, &p->program[program].step[i], rows, mean_length, m);
    return sum;
}

/* First element of a parameter, counted over all of them; its gradient, moments and master lie in the same order. */
static double first_element(const hone_plan *p, int param) {
    const hone_value *v = &p->value[p->param[param].value];
    return (double)(v->offset / hone_dtype_bytes(v->dtype));
}

static double elements_of(const hone_value *v) {
    return (double)v->dim[0].n * (double)(v->n_dims > 1 ? v->dim[1].n : 1);
}

/* A step has made these elements: the gradient of a parameter, or of several that lie side by side. */
static void note_made(const hone_plan *p, plan_gradient *g, int n, int value, double now) {
    while (p->value[value].base) value = p->value[value].base;
    const hone_value *made = &p->value[value];
    if (made->cls != HONE_GRAD || !made->param) return;
    const double from = first_element(p, made->param), end = from + elements_of(made);
    for (int i = 0; i < n; i++) {
        const double at = first_element(p, g[i].param);
        if (at >= from && at < end) g[i].ready_s = now;
    }
}

int plan_gradients(const hone_plan *p, const int64_t *rows, double mean_length, const plan_machine *m,
                   plan_gradient *out) {
    const hone_program *micro = &p->program[HONE_MICRO];
    int n = 0;
    double now = 0;
    for (int i = 1; i <= p->n_params; i++)
        if (p->param[i].wants_grad)
            out[n++] = (plan_gradient){.param = i, .elements = elements_of(&p->value[p->param[i].value])};
    for (int i = 0; i < micro->n_steps; i++) {
        now += plan_step_seconds(p, &micro->step[i], rows, mean_length, m);
        for (int k = 0; k < HONE_MAX_OUT; k++)
            if (micro->step[i].out[k]) note_made(p, out, n, micro->step[i].out[k], now);
    }
    return n;
}
