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
static void begin_in(live *l, const char *device, hone_dtype dtype) {
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
    l->job->bf16 = dtype == HONE_BF16, l->job->fp16 = dtype == HONE_F16;
    l->pool = pool_new(2);
    training *t = &l->t;
    t->job = l->job;
    t->folder = l->job->output_dir;
    t->best_step = t->saved_step = -1;
    log_set(LOG_WARN);
    CHECK_OK(session_open(&t->s, l->job, NULL, l->job->tokenizer_name, l->pool, err));
    CHECK_OK(inputs_open(&t->in, t->s, err));
    steps_init(&t->steps, t->s->a, l->job, (step_shards){l->job->gradient_accumulation_steps, l->job->per_device_train_batch_size}, t->in->train);
    t->rate = schedule_of(l->job, t->steps.total);
    const session_limits limits = training_limits(l->job, t->in, &t->steps, 1);
    CHECK_OK(session_start(t->s, &limits, err));
    t->rate_factor = ARENA_ARRAY(t->s->a, (size_t)t->s->plan->n_groups + 1, double);
    t->decay = ARENA_ARRAY(t->s->a, (size_t)t->s->plan->n_groups + 1, double);
    for (int g = 0; g < t->s->plan->n_groups; g++) t->rate_factor[g] = 1;
    CHECK_OK(record_open(&t->record, l->job, t->folder, 0, err));
}

static void begin(live *l, const char *device) { begin_in(l, device, HONE_F32); }

static void end(live *l) {
    record_close(l->t.record);
    steps_deinit(&l->t.steps);
    inputs_close(l->t.in);
    session_close(l->t.s);
    pool_free(l->pool);
    job_free(l->job);
    arena_free(l->a);
}

/* The emulated GPU is not part of every build. */
static int is_played(const char *device) {
    hone_err err = {0};
    return device_load(device, &err) != NULL;
}
static int begin_if_played(live *l, const char *device) {
    if (!is_played(device)) return 0;
    begin(l, device);
    return 1;
}

static void sha_of(live *l, char hex[65]) { CHECK_OK(session_params_sha256(l->t.s, hex, err)); }

/* Index of a parameter by name. */
static int param_named(const hone_plan *p, const char *name) {
    for (int i = 1; i <= p->n_params; i++)
        if (!strcmp(p->param[i].name, name)) return i;
    test_fail(__FILE__, __LINE__, "the plan has no %s", name);
}

TEST(a_step_allocates_nothing_on_any_device) {
    static const char *const devices[] = {"ref", "cpu", "emu"};
    for (int d = 0; d < 3; d++) {
        live l;
        if (!begin_if_played(&l, devices[d])) continue;
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

static void check_not_finite(const char *device) {
    live l;
    if (!begin_if_played(&l, device)) test_skip("%s does not play the whole model", device);
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

TEST(a_step_that_is_not_finite_leaves_weights_moments_and_tick_alone) { check_not_finite("cpu"); }
/* It is known one step late, when the next one is under way already. */
TEST(a_step_that_is_not_finite_is_named_by_a_device_that_is_late) { check_not_finite("emu"); }

/* NaN over everything that a step makes, and over the tails of rungs with it. */
static void poison(live *l) {
    const hone_plan *p = l->t.s->plan;
    for (int v = 1; v <= p->n_values; v++) {
        const hone_value *x = &p->value[v];
        if (x->base || (x->cls != HONE_ACTIVATION && x->cls != HONE_RESULT && v != p->loss)) continue;
        size_t n = hone_dtype_bytes(x->dtype);
        for (int d = 0; d < x->n_dims; d++) n *= (size_t)x->dim[d].n;
        char *nan = malloc(n);
        CHECK(nan);
        memset(nan, 0xff, n);
        CHECK_OK(run_put(l->t.s->run, v, nan, err));
        free(nan);
    }
}

TEST(what_lay_in_the_rows_of_a_step_before_changes_nothing) {
    char sha[2][65];
    for (int poisoned = 0; poisoned < 2; poisoned++) {
        live l;
        if (!begin_if_played(&l, "emu")) test_skip("emu does not play the whole model");
        for (int step = 1; step <= 3; step++) {
            if (poisoned) poison(&l);
            l.t.steps.total = step;
            CHECK_OK(train_loop(&l.t, err));
        }
        CHECK(l.t.rows_played > l.t.tokens_now); /* there are tails */
        sha_of(&l, sha[poisoned]);
        end(&l);
    }
    CHECK_STR(sha[0], sha[1]);
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

/* Logits of the 20 validation samples, into x [80]. */
static void logits_of(const char *device, hone_dtype dtype, double x[80]) {
    live l;
    begin_in(&l, device, dtype);
    text out = {0}, all = {0};
    const predict_options o = {.logits = 1};
    CHECK_OK(predict_rows(l.t.s, l.t.in->validation, &o, &out, append, &all, err));
    const char *p = all.p;
    for (int i = 0; i < 20; i++) {
        const char *stop = strchr(p, '\n');
        const json *row;
        CHECK_OK(json_parse(&row, l.job->a, "row", p, (size_t)(stop - p), HONE_EDATA, err));
        int c = 0;
        for (const json *v = member(row, "logits")->child; v; v = v->next) x[4 * i + c++] = v->number;
        CHECK_INT(c, 4);
        p = stop + 1;
    }
    text_free(&out);
    text_free(&all);
    end(&l);
}

TEST(logits_of_narrow_types_are_read_as_such) {
    double want[80], x[80];
    logits_of("ref", HONE_F32, want);
    static const struct {
        const char *device;
        hone_dtype dtype;
        double bound;
    } runs[] = {
        {"cpu", HONE_F32, 1e-5}, {"cpu", HONE_BF16, 2e-2}, {"emu", HONE_BF16, 2e-2}, {"emu", HONE_F16, 3e-3}};
    for (int i = 0; i < 4; i++) {
        if (!is_played(runs[i].device)) continue;
        logits_of(runs[i].device, runs[i].dtype, x);
        double worst = 0;
        for (int k = 0; k < 80; k++) worst = fmax(worst, fabs(x[k] - want[k]));
        printf("  %s, %s: logits off by %.1e at most\n", runs[i].device, hone_dtype_name(runs[i].dtype),
               worst);
        CHECK(worst <= runs[i].bound);
    }
}
