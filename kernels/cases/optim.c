/* optim.c - the end of a step. Traps of GUARD: 1 no clipping, 2 an infinite part, 3 a loss that is NaN, 4
 * latched, 5 a norm below the limit, 6 a part that is NaN; from 16 on, states of the loss scale. Traps of
 * ADAMW_STEP and ADAMW_ROWS: 1 not ok, 2 the first step of a run, 3 g = 1e20 at a loss scale of 65536, 4 tensors of no, one and
 * a few elements with room between them, 5 a late step;
 * of rows: 3 no decay. */
#include "harness.h"

/* Where the loss scale stands before a step, and the step: every way through the rule of device.h. */
static const struct {
    float scale, lowest;
    int32_t good_steps, hysteresis;
    int is_bad, latch;
    const char *note;
} states[] = {
    {65536, 1, 5, 2, 0, 0, "scale: one more sound step"},
    {65536, 1, 999, 1, 0, 0, "scale: doubles, hysteresis full again"},
    {65536, 1, 5000, 2, 0, 0, "scale: doubles late, window was longer"},
    {16777216, 1, 999, 1, 0, 0, "scale: at its ceiling"},
    {12582912, 1, 999, 2, 0, 0, "scale: cut at its ceiling"},
    {33554432, 1, 999, 2, 0, 0, "scale: began above its ceiling"},
    {65536, 1, 37, 2, 1, 0, "scale: hysteresis is taken"},
    {65536, 1, 37, 1, 1, 0, "scale: halves"},
    {65536, 1, 0, 0, 1, 0, "scale: halves, hysteresis 0"},
    {3, 2, 8, 1, 1, 0, "scale: down to its floor"},
    {1, 1, 8, 2, 1, 0, "scale: hysteresis is taken at the floor"},
    {1, 1, 8, 1, 1, 0, "scale: latches at the floor"},
    {0.03125f, 0.03125f, 8, 1, 1, 0, "scale: latches at 2^-5"},
    {65536, 1, 999, 1, 0, 1, "scale: latched, sound"},
    {65536, 1, 999, 1, 1, 1, "scale: latched, not finite"},
};
enum { FIRST_STATE = 16, N_STATES = sizeof states / sizeof *states };

static void fill_guard(cases_values *v) {
    operand_values *part = values_find(v, "part");
    for (int64_t q = 0; q < part->rows; q++)
        part->x[q] = part->x[q] * part->x[q] * (v->k->trap == 5 ? 1e-9 : 1);
    floats_of(v, "loss")[0] = 2.5;
    floats_of(v, "clip")[0] = v->k->trap == 1 ? 0 : 0.25;
    if (v->k->trap == 2) part->x[part->rows / 2] = INFINITY;
    if (v->k->trap == 3) floats_of(v, "loss")[0] = NAN;
    if (v->k->trap == 6) part->x[0] = NAN;
    v->tick.latch = v->k->trap == 4;
    if (v->k->trap >= FIRST_STATE) {
        const int s = v->k->trap - FIRST_STATE;
        v->tick.good_steps = states[s].good_steps, v->tick.hysteresis = states[s].hysteresis;
        v->tick.latch = states[s].latch;
        memcpy(&v->tick.loss_scale, &states[s].scale, sizeof states[s].scale);
        if (states[s].is_bad) part->x[part->rows - 1] = s % 2 ? INFINITY : NAN;
    }
    memcpy(words_of(v, "+tick"), &v->tick, sizeof v->tick);
}

