/* update.c - the optimizer's program: what it moves, by how much, and what it leaves alone. */
#include <math.h>
#include <stdlib.h>

#include "sample.h"
#include "test.h"

typedef struct {
    hone_plan *plan;
    player *p;
    double *before; /* weights */
} trained;

static void check_weights(const trained *t, double factor, const double *gradient) {
    const hone_plan *plan = t->plan;
    const double *rate = player_at(t->p, plan->rate, 0);
    int64_t at = 0;
    for (int i = 1; i <= plan->n_params; i++) {
        const hone_param *x = &plan->param[i];
        const double *w = player_at(t->p, x->value, 0), r = rate[2 * x->group],
                     decay = rate[2 * x->group + 1];
        for (int64_t e = 0; e < player_elements(t->p, x->value); e++, at++) {
            const double was = t->before[at], g = factor * gradient[at];
            if (!x->wants_grad) {
                CHECK(w[e] == was);
                continue;
            }
            const double m = 0.1 * g, v = 0.001 * g * g;
            const double want = was - r * decay * was - r * (m / 0.1) / (sqrt(v / 0.001) + 1e-8);
            if (!(fabs(w[e] - want) <= 1e-12))
                test_fail(__FILE__, __LINE__, "%s[%lld] is %.17g, expected %.17g", x->name, (long long)e,
                          w[e], want);
            CHECK_NEAR(((double *)player_at(t->p, x->moment[0], 0))[e], m, 1e-15);
            CHECK_NEAR(((double *)player_at(t->p, x->moment[1], 0))[e], v, 1e-15);
        }
    }
}

static void train_once(const sample *s) {
    trained t = {.plan = sample_plan(s)};
    t.p = sample_player(t.plan, 0);
    const batch b = sample_batch(s, 5, 8);
    int64_t rows[8], n = 0, at = 0;
    for (int i = 1; i <= t.plan->n_params; i++) n += player_elements(t.p, t.plan->param[i].value);
    double *gradient = calloc((size_t)n, sizeof *gradient), square = 0;
    t.before = calloc((size_t)n, sizeof *t.before);
    CHECK(gradient && t.before);
    player_feed(t.p, &b, rows);
    player_play(t.p, HONE_MICRO, 0, rows);
    for (int i = 1; i <= t.plan->n_params; i++) {
        const hone_param *x = &t.plan->param[i];
        const int64_t elements = player_elements(t.p, x->value);
        memcpy(t.before + at, player_at(t.p, x->value, 0), (size_t)elements * sizeof(double));
        if (x->wants_grad)
            memcpy(gradient + at, player_gradient(t.p, i, 0), (size_t)elements * sizeof(double));
        for (int64_t e = 0; e < elements && x->wants_grad; e++) square += gradient[at + e] * gradient[at + e];
        at += elements;
    }
    player_play(t.p, HONE_UPDATE_WEIGHTS, 0, rows);
    const double norm = *(double *)player_at(t.p, t.plan->norm, 0);
    CHECK_NEAR(norm, sqrt(square), 1e-12 * norm);
    CHECK(norm > 0.5); /* so that clipping is played */
    CHECK_INT(*(int32_t *)player_at(t.p, t.plan->ok, 0), 1);
    CHECK_INT(((hone_tick *)player_at(t.p, t.plan->tick, 0))->adam_t, 1);
    CHECK_INT(((hone_tick *)player_at(t.p, t.plan->tick, 0))->step, 1);
    check_weights(&t, 0.5 / (norm + 1e-6), gradient);
    free(gradient);
    free(t.before);
    player_close(t.p);
    hone_plan_free(t.plan);
}

TEST(an_update_moves_every_trained_weight_as_adamw_says) { train_once(&(sample){.p = 0.1}); }
TEST(an_update_leaves_frozen_weights_alone) {
    train_once(&(sample){.p = 0.1, .freeze = "*embeddings*"});
    train_once(&(sample){.p = 0.1, .freeze = "*attention.self.key*"});
    train_once(&(sample){.family = "distilbert", .p = 0.1, .freeze = "*bias"});
}

TEST(a_gradient_that_is_not_finite_moves_no_weight) {
    const sample s = {.p = 0.1};
    hone_plan *plan = sample_plan(&s);
    player *p = sample_player(plan, 0);
    const batch b = sample_batch(&s, 5, 8);
    int64_t rows[8];
    player_feed(p, &b, rows);
    player_play(p, HONE_MICRO, 0, rows);
    *(double *)player_gradient(p, 3, 0) = NAN;
    char *before = malloc(plan->slab_bytes[HONE_PARAM]);
    CHECK(before);
    memcpy(before, p->slab[HONE_PARAM], plan->slab_bytes[HONE_PARAM]);
    player_play(p, HONE_UPDATE_WEIGHTS, 0, rows);
    CHECK_INT(*(int32_t *)player_at(p, plan->ok, 0), 0);
    CHECK(!memcmp(before, p->slab[HONE_PARAM], plan->slab_bytes[HONE_PARAM]));
    free(before);
    player_close(p);
    hone_plan_free(plan);
}

TEST(weights_decay_but_biases_and_norms_do_not) {
    const sample s = {.layers = 1};
    hone_plan *plan = sample_plan(&s);
    int n_decay = 0;
    for (int i = 1; i <= plan->n_params; i++) {
        const hone_param *x = &plan->param[i];
        const int is_bias = strstr(x->name, "bias") != NULL, is_norm = strstr(x->name, "LayerNorm") != NULL;
        CHECK_INT(x->decays, !is_bias && !is_norm);
        CHECK_INT(x->group % 2, x->decays);
        CHECK_INT(x->group / 2, x->layer + 1);
        n_decay += x->decays;
    }
    CHECK_INT(n_decay, 3 + 6 + 2);
    CHECK_INT(plan->n_groups, 6);
    hone_plan_free(plan);
}

/* Planned for a device that plays everything: no machine is needed to plan for one. */
static int can_all(const hone_query *q, char *why, size_t n) {
    (void)q, (void)why, (void)n;
    return 1;
}

TEST(a_bf16_plan_keeps_fp32_masters_of_all_and_moments_of_the_trained) {
    const sample s = {.p = 0.1, .dtype = HONE_BF16, .accumulation = 2, .freeze = "*embeddings*"};
    hone_device_v1 any = *sample_device();
    any.can = can_all;
    model_config *config = sample_config(&s);
    plan_options o = sample_options(&s, config);
    o.device = &any;
    hone_plan *p = NULL;
    CHECK_OK(plan_build(&p, &o, err));
    for (int i = 1; i <= p->n_params; i++) {
        const hone_param *x = &p->param[i];
        const hone_value *w = &p->value[x->value], *m = &p->value[x->master];
        CHECK_INT(w->dtype, HONE_BF16);
        CHECK_INT(m->dtype, HONE_F32);
        CHECK_INT(m->cls, HONE_STATE);
        CHECK_INT(m->offset, 2 * w->offset);
        CHECK_INT(x->moment[0] != 0, x->wants_grad);
        CHECK_INT(x->moment[1] != 0, x->wants_grad);
        if (!x->wants_grad) continue;
        CHECK_INT(p->value[x->moment[1]].offset - p->value[x->moment[0]].offset, 4 * p->n_trained);
    }
    CHECK_INT(p->slot_bytes, 4 * (64 + p->n_trained));
    CHECK_INT(p->value[p->loss].dtype, HONE_F32);
    hone_plan_free(p);
    config_free(config);
}
