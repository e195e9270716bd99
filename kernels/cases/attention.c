/* attention.c - lengths, masks, heads, dropout, and seven traps:
 *   1 all scores about -200 (keys beyond the end would count e^200 times), 2 scores of thousands, 3 equal
 * scores, 4 masks that leave rows without keys, 5 query rows whose keys are not places 0, 1, 2 ...,
 * 6 gradients of scores beyond fp16, 7 gradients so small that fp16 keeps few of their digits, as with loss scale 1.
 * Bound: scores of K products, sums of S terms, in fp32; in 2-byte types twice attention_naive.c's error beside.
 * Backward takes o and lse from ref's forward, rounded as the device keeps them. */
#include "harness.h"

static void set_heads(cases_case *k, int H, int G, int K) {
    k->extent[CASES_LETTER('H')] = H, k->extent[CASES_LETTER('G')] = G, k->extent[CASES_LETTER('K')] = K;
    k->attr.attention.scale = 1 / sqrt((double)K);
}

static void fill_positions(cases_values *v) {
    operand_values *pos = values_find(v, "q_pos");
    int32_t *key = words_of(v, "key");
    if (!pos && v->k->trap != 5) return;
    for (int64_t n = 0; pos && n < pos->rows; n++) pos->word[n] = -1;
    for (int b = 0; b < v->k->n_sequences; b++) {
        const hone_range q = sequence_range(v->k->q_len, b);
        for (int i = 0; i < q.n; i++) {
            const int at =
                (int)((int64_t)(2 * i + 1) * v->k->k_len[b] / (2 * q.n)); /* picked queries, spread */
            if (pos) pos->word[q.first + i] = at;
            if (key) key[2 * (q.first + i) + 1] = at;
        }
    }
}

static void fill_scores(cases_values *v) {
    operand_values *q = values_find(v, "q"), *k = values_find(v, "k");
    const double flat = sqrt(200 / ((double)extent_of(v, 'K') * v->k->attr.attention.scale));
    for (int64_t e = 0; e < q->rows * q->width; e++) {
        if (v->k->trap == 1) q->x[e] = flat;
        if (v->k->trap == 2) q->x[e] *= 60;
        if (v->k->trap == 3) q->x[e] = 0;
    }
    for (int64_t e = 0; e < k->rows * k->width; e++) {
        if (v->k->trap == 1) k->x[e] = -flat + 0.01 * k->x[e];
        if (v->k->trap == 2) k->x[e] *= 60;
    }
    double *d_o = floats_of(v, "do"), *value = floats_of(v, "v");
    for (int64_t e = 0; d_o && e < q->rows * q->width; e++) {
        if (v->k->trap == 6) d_o[e] = fmax(-6e4, fmin(2e4 * d_o[e], 6e4));
        if (v->k->trap == 7) d_o[e] *= 0x1p-16;
    }
    for (int64_t e = 0; v->k->trap == 6 && e < k->rows * k->width; e++) value[e] *= 10;
    values_round(v);
}

static void fill_forward(cases_values *v) {
    fill_positions(v);
    fill_scores(v);
}

static void fill_backward(cases_values *v) {
    static const char *const shared[] = {"q", "k", "v", "q_at", "k_at", "q_pos", "key"};
    fill_positions(v);
    fill_scores(v);
    cases_case forward = *v->k;
    forward.op = HONE_OP_ATTENTION_FWD, forward.in_place = 0, forward.with[0] = 0;
    bind_operand(&forward, "q_pos", values_find(v, "q_pos") != NULL);
    bind_operand(&forward, "key", values_find(v, "key") != NULL);
    cases_values f;
    values_init(&f, v->on, &forward, v->compute);
    for (size_t i = 0; i < sizeof shared / sizeof *shared; i++) values_copy(&f, shared[i], v, shared[i]);
    char why[256];
    image im;
    if (!image_init(&im, &f, HONE_F64, v->on->ref, v->on->ref_device, why, sizeof why) ||
        !image_play(&im, (slice){0}, why, sizeof why))
        abort(); /* ref is plain memory and arithmetic */
    image_read(&im, &f);
    values_copy(v, "o", &f, "o");
    values_copy(v, "lse", &f, "lse");
    image_deinit(&im);
    values_deinit(&f);
}

