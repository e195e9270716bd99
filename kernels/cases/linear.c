/* linear.c - products of rows and weights. Weights are scaled so that results are about 1. */
#include "harness.h"

static void fill(cases_values *v) {
    operand_values *w = values_find(v, "w");
    const double terms = (double)extent_of(v, v->k->op == HONE_OP_LINEAR_FWD ? 'I' : 'O');
    for (int64_t e = 0; w && e < w->rows * w->width; e++) w->x[e] /= sqrt(terms);
}

static cases_case base_case(hone_op op, int64_t N, int64_t I, int64_t O) {
    cases_case k = {.op = op, .modes = CASES_CHECK, .fill = fill};
    k.extent[CASES_LETTER('N')] = N, k.extent[CASES_LETTER('I')] = I, k.extent[CASES_LETTER('O')] = O;
    k.row_letter = op == HONE_OP_LINEAR_BWD_W ? 0 : 'N';
    const int64_t terms = op == HONE_OP_LINEAR_FWD ? I : op == HONE_OP_LINEAR_BWD ? (O > N ? O : N) : N;
    k.bound = 2 * sum_bound(terms), k.floor = 0.02, k.why = "a sum of I, O or N products";
    k.of_naive = 4; /* what goes into an activation or a bias' gradient is stored before: one rounding more than ref's */
    return k;
}

/* What a shape is tried with: run r of the array. */
static void bind_forward(cases_case *k, int r) {
    bind_operand(k, "bias", factor(r, 1));
    bind_operand(k, "+y", factor(r, 2));
    bind_operand(k, "pre", factor(r, 4));
    k->pad = factor(r, 8) ? 8 : 0;
    k->attr.linear.act = factor(r, 7) ? 1 + r % 5 : HONE_ACT_NONE;
    k->attr.linear.alpha = factor(r, 11) ? 0.5f : 0;
}

static void bind_backward(cases_case *k, int r) {
    bind_operand(k, "pre", factor(r, 1));
    bind_operand(k, "+dx", factor(r, 2));
    bind_operand(k, "dbias", factor(r, 4));
    bind_operand(k, "+dbias", factor(r, 4) && factor(r, 8));
    k->pad = factor(r, 7) ? 8 : 0;
    k->attr.linear.act = factor(r, 1) ? 1 + r % 5 : HONE_ACT_NONE;
    k->attr.linear.alpha = factor(r, 11) ? 0.5f : 0;
}

static void bind_weight(cases_case *k, int r) {
    bind_operand(k, "dbias", factor(r, 1));
    bind_operand(k, "+dw", factor(r, 2));
    bind_operand(k, "+dbias", factor(r, 1) && factor(r, 4));
    k->pad = factor(r, 8) ? 8 : 0;
    k->attr.linear.alpha = factor(r, 7) ? 0.5f : 0;
}

/* Operands rounded or cut to 10 bits of mantissa err by 2^-10 of their value at most, so a sum by sqrt(2) of that of its
 * root mean square, in each of the few ways that are as likely. Devices without TF32 play fp32 and are well below. */
static void emit_tf32(cases_sink *to, const cases_case *k) {
    cases_case rounded = *k;
    rounded.dtype = HONE_F32;
    rounded.attr.linear.tf32 = 1;
    rounded.bound = 0x1p-8, rounded.why = "operands of 10 bits of mantissa";
    emit(to, &rounded);
}
static void emit_products(cases_sink *to, const cases_case *k, int with_tf32) {
    emit_types(to, k);
    if (with_tf32) emit_tf32(to, k);
}

static void emit_shape(cases_sink *to, int64_t N, int64_t I, int64_t O, int r, unsigned modes) {
    const int with_tf32 = modes & CASES_BENCH || r % 6 == 3;
    cases_case k = base_case(HONE_OP_LINEAR_FWD, N, I, O);
    k.modes = modes;
    bind_forward(&k, r);
    emit_products(to, &k, with_tf32);
    k = base_case(HONE_OP_LINEAR_BWD, N, I, O);
    k.modes = modes;
    bind_backward(&k, r);
    emit_products(to, &k, with_tf32);
    k = base_case(HONE_OP_LINEAR_BWD_W, N, I, O);
    k.modes = modes;
    bind_weight(&k, r);
    emit_products(to, &k, with_tf32);
}

/* Every form of a call with its activation, at widths that a library's epilogues take: multiples of 8. */
static void emit_forms(cases_sink *to, int act) {
    for (int form = 0; form < 8; form++) {
        cases_case k = base_case(HONE_OP_LINEAR_FWD, 35, 24, 48);
        bind_operand(&k, "bias", form & 1);
        bind_operand(&k, "+y", form & 2);
        bind_operand(&k, "pre", form & 4);
        k.attr.linear.act = act;
        emit_types(to, &k);
    }
    for (int form = 0; form < 6; form++) {
        cases_case k = base_case(HONE_OP_LINEAR_BWD, 35, 48, 24);
        bind_operand(&k, "pre", 1);
        bind_operand(&k, "+dx", form & 1);
        bind_operand(&k, "dbias", form >= 2);
        bind_operand(&k, "+dbias", form >= 4);
        k.attr.linear.act = act;
        emit_types(to, &k);
    }
}

static void emit_grads(cases_sink *to) {
    for (int r = 0; r < 4; r++) {
        cases_case k = base_case(HONE_OP_LINEAR_FWD, 5, 4, 3);
        bind_operand(&k, "bias", factor(r, 1));
        k.attr.linear.alpha = factor(r, 2) ? 0.5f : 0;
        k.modes |= CASES_GRAD, k.dtype = HONE_F32;
        emit(to, &k);
    }
}

void linear_cases(cases_sink *to) {
    static const int64_t small[][3] = {{1, 1, 1},    {7, 3, 5},     {65, 77, 33},  {64, 16, 1}, {70, 1, 8},
                                       {129, 9, 64}, {300, 33, 17}, {66, 64, 130}, {3, 385, 2}};
    for (int i = 0; i < 36; i++)
        emit_shape(to, small[i % 9][0], small[i % 9][1], small[i % 9][2], i % 16, CASES_CHECK);
    emit_shape(to, 130, 384, 77, 15, CASES_CHECK);
    emit_shape(to, 67, 384, 385, 9, CASES_CHECK);
    emit_shape(to, 70, 96, 1536, 6, CASES_CHECK);
    emit_shape(to, 1100, 24, 40, 3, CASES_CHECK);
    for (int n = 1; n <= 8; n *= 2) { /* as texts grow, token by token */
        cases_case k = base_case(HONE_OP_LINEAR_FWD, n, 1024 + n, 17 + n);
        bind_forward(&k, n);
        emit_types(to, &k);
    }
    emit_shape(to, 0, 8, 8, 1, CASES_CHECK);
    emit_forms(to, HONE_ACT_GELU);
    emit_forms(to, HONE_ACT_GELU_TANH);
    emit_grads(to);
    static const int64_t bench[][2] = {{384, 384}, {384, 1152}, {384, 1536}, {1536, 384}};
    for (int i = 0; i < 4; i++) emit_shape(to, 1024, bench[i][0], bench[i][1], i < 2 ? 0 : 1, CASES_BENCH);
}