static void fill_adamw(cases_values *v) {
    operand_values *g = values_find(v, "g"), *chunk = values_find(v, "chunk"), *rate = values_find(v, "rate");
    double *second = floats_of(v, "+v");
    int64_t at = 0;
    for (int64_t q = 0; q < chunk->rows; q++) {
        static const int64_t sizes[] = {0, 1, 65, 637};
        int64_t n = v->k->trap == 4 ? sizes[q % 4] : 8192;
        if (n > g->rows - at) n = g->rows - at;
        int32_t *c = chunk->word + 3 * q;
        c[0] = (int32_t)(at / 64), c[1] = (int32_t)n, c[2] = (int32_t)(q % rate->rows);
        at += (n + 63) / 64 * 64;
        if (at > g->rows) at = g->rows / 64 * 64;
    }
    for (int64_t i = 0; i < g->rows; i++) {
        second[i] = second[i] * second[i] * 0.1;
        if (v->k->trap == 3) g->x[i] *= 1e20;
    }
    for (int64_t i = 0; i < rate->rows; i++)
        rate->x[2 * i] = 0.01 / (double)(i + 1), rate->x[2 * i + 1] = i % 2 ? 0 : 0.1;
    floats_of(v, "factor")[0] = v->k->trap == 3 ? 0.25 / 1e20 : 0.7;
    words_of(v, "ok")[0] = v->k->trap != 1;
    if (v->k->trap == 2) v->tick.adam_t = 1;
    if (v->k->trap == 5) v->tick.adam_t = 3000000;
}

/* Rows of a table: a third touched, a third without moments, some of which have missed nothing. */
static void fill_rows(cases_values *v) {
    operand_values *touched = values_find(v, "touched"), *past = values_find(v, "past"),
                   *missed = values_find(v, "+missed"), *second = values_find(v, "+v"),
                   *rate = values_find(v, "rate"), *id = values_find(v, "id");
    double *first = floats_of(v, "+m");
    if (!past) past = values_find(v, "+past");
    if (v->k->trap == 2) v->tick.adam_t = 1;
    for (int64_t r = 0; r < missed->rows; r++) {
        if (touched) touched->x[r] = r % 3 == 0;
        missed->word[r] = v->k->trap == 2 ? 0 : (int32_t)(r * 5 % past->rows);
        for (int64_t d = 0; d < second->width; d++) {
            const int64_t e = r * second->width + d;
            second->x[e] = r % 3 == 1 ? 0 : second->x[e] * second->x[e] * 0.1;
            if (r % 3 == 1) first[e] = 0;
        }
    }
    for (int64_t k = 0; k < past->rows; k++)
        past->x[2 * k] = 0.01 / (double)(k + 1), past->x[2 * k + 1] = v->k->trap == 3 ? 0 : 0.1;
    for (int64_t i = 0; rate && i < rate->rows; i++)
        rate->x[2 * i] = 0.01 / (double)(i + 1), rate->x[2 * i + 1] = 0.1;
    if (rate) floats_of(v, "factor")[0] = 0.7, words_of(v, "ok")[0] = v->k->trap != 1;
    int32_t *order = words_of(v, "order");
    for (int32_t i = 0; id && i < id->rows; i++) { /* ids rise: in threes, the last ones none */
        id->word[i] = i + 2 < id->rows && i / 3 * 2 < missed->rows ? i / 3 * 2 : -1;
        order[i] = i;
    }
}

static void emit_rows(cases_sink *to, hone_op op, int64_t N, int64_t V, int64_t D, int with_copy, int trap,
                      unsigned modes) {
    static const char *const notes[] = {"", "not ok", "first step", "no decay"};
    cases_case k = {.op = op, .modes = modes, .fill = fill_rows, .trap = trap};
    k.extent[CASES_LETTER('N')] = N, k.extent[CASES_LETTER('V')] = V, k.extent[CASES_LETTER('D')] = D;
    k.extent[CASES_LETTER('J')] = 7, k.extent[CASES_LETTER('G')] = 3;
    k.attr.adamw.beta1 = 0.9, k.attr.adamw.beta2 = 0.999, k.attr.adamw.eps = 1e-8, k.attr.adamw.group = 2;
    snprintf(k.note, sizeof k.note, "%s", notes[trap]);
    bind_operand(&k, "+w +m +v +missed", 1);
    bind_operand(&k, "+past", op == HONE_OP_ADAMW_ROWS);
    bind_operand(&k, "id order", op == HONE_OP_ADAMW_MISSED && N > 0);
    bind_operand(&k, "copy +copy", with_copy);
    k.bound = 1e-5, k.why = "a dozen roundings of each of 7 steps";
    emit_types(to, &k);
}

