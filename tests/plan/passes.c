/* passes.c - a pass changes how a program is played, not what it makes: plans with and without it are played
 * on the same batch and compared. */
#include <math.h>
#include <stdlib.h>

#include "sample.h"
#include "test.h"

/* What a micro-batch makes: the loss and the gradients of what is trained, in the order of the parameters. */
typedef struct {
    double loss, largest;
    double *gradient;
    int64_t n;
} outcome;

typedef enum { AT_COUNT, AT_CAPACITY } extent;

static outcome collect(const player *p, int slot) {
    outcome o = {.loss = ((double *)player_at(p, p->plan->loss, slot))[0]};
    for (int pass = 0; pass < 2; pass++) {
        o.n = 0;
        for (int i = 1; i <= p->plan->n_params; i++) {
            if (!p->plan->param[i].wants_grad) continue;
            const int64_t n = player_elements(p, p->plan->param[i].value);
            if (pass) memcpy(o.gradient + o.n, player_gradient(p, i, slot), (size_t)n * sizeof(double));
            o.n += n;
        }
        if (!pass) o.gradient = malloc((size_t)o.n * sizeof(double));
        CHECK(o.gradient);
    }
    CHECK(isfinite(o.loss) && o.loss > 0);
    for (int64_t i = 0; i < o.n; i++) {
        CHECK(isfinite(o.gradient[i]));
        o.largest = fmax(o.largest, fabs(o.gradient[i]));
    }
    CHECK(o.largest > 1e-3);
    return o;
}

static outcome play(const sample *s, int own, extent e) {
    hone_plan *plan = sample_plan(s);
    player *p = sample_player(plan, own);
    const batch b = sample_batch(s, 5, 8);
    int64_t rows[8];
    player_feed(p, &b, rows);
    player_play(p, HONE_MICRO, 0, e == AT_COUNT ? rows : NULL);
    const outcome o = collect(p, 0);
    player_close(p);
    hone_plan_free(plan);
    return o;
}

/* bound 0: the same bits. Else gradients may differ by bound times the largest of all: other orders of sums.
 */
static void compare(outcome a, outcome b, double bound, const char *what) {
    CHECK_INT(a.n, b.n);
    if (memcmp(&a.loss, &b.loss, sizeof a.loss))
        test_fail(__FILE__, __LINE__, "%s: loss %.17g, %.17g", what, a.loss, b.loss);
    for (int64_t i = 0; i < a.n; i++) {
        const int same = !memcmp(&a.gradient[i], &b.gradient[i], sizeof(double));
        if (!same && (bound == 0 || !(fabs(a.gradient[i] - b.gradient[i]) <= bound * a.largest)))
            test_fail(__FILE__, __LINE__, "%s: gradient %lld is %.17g, %.17g", what, (long long)i,
                      a.gradient[i], b.gradient[i]);
    }
    free(a.gradient);
    free(b.gradient);
}