static cases_case base_case(hone_op op) {
    cases_case k = {.op = op, .modes = CASES_CHECK, .row_letter = 'B'};
    k.fill = op == HONE_OP_ATTENTION_FWD ? fill_forward : fill_backward;
    k.attr.site = 5;
    k.attr.attention.left = 3, k.attr.attention.right = 2;
    k.bound = 1e-5, k.floor = 0.25, k.why = "scores of K products, sums of S terms";
    k.naive = op == HONE_OP_ATTENTION_FWD ? attention_naive_fwd : attention_naive_bwd;
    return k;
}

/* In all types, or the case's own where it has one: HONE_F64 is nobody's. */
static void emit_as(cases_sink *to, const cases_case *k) {
    if (k->dtype == HONE_F64) emit_types(to, k);
    else emit(to, k);
}

static void emit_both(cases_sink *to, const cases_case *forward) {
    cases_case k = *forward;
    if (k.n_sequences == 1) k.row_letter = 0; /* alone anyway */
    k.op = HONE_OP_ATTENTION_FWD, k.fill = fill_forward, k.naive = attention_naive_fwd;
    emit_as(to, &k);
    k.op = HONE_OP_ATTENTION_BWD, k.fill = fill_backward, k.naive = attention_naive_bwd;
    bind_operand(&k, "dq dk dv", 1);
    emit_as(to, &k);
}

typedef struct {
    int n, q[10], k[10]; /* k[0] -1: as q */
} lengths;

static const lengths length_sets[] = {
    {5, {1, 2, 15, 16, 17}, {-1}},
    {3, {63, 64, 65}, {-1}},
    {6, {0, 5, 0, 33, 1, 8}, {-1}},
    {2, {127, 129}, {-1}},
    {1, {128}, {-1}},
    {4, {5, 0, 17, 3}, {9, 4, 0, 40}},
    {3, {20, 31, 2}, {3, 30, 1}},
    {2, {31, 33}, {-1}},
    {1, {257}, {-1}},
    {2, {0, 0}, {-1}},
    {8, {7, 11, 1, 9, 3, 24, 6, 2}, {-1}},
    {1, {1}, {-1}},
    {3, {1, 1, 1}, {65, 128, 300}},
    {1, {256}, {-1}},
    {6, {95, 2, 97, 30, 31, 64}, {-1}},
    {2, {130, 3}, {40, 270}},
    {1, {255}, {-1}},
};

static void set_sequences(cases_case *k, const lengths *l) {
    set_lengths(k, 'N', l->q, l->n);
    set_lengths(k, 'M', l->k[0] < 0 ? l->q : l->k, l->n);
}

static void emit_run(cases_sink *to, int i) {
    static const int heads[][3] = {{2, 2, 32}, {1, 1, 64},  {4, 2, 32}, {3, 3, 20},
                                   {2, 1, 64}, {1, 1, 128}, {2, 2, 96}};
    const int r = i % 16;
    cases_case k = base_case(HONE_OP_ATTENTION_FWD);
    set_sequences(&k, &length_sets[(size_t)i % (sizeof length_sets / sizeof *length_sets)]);
    set_heads(&k, heads[i % 7][0], heads[i % 7][1], heads[i % 7][2]);
    k.attr.attention.mask = i % 3;
    if (i % 3 == HONE_MASK_WINDOW && factor(r, 1)) k.attr.attention.left = i % 2, k.attr.attention.right = 0;
    if (i % 3 == HONE_MASK_WINDOW && factor(r, 2)) k.attr.attention.left = 1000;
    k.attr.p = factor(r, 4) ? (factor(r, 8) ? 0.5f : 0.1f) : 0;
    bind_operand(&k, "q_pos", factor(r, 7) && i % 3 != HONE_MASK_FULL);
    bind_operand(&k, "key", k.attr.p > 0);
    k.pad = i % 16 == 5 ? 3 : factor(r, 9) ? 8 : 0; /* 3: rows that cannot be read in 16 bytes */
    k.no_list = factor(r, 6);
    static const hone_dtype types[] = {HONE_F32, HONE_BF16, HONE_F16};
    for (int t = 0; t < (i < 17 ? 2 : 3); t++) { /* fp16 is bf16's kernel: all lengths once */
        k.dtype = types[t];
        emit_both(to, &k);
    }
}