static void emit_adamw(cases_sink *to, int64_t P, int with_copy, int trap, unsigned modes) {
    static const char *const notes[] = {"", "not ok", "first step", "g = 1e20", "small tensors", "late step"};
    cases_case k = {.op = HONE_OP_ADAMW_STEP, .modes = modes, .fill = fill_adamw, .trap = trap};
    k.extent[CASES_LETTER('P')] = P, k.extent[CASES_LETTER('Q')] = (P + 8191) / 8192,
    k.extent[CASES_LETTER('G')] = 3;
    k.attr.adamw.beta1 = 0.9, k.attr.adamw.beta2 = 0.999, k.attr.adamw.eps = 1e-8;
    snprintf(k.note, sizeof k.note, "%s", notes[trap]);
    bind_operand(&k, "+w +m +v", 1);
    k.pad = trap % 2 ? 3 : 0;
    bind_operand(&k, "copy", with_copy);
    k.bound = 1e-6, k.why = "a dozen roundings";
    emit_types(to, &k);
}

static void emit_guard(cases_sink *to, int64_t Q, int trap, const char *note) {
    cases_case k = {
        .op = HONE_OP_GUARD, .modes = CASES_CHECK, .dtype = HONE_F32, .fill = fill_guard, .trap = trap};
    k.extent[CASES_LETTER('Q')] = Q, k.extent[CASES_LETTER('T')] = 16;
    bind_operand(&k, "+tick", 1);
    snprintf(k.note, sizeof k.note, "%s", note);
    k.bound = 1e-6, k.why = "the sum is fp64";
    if (trap >= FIRST_STATE) {
        k.attr.guard.dynamic = 1, k.attr.guard.window = 1000, k.attr.guard.hysteresis = 2;
        k.attr.guard.min_scale = states[trap - FIRST_STATE].lowest;
    }
    emit(to, &k);
}

void optim_cases(cases_sink *to) {
    static const char *const notes[] = {"",        "clip 0",          "infinite", "loss NaN",
                                        "latched", "below the limit", "NaN"};
    static const int64_t parts[] = {1, 7, 300}, sizes[] = {1, 65, 8192, 20001};
    for (int i = 0; i < 21; i++) emit_guard(to, parts[i / 7], i % 7, notes[i % 7]);
    for (int s = 0; s < N_STATES; s++) emit_guard(to, 9, FIRST_STATE + s, states[s].note);
    for (int i = 0; i < 24; i++) emit_adamw(to, sizes[i % 4], i % 2, i / 4, CASES_CHECK);
    emit_adamw(to, 4 << 20, 0, 0, CASES_BENCH);
    static const int64_t tables[][2] = {{1, 8}, {5, 384}, {200, 33}, {130, 385}};
    for (int i = 0; i < 16; i++)
        emit_rows(to, HONE_OP_ADAMW_ROWS, 0, tables[i / 4][0], tables[i / 4][1], i % 2, i % 4, CASES_CHECK);
    for (int i = 0; i < 16; i++)
        emit_rows(to, HONE_OP_ADAMW_MISSED, i % 3 * 70, tables[i / 4][0], tables[i / 4][1], i % 2,
                  i % 4 == 1 ? 0 : i % 4, CASES_CHECK);
    emit_rows(to, HONE_OP_ADAMW_ROWS, 0, 30522, 384, 0, 0, CASES_BENCH);
    emit_rows(to, HONE_OP_ADAMW_MISSED, 4096, 30522, 384, 0, 0, CASES_BENCH);
}
