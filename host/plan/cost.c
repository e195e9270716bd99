/* cost.c - what a program costs: operations of its products and attentions; everything else moves memory. */
#include "plan/build.h"
#include "plan/rung.h"

static double rows_of(const hone_plan *p, int v, const int64_t *rows) {
    const hone_dim d = p->value[v].dim[0];
    const hone_space *s = &p->space[d.space];
    if (d.space && s->slice_of) return (double)plan_slice_rows(s, rows[s->slice_of]);
    return (double)(d.space ? rows[d.space] : d.n);
}

double plan_flops(const hone_plan *p, hone_program_kind program, const int64_t *rows, double mean_length) {
    double sum = 0;
    for (int i = 0; i < p->program[program].n_steps; i++) {
        const hone_step *s = &p->program[program].step[i];
        switch (s->op) {
        case HONE_OP_LINEAR_FWD:
        case HONE_OP_LINEAR_BWD:
            sum += 2 * rows_of(p, s->in[0], rows) * (double)p->value[s->in[1]].dim[0].n *
                   (double)p->value[s->in[1]].dim[1].n;
            break;
        case HONE_OP_LINEAR_BWD_W:
            sum += 2 * rows_of(p, s->in[0], rows) * (double)p->value[s->in[0]].dim[1].n *
                   (double)p->value[s->in[1]].dim[1].n;
            break;
        case HONE_OP_ATTENTION_FWD:
            sum += 4 * rows_of(p, s->in[0], rows) * mean_length *
                   (double)(p->value[s->in[0]].dim[1].n * p->value[s->in[0]].dim[2].n);
            break;
        case HONE_OP_ATTENTION_BWD:
            sum += 10 * rows_of(p, s->in[3], rows) * mean_length *
                   (double)(p->value[s->in[3]].dim[1].n * p->value[s->in[3]].dim[2].n);
            break;
        default:
            break;
        }
    }
    return sum;
}
