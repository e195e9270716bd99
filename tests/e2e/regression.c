/* regression.c - predicting a number, beside torch (scripts/golden/regression.py): the same tiny models and
 * targets are made here, so that nothing but the fixture is needed. */
#include "command.h"
#include "formula_model.h"
#include "golden.h"
#include "parity_check.h"

/* Texts of a fixture with (bytes mod 17) / 8 - 1 as the number to predict; at most so many rows. */
static const char *make_data(arena *a, const char *name, const char *fixture, int rows) {
    text t = {0};
    const char *p = strchr(file_text(a, test_fixture(fixture)), '\n') + 1;
    text_str(&t, "text,target\n");
    for (const char *end; rows-- && (end = strchr(p, '\n')); p = end + 1) {
        const size_t n = strcspn(p, ",");
        CHECK(*p != '"');
        text_printf(&t, "%.*s,%.4f\n", (int)n, p, (double)(n % 17) / 8 - 1);
    }
    const char *path = put_file(a, name, t.p);
    text_free(&t);
    return path;
}

static void ten_steps(const formula_kind *k) {
    arena *a = command_begin();
    const json *golden = golden_open(a, k->golden), *values = member(golden, "values");
    const char *model = formula_model(a, "regressor", k, ", \"id2label\": {\"0\": \"LABEL_0\"}, \"problem_type\": \"regression\""), *out = here(a, "out"),
               *train = make_data(a, "train.csv", "e2e/train.csv", -1),
               *texts = make_data(a, "texts.csv", "e2e/validation.csv", (int)values->n);
    const json *summary = command_json(a,
                                       "train --model_name_or_path \"%s\" --train_file \"%s\" "
                                       "--text_column_names text --label_column_name target "
                                       "--do_regression --output_dir \"%s\" --max_steps 10 "
                                       "--per_device_train_batch_size 8 --train_sampling_strategy "
                                       "sequential --learning_rate 1e-4 --warmup_ratio 0.2 --weight_decay "
                                       "0.01 --max_seq_length 48 --save_strategy no "
                                       "--logging_steps 1 --json --quiet \"%s\"",
                                       model, train, out, put_file(a, "job.json", "{}"));
    CHECK_INT(number_of(summary, "global_step"), 10);
    parity_steps(a, out, golden);
    CHECK_INT(parity_weights(a, model, out, golden), k->n_weights);
    const said s = command_expect(a, 0, "predict \"%s\" \"%s\" --text_column_names text", out, texts);
    str rows = {s.out, s.n_out};
    const json *row, *want = values->child;
    double worst = 0;
    for (; parity_next_row(a, &rows, &row); want = want->next) {
        CHECK(want);
        const double d = number_of(row, "value") - want->number;
        worst = d > worst ? d : -d > worst ? -d : worst;
    }
    CHECK(!want);
    printf("largest difference of %d predicted numbers from torch: %.3g\n", (int)values->n, worst);
    CHECK_NEAR(worst, 0, 5e-6);
    arena_free(a);
}

TEST(ten_steps_of_a_regression_equal_torch) {
    ten_steps(&(formula_kind){"bert", "BertForSequenceClassification", "regression.json", 39, {{NULL, NULL}}});
}

TEST(ten_steps_of_roberta_equal_torch) {
    ten_steps(&(formula_kind){"roberta",
                      "RobertaForSequenceClassification",
                      "regression-roberta.json",
                      39,
                      FORMULA_ROBERTA});
}

TEST(ten_steps_of_distilbert_equal_torch) {
    ten_steps(&(formula_kind){"distilbert",
                      "DistilBertForSequenceClassification",
                      "regression-distilbert.json",
                      38,
                      FORMULA_DISTILBERT});
}