static void emit_traps(cases_sink *to) {
    static const char *const notes[] = {"",        "scores -200", "large scores", "equal scores",
                                        "no keys", "picked"};
    static const lengths sets[] = {{0},
                                   {3, {100, 37, 5}, {-1}},
                                   {3, {100, 37, 5}, {-1}},
                                   {3, {255, 37, 256}, {-1}},
                                   {3, {100, 37, 5}, {60, 1, 4}},
                                   {3, {20, 1, 140}, {100, 37, 150}}};
    for (int trap = 1; trap <= 5; trap++) {
        cases_case k = base_case(HONE_OP_ATTENTION_FWD);
        set_sequences(&k, &sets[trap]);
        set_heads(&k, 2, 2, 32);
        k.trap = trap;
        snprintf(k.note, sizeof k.note, "%s", notes[trap]);
        if (trap == 4) k.attr.attention.mask = HONE_MASK_CAUSAL;
        if (trap == 5) k.attr.p = 0.1f;
        bind_operand(&k, "key", trap == 5);
        if (trap == 1)
            k.bound = 1e-4, k.floor = 2, k.why = "an ulp of 200 is 1.5e-5, and probabilities inherit it";
        if (trap == 2)
            k.bound = 0.02, k.floor = 60, k.why = "an ulp of 20,000 is 2e-3";
        emit_both(to, &k);
    }
}

/* fp16 alone has so small a range. Keys and queries enough for all three gradients to lose some of their rows. */
static void emit_range(cases_sink *to) {
    static const lengths small = {3, {100, 37, 5}, {-1}}, large = {2, {70, 150}, {-1}};
    for (int i = 0; i < 4; i++) {
        cases_case k = base_case(HONE_OP_ATTENTION_BWD);
        set_sequences(&k, i < 2 ? &small : &large);
        set_heads(&k, 2, 2, i == 3 ? 256 : 64);
        k.dtype = HONE_F16, k.trap = 6 + i % 2, k.overflows = k.trap == 6;
        snprintf(k.note, sizeof k.note, k.overflows ? "overflow" : "underflow");
        k.floor = k.overflows ? 1 : 0x1p-20;
        bind_operand(&k, k.overflows ? "dq dk" : "dq dk dv", 1); /* dv is a sum of probabilities: none overflow */
        emit(to, &k);
    }
}

static void emit_grads(cases_sink *to) {
    static const lengths few = {3, {3, 0, 4}, {-1}}, cross = {3, {3, 2, 4}, {5, 0, 2}};
    for (int i = 0; i < 12; i++) {
        cases_case k = base_case(HONE_OP_ATTENTION_FWD);
        set_sequences(&k, i & 1 ? &cross : &few);
        set_heads(&k, 4, i & 2 ? 2 : 4, 5);
        k.attr.attention.mask = i / 4;
        k.attr.p = i % 3 ? 0.5f : 0;
        bind_operand(&k, "key", k.attr.p > 0);
        bind_operand(&k, "q_pos", i % 5 == 4);
        k.floor = 0, k.modes |= CASES_GRAD, k.dtype = HONE_F32, k.bound *= 10;
        emit(to, &k);
    }
}

