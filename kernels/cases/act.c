/* act.c - elementwise ops. Traps of activations: 1 arguments from -100 to 100 and zeros, 2 the left tail, -6
 * to -2, 3 its end, -6 to -5.5, with errors relative to the tiny results: 1 + erf would cancel there. */
#include "harness.h"

static void fill(cases_values *v) {
    operand_values *x = values_find(v, "x");
    for (int64_t e = 0; v->k->trap && e < x->rows * x->width; e++)
        x->x[e] = v->k->trap == 1   ? (double)(e % 9 - 4) * 25
                  : v->k->trap == 2 ? -2 - 4 * noise_uniform(77, (uint64_t)e)
                                    : -6 + 0.5 * noise_uniform(77, (uint64_t)e);
}

static cases_case base_case(hone_op op, char letter, int64_t N, int64_t F) {
    cases_case k = {.op = op, .modes = CASES_CHECK, .row_letter = 'N', .bound = 4e-6, .floor = 0.1};
    k.extent[CASES_LETTER('N')] = N, k.extent[CASES_LETTER(letter)] = F;
    k.why = "erf, exp and tanh may err by 2e-7, and products of them by a few times that";
    return k;
}

/* The 2-byte types cannot hold the tail's end. */
static void emit_tail(cases_sink *to, cases_case *k) {
    k->floor = 1e-12, k->bound = 1e-5, k->dtype = HONE_F32;
    k->why = "an exponent of 18 has an error of 1e-6";
    emit(to, k);
}

static void emit_act(cases_sink *to, int64_t N, int64_t F, int kind, int r, int trap) {
    cases_case k = base_case(HONE_OP_ACT_FWD, 'F', N, F);
    k.fill = fill, k.trap = trap, k.attr.act.kind = kind;
    bind_operand(&k, "gate", factor(r, 1));
    k.in_place = factor(r, 2), k.pad = factor(r, 4) ? 8 : 0;
    if (trap == 3) emit_tail(to, &k);
    else emit_types(to, &k);
    k = base_case(HONE_OP_ACT_BWD, 'F', N, F);
    k.fill = fill, k.trap = trap, k.attr.act.kind = kind;
    bind_operand(&k, "gate dgate", factor(r, 1));
    bind_operand(&k, "dbias", factor(r, 2));
    bind_operand(&k, "+dbias", factor(r, 2) && factor(r, 4));
    k.in_place = factor(r, 8), k.pad = factor(r, 7) ? 8 : 0;
    k.bound += 2 * sum_bound(N);
    if (trap == 3) emit_tail(to, &k);
    else emit_types(to, &k);
}

static void emit_rows(cases_sink *to, int64_t N, int64_t D, int r) {
    cases_case k = base_case(HONE_OP_DROPOUT, 'D', N, D);
    k.attr.p = r % 3 == 0 ? 0.1f : r % 3 == 1 ? 0.5f : 0.9f;
    k.attr.site = 1 + r, k.in_place = factor(r, 1), k.pad = factor(r, 2) ? 8 : 0;
    k.bound = 2e-7, k.why = "one product";
    emit_types(to, &k);
    k = base_case(HONE_OP_ADD, 'D', N, D);
    k.in_place = factor(r, 1), k.pad = factor(r, 2) ? 8 : 0;
    k.bound = 2e-7, k.why = "one sum";
    emit_types(to, &k);
}

static void emit_grads(cases_sink *to) {
    for (int kind = HONE_ACT_NONE; kind <= HONE_ACT_TANH; kind++)
        for (int gated = 0; gated < 2; gated++) {
            cases_case k = base_case(HONE_OP_ACT_FWD, 'F', 4, 9);
            k.attr.act.kind = kind;
            bind_operand(&k, "gate", gated);
            k.modes |= CASES_GRAD, k.dtype = HONE_F32;
            emit(to, &k);
        }
    cases_case k = base_case(HONE_OP_DROPOUT, 'D', 6, 19);
    k.attr.p = 0.5f, k.attr.site = 9, k.modes |= CASES_GRAD, k.dtype = HONE_F32;
    emit(to, &k);
    k = base_case(HONE_OP_ADD, 'D', 3, 5);
    k.modes |= CASES_GRAD, k.dtype = HONE_F32;
    emit(to, &k);
}

void act_cases(cases_sink *to) {
    static const int64_t rows[] = {1, 7, 65, 130}, widths[] = {1, 3, 77, 384, 1537};
    for (int i = 0; i < 24; i++) { /* the widest with few rows */
        const int64_t N = rows[i % 4], F = widths[i % 5];
        emit_act(to, N, N > 7 && F == 1537 ? 521 : F, i % 6, i, 0);
    }
    for (int kind = HONE_ACT_NONE; kind <= HONE_ACT_TANH; kind++)
        for (int trap = 1; trap < 4; trap++)
            if (trap < 3 || kind != HONE_ACT_TANH) /* whose slope, 1 - tanh^2, ends in noise everywhere */
                emit_act(to, 5, 45, kind, kind, trap);
    for (int i = 0; i < 12; i++) emit_rows(to, rows[i % 4], widths[i % 5], i);
    emit_grads(to);
    cases_case k = base_case(HONE_OP_ACT_FWD, 'F', 1024, 1536);
    k.attr.act.kind = HONE_ACT_GELU, k.modes = CASES_BENCH;
    emit_types(to, &k);
    k.op = HONE_OP_ACT_BWD, k.in_place = 1;
    bind_operand(&k, "dbias", 1);
    emit_types(to, &k);
    k = base_case(HONE_OP_DROPOUT, 'D', 4096, 384);
    k.attr.p = 0.1f, k.attr.site = 2, k.modes = CASES_BENCH;
    emit_types(to, &k);
}
