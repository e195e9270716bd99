/* loss.c - losses with their gradients; every seventh row is ignored, of three one. Traps: 1 logits of tens
 * of thousands, 2 every row is ignored, 3 (SPAN_XENT) labels beyond the sequence, 4 classes masked by -inf, the first
 * among them. */
#include "harness.h"

static void fill_classes(cases_values *v) {
    operand_values *x = values_find(v, "x"), *label = values_find(v, "label");
    double *weight = floats_of(v, "weight");
    floats_of(v, "scale")[0] = 0.37;
    for (int64_t c = 0; weight && c < x->width; c++) weight[c] = 0.5 + noise_uniform(41, (uint64_t)c);
    for (int64_t e = 0; v->k->trap == 1 && e < x->rows * x->width; e++)
        x->x[e] *= v->compute == HONE_F16 ? 1e4 : 3e4;
    for (int64_t e = 0; v->k->trap == 4 && e < x->rows * x->width; e++)
        if (e % x->width % 3 == 0) x->x[e] = -INFINITY;
    for (int64_t m = 0; label->word && m < label->rows; m++) {
        label->word[m] = (int32_t)(noise_uniform(42, (uint64_t)m) * (double)x->width);
        if (v->k->trap == 4) label->word[m] = label->word[m] / 3 * 3 + 1;
        if (m % 7 == (label->rows == 3 ? 1 : 4) || v->k->trap == 2) label->word[m] = -1;
    }
    for (int64_t e = 0; label->x && e < label->rows * label->width; e++) {
        if (v->k->op == HONE_OP_BCE) label->x[e] = e % 5 == 3 ? 0.25 : noise_uniform(43, (uint64_t)e) < 0.5;
        if (e % 7 == 4 || v->k->trap == 2) label->x[e] = NAN;
    }
}

static void fill_spans(cases_values *v) {
    operand_values *label = values_find(v, "label");
    floats_of(v, "scale")[0] = 0.37;
    for (int64_t e = 0; e < label->rows * 2; e++) {
        const int n = v->k->q_len[e / 2];
        label->word[e] = n ? (int32_t)(noise_uniform(44, (uint64_t)e) * n) : 0;
        if (e % 7 == 4) label->word[e] = -1;
        if (v->k->trap == 3 && e % 3 == 1) label->word[e] = n + 2;
    }
}

static cases_case base_case(hone_op op, int64_t M, int64_t C, int trap) {
    static const char *const notes[] = {"", "large", "all ignored", "labels beyond", "masked"};
    cases_case k = {.op = op, .modes = CASES_CHECK, .row_letter = 'M', .fill = fill_classes, .trap = trap};
    k.extent[CASES_LETTER('M')] = M, k.extent[CASES_LETTER('C')] = C;
    snprintf(k.note, sizeof k.note, "%s", notes[trap]);
    k.bound = 2e-6 + 2 * sum_bound(C), k.floor = 0.02, k.why = "exp, log and a sum of C terms";
    return k;
}

static void emit_xent(cases_sink *to, int64_t M, int64_t C, int r, int trap) {
    cases_case k = base_case(HONE_OP_XENT, M, C, trap);
    bind_operand(&k, "weight", factor(r, 1));
    bind_operand(&k, "best", factor(r, 2));
    bind_operand(&k, "gx", factor(r, 4));
    k.attr.loss.smoothing = factor(r, 8) ? 0.1 : 0;
    k.in_place = factor(r, 7), k.pad = factor(r, 11) ? 8 : 0;
    emit_types(to, &k);
}

/* Classes for each way a device may share out a row, aligned to 16 bytes and not; GPT-2's vocabulary as it
 * is stored. */
static void emit_wide(cases_sink *to) {
    static const struct {
        int64_t C;
        int pad;
    } wide[] = {{77, 3},    {600, 0},   {1024, 0},   {1025, 7},  {5001, 7},  {5001, 0},
                {20000, 0}, {40001, 7}, {50257, 47}, {50257, 0}, {70001, 7}, {70001, 0}};
    for (int i = 0; i < 27; i++) {
        const int is_long = wide[i % 12].C >= 20000;
        cases_case k =
            base_case(HONE_OP_XENT, i < 24 ? (is_long ? 3 : 5) : 2, wide[i % 12].C, i < 24 ? 0 : 4);
        k.floor = 1e-4; /* probabilities are small */
        bind_operand(&k, "weight", i % 3 == 1);
        bind_operand(&k, "best gx", 1);
        k.attr.loss.smoothing = i % 12 * 2 + i / 12 > 12 && i < 24 ? 0.1 : 0;
        k.in_place = i % 2, k.pad = wide[i % 12].pad;
        if (k.attr.loss.smoothing > 0) {
            k.bound_ref = k.bound + 0x1p-24 * (double)k.extent[CASES_LETTER('C')];
            k.why = "exp, log and a sum of C terms; ref: C equal terms smoothing / C are added "
                    "to a sum near 1, and each is rounded the same way, by up to half an ulp";
        }
        emit_types(to, &k);
    }
}

/* As many classes as there are, 256 k: more than registers or shared memory hold, in packs and not. */
static void emit_widest(cases_sink *to) {
    static const int64_t widest[] = {120000, 262143, 262144};
    for (int i = 0; i < 3; i++) {
        cases_case k = base_case(HONE_OP_XENT, 4, widest[i], 0);
        k.floor = 1e-4;
        bind_operand(&k, "best gx", 1);
        k.in_place = i != 1, k.pad = i == 1 ? 2 : 0;
        k.attr.loss.smoothing = i == 2 ? 0.1 : 0;
        if (i == 2) k.bound_ref = k.bound + 0x1p-24 * (double)widest[i]; /* as above */
        emit_types(to, &k);
    }
}

