/* run.c - a whole plan played: the loss is finite, gradients are what finite differences say, weights move.
 */
#include <math.h>

#include "sample.h"
#include "test.h"

static double loss_at(player *p, const int64_t *rows) {
    player_play(p, HONE_MICRO, 0, rows);
    return *(double *)player_at(p, p->plan->loss, 0);
}

static void check_differences(const sample *s) {
    hone_plan *plan = sample_plan(s);
    player *p = sample_player(plan, 0);
    const batch b = sample_batch(s, 5, 8);
    int64_t rows[8];
    player_feed(p, &b, rows);
    CHECK(isfinite(loss_at(p, rows)));
    double largest = 0, worst = 0;
    double g[64][4];
    CHECK(plan->n_params < 64);
    for (int i = 1; i <= plan->n_params; i++)
        for (int64_t e = 0; plan->param[i].wants_grad && e < player_elements(p, plan->param[i].value); e++)
            largest = fmax(largest, fabs(((double *)player_gradient(p, i, 0))[e]));
    CHECK(largest > 1e-3 && largest < 100);
    for (int i = 1; i <= plan->n_params; i++) {
        const int64_t n = player_elements(p, plan->param[i].value);
        for (int k = 0; k < 4 && plan->param[i].wants_grad; k++)
            g[i][k] = ((double *)player_gradient(p, i, 0))[(7919 * k + 3 * i) % n];
    }
    for (int i = 1; i <= plan->n_params; i++) {
        const int64_t n = player_elements(p, plan->param[i].value);
        for (int k = 0; k < 4 && plan->param[i].wants_grad; k++) {
            double *w = (double *)player_at(p, plan->param[i].value, 0) + (7919 * k + 3 * i) % n;
            const double keep = *w, h = 1e-5;
            *w = keep + h;
            const double up = loss_at(p, rows);
            *w = keep - h;
            const double down = loss_at(p, rows);
            *w = keep;
            const double d = fabs((up - down) / (2 * h) - g[i][k]) / fmax(fabs(g[i][k]), 1e-2 * largest);
            worst = fmax(worst, d);
            if (!(d <= 1e-6))
                test_fail(__FILE__, __LINE__, "%s: gradient %.9g, finite difference %.9g",
                          plan->param[i].name, g[i][k], (up - down) / (2 * h));
        }
    }
    printf("  worst of %d parameters: %.2g\n", plan->n_params, worst);
    player_close(p);
    hone_plan_free(plan);
}

TEST(gradients_are_finite_differences_of_a_bert) { check_differences(&(sample){.p = 0.1}); }
TEST(gradients_are_finite_differences_of_a_distilbert) {
    check_differences(&(sample){.family = "distilbert", .p = 0.1});
}
TEST(gradients_are_finite_differences_without_passes) {
    check_differences(&(sample){.p = 0.1, .no_narrow = 1, .no_pack = 1, .no_fuse = 1});
}

TEST(gradients_are_finite_differences_with_recomputing) {
    check_differences(&(sample){.p = 0.1, .recompute = 2});
}
TEST(gradients_are_finite_differences_with_class_weights_and_smoothing) {
    check_differences(&(sample){.p = 0.1, .weighted = 1, .smoothing = 0.2});
}
TEST(gradients_are_finite_differences_of_a_regression) {
    check_differences(&(sample){.p = 0.1, .kind = HEAD_REGRESSION});
}
TEST(gradients_are_finite_differences_of_masked_words) {
    check_differences(&(sample){.p = 0.1, .kind = HEAD_WORDS, .chunk_rows = 3});
    check_differences(&(sample){.p = 0.1, .kind = HEAD_WORDS, .recompute = 2});
}
TEST(gradients_are_finite_differences_of_tagged_words) {
    check_differences(&(sample){.p = 0.1, .kind = HEAD_TOKENS});
    check_differences(&(sample){.family = "distilbert", .p = 0.1, .kind = HEAD_TOKENS, .recompute = 2});
}
TEST(gradients_are_finite_differences_of_several_labels) {
    check_differences(&(sample){.p = 0.1, .kind = HEAD_MARKS, .weighted = 1});
}
TEST(gradients_are_finite_differences_of_answers) {
    check_differences(&(sample){.p = 0.1, .kind = HEAD_SPANS});
    check_differences(&(sample){.family = "distilbert", .p = 0.1, .kind = HEAD_SPANS, .recompute = 2});
}
TEST(gradients_are_finite_differences_of_words_and_next_sentences) {
    check_differences(&(sample){.p = 0.1, .kind = HEAD_PRETRAINING, .outputs = 2, .chunk_rows = 3});
    check_differences(&(sample){.p = 0.1, .kind = HEAD_PRETRAINING, .outputs = 2, .recompute = 2});
}
TEST(gradients_are_finite_differences_of_a_gpt2) {
    check_differences(&(sample){.family = "gpt2", .p = 0.1});
    check_differences(&(sample){.family = "gpt2", .p = 0.1, .kind = HEAD_NEXT, .chunk_rows = 7});
    check_differences(&(sample){.family = "gpt2", .p = 0.1, .kind = HEAD_NEXT, .recompute = 2});
}
TEST(gradients_are_finite_differences_with_norms_before) {
    check_differences(&(sample){.family = "before", .p = 0.1});
}
TEST(gradients_are_finite_differences_with_a_gate) {
    check_differences(&(sample){.family = "gated", .p = 0.1, .recompute = 1});
}
TEST(gradients_are_finite_differences_with_frozen_weights) {
    check_differences(&(sample){.p = 0.1, .freeze = "*weight"});
}

TEST(a_step_of_training_lowers_the_loss) {
    sample s = {.accumulation = 2};
    hone_plan *plan = sample_plan(&s);
    player *p = sample_player(plan, 0);
    const batch b = sample_batch(&s, 5, 8);
    int64_t rows[8];
    player_feed(p, &b, rows);
    const double before = loss_at(p, rows);
    player_play(p, HONE_MICRO, 1, rows);
    player_play(p, HONE_FOLD, 0, rows);
    CHECK_NEAR(*(double *)player_at(p, plan->loss, 0), 2 * before, 1e-15);
    player_play(p, HONE_UPDATE_WEIGHTS, 0, rows);
    CHECK_INT(*(int32_t *)player_at(p, plan->ok, 0), 1);
    const double norm = *(double *)player_at(p, plan->norm, 0);
    CHECK(norm > 0 && isfinite(norm));
    player_play(p, HONE_EVAL, 0, rows);
    double after = 0;
    for (int i = 0; i < b.n; i++) after += ((double *)player_at(p, plan->eval_loss, 0))[i];
    printf("  loss %.6g, then %.6g; norm %.6g\n", before, after, norm);
    CHECK(after < before);
    player_close(p);
    hone_plan_free(plan);
}
