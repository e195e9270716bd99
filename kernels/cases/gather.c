/* gather.c - copies of rows, exact; means of rows. */
#include "harness.h"

/* Distinct rows below n in no order; some name none. */
static void fill_index(cases_values *v) {
    operand_values *index = values_find(v, "index");
    const int64_t n = extent_of(v, 'N'), step = n % 7 ? 7 : n % 11 ? 11 : 13; /* no divisor of n */
    for (int64_t m = 0; index && m < index->rows; m++)
        index->word[m] = m < n && m % 5 != 3 ? (int32_t)((m * step + 2) % n) : -1;
}

static cases_case base_case(hone_op op, int64_t N, int64_t M, int64_t D, int r) {
    cases_case k = {
        .op = op, .modes = CASES_CHECK, .fill = fill_index, .bound = 2e-7, .why = "copies, or one sum"};
    k.extent[CASES_LETTER('N')] = N, k.extent[CASES_LETTER('M')] = M, k.extent[CASES_LETTER('D')] = D;
    k.pad = factor(r, 8) ? 8 : 0;
    k.row_letter = op == HONE_OP_GATHER ? 'M' : 0;
    return k;
}

static void emit_picks(cases_sink *to, int64_t N, int64_t M, int64_t D, int r) {
    cases_case k = base_case(HONE_OP_GATHER, N, M, D, r);
    emit_types(to, &k);
    k = base_case(HONE_OP_SCATTER, N, M, D, r);
    bind_operand(&k, "into", factor(r, 1));
    bind_operand(&k, "+y", factor(r, 2) && !factor(r, 1));
    k.in_place = factor(r, 4);
    emit_types(to, &k);
}

static void emit_pools(cases_sink *to, const int *length, int n, int64_t D, int r, unsigned modes) {
    cases_case k = {.op = HONE_OP_POOL_FWD, .modes = modes, .row_letter = 'B', .floor = 0.05};
    set_lengths(&k, 'N', length, n);
    k.extent[CASES_LETTER('D')] = D, k.pad = factor(r, 1) ? 8 : 0;
    k.bound = sum_bound(512), k.why = "a mean of a sequence's rows";
    if (modes & CASES_GRAD) k.dtype = HONE_F32, emit(to, &k);
    else emit_types(to, &k);
    k.op = HONE_OP_POOL_BWD, k.row_letter = 0, k.modes &= ~(unsigned)CASES_GRAD;
    bind_operand(&k, "+dx", factor(r, 2));
    emit_types(to, &k);
}

void gather_cases(cases_sink *to) {
    static const int64_t shapes[][3] = {{1, 1, 1},       {9, 4, 3},     {300, 65, 77},
                                        {130, 130, 384}, {71, 70, 385}, {5, 12, 8}};
    static const int mixed[] = {0, 5, 1, 512, 0, 33, 2}, none[] = {0, 0}, few[] = {3, 0, 4};
    for (int i = 0; i < 18; i++) emit_picks(to, shapes[i % 6][0], shapes[i % 6][1], shapes[i % 6][2], i % 16);
    for (int r = 0; r < 4; r++) {
        emit_pools(to, mixed, 7, r % 2 ? 77 : 384, r, CASES_CHECK);
        emit_pools(to, none, 2, 5, r, CASES_CHECK);
    }
    for (int i = 0; i < 2; i++) {
        cases_case k = base_case(i ? HONE_OP_GATHER : HONE_OP_SCATTER, 7, 5, 4, 0);
        k.modes |= CASES_GRAD, k.dtype = HONE_F32;
        emit(to, &k);
    }
    emit_pools(to, few, 3, 4, 0, CASES_CHECK | CASES_GRAD);
    cases_case k = base_case(HONE_OP_GATHER, 4096, 600, 384, 0);
    k.modes = CASES_BENCH;
    emit_types(to, &k);
}
