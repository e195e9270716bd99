/* optim.c - the end of a step. Traps of GUARD: 1 no clipping, 2 an infinite part, 3 a loss that is NaN, 4
 * latched, 5 a norm below the limit. Traps of ADAMW_STEP: 1 not ok, 2 the first step of a run. */
#include "harness.h"

static void fill_guard(cases_values *v) {
    operand_values *part = values_find(v, "part");
    for (int64_t q = 0; q < part->rows; q++)
        part->x[q] = part->x[q] * part->x[q] * (v->k->trap == 5 ? 1e-9 : 1);
    floats_of(v, "loss")[0] = 2.5;
    floats_of(v, "clip")[0] = v->k->trap == 1 ? 0 : 0.25;
    if (v->k->trap == 2) part->x[part->rows / 2] = INFINITY;
    if (v->k->trap == 3) floats_of(v, "loss")[0] = NAN;
    v->tick.latch = v->k->trap == 4;
    memcpy(words_of(v, "+tick"), &v->tick, sizeof v->tick);
}

static void fill_adamw(cases_values *v) {
    operand_values *g = values_find(v, "g"), *chunk = values_find(v, "chunk"), *rate = values_find(v, "rate");
    double *second = floats_of(v, "+v");
    int64_t at = 0;
    for (int64_t q = 0; q < chunk->rows; q++) {
        const int64_t n = g->rows - at < 8192 ? g->rows - at : 8192;
        int32_t *c = chunk->word + 3 * q;
        c[0] = (int32_t)(at / 64), c[1] = (int32_t)n, c[2] = (int32_t)(q % rate->rows);
        at += n;
    }
    for (int64_t i = 0; i < g->rows; i++) second[i] = second[i] * second[i] * 0.1;
    for (int64_t i = 0; i < rate->rows; i++)
        rate->x[2 * i] = 0.01 / (double)(i + 1), rate->x[2 * i + 1] = i % 2 ? 0 : 0.1;
    floats_of(v, "factor")[0] = 0.7;
    words_of(v, "ok")[0] = v->k->trap != 1;
    if (v->k->trap == 2) v->tick.adam_t = 1;
}

static void emit_adamw(cases_sink *to, int64_t P, int with_copy, int trap, unsigned modes) {
    static const char *const notes[] = {"", "not ok", "first step"};
    cases_case k = {.op = HONE_OP_ADAMW_STEP, .modes = modes, .fill = fill_adamw, .trap = trap};
    k.extent[CASES_LETTER('P')] = P, k.extent[CASES_LETTER('Q')] = (P + 8191) / 8192,
    k.extent[CASES_LETTER('G')] = 3;
    k.attr.adamw.beta1 = 0.9, k.attr.adamw.beta2 = 0.999, k.attr.adamw.eps = 1e-8;
    snprintf(k.note, sizeof k.note, "%s", notes[trap]);
    bind_operand(&k, "+w +m +v", 1);
    bind_operand(&k, "copy", with_copy);
    k.bound = 1e-6, k.why = "a dozen roundings";
    emit_types(to, &k);
}

void optim_cases(cases_sink *to) {
    static const char *const notes[] = {"", "clip 0", "infinite", "loss NaN", "latched", "below the limit"};
    static const int64_t parts[] = {1, 7, 300}, sizes[] = {1, 65, 8192, 20001};
    for (int i = 0; i < 18; i++) {
        cases_case k = {
            .op = HONE_OP_GUARD, .modes = CASES_CHECK, .dtype = HONE_F32, .fill = fill_guard, .trap = i % 6};
        k.extent[CASES_LETTER('Q')] = parts[i / 6], k.extent[CASES_LETTER('T')] = 16;
        bind_operand(&k, "+tick", 1);
        snprintf(k.note, sizeof k.note, "%s", notes[i % 6]);
        k.bound = 1e-6, k.why = "the sum is fp64";
        emit(to, &k);
    }
    for (int i = 0; i < 12; i++) emit_adamw(to, sizes[i % 4], i % 2, i / 4, CASES_CHECK);
    emit_adamw(to, 4 << 20, 0, 0, CASES_BENCH);
}