/* Families, heads, what is frozen: every test of this file is about all of these. */
static const sample samples[] = {
    {.p = 0.1},
    {.p = 0},
    {.layers = 1, .p = 0.3},
    {.layers = 3, .p = 0.2, .weighted = 1, .smoothing = 0.1},
    {.family = "distilbert", .p = 0.1},
    {.family = "distilbert", .p = 0.1, .kind = HEAD_REGRESSION},
    {.p = 0.1, .kind = HEAD_REGRESSION},
    {.p = 0.1, .freeze = "*embeddings*"},
    {.p = 0.1, .freeze = "*layer.0*"},
    {.p = 0.1, .freeze = "bert.*"},
    {.p = 0.1, .freeze = "*bias"},
    {.p = 0.1, .freeze = "*key.weight"},
    {.p = 0.1, .freeze = "*LayerNorm*"},
    {.family = "before", .p = 0.1},
    {.family = "before", .p = 0},
    {.family = "gated", .layers = 3, .p = 0.1},
    {.family = "gated", .layers = 2, .p = 0.1, .freeze = "*gate*"},
    {.p = 0.1, .kind = HEAD_WORDS},
    {.p = 0.1, .kind = HEAD_WORDS, .chunk_rows = 3},
    {.family = "distilbert", .kind = HEAD_WORDS, .chunk_rows = 16},
    {.p = 0.1, .kind = HEAD_WORDS, .chunk_rows = 3, .freeze = "*embeddings*"},
    {.p = 0.1, .kind = HEAD_WORDS, .chunk_rows = 3, .freeze = "cls.predictions.bias"},
    {.p = 0.1, .kind = HEAD_WORDS, .chunk_rows = 3, .freeze = "bert.*"},
    {.p = 0.1, .kind = HEAD_TOKENS},
    {.family = "distilbert", .p = 0.1, .kind = HEAD_TOKENS, .freeze = "*embeddings*"},
    {.p = 0.1, .kind = HEAD_MARKS, .weighted = 1},
    {.p = 0.1, .kind = HEAD_SPANS},
    {.family = "distilbert", .p = 0.1, .kind = HEAD_SPANS, .freeze = "distilbert.*"},
    {.p = 0.1, .kind = HEAD_PRETRAINING, .outputs = 2},
    {.p = 0.1, .kind = HEAD_PRETRAINING, .outputs = 2, .chunk_rows = 3, .freeze = "*pooler*"},
    {.p = 0.1, .kind = HEAD_PRETRAINING, .outputs = 2, .chunk_rows = 3, .freeze = "*word_embeddings*"},
    {.family = "gpt2", .p = 0.1},
    {.family = "gpt2", .layers = 3, .kind = HEAD_REGRESSION},
    {.family = "gpt2", .p = 0.1, .kind = HEAD_NEXT},
    {.family = "gpt2", .p = 0.1, .kind = HEAD_NEXT, .chunk_rows = 5},
    {.family = "gpt2", .p = 0.1, .kind = HEAD_NEXT, .freeze = "*c_attn*"},
    {.family = "gpt2", .p = 0.1, .kind = HEAD_NEXT, .chunk_rows = 5, .freeze = "*wte*"},
};
#define N_SAMPLES ((int)(sizeof samples / sizeof *samples))

static const char *named(int i, const char *what) {
    static char name[100];
    snprintf(name, sizeof name, "sample %d, %s", i, what);
    return name;
}

TEST(fusing_changes_no_bit) {
    for (int i = 0; i < N_SAMPLES; i++) {
        sample s = samples[i];
        s.no_fuse = 1;
        compare(play(&s, 0, AT_COUNT), play(&samples[i], 0, AT_COUNT), 0, named(i, "fuse"));
    }
}

/* What is fused into norms stays beside them, and what they add to is added behind them. */
TEST(norms_of_a_library_change_no_bit) {
    int n_adds = 0;
    for (int i = 0; i < N_SAMPLES; i++)
        for (int level = 0; level <= 2; level++) {
            sample s = samples[i];
            s.plain_norms = 1, s.recompute = level;
            compare(play(&samples[i], 0, AT_COUNT), play(&s, 0, AT_COUNT), 0, named(i, "plain norms"));
            hone_plan *plan = sample_plan(&s);
            const hone_program *p = &plan->program[HONE_MICRO];
            for (int k = 0; k + 1 < p->n_steps; k++)
                n_adds += p->step[k].op == HONE_OP_NORM_BWD && p->step[k + 1].op == HONE_OP_ADD &&
                          p->step[k + 1].in[0] == p->step[k].out[0];
            hone_plan_free(plan);
        }
    CHECK(n_adds > 0);
}

TEST(narrowing_changes_no_bit_of_the_loss) {
    for (int i = 0; i < N_SAMPLES; i++) {
        sample s = samples[i];
        s.no_narrow = 1;
        compare(play(&s, 0, AT_COUNT), play(&samples[i], 0, AT_COUNT), 1e-15, named(i, "narrow"));
    }
}

TEST(chunks_of_a_vocabulary_change_no_bit_of_the_loss) {
    for (int i = 0; i < N_SAMPLES; i++) {
        sample s = samples[i];
        if (s.kind != HEAD_WORDS && s.kind != HEAD_NEXT && s.kind != HEAD_PRETRAINING) continue;
        s.chunk_rows = 1000;
        compare(play(&s, 0, AT_COUNT), play(&samples[i], 0, AT_COUNT), 1e-14, named(i, "expand"));
        compare(play(&samples[i], 1, AT_COUNT), play(&samples[i], 0, AT_COUNT), 0, named(i, "expand, each its own"));
        compare(play(&samples[i], 0, AT_CAPACITY), play(&samples[i], 0, AT_COUNT), 1e-14, named(i, "expand, capacity"));
    }
}