static void emit_columns(cases_sink *to, int64_t M, int64_t C, int r, int trap) {
    cases_case k = base_case(HONE_OP_BCE, M, C, trap);
    bind_operand(&k, "weight", factor(r, 1));
    bind_operand(&k, "gx", factor(r, 2));
    k.in_place = factor(r, 4), k.pad = factor(r, 8) ? 8 : 0;
    emit_types(to, &k);
    k = base_case(HONE_OP_MSE, M, C, trap);
    bind_operand(&k, "gx", factor(r, 2));
    k.in_place = factor(r, 4), k.pad = factor(r, 8) ? 8 : 0;
    emit_types(to, &k);
}

static void emit_spans(cases_sink *to, int r, unsigned modes) {
    static const int mixed[] = {5, 0, 1, 300, 17, 0, 64, 2};
    cases_case k = base_case(HONE_OP_SPAN_XENT, 0, 0, r % 3 == 2 ? 3 : 0);
    k.fill = fill_spans, k.row_letter = 0;
    k.modes = modes;
    set_lengths(&k, 'N', mixed, modes & CASES_GRAD ? 3 : 8);
    bind_operand(&k, "best", factor(r, 1));
    bind_operand(&k, "gx", factor(r, 2) || (modes & CASES_GRAD));
    k.in_place = factor(r, 4), k.pad = factor(r, 8) ? 8 : 0;
    k.bound += sum_bound(300);
    if (modes & CASES_GRAD) k.dtype = HONE_F32, k.in_place = 0, emit(to, &k);
    else emit_types(to, &k);
}

/* As in a step of fp16: gradients are lifted, losses are not. */
static void lift(cases_values *v) {
    const float scale = 4096;
    memcpy(&v->tick.loss_scale, &scale, sizeof scale);
}
static void fill_lifted_classes(cases_values *v) { fill_classes(v), lift(v); }
static void fill_lifted_spans(cases_values *v) { fill_spans(v), lift(v); }

static void emit_lifted(cases_sink *to) {
    static const hone_op ops[] = {HONE_OP_XENT, HONE_OP_XENT, HONE_OP_BCE, HONE_OP_MSE};
    static const int lengths[] = {5, 0, 17};
    for (int i = 0; i < 4; i++) { /* XENT plain and smoothed */
        cases_case k = base_case(ops[i], 9, 77, 0);
        k.attr.loss.smoothing = i == 1 ? 0.1 : 0;
        k.fill = fill_lifted_classes;
        bind_operand(&k, "gx", 1);
        snprintf(k.note, sizeof k.note, "loss scale 4096");
        emit_types(to, &k);
    }
    cases_case k = base_case(HONE_OP_SPAN_XENT, 0, 0, 0);
    k.fill = fill_lifted_spans, k.row_letter = 0;
    set_lengths(&k, 'N', lengths, 3);
    bind_operand(&k, "gx", 1);
    snprintf(k.note, sizeof k.note, "loss scale 4096");
    emit_types(to, &k);
}

static void emit_grads(cases_sink *to) {
    for (int i = 0; i < 8; i++) { /* XENT plain, smoothed, weighted, focal */
        cases_case k = base_case(HONE_OP_XENT, 5, 4, 0);
        k.attr.loss.smoothing = i & 1 ? 0.2 : 0;
        k.attr.loss.focal_gamma = i & 4 ? 2 : 0;
        bind_operand(&k, "weight", i & 2);
        bind_operand(&k, "gx", 1);
        k.modes |= CASES_GRAD, k.dtype = HONE_F32;
        emit(to, &k);
    }
    for (int i = 0; i < 3; i++) {
        cases_case k = base_case(i < 2 ? HONE_OP_BCE : HONE_OP_MSE, 4, 3, 0);
        bind_operand(&k, "weight", i == 1);
        bind_operand(&k, "gx", 1);
        k.modes |= CASES_GRAD, k.dtype = HONE_F32;
        emit(to, &k);
    }
    emit_spans(to, 0, CASES_CHECK | CASES_GRAD);
    emit_spans(to, 2, CASES_CHECK | CASES_GRAD);
}

void loss_cases(cases_sink *to) {
    static const int64_t shapes[][2] = {{1, 1}, {7, 2}, {65, 77}, {130, 3}, {33, 385}, {9, 3001}};
    for (int i = 0; i < 24; i++) emit_xent(to, shapes[i % 6][0], shapes[i % 6][1], i % 16, 0);
    for (int i = 0; i < 16; i++) emit_columns(to, shapes[i % 6][0], shapes[i % 6][1], i, 0);
    emit_wide(to);
    emit_widest(to);
    emit_xent(to, 12, 50, 6, 4);
    for (int trap = 1; trap < 3; trap++) {
        emit_xent(to, 12, 50, 6, trap);
        emit_columns(to, 12, 5, 2, trap);
    }
    for (int r = 0; r < 12; r++) emit_spans(to, r, CASES_CHECK);
    emit_lifted(to);
    emit_grads(to);
    cases_case k = base_case(HONE_OP_XENT, 1024, 77, 0);
    bind_operand(&k, "best gx", 1);
    k.in_place = 1, k.modes = CASES_BENCH;
    emit_types(to, &k);
}
