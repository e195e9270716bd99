/* norm.c - traps: 1 constant rows (variance 0), 2 mean 10,000 and deviation 1.
 * Bound: a mean and a variance of D terms, whose relative errors y and ds inherit; dgamma, dbeta, dbias: N
 * terms. */
#include "harness.h"

static void fill_forward(cases_values *v) {
    operand_values *x = values_find(v, "x");
    double *gamma = floats_of(v, "gamma");
    for (int64_t d = 0; gamma && d < x->width; d++) gamma[d] = 1 + 0.2 * gamma[d];
    for (int64_t e = 0; v->k->trap && e < x->rows * x->width; e++)
        x->x[e] = v->k->trap == 1 ? 0.5 * (double)(e / x->width % 9) : 1e4 + x->x[e];
}

static void fill_backward(cases_values *v) {
    const operand_values *s = values_find(v, "s");
    double *mean = floats_of(v, "mean"), *rstd = floats_of(v, "rstd"), *gamma = floats_of(v, "gamma");
    for (int64_t d = 0; gamma && d < s->width; d++) gamma[d] = 1 + 0.2 * gamma[d];
    for (int64_t n = 0; n < s->rows; n++) {
        const double *x = s->x + n * s->width;
        double mu = 0, square = 0;
        for (int64_t d = 0; d < s->width && mean; d++) mu += x[d] / (double)s->width;
        for (int64_t d = 0; d < s->width; d++) square += (x[d] - mu) * (x[d] - mu) / (double)s->width;
        if (mean) mean[n] = mu;
        rstd[n] = 1 / sqrt(square + v->k->attr.norm.eps);
    }
}

/* A naive kernel stores s, whether somebody asks for it or not, and norms what it stored. */
static int naive_forward(cases_values *v, char *why, size_t why_bytes) {
    static const char *const inputs[] = {"x", "bias", "key", "res", "gamma", "beta"}, *const results[] = {"y", "mean", "rstd"};
    cases_case first = *v->k, second = *v->k;
    first.in_place = second.in_place = 0;
    if (!values_find(v, "s")) bind_operand(&first, "s", 1);
    second.attr.p = 0, second.with[0] = 0;
    for (size_t i = 2; i < sizeof inputs / sizeof *inputs; i++)
        bind_operand(&second, inputs[i], i != 3 && values_find(v, inputs[i]) != NULL);
    for (size_t i = 1; i < 3; i++) bind_operand(&second, results[i], values_find(v, results[i]) != NULL);
    cases_values stored, normed;
    values_init(&stored, v->on, &first, v->compute);
    values_init(&normed, v->on, &second, v->compute);
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
        values_copy(&stored, inputs[i], v, inputs[i]);
        values_copy(&normed, inputs[i], v, inputs[i]);
    }
    int played = naive_by_ref(&stored, why, why_bytes);
    values_copy(&normed, "x", &stored, "s");
    played = played && naive_by_ref(&normed, why, why_bytes);
    values_copy(v, "s", &stored, "s");
    for (size_t i = 0; i < sizeof results / sizeof *results; i++) values_copy(v, results[i], &normed, results[i]);
    values_deinit(&stored);
    values_deinit(&normed);
    return played;
}

static cases_case base_case(hone_op op, int64_t N, int64_t D, int is_rms) {
    cases_case k = {.op = op, .modes = CASES_CHECK, .row_letter = 'N'};
    k.extent[CASES_LETTER('N')] = N, k.extent[CASES_LETTER('D')] = D;
    k.attr.norm.kind = is_rms ? HONE_NORM_RMS : HONE_NORM_LAYER;
    k.attr.norm.eps = 1e-5;
    k.attr.site = 3, k.attr.site_out = 4;
    k.fill = op == HONE_OP_NORM_FWD ? fill_forward : fill_backward;
    k.naive = op == HONE_OP_NORM_FWD ? naive_forward : NULL;
    k.bound = 4 * sum_bound(D > N ? D : N), k.floor = 0.05;
    k.why = "mean, variance and their use: sums of D (columns: N) terms, four times over";
    return k;
}

static void emit_forward(cases_sink *to, int64_t N, int64_t D, int r) {
    cases_case k = base_case(HONE_OP_NORM_FWD, N, D, factor(r, 11));
    const float p = r % 2 ? 0.1f : 0.5f;
    k.attr.p = factor(r, 5) ? p : 0, k.attr.p_out = factor(r, 6) ? p : 0;
    bind_operand(&k, "bias", factor(r, 1));
    bind_operand(&k, "key", k.attr.p > 0 || k.attr.p_out > 0);
    bind_operand(&k, "res", factor(r, 2));
    bind_operand(&k, "gamma", factor(r, 3));
    bind_operand(&k, "beta", factor(r, 4));
    bind_operand(&k, "s", factor(r, 7));
    bind_operand(&k, "mean", factor(r, 8) && !factor(r, 11));
    bind_operand(&k, "rstd", factor(r, 8));
    k.in_place = factor(r, 9), k.pad = factor(r, 10) ? 8 : 0;
    emit_types(to, &k);
}