TEST(packing_changes_no_bit_of_the_loss) {
    for (int i = 0; i < N_SAMPLES; i++) {
        sample s = samples[i];
        s.no_pack = 1;
        compare(play(&s, 0, AT_COUNT), play(&samples[i], 0, AT_COUNT), 1e-15, named(i, "pack"));
    }
}

TEST(recomputing_changes_no_bit) {
    for (int i = 0; i < N_SAMPLES; i++)
        for (int level = 1; level <= 2; level++)
            for (int plain = 0; plain < 8; plain++) {
                sample s = samples[i];
                s.no_fuse = plain & 1, s.no_pack = plain >> 1 & 1, s.no_narrow = plain >> 2 & 1;
                sample again = s;
                again.recompute = level;
                compare(play(&s, 0, AT_COUNT), play(&again, 0, AT_COUNT), 0,
                        named(i, level == 1 ? "recompute 1" : "recompute 2"));
            }
}

TEST(all_settings_of_passes_agree) {
    for (int i = 0; i < N_SAMPLES; i++)
        for (int k = 1; k < 8; k++) {
            sample s = samples[i], t = samples[i];
            t.no_narrow = t.no_pack = t.no_fuse = 1;
            s.no_narrow = k & 1, s.no_pack = k >> 1 & 1, s.no_fuse = k >> 2;
            compare(play(&t, 1, AT_COUNT), play(&s, 0, AT_COUNT), 2e-15, named(i, "settings"));
        }
}

TEST(one_slab_full_of_nan_gives_the_bits_of_own_storage) {
    for (int i = 0; i < N_SAMPLES; i++)
        for (int level = 0; level <= 2; level++)
            for (int plain = 0; plain < 2; plain++) {
                sample s = samples[i];
                s.recompute = level;
                s.no_narrow = s.no_pack = s.no_fuse = plain;
                compare(play(&s, 1, AT_COUNT), play(&s, 0, AT_COUNT), 0, named(i, "slab"));
            }
}

TEST(tail_rows_change_no_bit) {
    for (int i = 0; i < N_SAMPLES; i++)
        for (int plain = 0; plain < 2; plain++) {
            sample s = samples[i];
            s.no_narrow = s.no_pack = s.no_fuse = plain;
            compare(play(&s, 0, AT_COUNT), play(&s, 0, AT_CAPACITY), 0, named(i, "tail"));
            s.recompute = 2;
            compare(play(&s, 0, AT_COUNT), play(&s, 0, AT_CAPACITY), 0, named(i, "tail, recompute 2"));
        }
}

/* Sums over rows are split between two micro-batches, so only their order differs. */
TEST(folded_micro_batches_are_one_batch) {
    for (int i = 0; i < N_SAMPLES; i++) {
        sample s = samples[i];
        s.accumulation = 2;
        hone_plan *plan = sample_plan(&s);
        player *p = sample_player(plan, 0);
        const batch whole = sample_batch(&s, 5, 8),
                    part[2] = {batch_part(&whole, 0, 2), batch_part(&whole, 2, 3)};
        int64_t rows[8];
        CHECK_INT(plan->n_slots, 2);
        player_feed(p, &whole, rows);
        player_play(p, HONE_MICRO, 0, rows);
        const outcome want = collect(p, 0);
        for (int k = 0; k < 2; k++) {
            player_feed(p, &part[k], rows);
            player_play(p, HONE_MICRO, k, rows);
            free(collect(p, k).gradient);
        }
        player_play(p, HONE_FOLD, 0, rows);
        outcome got = collect(p, 0);
        CHECK_NEAR(got.loss, want.loss, 4e-16 * want.loss);
        got.loss = want.loss;
        compare(want, got, 1e-15, named(i, "fold"));
        player_close(p);
        hone_plan_free(plan);
    }
}

