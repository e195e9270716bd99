/* job.c - what a job file may say, and what its author sees otherwise: file, line, column, field, expectation. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "test.h"
#include "base/file.h"
#include "train/eval.h"

static const char *job_file(const char *content) {
    static char path[4096];
    hone_err err = {0};
    snprintf(path, sizeof path, "%s/job.json", test_folder());
    if (file_write(path, content, strlen(content), &err)) test_fail(__FILE__, __LINE__, "%s", err.text);
    return path;
}

static job *load(const char *content) {
    job *j = NULL;
    CHECK_OK(job_load(&j, job_file(content), NULL, 0, 1, err));
    return j;
}

static void refuses(const char *content, const char *message) {
    job *j;
    hone_err err = {0};
    CHECK_INT(job_load(&j, job_file(content), NULL, 0, 1, &err), HONE_EUSAGE);
    CHECK_STR(err.text, message);
}

TEST(job_defaults_are_those_of_transformers) {
    job *j = load("{}");
    CHECK_NEAR(j->learning_rate, 5e-5, 0);
    CHECK_NEAR(j->num_train_epochs, 3, 0);
    CHECK_INT(j->per_device_train_batch_size, 8);
    CHECK_NEAR(j->adam_beta2, 0.999, 0);
    CHECK_NEAR(j->max_grad_norm, 1, 0);
    CHECK_INT(j->lr_scheduler_type, SCHEDULE_LINEAR);
    CHECK_INT(j->seed, 42);
    CHECK_INT(j->save_strategy, STRATEGY_STEPS);
    CHECK_STR(j->text_column_delimiter, " ");
    CHECK_STR(j->resume_from_checkpoint, "false");
    CHECK(!j->model_name_or_path);
    job_free(j);
}

/* Samples of the largest batch of texts of five tokens. */
static int64_t at_once(const job *j, int64_t room) {
    enum { N = 2000 };
    int64_t at[N + 1];
    for (int i = 0; i <= N; i++) at[i] = 5 * i;
    const dataset d = {.n = N, .n_tokens = at[N], .at = at, .max_length = 5};
    return eval_batches_of(j, &d, room).samples;
}

TEST(job_that_does_not_say_how_many_samples_are_evaluated_fills_the_room) {
    job *j = load("{}"), *says = load("{\"per_device_eval_batch_size\": 3}");
    CHECK_INT(at_once(j, EVAL_TOKENS), 4096 / 5);
    CHECK_INT(at_once(j, 64), 12);
    CHECK_INT(at_once(j, 2), 1);
    CHECK_INT(at_once(says, 64), 3);
    CHECK_INT(at_once(says, 2), 3);
    job_free(j);
    job_free(says);
}

TEST(job_takes_values_of_every_kind) {
    job *j = load("{\"$schema\": \"x\", \"learning_rate\": 5e-4, \"per_device_train_batch_size\": 32, \"do_regression\": true, "
                  "\"text_column_names\": [\"a\", \"b\"], \"lr_scheduler_type\": \"cosine\", \"class_weights\": [1, 2.5], "
                  "\"max_steps\": \"2k\", \"warmup_ratio\": \"10%\", \"resume_from_checkpoint\": true, \"freeze\": \"a*,b?\", "
                  "\"gradient_checkpointing\": true, \"lr_scheduler_kwargs\": {\"num_cycles\": 1.5}, \"output_dir\": null}");
    CHECK_NEAR(j->learning_rate, 5e-4, 0);
    CHECK_INT(j->per_device_train_batch_size, 32);
    CHECK_INT(j->do_regression, 1);
    CHECK_INT(j->text_column_names.n, 2);
    CHECK_STR(j->text_column_names.p[1], "b");
    CHECK_INT(j->lr_scheduler_type, SCHEDULE_COSINE);
    CHECK_INT(j->class_weights, WEIGHTS_LIST);
    CHECK_NEAR(j->class_weight_list.p[1], 2.5, 0);
    CHECK_INT(j->max_steps, 2000);
    CHECK_NEAR(j->warmup_ratio, 0.1, 1e-15);
    CHECK_STR(j->resume_from_checkpoint, "true");
    CHECK_INT(j->freeze.n, 2);
    CHECK_INT(j->gradient_checkpointing, 2);
    CHECK_NEAR(j->num_cycles, 1.5, 0);
    CHECK(!j->output_dir);
    job_free(j);
}

