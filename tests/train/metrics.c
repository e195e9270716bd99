/* Figures beside those of scikit-learn and scipy (scripts/golden/metrics.py), for inputs that follow from a
 * formula. */
#include <math.h>

#include "golden.h"
#include "train/metrics.h"

/* The generator that metrics.py describes. */
static uint32_t next_number(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

static void check_figures(const char *name, const metrics *m, const json *want) {
    metric got[METRICS_MAX];
    const int n = metrics_figures(m, got);
    for (const json *w = want->child; w; w = w->next) {
        int found = 0;
        for (int i = 0; i < n; i++) {
            if (strcmp(got[i].name, w->key.p)) continue;
            found = 1;
            if (!(fabs(got[i].value - w->number) <= 1e-12 * fmax(1, fabs(w->number))))
                test_fail(__FILE__, __LINE__, "%s: %s is %.15g, expected %.15g", name, w->key.p, got[i].value,
                          w->number);
        }
        if (!found) test_fail(__FILE__, __LINE__, "%s: no figure \"%s\"", name, w->key.p);
    }
}

static int is_tied(const char *scores) { return !strcmp(scores, "tied"); }

/* Draw one sample of a case; returns its label. */
static int draw_sample(uint64_t *state, const json *c, float *score) {
    const int classes = (int)number_of(c, "classes"), used = (int)number_of(c, "used");
    const char *scores = text_of(c, "scores");
    const int label = (int)(next_number(state) % (uint32_t)used) * (int)number_of(c, "stride");
    for (int k = 0; k < classes; k++) {
        const uint32_t r = next_number(state);
        score[k] = is_tied(scores) ? (float)(r % 5) - 2 : (float)(((double)r / 2147483648.0 - 0.5) * 8);
    }
    if (next_number(state) % 4 < number_of(c, "boost")) score[label] += 4;
    if (!strcmp(scores, "constant")) score[0] = 9;
    return next_number(state) % 10 < number_of(c, "ignored") ? -1 : label;
}

/* Precision, recall, F1 and support of every class. */
static void check_each_class(const char *name, const metrics *m, const json *each) {
    const char *const keys[] = {"precision", "recall", "f1", "support"};
    for (int k = 0; k < 4; k++) {
        const json *want = member(each, keys[k])->child;
        for (int c = 0; c < m->n_classes; c++, want = want->next) {
            double out[3];
            int64_t support;
            metrics_of_class(m, c, out, &support);
            const double got = k < 3 ? out[k] : (double)support;
            if (!(fabs(got - want->number) <= 1e-12))
                test_fail(__FILE__, __LINE__, "%s: %s of class %d is %.15g, expected %.15g", name, keys[k], c,
                          got, want->number);
        }
    }
}

static void check_class_case(arena *a, const json *c) {
    const char *name = text_of(c, "name");
    const int64_t n = (int64_t)number_of(c, "n");
    uint64_t state = (uint64_t)number_of(c, "seed");
    float score[128];
    metrics m;
    metrics_init(&m, a, (int)number_of(c, "classes"), n);
    CHECK(m.n_classes <= (int)(sizeof score / sizeof *score));
    for (int64_t i = 0; i < n; i++) {
        const int label = draw_sample(&state, c, score);
        metrics_add(&m, score, label, label < 0 ? 100 : 0.5);
    }
    check_figures(name, &m, member(c, "figures"));
    check_each_class(name, &m, member(c, "each"));
    metric out[METRICS_MAX];
    CHECK(metrics_figures(&m, out) > 0);
    CHECK_STR(out[0].name, "loss");
    CHECK_NEAR(out[0].value, 0.5, 1e-15); /* what has no label does not count */
}

TEST(figures_of_classes_equal_scikit_learns) {
    arena *a = arena_new("test");
    int n = 0;
    for (const json *c = member(golden_open(a, "metrics.json"), "classes")->child; c; c = c->next, n++)
        check_class_case(a, c);
    CHECK(n >= 10);
    arena_free(a);
}

TEST(figures_of_values_equal_scipys) {
    arena *a = arena_new("test");
    int n_cases = 0;
    for (const json *c = member(golden_open(a, "metrics.json"), "values")->child; c; c = c->next, n_cases++) {
        const int64_t n = (int64_t)number_of(c, "n");
        const double slope = number_of(c, "slope"), noise = number_of(c, "noise"),
                     levels = number_of(c, "levels");
        uint64_t state = (uint64_t)number_of(c, "seed");
        metrics m;
        metrics_init(&m, a, 1, n);
        for (int64_t i = 0; i < n; i++) {
            const double target = (double)(next_number(&state) % 26) / 5;
            const double v = target * slope + ((double)next_number(&state) / 2147483648.0 - 0.5) * noise;
            metrics_add_target(&m, (float)(levels > 0 ? floor(v * 4) / 4 : v), target, 0);
        }
        check_figures(text_of(c, "name"), &m, member(c, "figures"));
    }
    CHECK(n_cases >= 3);
    arena_free(a);
}

TEST(cleared_metrics_count_from_nothing) {
    arena *a = arena_new("test");
    const float right[3] = {0, 2, 1}, wrong[3] = {3, 2, 1};
    metric out[METRICS_MAX];
    metrics m;
    metrics_init(&m, a, 3, 4);
    CHECK_INT(metrics_add(&m, wrong, 1, 1), 0);
    metrics_clear(&m);
    CHECK_INT(metrics_add(&m, right, 1, 0.25), 1);
    CHECK(metrics_figures(&m, out) > 1);
    CHECK_STR(out[1].name, "accuracy");
    CHECK_NEAR(out[0].value, 0.25, 0);
    CHECK_NEAR(out[1].value, 1, 0);
    arena_free(a);
}

TEST(smaller_is_better_for_losses_and_errors_only) {
    CHECK(!metric_larger_is_better("loss") && !metric_larger_is_better("ece") &&
          !metric_larger_is_better("mse"));
    CHECK(metric_larger_is_better("accuracy") && metric_larger_is_better("f1") &&
          metric_larger_is_better("spearman"));
}