/* Without dropout training and evaluation see the same loss; the rows' losses are summed in their order. */
TEST(evaluation_has_the_loss_of_training) {
    for (int k = 0; k < 16; k++) {
        sample s = {.family = k & 1 ? "distilbert" : "bert",
                    .kind = k >> 1 & 1 ? HEAD_REGRESSION : HEAD_CLASSES};
        s.no_narrow = s.no_pack = k >> 2 & 1;
        s.no_fuse = k >> 3;
        hone_plan *plan = sample_plan(&s);
        player *p = sample_player(plan, 0);
        const batch b = sample_batch(&s, 5, 8);
        int64_t rows[8];
        player_feed(p, &b, rows);
        player_play(p, HONE_MICRO, 0, rows);
        const double loss = *(double *)player_at(p, plan->loss, 0);
        player_play(p, HONE_EVAL, 0, rows);
        double sum = 0;
        for (int i = 0; i < b.n; i++) sum += ((double *)player_at(p, plan->eval_loss, 0))[i];
        CHECK(loss == sum && isfinite(loss));
        player_close(p);
        hone_plan_free(plan);
    }
}

TEST(evaluation_alone_gives_the_bits_of_evaluation_beside_training) {
    double loss[2][BATCH_MAX];
    sample s = {.p = 0.1};
    for (int alone = 0; alone < 2; alone++) {
        s.eval_only = alone;
        hone_plan *plan = sample_plan(&s);
        player *p = sample_player(plan, 0);
        const batch b = sample_batch(&s, 5, 8);
        int64_t rows[8];
        player_feed(p, &b, rows);
        player_play(p, HONE_EVAL, 0, rows);
        memcpy(loss[alone], player_at(p, plan->eval_loss, 0), sizeof(double) * (size_t)b.n);
        CHECK(isfinite(loss[alone][0]));
        player_close(p);
        hone_plan_free(plan);
    }
    CHECK(!memcmp(loss[0], loss[1], sizeof(double) * 5));
}

/* Nobody reads most rows of the last layer: narrowed they are not made. */
static int64_t rows_of_layer(const hone_plan *plan, int layer, const char *space, hone_op op) {
    int64_t n = 0;
    for (int i = 0; i < plan->program[HONE_MICRO].n_steps; i++) {
        const hone_step *s = &plan->program[HONE_MICRO].step[i];
        const int at = plan->value[s->out[0]].dim[0].space;
        n += s->layer == layer && s->op == op && at && !strcmp(plan->space[at].name, space);
    }
    return n;
}

TEST(narrowing_leaves_only_keys_and_values_of_the_last_layer_whole) {
    static const struct {
        head_kind kind;
        const char *space; /* of the rows that its heads read */
    } heads[] = {{HEAD_CLASSES, "seq"}, {HEAD_WORDS, "word"}, {HEAD_PRETRAINING, "read"}};
    for (int i = 0; i < 3; i++) {
        const sample s = {.layers = 3, .p = 0.1, .kind = heads[i].kind, .outputs = 2};
        hone_plan *plan = sample_plan(&s);
        CHECK_INT(rows_of_layer(plan, 1, "tok", HONE_OP_LINEAR_FWD), 4);
        CHECK_INT(rows_of_layer(plan, 1, "tok", HONE_OP_NORM_FWD), 2);
        CHECK_INT(rows_of_layer(plan, 2, "tok", HONE_OP_LINEAR_FWD), 1);
        CHECK_INT(rows_of_layer(plan, 2, heads[i].space, HONE_OP_LINEAR_FWD), 4);
        CHECK_INT(rows_of_layer(plan, 2, "tok", HONE_OP_NORM_FWD), 0);
        hone_plan_free(plan);
    }
}

TEST(recomputing_needs_fewer_bytes) {
    size_t bytes[3];
    for (int level = 0; level <= 2; level++) {
        const sample s = {.layers = 6,
                          .width = 64,
                          .heads = 4,
                          .inner = 256,
                          .positions = 512,
                          .tokens = 1024,
                          .seqs = 32,
                          .p = 0.1,
                          .dtype = HONE_F32,
                          .recompute = level};
        hone_plan *plan = sample_plan(&s);
        bytes[level] = plan->slab_bytes[HONE_ACTIVATION];
        hone_plan_free(plan);
    }
    printf("  levels 0, 1, 2: %zu, %zu, %zu bytes\n", bytes[0], bytes[1], bytes[2]);
    CHECK(bytes[1] < 0.8 * (double)bytes[0]);
    CHECK(bytes[2] < 0.6 * (double)bytes[1]);
}
