/* refuse.c - what cannot be planned is refused with the reason and what to do. */
#include <stdlib.h>

#include "sample.h"
#include "test.h"

static hone_err refused(const sample *s, hone_status want) {
    model_config *config = sample_config(s);
    const plan_options o = sample_options(s, config);
    hone_plan *p = NULL;
    hone_err err = {.text = ""};
    CHECK_INT(plan_build(&p, &o, &err), want);
    CHECK_INT(err.status, want);
    CHECK(!p);
    config_free(config);
    return err;
}

TEST(a_pattern_that_freezes_nothing_is_refused) {
    const hone_err err = refused(&(sample){.freeze = "*adapter*"}, HONE_EUSAGE);
    CHECK_STR(
        err.text,
        "freeze: \"*adapter*\" matches none of 41 parameters, expected a pattern like \"*embeddings*\"");
    CHECK_STR(err.hint, "the first parameter is called bert.embeddings.word_embeddings.weight");
}

TEST(freezing_everything_is_refused) {
    const hone_err err = refused(&(sample){.freeze = "*"}, HONE_EUSAGE);
    CHECK_STR(err.text, "freeze: all 41 parameters are frozen, expected something to train");
}

TEST(a_budget_too_small_is_refused_with_the_batch_that_fits) {
    sample s = {.layers = 4,
                .width = 64,
                .heads = 4,
                .inner = 256,
                .tokens = 4096,
                .seqs = 64,
                .p = 0.1,
                .dtype = HONE_F32};
    hone_plan *whole = sample_plan(&s);
    const size_t all = hone_plan_device_bytes(whole), fixed = all - whole->slab_bytes[HONE_ACTIVATION];
    s.budget = all;
    hone_plan *fits = sample_plan(&s);
    CHECK_INT(hone_plan_device_bytes(fits), all);
    s.budget = (all + fixed) / 2;
    const hone_err err = refused(&s, HONE_ENOFIT);
    const char *about = strstr(err.hint, "about ");
    CHECK(about && strstr(err.text, "activations of 4096 tokens"));
    sample less = s;
    less.tokens = atoi(about + 6);
    CHECK(less.tokens > 1500 && less.tokens < 2100);
    hone_plan_free(sample_plan(&less));
    s.budget = fixed / 2;
    CHECK(strstr(refused(&s, HONE_ENOFIT).hint, "smaller model"));
    hone_plan_free(whole);
    hone_plan_free(fits);
}

TEST(what_the_device_cannot_play_is_refused_with_step_and_reason) {
    const hone_err err = refused(&(sample){.dtype = HONE_BF16}, HONE_EUSAGE);
    CHECK(!strncmp(err.text, "ref: EMBED_FWD, embeddings: ", 28));
    CHECK(strstr(err.text, "ref plays fp32 and fp64"));
}

/* A device that plays fp64 but no fused form: the plan leaves those out and is otherwise whole. */
static const hone_device_v1 *under;
static int can_plain(const hone_query *q, char *why, size_t n) {
    const int fused = (q->op == HONE_OP_LINEAR_FWD && q->attr.linear.act) ||
                      (q->op == HONE_OP_LINEAR_BWD && q->in[2].n_dims) ||
                      (q->op == HONE_OP_NORM_FWD && q->in[3].n_dims) ||
                      (q->op == HONE_OP_NORM_BWD && q->out[3].n_dims);
    if (fused) snprintf(why, n, "no fused forms");
    return !fused && under->can(q, why, n);
}

TEST(a_fused_form_that_the_device_refuses_is_not_fused) {
    const sample s = {.p = 0.1};
    under = sample_device();
    hone_device_v1 poor = *under;
    poor.can = can_plain;
    model_config *config = sample_config(&s);
    plan_options o = sample_options(&s, config);
    o.device = &poor;
    hone_plan *p = NULL;
    CHECK_OK(plan_build(&p, &o, err));
    int n_add = 0, n_act = 0;
    for (int i = 0; i < p->program[HONE_MICRO].n_steps; i++) {
        n_add += p->program[HONE_MICRO].step[i].op == HONE_OP_ADD;
        n_act += p->program[HONE_MICRO].step[i].op == HONE_OP_ACT_FWD;
    }
    CHECK_INT(n_add, 4);
    CHECK_INT(n_act, 3);
    hone_plan_free(p);
    config_free(config);
}
