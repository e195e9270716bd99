/* heads.c - tagged words, several labels a text and pairs of texts beside torch, seqeval and scikit-learn
 * (scripts/golden/heads.py): ten steps, an evaluation, predictions, and the folder handed back. */
#include "command.h"
#include "formula_model.h"
#include "golden.h"
#include "parity_check.h"

#define TAGS ", \"id2label\": {\"0\": \"B-LOC\", \"1\": \"B-PER\", \"2\": \"I-PER\", \"3\": \"O\"}"
#define MARKS                                                                                                \
    ", \"problem_type\": \"multi_label_classification\", \"id2label\": {\"0\": \"credit\", \"1\": "          \
    "\"debit\", \"2\": "                                                                                     \
    "\"lost\", \"3\": \"slow\"}"
#define PAIRS ", \"id2label\": {\"0\": \"different\", \"1\": \"equal\"}"

/* Every figure that the golden has, and no probe of another kind. */
static void check_figures(arena *a, const json *summary, const json *want) {
    for (const json *w = want->child; w; w = w->next) {
        if (w->kind != JSON_NUMBER) continue;
        const double got = number_of(summary, arena_print(a, "eval_%s", w->key.p));
        if (!strcmp(w->key.p, "loss")) CHECK_NEAR(got / w->number, 1, 2e-6);
        else CHECK_NEAR(got, w->number, 1e-9);
    }
}

/* Ten steps of `flags` on the fixture's files of a name; returns the golden values of the evaluation. */
static const json *ten_steps(arena *a, const formula_kind *k, const char *labels, const char *flags,
                             const char *train, const char *validation) {
    const json *golden = golden_open(a, k->golden), *want = member(golden, "eval");
    const char *model = formula_model(a, "model", k, labels), *out = here(a, "out");
    const json *summary = command_json(
        a,
        "train --model_name_or_path \"%s\" --train_file \"%s\" --validation_file \"%s\" --output_dir \"%s\" "
        "--max_steps 10 --per_device_train_batch_size 8 --train_sampling_strategy sequential --learning_rate "
        "1e-3 "
        "--warmup_ratio 0.2 --weight_decay 0.01 --save_strategy no --logging_steps 1 --json --quiet %s "
        "\"%s\"",
        model, test_fixture(train), test_fixture(validation), out, flags, put_file(a, "job.json", "{}"));
    CHECK_INT(number_of(summary, "global_step"), 10);
    parity_steps(a, out, golden);
    CHECK_INT(parity_weights(a, model, out, golden), k->n_weights);
    check_figures(a, summary, want);
    command_expect(a, 0, "export --check \"%s\"", out);
    CHECK_STR(member(json_of_file(a, path_join(a, out, "config.json")), "architectures")->child->string.p,
              k->architecture);
    return want;
}

/* ---- tagged words ---- */

static void ten_steps_of_tags(const formula_kind *k) {
    arena *a = command_begin();
    const char *file = test_fixture("e2e/tags-validation.jsonl");
    const json *want = ten_steps(a, k, TAGS, "--task token-classification --max_seq_length 16",
                                 "e2e/tags-train.conll", "e2e/tags-validation.jsonl");
    check_figures(a,
                  command_json(a,
                               "eval \"%s\" \"%s\" --max_seq_length 16 --per_device_eval_batch_size 3 --json",
                               here(a, "out"), file),
                  want);
    const said s = command_expect(a, 0, "predict \"%s\" \"%s\" --max_seq_length 16", here(a, "out"), file);
    str rows = {s.out, s.n_out};
    const json *row, *each = member(want, "predictions")->child;
    for (; parity_next_row(a, &rows, &row); each = each->next) {
        const json *got = member(row, "labels")->child;
        CHECK(each);
        for (const json *w = each->child; w; w = w->next, got = got->next)
            CHECK(got && str_eq(got->string, w->string));
        CHECK(!got);
        CHECK_INT(member(row, "scores")->n, each->n);
    }
    CHECK(!each);
    arena_free(a);
}

TEST(ten_steps_of_tagged_words_equal_torch_and_seqeval) {
    ten_steps_of_tags(
        &(formula_kind){"bert", "BertForTokenClassification", "tags-bert.json", 37, {{NULL, NULL}}});
}

TEST(ten_steps_of_tagged_words_of_roberta_equal_torch_and_seqeval) {
    ten_steps_of_tags(
        &(formula_kind){"roberta", "RobertaForTokenClassification", "tags-roberta.json", 37, FORMULA_ROBERTA});
}

TEST(ten_steps_of_tagged_words_of_distilbert_equal_torch_and_seqeval) {
    ten_steps_of_tags(&(formula_kind){"distilbert", "DistilBertForTokenClassification",
                                      "tags-distilbert.json", 36, FORMULA_DISTILBERT});
}

