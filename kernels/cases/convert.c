/* convert.c - every pair of floating types, exact: ties, overflows, subnormals, infinities, NaN among the
 * contents. */
#include "harness.h"

static void fill(cases_values *v) {
    static const double special[] = {0.0,        -0.0,        INFINITY,    -INFINITY, NAN,        65504,
                                     65519.99,   65520,       0x1p-24,     0x1p-25,   0x1.8p-25,  0x1p-14,
                                     0x1p-133,   0x1p-134,    3.3895e38,   3.4e38,    1 + 0x1p-8, 1 + 0x1p-9,
                                     1 + 0x3p-9, 1 + 0x1p-11, 1 + 0x3p-11, 0x1p-149,  1e300,      1e-300};
    operand_values *x = values_find(v, "x");
    const int64_t n = (int64_t)(sizeof special / sizeof *special);
    for (int64_t i = 0; i < x->rows; i++) {
        if (i % 3 == 0) x->x[i] = special[i / 3 % n] * (i / 3 / n % 2 ? -1 : 1);
        else x->x[i] = ldexp(x->x[i], (int)(i % 60) - 30);
    }
}

void convert_cases(cases_sink *to) {
    static const int64_t sizes[] = {1, 7, 200, 5000};
    for (int pair = 0; pair < 16; pair++)
        for (int i = 0; i < 4; i++) {
            cases_case k = {
                .op = HONE_OP_COPY, .modes = CASES_CHECK, .dtype = HONE_F32, .same_type = 1, .fill = fill};
            k.from = (hone_dtype)(HONE_F64 + pair / 4), k.to = (hone_dtype)(HONE_F64 + pair % 4);
            k.extent[CASES_LETTER('P')] = sizes[i], k.why = "nearest, ties to even";
            emit(to, &k);
        }
    cases_case k = {
        .op = HONE_OP_COPY, .modes = CASES_BENCH, .dtype = HONE_F32, .same_type = 1, .fill = fill};
    k.extent[CASES_LETTER('P')] = 8 << 20;
    for (int i = 0; i < 2; i++) {
        k.from = HONE_F32, k.to = i ? HONE_BF16 : HONE_F32;
        emit(to, &k);
    }
}
