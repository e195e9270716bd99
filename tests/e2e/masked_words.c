/* masked_words.c - task fill-mask: beside torch (scripts/golden/mlm.py), the same bits however it was cut, and the folder
 * handed back. */
#include "command.h"
#include "formula_model.h"
#include "golden.h"
#include "parity_check.h"

#define WORDS ",\"task\": \"fill-mask\""

static const char *sha_of(const json *summary) { return text_of(summary, "params_sha256"); }

static void ten_steps(const formula_kind *k, const char *flags) {
    arena *a = command_begin();
    const json *golden = golden_open(a, k->golden), *want = member(golden, "eval");
    const char *model = formula_model(a, "guesser", k, ""), *out = here(a, "out");
    const json *summary =
        command_json(a,
                     "train --task fill-mask --model_name_or_path \"%s\" --train_file \"%s\" "
                     "--validation_file \"%s\" --output_dir \"%s\" --max_steps 10 --seed 42 "
                     "--per_device_train_batch_size 8 --train_sampling_strategy sequential "
                     "--learning_rate 1e-3 --warmup_ratio 0.2 --weight_decay 0.01 --save_strategy no "
                     "--logging_steps 1 --json --quiet %s \"%s\"",
                     model, test_fixture("e2e/train.csv"), test_fixture("e2e/validation.csv"), out, flags,
                     put_file(a, "job.json", "{}"));
    CHECK_INT(number_of(summary, "global_step"), 10);
    parity_steps(a, out, golden);
    CHECK_INT(parity_weights(a, model, out, golden), k->n_weights);
    CHECK_NEAR(number_of(summary, "eval_loss") / number_of(want, "loss"), 1, 1e-6);
    CHECK_NEAR(number_of(summary, "eval_accuracy"), number_of(want, "accuracy"), 1e-9);
    CHECK_STR(member(json_of_file(a, path_join(a, out, "config.json")), "architectures")->child->string.p,
              k->architecture);
    arena_free(a);
}

/* Blocks over all texts, into a second epoch. */
TEST(ten_steps_of_masked_words_equal_torch) {
    ten_steps(&(formula_kind){"bert", "BertForMaskedLM", "mlm-bert.json", 40, {{NULL, NULL}}},
              "--max_seq_length 32 --cross_documents");
}

TEST(ten_steps_of_masked_words_of_roberta_equal_torch) {
    ten_steps(&(formula_kind){"roberta",
                              "RobertaForMaskedLM",
                              "mlm-roberta.json",
                              40,
                              FORMULA_ROBERTA},
              "--max_seq_length 48 --line_by_line");
}

TEST(ten_steps_of_masked_words_of_distilbert_equal_torch) {
    ten_steps(&(formula_kind){"distilbert",
                              "DistilBertForMaskedLM",
                              "mlm-distilbert.json",
                              39,
                              FORMULA_DISTILBERT},
              "--max_seq_length 48 --line_by_line");
}

static const json *train(arena *a, const char *name, const char *launch, const char *more) {
    const char *job = tiny_job(
        a, arena_print(a, "%s.json", name), name,
        arena_print(a, WORDS ",\"max_seq_length\": 16,\"max_steps\": 12,\"reduce_shards\": 4%s", more));
    return command_json(a, "%s train \"%s\" --json --quiet", launch, job);
}

TEST(masked_words_end_in_the_same_bits_on_several_ranks_and_threads) {
    arena *a = command_begin();
    const json *one = train(a, "one", "", ""),
               *two = train(a, "two", "launch -n 2", ",\"per_device_train_batch_size\": 4");
    CHECK_STR(sha_of(two), sha_of(one));
    CHECK(number_of(two, "eval_loss") == number_of(one, "eval_loss"));
    CHECK(number_of(two, "eval_accuracy") == number_of(one, "eval_accuracy"));
    CHECK_STR(sha_of(train(a, "thread", "", ",\"threads\": 1")), sha_of(one));
    CHECK(strcmp(sha_of(train(a, "other", "", ",\"mlm_probability\": 0.3")), sha_of(one)));
    arena_free(a);
}

/* Inside the second epoch, so that the masks are not those of the first. */
TEST(masked_words_resume_to_the_same_bits) {
    arena *a = command_begin();
    const char *whole = sha_of(train(a, "whole", "", ""));
    const json *out = train(a, "out", "", ",\"save_strategy\": \"steps\",\"save_steps\": 11");
    CHECK_STR(sha_of(out), whole);
    CHECK_STR(sha_of(train(
                  a, "out", "",
                  ",\"save_strategy\": \"steps\",\"save_steps\": 11,\"resume_from_checkpoint\": \"true\"")),
              whole);
    arena_free(a);
}