/* ---- several labels a text ---- */

/* Every row's logits are the golden's, and what is said of them follows. */
static void check_logits(arena *a, const char *predict, const json *texts) {
    const said s = command_expect(a, 0, "%s", predict);
    str rows = {s.out, s.n_out};
    const json *row, *want = texts->child;
    double worst = 0;
    for (; parity_next_row(a, &rows, &row); want = want->next) {
        const json *got = member(row, "logits")->child;
        int n_above = 0;
        CHECK(want);
        for (const json *w = want->child; w; w = w->next, got = got->next) {
            const double d = got->number - w->number;
            worst = d > worst ? d : -d > worst ? -d : worst;
            n_above += w->number > 0;
        }
        if (json_get(row, "labels")) CHECK_INT(member(row, "labels")->n, n_above);
    }
    CHECK(!want);
    printf("largest difference of %d rows of logits from torch: %.3g\n", (int)texts->n, worst);
    CHECK_NEAR(worst, 0, 1e-5);
}

static void ten_steps_of_marks(const formula_kind *k) {
    arena *a = command_begin();
    const char *file = test_fixture("e2e/marks-validation.csv"), *out = here(a, "out"),
               *columns = "--text_column_names text --label_column_name label --label_column_delimiter ';'";
    const json *want =
        ten_steps(a, k, MARKS,
                  arena_print(a, "--problem_type multi_label_classification --max_seq_length 48 %s", columns),
                  "e2e/marks-train.csv", "e2e/marks-validation.csv");
    check_figures(a, command_json(a, "eval \"%s\" \"%s\" --max_seq_length 48 %s --json", out, file, columns),
                  want);
    check_logits(
        a,
        arena_print(a, "predict \"%s\" \"%s\" --text_column_names text --max_seq_length 48 --logits --top 4",
                    out, file),
        member(want, "predictions"));
    CHECK_STR(text_of(json_of_file(a, path_join(a, out, "config.json")), "problem_type"),
              "multi_label_classification");
    arena_free(a);
}

TEST(ten_steps_of_several_labels_equal_torch_and_sklearn) {
    ten_steps_of_marks(
        &(formula_kind){"bert", "BertForSequenceClassification", "marks-bert.json", 39, {{NULL, NULL}}});
}

TEST(ten_steps_of_several_labels_of_roberta_equal_torch_and_sklearn) {
    ten_steps_of_marks(
        &(formula_kind){"roberta", "RobertaForSequenceClassification", "marks-roberta.json", 39, FORMULA_ROBERTA});
}

/* ---- pairs ---- */

static void ten_steps_of_pairs(const formula_kind *k) {
    arena *a = command_begin();
    const json *want =
        ten_steps(a, k, PAIRS, "--max_seq_length 32", "e2e/pairs-train.csv", "e2e/pairs-validation.csv");
    check_logits(a,
                 arena_print(a, "predict \"%s\" \"%s\" --max_seq_length 32 --logits", here(a, "out"),
                             test_fixture("e2e/pairs-validation.csv")),
                 member(want, "predictions"));
    arena_free(a);
}

TEST(ten_steps_of_pairs_equal_torch) {
    ten_steps_of_pairs(
        &(formula_kind){"bert", "BertForSequenceClassification", "pairs-bert.json", 39, {{NULL, NULL}}});
}

TEST(ten_steps_of_pairs_of_roberta_equal_torch) {
    ten_steps_of_pairs(
        &(formula_kind){"roberta", "RobertaForSequenceClassification", "pairs-roberta.json", 39, FORMULA_ROBERTA});
}

/* ---- what holds for all of them ---- */

static const char *const kinds[][3] = {
    {"tags", ",\"task\": \"token-classification\"", "tags-train.conll"},
    {"marks", ",\"problem_type\": \"multi_label_classification\",\"label_column_delimiter\": \";\"",
     "marks-train.csv"},
};

static const json *train(arena *a, int kind, const char *name, const char *launch, const char *more) {
    const char *file = test_fixture(arena_print(a, "e2e/%s", kinds[kind][2]));
    const char *job = tiny_job(
        a, arena_print(a, "%s.json", name), name,
        arena_print(a, "%s,\"train_file\": \"%s\",\"validation_file\": \"%s\",\"reduce_shards\": 4%s%s",
                    kinds[kind][1], file, file, strstr(more, "epochs") ? "" : ",\"max_steps\": 12", more));
    return command_json(a, "%s train \"%s\" --json --quiet", launch, job);
}

