/* The built command beside transformers and torch, on real weights and real data
 * (scripts/golden/{logits,training}.py). */
#include <float.h>
#include <math.h>

#include "parity_check.h"
#include "parity_model.h"
#include "golden.h"

/* What the two ways of computing it in torch differ by, and so what is asked here, stands in
 * scripts/golden/README.md. */
#define LOGIT_BOUND 1e-6
#define TRAINED_LOGIT_BOUND 5e-6
#define N_LOGITS 500

typedef struct {
    arena *a;
    const char *folder, *model, *train, *test;
} parity;

/* Model, data and a cache of this test's own; the test is skipped where weights or data are not there. */
static parity begin(const char *dropout) {
    const char *source = test_model_or_skip(), *categories = test_data_or_skip("banking77/categories.json");
    parity p = {.a = arena_new("parity"),
                .train = test_data_or_skip("banking77/train.csv"),
                .test = test_data_or_skip("banking77/test.csv")};
    p.folder = test_folder();
    p.model = path_join(p.a, p.folder, "model");
    parity_model_write(p.model, source, categories, dropout);
    CHECK(!setenv("HONE_CACHE", path_join(p.a, p.folder, "cache"), 1));
    return p;
}

/* ---- logits
 * --------------------------------------------------------------------------------------------------- */

/* A predict row: its logits against want[77]; its label and score against its own logits. Returns the largest
 * error. */
static double check_row(const json *row, const json *config, const float *want) {
    const json *logits = member(row, "logits");
    double worst = 0, x[PARITY_LABELS] = {0}, sum = 0;
    int best = 0, c = 0;
    char id[16];
    CHECK_INT(logits->n, PARITY_LABELS);
    for (const json *v = logits->child; v; v = v->next, c++) {
        x[c] = v->number;
        worst = fmax(worst, fabs(v->number - (double)want[c]));
        if (x[c] > x[best]) best = c;
    }
    for (c = 0; c < PARITY_LABELS; c++) sum += exp(x[c] - x[best]);
    snprintf(id, sizeof id, "%d", best);
    CHECK_STR(text_of(row, "label"), text_of(member(config, "id2label"), id));
    CHECK_NEAR(number_of(row, "score"), 1 / sum, 1e-6);
    return worst;
}

/* hone predict over the first n texts of test.csv, and the golden logits of the same. */
static void check_predictions(const parity *p, const char *model, const char *options, const char *golden,
                              int n, double bound) {
    const char *arguments = arena_print(
        p->a, "predict \"%s\" \"%s\" --text_column_names text --max_predict_samples %d --logits %s", model,
        p->test, n, options);
    const json *config = json_of_file(p->a, path_join(p->a, model, "config.json")), *row;
    file_view want;
    str rows;
    CHECK_OK(file_map(&want, test_fixture(golden), HONE_EDATA, err));
    CHECK(want.n >= (size_t)n * PARITY_LABELS * sizeof(float));
    CHECK_OK(
        file_read(&rows, p->a, parity_run(p->a, p->folder, arguments), (size_t)1 << 28, HONE_EDATA, err));
    double worst = 0;
    int i = 0;
    for (; parity_next_row(p->a, &rows, &row); i++) {
        CHECK(i < n);
        CHECK_INT(number_of(row, "index"), i);
        worst = fmax(worst,
                     check_row(row, config, (const float *)(const void *)want.p + (size_t)i * PARITY_LABELS));
    }
    CHECK_INT(i, n);
    printf("largest difference of %d x %d logits from transformers: %.3g\n", n, PARITY_LABELS, worst);
    CHECK_NEAR(worst, 0, bound);
    file_unmap(&want);
}

TEST(logits_of_minilm_equal_transformers) {
    const parity p = begin("0.1"); /* dropout must be off in evaluation */
    check_predictions(&p, p.model, "", "golden/logits-banking77.f32", N_LOGITS, LOGIT_BOUND);
    arena_free(p.a);
}

TEST(logits_of_the_plain_device_equal_transformers) {
    const parity p = begin("0.1");
    check_predictions(&p, p.model, "--device ref", "golden/logits-banking77.f32", 8, LOGIT_BOUND);
    arena_free(p.a);
}

/* ---- training
 * ------------------------------------------------------------------------------------------------- */

static const char *out_folder(const parity *p, const char *name) { return path_join(p->a, p->folder, name); }

/* The job of training.py into folder `out`; returns the summary that the command printed. */
static const json *train(const parity *p, const json *settings, int steps, const char *out,
                         const char *options) {
    const char *job = path_join(p->a, p->folder, "job.json");
    text t = {0};
    text_printf(&t,
                "{\"model_name_or_path\":\"%s\",\"train_file\":\"%s\",\"text_column_names\":[\"text\"],"
                "\"label_column_name\":\"category\","
                "\"output_dir\":\"%s\",\"max_steps\":%d,\"per_device_train_batch_size\":%d,\"train_sampling_"
                "strategy\":\"sequential\","
                "\"max_seq_length\":%d,\"save_strategy\":\"no\",\"do_eval\":false,\"logging_steps\":1,\"lr_"
                "scheduler_type\":\"linear\"",
                p->model, p->train, out, steps, (int)number_of(settings, "batch"),
                (int)number_of(settings, "max_seq_length"));
    const char *const same[] = {"learning_rate", "warmup_ratio", "weight_decay", "max_grad_norm"};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        text_printf(&t, ",\"%s\":", same[i]);
        text_double(&t, number_of(settings, same[i]));
    }
    text_str(&t, "}\n");
    CHECK_OK(file_write(job, t.p, t.n, err));
    text_free(&t);
    return json_of_file(
        p->a, parity_run(p->a, p->folder, arena_print(p->a, "train \"%s\" --json %s", job, options)));
}

TEST(thirty_training_steps_equal_torch) {
    const parity p = begin("0.0");
    const json *golden = golden_open(p.a, "training-banking77.json"), *settings = member(golden, "settings");
    const char *out = out_folder(&p, "out");
    const json *summary = train(&p, settings, (int)number_of(settings, "steps"), out, "");
    CHECK_INT(number_of(summary, "global_step"), number_of(settings, "steps"));
    parity_steps(p.a, out, golden);
    CHECK(parity_weights(p.a, p.model, out, golden) > 90);
    check_predictions(&p, out, "", "golden/training-banking77.f32", 32, TRAINED_LOGIT_BOUND);
    arena_free(p.a);
}

TEST(number_of_threads_changes_no_bit) {
    const parity p = begin("0.1"); /* with dropout */
    const json *settings = member(golden_open(p.a, "training-banking77.json"), "settings");
    const char *first = NULL;
    for (int threads = 1; threads <= 3; threads++) {
        const char *out = out_folder(&p, arena_print(p.a, "threads-%d", threads));
        const char *sha256 =
            text_of(train(&p, settings, 3, out, arena_print(p.a, "--threads %d", threads)), "params_sha256");
        if (first) CHECK_STR(sha256, first);
        else first = sha256;
    }
    CHECK_INT(strlen(first), 64);
    arena_free(p.a);
}