TEST(job_knows_other_peoples_names) {
    job *j = load("{\"base_model\": \"m\", \"micro_batch_size\": 4, \"train_batch_size\": 16, \"evaluation_strategy\": \"epoch\", \"val_size\": 5}");
    CHECK_STR(j->model_name_or_path, "m");
    CHECK_INT(j->per_device_train_batch_size, 4);
    CHECK_INT(j->gradient_accumulation_steps, 4);
    CHECK_INT(j->eval_strategy, STRATEGY_EPOCH);
    CHECK_NEAR(j->validation_split_percentage, 5, 0);
    job_free(j);
}

TEST(job_takes_deepspeeds_object_of_fp16) {
    job *j = load("{\"fp16\": {\"enabled\": true, \"loss_scale\": 0, \"initial_scale_power\": 12, \"loss_scale_window\": 50, \"hysteresis\": 3, \"min_loss_scale\": 2}}");
    CHECK_INT(j->fp16, 1);
    CHECK_NEAR(j->loss_scale, 0, 0);
    CHECK_INT(j->initial_scale_power, 12);
    CHECK_INT(j->loss_scale_window, 50);
    CHECK_INT(j->hysteresis, 3);
    CHECK_NEAR(j->min_loss_scale, 2, 0);
    job_free(j);
    j = load("{\"fp16\": true, \"loss_scale\": 1024}");
    CHECK_INT(j->fp16, 1);
    CHECK_NEAR(j->loss_scale, 1024, 0);
    job_free(j);
}

/* As one line of JSON, whatever its form in the file; null is not given. */
TEST(job_takes_how_texts_are_continued) {
    const job_override o = {"generation", "{\"num_beams\": 2}"};
    text printed = {0};
    job *j = load("{\"task\": \"causal-lm\", \"generation\": {\n  \"top_k\": 5, \"early_stopping\": \"never\", \"top_p\": null,\n"
                  "  \"temperature\": 0.7}}");
    CHECK_STR(j->generation, "{\"top_k\": 5, \"early_stopping\": \"never\", \"temperature\": 0.7}");
    job_print_json(j, &printed);
    CHECK(strstr(printed.p, "\"generation\":{\"top_k\": 5, \"early_stopping\": \"never\", \"temperature\": 0.7},"));
    job_free(j);
    CHECK_OK(job_load(&j, job_file("{\"task\": \"text-generation\"}"), &o, 1, 1, err));
    CHECK_STR(j->generation, "{\"num_beams\": 2}");
    job_free(j);
    text_clear(&printed);
    j = load("{\"generation\": null}");
    CHECK(!j->generation);
    job_print_json(j, &printed);
    CHECK(strstr(printed.p, "\"generation\":null,"));
    job_free(j);
    text_free(&printed);
    refuses("{\"generation\": {\"top_kk\": 5}}", "job.json: line 1 column 16 (generation): top_kk: unknown name; did you mean \"top_k\"?");
    refuses("{\"generation\": {\"top_p\": 2}}", "job.json: line 1 column 16 (generation): top_p: a value out of range, expected a number in [0, 1]");
    refuses("{\"generation\": {\"do_sample\": 1}}", "job.json: line 1 column 16 (generation): do_sample: a number, expected true or false");
    refuses("{\"s\": 20}", "job.json: line 1 column 7 (generation): 20, expected an object, as {\"max_new_tokens\": 60, \"do_sample\": true}");
    refuses("{\"generation\": {\"top_k\": 5}}", "generation: not for task text-classification, expected task text-generation");
}