TEST(tags_and_marks_end_in_the_same_bits_on_several_ranks_and_threads_and_when_resumed) {
    arena *a = command_begin();
    for (int k = 0; k < 2; k++) {
        const char *name = kinds[k][0], *saves = ",\"save_strategy\": \"steps\",\"save_steps\": 7";
        const json *one = train(a, k, name, "", ""),
                   *two = train(a, k, arena_print(a, "%s2", name), "launch -n 2",
                                ",\"per_device_train_batch_size\": 4");
        const char *sha = text_of(one, "params_sha256"), *again = arena_print(a, "%s3", name);
        CHECK_STR(text_of(two, "params_sha256"), sha);
        CHECK(number_of(two, "eval_loss") == number_of(one, "eval_loss"));
        CHECK(number_of(two, "eval_f1") == number_of(one, "eval_f1"));
        CHECK_STR(text_of(train(a, k, arena_print(a, "%s1", name), "", ",\"threads\": 1"), "params_sha256"),
                  sha);
        CHECK_STR(text_of(train(a, k, again, "", saves), "params_sha256"), sha);
        CHECK_STR(
            text_of(train(a, k, again, "", arena_print(a, "%s,\"resume_from_checkpoint\": \"true\"", saves)),
                    "params_sha256"),
            sha);
    }
    arena_free(a);
}

/* The plain version, and the GPU's own code, emulated, which plays fixed numbers of rows. */
TEST(tags_and_marks_are_the_same_on_every_device) {
    arena *a = command_begin();
    const said there = command_run(a, "plan \"%s\" --device emu --quiet", tiny_job(a, "job.json", "out", ""));
    const int emu = !(there.code == 2 && strstr(there.err, "there is no libhone_emu.so"));
    for (int k = 0; k < 2; k++) {
        const char *name = kinds[k][0];
        const json *cpu = train(a, k, name, "", ",\"max_tokens_per_batch\": 48"),
                   *ref = train(a, k, arena_print(a, "%s-ref", name), "",
                                ",\"max_tokens_per_batch\": 48,\"device\": \"ref\"");
        CHECK_NEAR(number_of(ref, "train_loss"), number_of(cpu, "train_loss"), 1e-5);
        CHECK_NEAR(number_of(ref, "eval_loss"), number_of(cpu, "eval_loss"), 1e-5);
        if (!emu) continue;
        const json *gpu = train(a, k, arena_print(a, "%s-emu", name), "",
                                ",\"max_tokens_per_batch\": 48,\"device\": \"emu\"");
        CHECK_NEAR(number_of(gpu, "train_loss"), number_of(cpu, "train_loss"), 1e-5);
        CHECK_NEAR(number_of(gpu, "eval_loss"), number_of(cpu, "eval_loss"), 1e-5);
    }
    if (!emu) test_skip("cpu and ref only: %s", there.err);
    arena_free(a);
}

/* What the fixture's formula says of a word can be learned. */
TEST(tags_are_learned_and_shown_by_type) {
    arena *a = command_begin();
    const json *run = train(a, 0, "out", "", ",\"num_train_epochs\": 60,\"learning_rate\": 3e-3");
    CHECK(number_of(run, "eval_f1") > 0.7);
    CHECK(number_of(run, "eval_accuracy") > 0.8);
    const said s =
        command_expect(a, 0, "eval \"%s\" \"%s\"", here(a, "out"), test_fixture("e2e/tags-train.conll"));
    CHECK(strstr(s.out, "entity") && strstr(s.out, "LOC") && strstr(s.out, "PER"));
    command_expect(a, 0, "bench step --model \"%s\" --task token-classification --seq 16 --batch 4 --steps 2",
                   here(a, "out"));
    command_expect(a, 0, "validate \"%s\"", here(a, "out.json"));
    const json *plan = command_json(a, "plan \"%s\" --gpu h100 --json", here(a, "out.json"));
    CHECK(number_of(member(plan, "rows"), "word") > 0);
    arena_free(a);
}

TEST(what_other_heads_cannot_do_is_refused) {
    static const char *const refused[][2] = {
        {",\"task\": \"token-classification\",\"do_regression\": true",
         "do_regression: not for task token-classification"},
        {",\"task\": \"token-classification\",\"class_weights\": \"balanced\"",
         "class_weights: not for task token-classification"},
        {",\"threshold\": 0.4", "threshold: needs problem_type multi_label_classification"},
        {",\"problem_type\": \"single_label_classification\",\"do_regression\": true",
         "do_regression: true, but problem_type"},
        {",\"problem_type\": \"multi_label_classification\",\"label_smoothing_factor\": 0.1",
         "label_smoothing_factor: not for multi"},
        {",\"problem_type\": \"multi_label_classification\",\"label_column_names\": "
         "[\"a\"],\"label_column_name\": \"b\"",
         "label_column_names and label_column_name, expected one of them"}};
    arena *a = command_begin();
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        command_refused(a, 2, refused[i][1], "train \"%s\"", tiny_job(a, "job.json", "out", refused[i][0]));
    arena_free(a);
}
