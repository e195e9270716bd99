/* reduce.c - sums and hashes. SQSUM's traps: 1 g = 1e20 at a loss scale of 65536, whose square overflows
 * fp32 unless it is unscaled first, 2 one infinity, 3 one NaN. HASH is a question of bits: ref plays it on the same type. */
#include "harness.h"

static void fill_chunks(cases_values *v) {
    operand_values *g = values_find(v, "g"), *chunk = values_find(v, "chunk");
    int64_t at = 0;
    for (int64_t q = 0; chunk && q < chunk->rows;
         q++) { /* up to 8,192 elements; every fifth chunk is empty */
        int64_t n = g->rows - at < 8192 ? g->rows - at : 8192;
        if (q % 5 == 4) n = 0;
        if (q % 3 == 1 && n > 640) n = 640 - 3;
        int32_t *c = chunk->word + 3 * q;
        c[0] = (int32_t)(at / 64), c[1] = (int32_t)n, c[2] = 0;
        at = (at + n + 63) / 64 * 64;
        if (at > g->rows) at = g->rows / 64 * 64, n = 0;
    }
    const operand_values *touched = values_find(v, "touched");
    /* runs of rows, so that whole chunks are zeros */
    for (int64_t r = 0; touched && r < touched->rows; r++) {
        touched->x[r] = r / 40 % 2;
        for (int64_t d = 0; d < v->k->attr.table.width && !touched->x[r]; d++)
            g->x[v->k->attr.table.first + r * v->k->attr.table.width + d] = 0;
    }
    for (int64_t e = 0; v->k->trap == 1 && e < g->rows; e++) g->x[e] *= 1e20;
    if (v->k->trap > 1) g->x[g->rows / 2] = v->k->trap == 2 ? -INFINITY : NAN;
    const float scale = v->k->trap ? 65536 : 1;
    memcpy(&v->tick.loss_scale, &scale, sizeof scale);
}

static void emit_sqsum(cases_sink *to, int64_t P, int64_t Q, int64_t V, int trap, unsigned modes) {
    cases_case k = {
        .op = HONE_OP_SQSUM, .modes = modes, .dtype = HONE_F32, .fill = fill_chunks, .trap = trap};
    k.extent[CASES_LETTER('P')] = P, k.extent[CASES_LETTER('Q')] = Q;
    bind_operand(&k, "touched", V > 0);
    k.extent[CASES_LETTER('V')] = V;
    if (V) k.attr.table.first = 6400, k.attr.table.width = 385;
    static const char *const notes[] = {"", "1e20, loss scale 65536", "one infinity", "one NaN"};
    snprintf(k.note, sizeof k.note, "%s", notes[trap]);
    k.bound = 2 * sum_bound(8192), k.why = "a sum of up to 8,192 squares";
    emit(to, &k);
}

void reduce_cases(cases_sink *to) {
    static const int64_t counts[] = {0, 1, 7, 64, 1000, 5000}, sizes[] = {1, 63, 65536, 65537, 200000};
    for (int i = 0; i < 12; i++) {
        cases_case k = {.op = HONE_OP_SUM, .modes = CASES_CHECK, .dtype = HONE_F32};
        k.extent[CASES_LETTER('M')] = counts[i % 6];
        bind_operand(&k, "+s", i >= 6);
        k.bound = sum_bound(counts[i % 6]), k.floor = sqrt((double)counts[i % 6] + 1),
        k.why = "a sum of M terms of both signs";
        emit(to, &k);
    }
    emit_sqsum(to, 1, 1, 0, 0, CASES_CHECK);
    emit_sqsum(to, 70000, 13, 0, 0, CASES_CHECK);
    emit_sqsum(to, 100000, 27, 230, 0, CASES_CHECK);
    for (int trap = 1; trap < 4; trap++) emit_sqsum(to, 9000, 3, 0, trap, CASES_CHECK);
    for (int trap = 1; trap < 4; trap++) emit_sqsum(to, 1, 1, 0, trap, CASES_CHECK);
    emit_sqsum(to, 8 << 20, 1024, 0, 0, CASES_BENCH);
    for (int i = 0; i < 5; i++) {
        cases_case k = {.op = HONE_OP_HASH, .modes = CASES_CHECK, .same_type = 1, .why = "bits"};
        k.extent[CASES_LETTER('P')] = sizes[i], k.extent[CASES_LETTER('Q')] = (sizes[i] + 65535) / 65536;
        emit_types(to, &k);
    }
}
