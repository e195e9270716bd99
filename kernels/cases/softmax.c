/* softmax.c - traps: 1 arguments of tens of thousands, 2 a third of the classes masked by -inf, the first
 * among them. */
#include "harness.h"

static void fill(cases_values *v) {
    operand_values *x = values_find(v, "x"), *y = values_find(v, "y");
    for (int64_t e = 0; x && v->k->trap == 1 && e < x->rows * x->width; e++)
        x->x[e] *= v->compute == HONE_F16 ? 1e4 : 2e4;
    for (int64_t e = 0; x && v->k->trap == 2 && e < x->rows * x->width; e++)
        if (e % x->width % 3 == 0) x->x[e] = -INFINITY;
    for (int64_t m = 0; v->k->op == HONE_OP_SOFTMAX_BWD && m < y->rows;
         m++) { /* y is a row of probabilities */
        double sum = 0;
        for (int64_t c = 0; c < y->width; c++) sum += y->x[m * y->width + c] = exp(y->x[m * y->width + c]);
        for (int64_t c = 0; c < y->width; c++) y->x[m * y->width + c] /= sum;
    }
}

/* pad < 0: 8 or none, as r says. */
static void emit_padded(cases_sink *to, int64_t M, int64_t C, int r, int pad, int trap, unsigned modes) {
    cases_case k = {.op = HONE_OP_SOFTMAX_FWD, .modes = modes, .row_letter = 'M', .fill = fill, .trap = trap};
    k.extent[CASES_LETTER('M')] = M, k.extent[CASES_LETTER('C')] = C;
    k.in_place = factor(r, 1), k.pad = pad >= 0 ? pad : 8 * factor(r, 2);
    k.bound = 1e-6 + sum_bound(C), k.why = "an exp, and a sum of C terms";
    k.floor = 0x1p-14; /* below, steps of fp16 do not get finer */
    if (trap) snprintf(k.note, sizeof k.note, trap == 1 ? "large" : "masked");
    if (modes & CASES_GRAD) k.dtype = HONE_F32, emit(to, &k);
    else emit_types(to, &k);
    k.op = HONE_OP_SOFTMAX_BWD, k.modes &= ~(unsigned)CASES_GRAD, k.floor = 1e-3;
    if (!trap) emit_types(to, &k);
}

static void emit_shape(cases_sink *to, int64_t M, int64_t C, int r, int trap, unsigned modes) {
    emit_padded(to, M, C, r, -1, trap, modes);
}

/* Widths for each way a device may share out a row, aligned to 16 bytes and not. */
static void emit_wide(cases_sink *to) {
    static const struct {
        int64_t C;
        int pad;
    } wide[] = {{77, 3},    {600, 0},   {1024, 0},   {1025, 7},  {5001, 7},  {5001, 0},
                {20000, 0}, {40001, 7}, {50257, 47}, {50257, 0}, {70001, 7}, {70001, 0}};
    for (int i = 0; i < 12; i++) emit_padded(to, 3, wide[i].C, i % 2, wide[i].pad, 0, CASES_CHECK);
    emit_padded(to, 4, 262144, 0, 0, 0, CASES_CHECK);
    emit_padded(to, 4, 262143, 1, 2, 0, CASES_CHECK);
    for (int i = 0; i < 12; i += 5) emit_padded(to, 2, wide[i].C, 0, wide[i].pad, 2, CASES_CHECK);
}

void softmax_cases(cases_sink *to) {
    static const int64_t shapes[][2] = {{1, 1}, {7, 3}, {65, 77}, {130, 384}, {3, 1001}, {66, 16}};
    for (int i = 0; i < 12; i++) emit_shape(to, shapes[i % 6][0], shapes[i % 6][1], i % 4, 0, CASES_CHECK);
    emit_shape(to, 9, 50, 0, 1, CASES_CHECK);
    emit_wide(to);
    emit_shape(to, 3, 6, 0, 0, CASES_CHECK | CASES_GRAD);
    emit_shape(to, 1024, 77, 0, 0, CASES_BENCH);
}