TEST(masked_words_are_replayed_from_their_log) {
    arena *a = command_begin();
    train(a, "out", "", ",\"save_strategy\": \"steps\",\"save_steps\": 4");
    const json *again = command_json(a, "verify \"%s\" --replay 4 --json --quiet --from 8", here(a, "out"));
    CHECK_INT(number_of(again, "replayed"), 4);
    arena_free(a);
}

/* Another number of samples in a batch, the same words hidden: a figure of the weights alone. */
TEST(every_evaluation_of_masked_words_hides_the_same_ones) {
    arena *a = command_begin();
    const json *run = train(a, "out", "", "");
    const char *path = test_fixture("e2e/validation.csv"), *out = here(a, "out");
    const json *again = command_json(a, "eval \"%s\" \"%s\" --max_seq_length 16 --seed 7 --json", out, path),
               *singly = command_json(
                   a, "eval \"%s\" \"%s\" --max_seq_length 16 --seed 7 --per_device_eval_batch_size 1 --json",
                   out, path);
    CHECK(number_of(again, "eval_loss") == number_of(run, "eval_loss"));
    CHECK(number_of(singly, "eval_accuracy") == number_of(run, "eval_accuracy"));
    CHECK_NEAR(number_of(singly, "eval_loss"), number_of(run, "eval_loss"), 1e-6);
    command_refused(a, 2, "its task is fill-mask, which predicts no labels", "predict \"%s\" \"%s\"", out,
                    path);
    arena_free(a);
}

/* What was learned is kept: the folder is one to go on from, as words or as a classifier. */
TEST(masked_words_are_learned_and_handed_on) {
    arena *a = command_begin();
    const char *own = arena_print(a, WORDS ",\"line_by_line\": true,\"validation_file\": \"%s\"",
                                  test_fixture("e2e/train.csv"));
    const json *first =
        command_json(a, "train \"%s\" --json --quiet",
                     tiny_job(a, "first.json", "first", arena_print(a, "%s,\"num_train_epochs\": 160", own)));
    CHECK(number_of(first, "eval_loss") <
          3); /* of 229 words by chance: 5.43; by how often each occurs: 4.5 */
    CHECK(number_of(first, "eval_accuracy") > 0.3); /* the commonest word: 0.11 */
    const json *second =
        command_json(a, "train \"%s\" --json --quiet",
                     tiny_job(a, "second.json", "second",
                              arena_print(a,
                                          "%s,\"config_name\": \"\",\"model_name_or_path\": \"%s\","
                                          "\"max_steps\": 1,\"learning_rate\": 1e-9",
                                          own, here(a, "first"))));
    CHECK_NEAR(number_of(second, "eval_loss"), number_of(first, "eval_loss"), 1e-3);
    command_expect(a, 0, "export --check \"%s\"", here(a, "first"));
    command_expect(
        a, 0, "train \"%s\" --quiet",
        tiny_job(a, "classes.json", "classes",
                 arena_print(a, ",\"config_name\": \"\",\"model_name_or_path\": \"%s\",\"max_steps\": 1",
                             here(a, "first"))));
    arena_free(a);
}

/* The rows of the head are words: the sample that is named is the one that a word stands in. */
TEST(a_sample_of_masked_words_that_is_not_finite_is_named) {
    static const formula_kind bert = {"bert", "BertForMaskedLM", NULL, 0, {{NULL, NULL}}};
    static const uint32_t nan_bits = 0x7fc00000;
    arena *a = command_begin();
    const char *model = formula_model(a, "broken", &bert, ""),
               *weights = path_join(a, model, "model.safetensors");
    patch_file(weights, tensor_offset(a, weights, "cls.predictions.transform.dense.bias") + 4 * 5, &nan_bits,
               4);
    const said s = command_expect(
        a, 5, "train \"%s\" --quiet",
        tiny_job(a, "job.json", "out",
                 arena_print(a,
                             WORDS ",\"config_name\": \"\",\"model_name_or_path\": \"%s\","
                                   "\"train_sampling_strategy\": \"sequential\",\"line_by_line\": true",
                             model)));
    CHECK(strstr(s.err, "in the head is NaN; sample 0;"));
    arena_free(a);
}

/* The GPU's own code, emulated, plays fixed numbers of rows: those behind the words change nothing. */
TEST(masked_words_on_a_device_of_fixed_rows_are_the_same) {
    arena *a = command_begin();
    const said there =
        command_run(a, "plan \"%s\" --device emu --quiet", tiny_job(a, "job.json", "out", WORDS));
    if (there.code == 2 && strstr(there.err, "there is no libhone_emu.so")) test_skip("%s", there.err);
    const json *ref = train(a, "ref", "", ",\"device\": \"ref\",\"max_tokens_per_batch\": 48"),
               *emu = train(a, "emu", "", ",\"device\": \"emu\",\"max_tokens_per_batch\": 48");
    CHECK_NEAR(number_of(emu, "train_loss"), number_of(ref, "train_loss"), 1e-5);
    CHECK_NEAR(number_of(emu, "eval_loss"), number_of(ref, "eval_loss"), 1e-5);
    arena_free(a);
}