/* One sequence a case: longer than a block of keys, or heads of unusual width. */
static void emit_widths(cases_sink *to) {
    static const int longest[] = {300, 128, 0, 512, 256, 8, 0, 0}; /* known, too short, not known */
    static const struct {
        int q, k, H, G, K, mask, left, right;
        float p;
    } wide[] = {
        {300, 300, 1, 1, 96, HONE_MASK_CAUSAL, 0, 0, 0.1f},
        {150, 530, 1, 1, 96, HONE_MASK_WINDOW, 200, 3, 0.1f},
        {70, 530, 2, 1, 128, HONE_MASK_CAUSAL, 0, 0, 0.5f},
        {511, 511, 1, 1, 64, HONE_MASK_WINDOW, 30, 30, 0},
        {512, 300, 1, 1, 32, HONE_MASK_CAUSAL, 0, 0, 0.1f},
        {40, 70, 1, 1, 256, HONE_MASK_CAUSAL, 0, 0, 0.1f},
        {5, 9, 2, 1, 1, HONE_MASK_FULL, 0, 0, 0.1f},
        {33, 20, 4, 2, 16, HONE_MASK_FULL, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++) {
        cases_case k = base_case(HONE_OP_ATTENTION_FWD);
        set_lengths(&k, 'N', &wide[i].q, 1);
        set_lengths(&k, 'M', &wide[i].k, 1);
        set_heads(&k, wide[i].H, wide[i].G, wide[i].K);
        k.attr.attention.mask = wide[i].mask;
        k.attr.attention.left = wide[i].left, k.attr.attention.right = wide[i].right;
        k.attr.p = wide[i].p, k.attr.attention.longest = longest[i];
        bind_operand(&k, "key", k.attr.p > 0);
        emit_both(to, &k);
    }
}

/* Heads of 256 columns, whose keys are shared out among pairs of warps: all kinds of lengths, masks and sharing. */
static void emit_256(cases_sink *to) {
    static const lengths sets[] = {{5, {1, 2, 15, 16, 17}, {-1}}, {4, {0, 31, 33, 32}, {-1}},
                                   {3, {63, 64, 65}, {-1}},       {4, {5, 0, 17, 3}, {9, 4, 0, 40}},
                                   {3, {40, 31, 2}, {3, 70, 1}},  {2, {127, 129}, {-1}}};
    for (int i = 0; i < 6; i++) {
        cases_case k = base_case(HONE_OP_ATTENTION_FWD);
        set_sequences(&k, &sets[i]);
        set_heads(&k, 1 + i % 2, 1, 256);
        k.attr.attention.mask = (i + 1) % 3;
        k.attr.p = i % 3 == 0 ? 0.1f : i % 3 == 1 ? 0.5f : 0;
        bind_operand(&k, "key", k.attr.p > 0);
        k.pad = i % 2 ? 8 : 0, k.no_list = i % 4 == 3;
        k.dtype = i % 4 == 2 ? HONE_F16 : HONE_BF16;
        emit_both(to, &k);
    }
}

static void emit_long(cases_sink *to, int n, int S, float p, unsigned modes) {
    cases_case k = base_case(HONE_OP_ATTENTION_FWD);
    if (modes == CASES_CHECK)
        k.dtype = HONE_BF16; /* one will do, and few queries: 1,025 keys are slow to emulate */
    int all[CASES_MAX_SEQUENCES], few[] = {80};
    for (int b = 0; b < n; b++) all[b] = S;
    set_lengths(&k, 'N', modes == CASES_CHECK ? few : all, n);
    set_lengths(&k, 'M', all, n);
    set_heads(&k, modes == CASES_BENCH ? 12 : 1, modes == CASES_BENCH ? 12 : 1, 32);
    k.attr.p = p, k.modes = modes, k.row_letter = 0;
    bind_operand(&k, "key", p > 0);
    emit_both(to, &k);
}

/* Every width with every mask, dropout and length up to 2,048. */
static void emit_product(cases_sink *to) {
    static const lengths sets[] = {{8, {1, 2, 15, 16, 17, 63, 64, 65}, {-1}}, {3, {127, 128, 129}, {-1}},
                                   {3, {255, 256, 257}, {-1}},                {3, {511, 512, 513}, {-1}},
                                   {3, {1023, 1024, 1025}, {-1}},             {2, {0, 2048}, {-1}}};
    static const int widths[] = {32, 64, 96, 128, 256};
    static const float shares[] = {0, 0.1f, 0.5f};
    for (int i = 0; i < 6 * 5 * 9; i++) {
        const int set = i / 45, turn = i % 9;
        if (set > 3 && turn != i / 9 % 5) continue; /* the longest once a width, with another mask and share each */
        cases_case k = base_case(HONE_OP_ATTENTION_FWD);
        set_sequences(&k, &sets[set]);
        set_heads(&k, 1, 1, widths[i / 9 % 5]);
        k.attr.attention.mask = turn / 3, k.attr.p = shares[turn % 3];
        if (turn / 3 == HONE_MASK_WINDOW) k.attr.attention.left = 70, k.attr.attention.right = 33;
        bind_operand(&k, "key", k.attr.p > 0);
        k.modes = CASES_LONG, k.row_letter = 0, k.dtype = i % 2 ? HONE_F16 : HONE_BF16;
        emit_both(to, &k);
    }
}

void attention_cases(cases_sink *to) {
    for (int i = 0; i < 34; i++) emit_run(to, i);
    emit_widths(to);
    emit_256(to);
    emit_long(to, 1, 1025, 0.1f, CASES_CHECK);
    emit_traps(to);
    emit_range(to);
    emit_grads(to);
    emit_product(to);
    emit_long(to, 32, 32, 0.1f, CASES_BENCH);
    emit_long(to, 8, 128, 0.1f, CASES_BENCH);
    emit_long(to, 2, 512, 0.1f, CASES_BENCH);
    emit_long(to, 8, 128, 0, CASES_BENCH); /* as libraries play it */
    emit_long(to, 2, 512, 0, CASES_BENCH);
}