TEST(job_refuses_with_place_and_field) {
    refuses("{\n  \"learning_rate\": -1\n}", "job.json: line 2 column 20 (learning_rate): -1, expected a number in (0, 1]");
    refuses("{\"learning_rate\": \"1e-5\"}", "job.json: line 1 column 19 (learning_rate): \"1e-5\" is text, expected a number in (0, 1]");
    refuses("{\"learning_rat\": 1}", "job.json: line 1 column 18 (learning_rat): unknown key; did you mean \"learning_rate\"?");
    refuses("{\"lr\": 1e-4, \"learning_rate\": 1e-4}", "job.json: line 1 column 31 (learning_rate): given twice (also under another name); expected once");
    refuses("{\"per_device_train_batch_size\": 0}", "job.json: line 1 column 33 (per_device_train_batch_size): 0, expected an integer in [1, 1000000]");
    refuses("{\"per_device_train_batch_size\": 1.5}", "job.json: line 1 column 33 (per_device_train_batch_size): 1.5, expected an integer in [1, 1000000]");
    refuses("{\"bf16\": \"yes\"}", "job.json: line 1 column 10 (bf16): \"yes\" is text, expected true or false");
    refuses("{\"lr_scheduler_type\": \"linea\"}",
            "job.json: line 1 column 23 (lr_scheduler_type): \"linea\" is text, expected one of: linear cosine constant constant_with_warmup polynomial inverse_sqrt");
    refuses("{\"precision\": \"amp_bf16\"}",
            "job.json: line 1 column 15 (precision): precision is not yet available");
    refuses("{\"fp16\": true, \"bf16\": true}", "bf16: true and fp16: true, expected one of them");
    refuses("{\"fp16\": {\"enabled\": 3}}", "job.json: line 1 column 22 (fp16): 3, expected true or false");
    refuses("{\"fp16\": true, \"initial_scale_power\": 2, \"min_loss_scale\": 5}", "min_loss_scale: 5, expected at most 2^2 (initial_scale_power)");
    refuses("{\"loss_scale_window\": 0}", "job.json: line 1 column 23 (loss_scale_window): 0, expected an integer in [1, 1e+09]");
    refuses("{\"max_steps\": 0}", "max_steps: 0, expected -1 (not used) or at least 1");
    refuses("{\"pad_to_max_length\": true}", "pad_to_max_length: true, expected false; hone computes no padding");
    refuses("{\"train_batch_size\": 100, \"per_device_train_batch_size\": 24}",
            "train_batch_size: 100 cannot be cut into micro-batches of 24; nearest 96 or 120");
    refuses("[]", "job.json: line 1 column 1: a list, expected an object of job fields");
    refuses("{\"output_dir\": \"${HONE_TEST_UNSET}\"}", "job.json: line 1 column 16 (output_dir): ${HONE_TEST_UNSET} is not set");
}

TEST(job_lets_what_is_not_there_be_switched_off) {
    job *j = load("{\"fp16\": false, \"push_to_hub\": false, \"zero_stage\": 0, \"lora\": null, \"sample_packing\": false, \"token\": false}");
    job_free(j);
}

TEST(job_expands_variables) {
    setenv("HONE_TEST_PLACE", "there", 1);
    job *j = load("{\"output_dir\": \"a/${HONE_TEST_PLACE}/b\", \"run_name\": \"${HONE_TEST_UNSET:-other}\"}");
    CHECK_STR(j->output_dir, "a/there/b");
    CHECK_STR(j->run_name, "other");
    job_free(j);
}

TEST(job_command_line_overrides_the_file) {
    const job_override o[] = {{"learning_rate", "1e-3"}, {"bf16", NULL}, {"class_weights", "1,2,3"}, {"max_steps", "5"}};
    job *j = NULL;
    hone_err why = {0};
    CHECK_OK(job_load(&j, job_file("{\"learning_rate\": 1e-4, \"max_steps\": 7}"), o, 4, 1, err));
    CHECK_NEAR(j->learning_rate, 1e-3, 0);
    CHECK_INT(j->bf16, 1);
    CHECK_INT(j->class_weight_list.n, 3);
    CHECK_INT(j->max_steps, 5);
    job_free(j);
    const job_override bad = {"learning_rate", "fast"};
    CHECK_INT(job_load(&j, NULL, &bad, 1, 1, &why), HONE_EUSAGE);
    CHECK_STR(why.text, "command line (learning_rate): \"fast\", expected a number in (0, 1]");
}

TEST(job_unknown_key_is_a_warning_if_not_strict) {
    job *j = NULL;
    CHECK_OK(job_load(&j, job_file("{\"learning_rat\": 1}"), NULL, 0, 0, err));
    job_free(j);
}

TEST(job_every_field_has_its_own_name_and_default) {
    int n;
    const field *f = job_fields(&n);
    CHECK(n > 80);
    for (int i = 0; i < n; i++) {
        CHECK_INT(field_find(f[i].name), i);
        char aliases[256];
        snprintf(aliases, sizeof aliases, "%s", f[i].aliases);
        for (char *more, *a = strtok_r(aliases, " ", &more); a; a = strtok_r(NULL, " ", &more))
            if (field_find(a) != i) test_fail(__FILE__, __LINE__, "alias %s of %s finds %s", a, f[i].name, f[field_find(a)].name);
    }
}

TEST(job_schema_in_configs_is_the_one_of_the_table) {
    text t = {0};
    str s;
    arena *a = arena_new("test");
    fields_print_schema(&t);
    CHECK_OK(file_read(&s, a, test_source("configs/job.schema.json"), (size_t)1 << 20, HONE_EDATA, err));
    CHECK_STR(s.p, t.p);
    const json *v;
    CHECK_OK(json_parse(&v, a, "schema", t.p, t.n, HONE_EDATA, err));
    text_free(&t);
    arena_free(a);
}
