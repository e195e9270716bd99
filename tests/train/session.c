/* session.c - a live run inside the process: what it allocates, what a poisoned step does to its weights, its
 * rows. */
#include <math.h>
#include <stdlib.h>

#include "golden.h"
#include "train/predict.h"
#include "train/train.h"

typedef struct {
    arena *a;
    job *job;
    pool *pool;
    training t;
} live;

/* The tiny job of tests/data/e2e up to where the loop would begin, on a device. */
static void begin(live *l, const char *device) {
    memset(l, 0, sizeof *l);
    l->a = arena_new("paths");
    const char *model = arena_print(l->a, "%s", test_fixture("e2e/model"));
    const job_override o[] = {{"config_name", model},
                              {"tokenizer_name", model},
                              {"train_file", test_fixture("e2e/train.csv")},
                              {"validation_file", test_fixture("e2e/validation.csv")},
                              {"output_dir", test_folder()},
                              {"cache_dir", test_folder()},
                              {"max_seq_length", "48"},
                              {"max_steps", "5"},
                              {"gradient_accumulation_steps", "2"},
                              {"save_strategy", "no"},
                              {"device", device},
                              {"log_level", "error"},
                              {"train_sampling_strategy", "sequential"}};
    CHECK_OK(job_load(&l->job, NULL, o, sizeof o / sizeof *o, 1, err));
    l->pool = pool_new(2);
    training *t = &l->t;
    t->job = l->job;
    t->folder = l->job->output_dir;
    t->best_step = t->saved_step = -1;
    log_set(LOG_WARN);
    CHECK_OK(session_open(&t->s, l->job, NULL, l->job->tokenizer_name, l->pool, err));
    CHECK_OK(inputs_open(&t->in, t->s, err));
    steps_init(&t->steps, t->s->a, l->job, t->in->train);
    t->rate = schedule_of(l->job, t->steps.total);
    const session_limits limits = training_limits(l->job, t->in, &t->steps);
    CHECK_OK(session_start(t->s, &limits, err));
    t->rate_factor = ARENA_ARRAY(t->s->a, (size_t)t->s->plan->n_groups + 1, double);
    t->decay = ARENA_ARRAY(t->s->a, (size_t)t->s->plan->n_groups + 1, double);
    for (int g = 0; g < t->s->plan->n_groups; g++) t->rate_factor[g] = 1;
    CHECK_OK(record_open(&t->record, l->job, t->folder, 0, err));
}

static void end(live *l) {
    record_close(l->t.record);
    steps_deinit(&l->t.steps);
    inputs_close(l->t.in);
    session_close(l->t.s);
    pool_free(l->pool);
    job_free(l->job);
    arena_free(l->a);
}

static void sha_of(live *l, char hex[65]) { CHECK_OK(session_params_sha256(l->t.s, hex, err)); }

/* Index of a parameter by name. */
static int param_named(const hone_plan *p, const char *name) {
    for (int i = 1; i <= p->n_params; i++)
        if (!strcmp(p->param[i].name, name)) return i;
    test_fail(__FILE__, __LINE__, "the plan has no %s", name);
}

TEST(a_step_allocates_nothing_on_either_device) {
    static const char *const devices[] = {"ref", "cpu"};
    for (int d = 0; d < 2; d++) {
        live l;
        begin(&l, devices[d]);
        char before[65], after[65];
        sha_of(&l, before);
        CHECK_OK(train_loop(
            &l.t, err)); /* its steps play between run_begin and run_end: an allocation would abort */
        sha_of(&l, after);
        CHECK_INT(l.t.step, 5);
        CHECK(strcmp(before, after));
        end(&l);
    }
}

TEST(a_step_that_is_not_finite_leaves_weights_moments_and_tick_alone) {
    live l;
    begin(&l, "cpu");
    const hone_plan *p = l.t.s->plan;
    l.t.steps.total = 1;
    CHECK_OK(train_loop(&l.t, err)); /* a good step first, so that moments are not zero */
    l.t.steps.total = 5;
    static float w[1 << 16], m[2][1 << 16];
    const int bad = param_named(p, "bert.encoder.layer.0.output.dense.weight"),
              other = param_named(p, "classifier.weight");
    CHECK_OK(run_get_param(l.t.s->run, bad, w, err));
    w[17] = HUGE_VALF;
    CHECK_OK(run_put_param(l.t.s->run, bad, 17, 1, w + 17, err));
    char before[65], after[65];
    hone_tick tick[2];
    sha_of(&l, before);
    CHECK_OK(run_get(l.t.s->run, p->tick, &tick[0], err));
    CHECK_OK(run_get(l.t.s->run, p->param[other].moment[1], m[0], err));
    hone_err err = {0};
    CHECK_INT(train_loop(&l.t, &err), HONE_ENOTFINITE);
    CHECK(strstr(err.text, "step 2: ") && strstr(err.text, " in layer 0 is ") &&
          strstr(err.text, "nothing saved yet"));
    CHECK_INT(l.t.step, 1);
    sha_of(&l, after);
    CHECK_STR(after, before);
    CHECK_OK(run_get(l.t.s->run, p->tick, &tick[1], err));
    CHECK_INT(tick[1].step, tick[0].step);
    CHECK_OK(run_get(l.t.s->run, p->param[other].moment[1], m[1], err));
    const hone_value *x = &p->value[p->param[other].moment[1]];
    CHECK(!memcmp(m[0], m[1], 4 * (size_t)(x->dim[0].n * x->dim[1].n)));
    end(&l);
}

TEST(probabilities_sum_to_one_even_of_huge_logits) {
    float x[4] = {1000, 999, -1000, 1000};
    probabilities(x, 4);
    const double e = exp(-1.0), sum = 2 + e;
    CHECK_NEAR((double)x[0], 1 / sum, 1e-7);
    CHECK_NEAR((double)x[1], e / sum, 1e-7);
    CHECK_NEAR((double)x[2], 0, 0);
    CHECK_NEAR((double)(x[0] + x[1] + x[2] + x[3]), 1, 1e-6);
}

static void append(void *arg, text *out) {
    text *all = arg;
    text_add(all, out->p, out->n);
    text_clear(out);
}

TEST(predicted_rows_are_in_order_and_agree_with_their_logits) {
    live l;
    begin(&l, "cpu");
    text out = {0}, all = {0};
    const predict_options o = {.logits = 1, .top = 9};
    CHECK_OK(predict_rows(l.t.s, l.t.in->validation, &o, &out, append, &all, err));
    const char *p = all.p;
    for (int i = 0; i < 20; i++) {
        const char *stop = strchr(p, '\n');
        const json *row;
        CHECK(stop);
        CHECK_OK(json_parse(&row, l.job->a, "row", p, (size_t)(stop - p), HONE_EDATA, err));
        CHECK_INT(number_of(row, "index"), i);
        const json *top = member(row, "top"), *logits = member(row, "logits");
        CHECK_INT(top->n, 4); /* there are no more classes */
        CHECK_INT(logits->n, 4);
        CHECK_STR(text_of(top->child, "label"), text_of(row, "label"));
        double sum = 0, last = 2;
        for (const json *x = top->child; x; x = x->next) {
            CHECK(number_of(x, "score") <= last);
            last = number_of(x, "score"), sum += last;
        }
        CHECK_NEAR(sum, 1, 1e-6);
        p = stop + 1;
    }
    CHECK(!*p);
    text_free(&out);
    text_free(&all);
    end(&l);
}