/* Plan, prediction and bench count the rows of words. */
TEST(masked_words_are_planned_and_timed) {
    arena *a = command_begin();
    const json *run = train(a, "out", "", "");
    const char *job = here(a, "out.json");
    const json *plan = command_json(a, "plan \"%s\" --gpu h100 --per_device_eval_batch_size 8 --json", job);
    CHECK(number_of(member(plan, "rows"), "word") >= 8 * 2); /* 15 % of 16, rounded */
    CHECK(number_of(member(plan, "rows"), "word") <= 0.15 * 8 * 16 + 1 + 8);
    CHECK_INT(number_of(run, "peak_device_bytes"), number_of(run, "planned_device_bytes"));
    command_expect(a, 0, "bench step --model \"%s\" --task fill-mask --seq 16 --batch 4 --steps 2",
                   here(a, "out"));
    arena_free(a);
}

/* Rows are packed: documents stand side by side in a batch, and what is learned of one does not depend on its neighbours; of
 * blocks over all of them it does. */
TEST(masked_words_of_a_document_do_not_see_the_next_one) {
    static const char *const files[] = {"my parcel has not come yet\n\nwhy is my bill so high\n",
                                        "my parcel has not come yet\n\nmy card was charged twice now\n"};
    arena *a = command_begin();
    train(a, "out", "", "");
    for (int cross = 0; cross < 2; cross++) {
        double loss[2];
        for (int k = 0; k < 2; k++) {
            const char *file = put_file(a, arena_print(a, "%d.txt", k), files[k]);
            const json *e = command_json(a,
                                         "eval \"%s\" \"%s\" --task fill-mask --max_eval_samples 1 --max_seq_length 12 --seed 7 "
                                         "--cross_documents %s --json",
                                         here(a, "out"), file, cross ? "true" : "false");
            loss[k] = number_of(e, "eval_loss");
        }
        CHECK_INT(loss[0] == loss[1], !cross);
    }
    arena_free(a);
}

/* configs/jobs/masked-words.json, the beginning of it. */
TEST(the_job_of_masked_words_runs) {
    arena *a = command_begin();
    const char *flags = "--max_steps 40 --eval_strategy no --per_device_train_batch_size 8 --json --quiet";
    const said s =
        command_shell(a, "cd \"%s\" && \"%s\" train configs/jobs/masked-words.json --output_dir \"%s\" %s",
                      HONE_SOURCE_FOLDER, command_program(), here(a, "out"), flags);
    const json *summary;
    CHECK_INT(s.code, 0);
    CHECK_OK(json_parse(&summary, a, "summary", s.out, s.n_out, HONE_EDATA, err));
    CHECK_INT(number_of(summary, "train_samples"), 2240);
    CHECK(number_of(summary, "eval_loss") < 6.6); /* of 1,385 words by chance: 7.23 */
    CHECK(strstr(file_text(a, path_join(a, here(a, "out"), "README.md")), "pipeline_tag: fill-mask\n"));
    arena_free(a);
}

TEST(what_masked_words_cannot_do_is_refused) {
    static const char *const refused[][2] = {
        {",\"do_regression\": true", "do_regression: not for task fill-mask"},
        {",\"label_smoothing_factor\": 0.1", "label_smoothing_factor: not for"},
        {",\"do_predict\": true", "do_predict: not for task fill-mask"},
        {",\"train_sampling_strategy\": \"balanced\"", "balanced: not for task"},
        {",\"line_by_line\": true,\"cross_documents\": true", "expected one of them"},
        {",\"mlm_probability\": 0", "mlm_probability"}};
    arena *a = command_begin();
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        command_refused(a, 2, refused[i][1], "train \"%s\"",
                        tiny_job(a, "job.json", "out", arena_print(a, WORDS "%s", refused[i][0])));
    command_refused(a, 2, "mlm_probability: not for task text-classification", "train \"%s\"",
                    tiny_job(a, "job.json", "out", ",\"mlm_probability\": 0.2"));
    const char *few = put_file(a, "few.txt", "the card\n");
    command_refused(a, 3, "expected at least a block of max_seq_length, 48", "train \"%s\"",
                    tiny_job(a, "job.json", "out",
                             arena_print(a, WORDS ",\"cross_documents\": true,\"train_file\": \"%s\"", few)));
    const char *none = put_file(a, "none.txt", "\n \n");
    command_refused(a, 3, "no text has a word to hide", "train \"%s\"",
                    tiny_job(a, "job.json", "out",
                             arena_print(a, WORDS ",\"line_by_line\": true,\"train_file\": \"%s\"", none)));
    arena_free(a);
}
