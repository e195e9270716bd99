/* embed.c - EMBED_FWD: at most three roundings, all but exact. EMBED_BWD: sums over rows of one id, with and without
 * touched rows.
 * Traps of the backward: 1 all ids equal, 2 all different, 3 one id in all rows but a few. */
#include "harness.h"

/* Numbers below n; some rows, the last one always, name none. */
static void fill_ids(cases_values *v, const char *name, int64_t n, uint64_t stream) {
    operand_values *u = values_find(v, name);
    for (int64_t i = 0; u && i < u->rows; i++) {
        u->word[i] = (int32_t)(noise_uniform(stream, (uint64_t)i) * (double)n);
        if (v->k->trap == 1) u->word[i] = (int32_t)(n - 1);
        if (v->k->trap == 2) u->word[i] = (int32_t)((i * 7 + 3) % n);
        if (v->k->trap == 3 && i % 100) u->word[i] = (int32_t)(n / 2);
        if ((i % 11 == 5 || i == u->rows - 1) && u->rows > 1 && v->k->trap != 2) u->word[i] = -1;
    }
}

static void fill_forward(cases_values *v) {
    fill_ids(v, "id", extent_of(v, 'V'), 301);
    fill_ids(v, "pos", extent_of(v, 'S'), 302);
    fill_ids(v, "type", extent_of(v, 'T'), 303);
}

static void fill_backward(cases_values *v) {
    fill_ids(v, "id", extent_of(v, 'V'), 304);
    const operand_values *id = values_find(v, "id");
    int32_t *order = words_of(v, "order");
    /* Rows that were not touched stay as they are, which is NaN here. */
    operand_values *touched = values_find(v, "+touched");
    for (int64_t r = 0; touched && r < touched->rows; r++) touched->x[r] = r % 3 == 1;
    for (int64_t i = 0; touched && i < id->rows; i++)
        if (id->word[i] >= 0) touched->x[id->word[i]] = 1;
    for (int32_t i = 0; i < id->rows; i++) { /* by id, stable, -1 last */
        int32_t at = i;
        for (; at > 0 && (uint32_t)id->word[order[at - 1]] > (uint32_t)id->word[i]; at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
}

static void emit_forward(cases_sink *to, int64_t N, int64_t D, int r, unsigned modes) {
    cases_case k = {.op = HONE_OP_EMBED_FWD, .modes = modes, .row_letter = 'N', .fill = fill_forward};
    k.extent[CASES_LETTER('N')] = N, k.extent[CASES_LETTER('D')] = D, k.extent[CASES_LETTER('V')] = 50;
    k.extent[CASES_LETTER('S')] = 40, k.extent[CASES_LETTER('T')] = 2;
    bind_operand(&k, "pos posw", factor(r, 1));
    bind_operand(&k, "type typew", factor(r, 2));
    k.pad = factor(r, 4) ? 8 : 0;
    k.bound = 4e-7, k.why = "two additions";
    emit_types(to, &k);
}

static void emit_backward(cases_sink *to, int64_t N, int64_t D, int64_t V, int r, int trap, unsigned modes) {
    cases_case k = {.op = HONE_OP_EMBED_BWD, .modes = modes, .trap = trap, .fill = fill_backward};
    static const char *const notes[] = {"", "one id", "all different", "mostly one id"};
    snprintf(k.note, sizeof k.note, "%s", notes[trap]);
    k.extent[CASES_LETTER('N')] = N, k.extent[CASES_LETTER('D')] = D, k.extent[CASES_LETTER('V')] = V;
    bind_operand(&k, "+dw", factor(r, 1));
    bind_operand(&k, "touched +touched", factor(r, 4));
    k.pad = factor(r, 2) ? 8 : 0;
    const int64_t longest = trap % 2 ? N : N / V + 20; /* rows of an id */
    k.bound = sum_bound(longest), k.why = "a sum over the rows of one id";
    k.floor = trap % 2 ? sqrt((double)N) : 1; /* what such a sum is, where its terms do not cancel */
    emit_types(to, &k);
}

void embed_cases(cases_sink *to) {
    static const int64_t rows[] = {1, 7, 64, 65, 300}, widths[] = {1, 3, 8, 77, 384, 385};
    for (int i = 0; i < 16; i++) emit_forward(to, rows[i % 5], widths[i % 6], i, CASES_CHECK);
    for (int r = 1; r < 4; r++) emit_forward(to, 9, 5, r, CASES_CHECK | CASES_GRAD);
    emit_forward(to, 4096, 384, 3, CASES_BENCH);
    for (int i = 0; i < 12; i++)
        emit_backward(to, rows[i % 5], widths[i % 6], i % 2 ? 50 : 999, i, i % 3, CASES_CHECK);
    emit_backward(to, 0, 8, 10, 0, 0, CASES_CHECK);
    for (int trap = 1; trap < 4; trap++)
        emit_backward(to, 4096, trap == 2 ? 8 : 20, 4099, trap, trap, CASES_CHECK);
    for (int V = 2; V < 40; V += 9) emit_backward(to, 500, V % 2 ? 40 : 77, V, V, 0, CASES_CHECK);
    emit_backward(to, 4096, 384, 30522, 0, 0, CASES_BENCH);
}
