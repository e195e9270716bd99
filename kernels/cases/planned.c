/* planned.c - the case that a call of a plan is. */
#include "harness.h"

typedef struct {
    hone_op op;
    int found;
    cases_case first;
} search;

/* A case without a trap has its family's ordinary contents. */
static int take_first(void *arg, const cases_case *k) {
    search *s = arg;
    s->found = k->op == s->op && !k->trap && k->dtype == HONE_F32;
    if (s->found) s->first = *k;
    return !s->found;
}

static int compute_operand(const hone_op_info *op, const hone_query *q) {
    for (int i = 0; i < op->n_in; i++)
        if (q->in[i].n_dims && op->in[i].type == 0) return i;
    return -1;
}

/* Sequences of equal length: of the query the plan gives only rows and how many sequences share them. */
static void deal_lengths(cases_case *k, int64_t rows, int64_t key_rows, int64_t n) {
    int q_len[CASES_MAX_SEQUENCES], k_len[CASES_MAX_SEQUENCES];
    const int shown = (int)(n < CASES_MAX_SEQUENCES ? n : CASES_MAX_SEQUENCES);
    for (int b = 0; b < shown; b++) {
        q_len[b] = (int)(rows / n > 0 ? rows / n : 1);
        k_len[b] = (int)(key_rows / n > 0 ? key_rows / n : 1);
    }
    set_lengths(k, 'N', q_len, shown);
    if (k->extent[CASES_LETTER('M')]) set_lengths(k, 'M', k_len, shown);
    else memcpy(k->k_len, k_len, sizeof k_len);
}

int cases_planned(cases_case *out, const hone_query *q) {
    const hone_op_info *op = hone_op_find(q->op);
    search s = {.op = q->op};
    cases_each(take_first, &s);
    if (!s.found) return 0;
    *out = s.first;
    memset(out->extent, 0, sizeof out->extent);
    out->with[0] = out->note[0] = 0;
    out->modes = CASES_BENCH;
    out->pad = 0;
    out->attr = q->attr;
    if (out->attr.engine == HONE_ENGINE_CUDNN) out->attr.engine = HONE_ENGINE_HONE; /* the library stands beside, as peer */
    const int typed = compute_operand(op, q);
    if (typed >= 0) out->dtype = q->in[typed].dtype;
    int64_t sequences = 0;
    for (int i = 0; i < op->n_in + op->n_out; i++) {
        const hone_operand *o = i < op->n_in ? &op->in[i] : &op->out[i - op->n_in];
        const hone_tensor *t = i < op->n_in ? &q->in[i] : &q->out[i - op->n_in];
        if (!t->n_dims) continue;
        if (o->opt && strcmp(o->name, "list")) bind_operand(out, o->name, 1);
        if (o->type == '*') *(i < op->n_in ? &out->from : &out->to) = t->dtype;
        if (o->type == 'r') sequences = t->dim[0];
        for (int d = 0; d < o->n_dims; d++)
            if (o->dim[d] >= 'A') out->extent[CASES_LETTER(o->dim[d])] = t->dim[d];
    }
    out->n_sequences = 0;
    if (sequences)
        deal_lengths(out, out->extent[CASES_LETTER('N')], out->extent[CASES_LETTER('M')], sequences);
    return 1;
}