static void emit_backward(cases_sink *to, int64_t N, int64_t D, int r) {
    const int is_rms = factor(r, 14);
    cases_case k = base_case(HONE_OP_NORM_BWD, N, D, is_rms);
    const float p = r % 2 ? 0.1f : 0.5f;
    k.attr.p = factor(r, 1) ? p : 0, k.attr.p_out = factor(r, 2) ? p : 0;
    bind_operand(&k, "mean", !is_rms);
    bind_operand(&k, "gamma", factor(r, 3));
    bind_operand(&k, "key", k.attr.p > 0 || k.attr.p_out > 0);
    bind_operand(&k, "dgamma", factor(r, 4));
    bind_operand(&k, "dbeta", factor(r, 5));
    bind_operand(&k, "dx", factor(r, 6));
    bind_operand(&k, "dbias", factor(r, 7));
    bind_operand(&k, "+ds", factor(r, 8));
    bind_operand(&k, "+dgamma", factor(r, 4) && factor(r, 9));
    bind_operand(&k, "+dbeta", factor(r, 5) && factor(r, 10));
    bind_operand(&k, "+dbias", factor(r, 7) && factor(r, 11));
    k.in_place = factor(r, 12), k.pad = factor(r, 13) ? 8 : 0;
    emit_types(to, &k);
}

static void emit_traps(cases_sink *to) {
    for (int trap = 1; trap < 3; trap++) {
        cases_case k = base_case(HONE_OP_NORM_FWD, 9, 384, 0);
        bind_operand(&k, "gamma beta mean rstd", 1);
        k.trap = trap;
        snprintf(k.note, sizeof k.note, trap == 1 ? "variance 0" : "mean 10000");
        if (trap == 1) {
            emit_types(to, &k);
            continue;
        }
        k.bound = 0.02, k.why = "half ulps of 10,000 are 5e-4, of its sums more; the deviation is 1";
        k.dtype = HONE_F32; /* bf16 has no 10,000 + 1 */
        emit(to, &k);
    }
}

/* Widths for each way a device may share out a row, and more rows than it has groups of for column sums. */
static void emit_wide(cases_sink *to) {
    static const int64_t widths[] = {520, 1024, 1600, 2048, 4096, 8192, 8200};
    for (int i = 0; i < 7; i++) {
        emit_forward(to, 1 + i % 5, widths[i], (3 * i + 1) % 16);
        emit_backward(to, 9 + i % 3, widths[i], (5 * i + 7) % 16);
    }
    emit_backward(to, 1100, 16, 15);
    emit_backward(to, 1100, 3, 13);
}

static void emit_grads(cases_sink *to) {
    static const char *const plain[] = {"mean rstd", "gamma mean rstd", "gamma beta mean rstd"};
    for (int i = 0; i < 6; i++) {
        cases_case k = base_case(HONE_OP_NORM_FWD, 4, 7, i >= 3);
        bind_operand(&k, i < 3 ? plain[i] : plain[i - 3], 1);
        if (i >= 3) memmove(strstr(k.with, "mean "), strstr(k.with, "rstd"), 5);
        k.modes |= CASES_GRAD, k.dtype = HONE_F32;
        emit(to, &k);
    }
    for (int r = 0; r < 16; r++) { /* the fused forms, whose backward is one call */
        cases_case k = base_case(HONE_OP_NORM_FWD, 4, 9, factor(r, 6));
        k.attr.p = factor(r, 1) ? 0.5f : 0, k.attr.p_out = factor(r, 2) ? 0.1f : 0;
        bind_operand(&k, "key", k.attr.p > 0 || k.attr.p_out > 0);
        bind_operand(&k, "bias", factor(r, 3));
        bind_operand(&k, "res", factor(r, 4));
        bind_operand(&k, "gamma", factor(r, 5));
        bind_operand(&k, "mean", !factor(r, 6));
        bind_operand(&k, "beta rstd s", 1);
        k.rule = "NORM_BWD dy s mean rstd gamma key -> dres dgamma dbeta dx dbias";
        snprintf(k.note, sizeof k.note, "fused");
        k.modes |= CASES_GRAD, k.dtype = HONE_F32;
        emit(to, &k);
    }
}

void norm_cases(cases_sink *to) {
    static const int64_t rows[] = {1, 7, 65, 130, 64}, widths[] = {1, 3, 8, 77, 384, 385, 768};
    for (int i = 0; i < 32; i++) emit_forward(to, rows[i % 5], widths[i % 7], i % 16);
    for (int i = 0; i < 32; i++) emit_backward(to, rows[i % 5], widths[i % 7], i % 16);
    emit_wide(to);
    emit_traps(to);
    emit_grads(to);
    cases_case k = base_case(HONE_OP_NORM_FWD, 4096, 384, 0);
    bind_operand(&k, "bias key res gamma beta mean rstd s", 1);
    k.attr.p = 0.1f, k.in_place = 1, k.modes = CASES_BENCH;
    emit_types(to, &k);
    k = base_case(HONE_OP_NORM_BWD, 4096, 384, 0);
    bind_operand(&k, "mean gamma key dgamma dbeta dx dbias", 1);
    k.attr.p = 0.1f, k.in_place = 1, k.modes = CASES_BENCH;
    emit_types(to, &k);
    k = base_case(HONE_OP_NORM_FWD, 4096, 384, 0); /* plain, as libraries play it */
    bind_operand(&k, "gamma beta mean", 1);
    k.modes = CASES_BENCH;
    emit_types(to, &k);
    k = base_case(HONE_OP_NORM_BWD, 4096, 384, 0);
    bind_operand(&k, "mean gamma dgamma dbeta", 1);
    k.modes = CASES_BENCH;
    emit_types(to, &k);
}
