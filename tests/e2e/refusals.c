/* refusals.c - rows of the table of bad inputs, as a user meets them: one line, its exit code, nothing left behind. */
#include <stdlib.h>
#include <unistd.h>

#include "command.h"
#include "golden.h"

TEST(a_command_line_that_says_nothing_sensible_is_refused) {
    arena *a = command_begin();
    const struct {
        const char *arguments, *line;
    } cases[] = {
        {"foo", "error: foo: unknown command"},
        {"trian x", "error: trian: unknown command; did you mean \"train\"?"},
        {"train", "error: command line: 0 words, expected: hone train JOB.json"},
        {"train nothere.json", "error: nothere.json: there is no such file; expected a regular file"},
        {"train a b", "error: command line: 2 words, expected: hone train JOB.json"},
        {"train a --lerning_rate 1", "error: --lerning_rate: unknown option; did you mean --learning_rate?"},
        {"predict m f --topp 1", "error: --topp: unknown option; did you mean --top?"},
        {"train a --learning_rate", "error: --learning_rate: expected a value"},
        {"train a --threads x", "error: --threads: \"x\", expected an integer in [0, 4096]"},
        {"inspect a --learning_rate 1", "error: --learning_rate: unknown option"},
        {"eval m", "error: command line: 1 words, expected: hone eval MODEL FILE"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK_STR(command_refused(a, 2, "error: ", "%s", cases[i].arguments), cases[i].line);
    arena_free(a);
}

TEST(a_broken_job_file_is_refused_with_line_and_column) { /* C1 - C5, C9, C10 */
    arena *a = command_begin();
    CHECK(!setenv("HONE_TEST_NOT_SET", "x", 1) && !unsetenv("HONE_TEST_NOT_SET"));
    const struct {
        const char *content, *line;
    } cases[] = {
        {"", "job.json: line 1 column 1: "},
        {"{\n  \"seed\": 1,\n}\n", "job.json: line 2 column 12: trailing comma"},
        {"{ // no\n}", "job.json: line 1 column 3: a comment"},
        {"{\"seed\": 1", "job.json: line 1 column 11: "},
        {"[1]", "job.json: line 1 column 1: a list, expected an object of job fields"},
        {"{\"learning_rat\": 1}",
         "job.json: line 1 column 18 (learning_rat): unknown key; did you mean \"learning_rate\"?"},
        {"{\"seed\": 1, \"seed\": 2}",
         "job.json: line 1 column 13: key \"seed\" is given twice, first on line 1"},
        {"{\"lr\": 1e-3, \"learning_rate\": 1e-3}",
         "(learning_rate): given twice (also under another name); expected once"},
        {"{\"learning_rate\": -1}",
         "job.json: line 1 column 19 (learning_rate): -1, expected a number in (0, 1]"},
        {"{\"learning_rate\": \"1e-5\"}", "(learning_rate): \"1e-5\" is text, expected a number in (0, 1]"},
        {"{\"seed\": 1.5}", "(seed): 1.5, expected an integer"},
        {"{\"bf16\": \"yes\"}", "(bf16): \"yes\" is text, expected true or false"},
        {"{\"seed\": {}}", "(seed): an object, expected an integer"},
        {"{\"per_device_train_batch_size\": 9223372036854775808}",
         "(per_device_train_batch_size): 9.22337204e+18, expected an integer in [1, 1000000]"},
        {"{\"eval_strategy\": \"often\"}",
         "(eval_strategy): \"often\" is text, expected one of: no steps epoch"},
        {"{\"train_batch_size\": 100, \"per_device_train_batch_size\": 24}",
         "train_batch_size: 100 cannot be cut into micro-batches of 24; nearest 96 or 120"},
        {"{\"num_train_epochs\": 0}", "(num_train_epochs): 0, expected a number in (0, 1000000]"},
        {"{\"max_steps\": 0}", "max_steps: 0, expected -1 (not used) or at least 1"},
        {"{\"precision\": \"amp_bf16\"}", "(precision): precision is not yet available"},
        {"{\"pad_to_max_length\": true}", "pad_to_max_length: true, expected false"},
        {"{\"output_dir\": \"${HONE_TEST_NOT_SET}/x\"}", "(output_dir): ${HONE_TEST_NOT_SET} is not set"},
        {"{\"output_dir\": \"a\\nb\"}",
         "(output_dir): \"a\\x0ab\" is text, expected a path without control characters"},
        {"{\"output_dir\": \"~/x\"}",
         "(output_dir): \"~/x\" is text, expected a path; \"~\" is a word of the shell"},
        {"{\"output_dir\": \"x\", \"train_file\": \"t.csv\"}",
         "job.json: no model_name_or_path, expected a model folder"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        command_refused(a, 2, cases[i].line, "train \"%s\"", put_file(a, "job.json", cases[i].content));
    const char *line = command_refused(a, 2, "(token): ", "train \"%s\"",
                                       put_file(a, "job.json", "{\"token\": \"hf_secretsecret\"}"));
    CHECK(!strstr(line, "secret")); /* the value is never shown */
    command_refused(a, 2, "precision is not yet available", "train \"%s\" --precision amp_bf16",
                    tiny_job(a, "job.json", "out", ""));
    arena_free(a);
}

TEST(a_job_that_cannot_be_is_refused_before_anything_is_made) { /* C6 - C8, C13 - C15 */
    arena *a = command_begin();
    const char *job = tiny_job(a, "job.json", "out", ",\"eval_strategy\": \"epoch\"");
    const struct {
        int code;
        const char *flags, *part;
    } cases[] = {
        {2, "--warmup_ratio 0 --warmup_steps 90", "warmup_steps: 90 of 60 steps in all"},
        {2, "--max_seq_length 1024", "max_seq_length: 1024 > 48, the model's position rows"},
        {2, "--device cuda", "cuda"}, /* not built, or no driver */
        {2, "--device cpu --fp16", "fp16: true, but device cpu computes in fp32, bf16"},
        {2, "--device cpu --tf32", "tf32: true, but device cpu has no TF32; expected device cuda"},
        {2, "--device ref --bf16", "bf16: true, but device ref computes in f64, fp32"},
        {2, "--device gpu", "gpu"},
        {7, "--resume_from_checkpoint nowhere", "no valid checkpoint in nowhere"},
        {2, "--metric_for_best_model eval_x",
         "metric_for_best_model: \"eval_x\" is not computed, expected one of: eval_loss, eval_accuracy"},
        {2, "--load_best_model_at_end --save_strategy epoch --eval_strategy steps",
         "load_best_model_at_end needs the checkpoint of every evaluation"},
        {2, "--eval_strategy no --early_stopping_patience 2",
         "early_stopping_patience: 2, but eval_strategy is no"},
        {2, "--class_weights 1,2", "class_weights: 2 numbers, expected 4, one a class"},
        {2, "--freeze nothing*", "nothing*"},
        {2, "--tokenizer_name \"\"", "config_name without tokenizer_name, expected both"},
        {2, "--output_dir \"\"", "no output_dir, expected a folder for the run"},
        {2, "--output_dir \"$(printf 'a%.0s' $(seq 5000))\"", "a text of more than 4,096 bytes"},
        {8, "--output_dir \"$(printf 'a%.0s' $(seq 4000))\"", "File name too long"},
        {2, "--output_dir \"$(printf 'a\\377')\"", "\"a\\xff\", expected UTF-8"},
        {8, "--output_dir /proc/nothing/here", "/proc/nothing"},
        {2, "--text_column_names sentence", "no column \"sentence\"; have: text, label"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        command_refused(a, cases[i].code, cases[i].part, "train \"%s\" %s", job, cases[i].flags);
        CHECK(!file_exists(path_join(a, here(a, "out"), "log.jsonl")));
        CHECK(!file_exists(path_join(a, here(a, "out"), "model.safetensors")));
    }
    arena_free(a);
}

TEST(
    a_model_folder_that_is_none_is_refused) { /* F31, F32, F19 and neighbours; the rest is tested in tests/model */
    arena *a = command_begin();
    const char *model = tiny_model(a), *config = path_join(a, model, "config.json"),
               *whole = file_text(a, config);
    const char *job = tiny_job(
        a, "job.json", "out",
        arena_print(a, ",\"config_name\": null, \"tokenizer_name\": null, \"model_name_or_path\": \"%s\"",
                    model));
    const struct {
        int code;
        const char *content, *part;
    } cases[] = {
        {2, "", "config.json"},
        {2, "[]", "config.json"},
        {2, "{\"model_type\": \"bart\"}", "\"bart\""},
        {2, "{\"model_type\": \"foo\"}", "\"foo\""},
        {2, "{\"model_type\": \"bert\", \"vocab_size\": 229, \"hidden_size\": \"768\"}", "hidden_size"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK_OK(file_write(config, cases[i].content, strlen(cases[i].content), err));
        command_refused(a, cases[i].code, cases[i].part, "train \"%s\"", job);
        command_refused(a, cases[i].code, cases[i].part, "predict \"%s\" \"%s\"", model,
                        test_fixture("e2e/validation.csv"));
    }
    CHECK(!system(arena_print(a, "rm \"%s\"", config)));
    command_refused(a, 2, "config.json", "train \"%s\"", job);
    CHECK_OK(file_write(config, whole, strlen(whole), err));
    CHECK(!truncate(path_join(a, model, "model.safetensors"), 50000));
    command_refused(a, 7, "model.safetensors", "train \"%s\"", job);
    CHECK(!file_exists(path_join(a, here(a, "out"), "log.jsonl")));
    arena_free(a);
}

TEST(data_that_cannot_be_used_is_refused_with_its_line) { /* D1 - D6, D9; the rest is tested in tests/data */
    arena *a = command_begin();
    const char *job = tiny_job(a, "job.json", "out", "");
    const struct {
        int code;
        const char *content, *part;
    } cases[] = {{3, "", "train.csv: no rows"},
                 {3, "text,label\n", "train.csv: no rows"},
                 {3, "text,label\na,b\n\"c,d\n", "line 3"},
                 {3, "text,label\na,b\nc\n", "line 3"},
                 {3, "text,label,label\na,b,c\n", "\"label\""},
                 {3, "text,label\nab\xff,b\n", "invalid UTF-8"},
                 {3, "text,label\na,x\nb,x\n", "1 classes, expected at least 2"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        command_refused(a, cases[i].code, cases[i].part, "train \"%s\" --train_file \"%s\"", job,
                        put_file(a, "train.csv", cases[i].content));
    command_refused(a, 3, "nowhere.csv", "train \"%s\" --train_file nowhere.csv", job);
    command_refused(a, 3, "line 3: label \"bil\"", "train \"%s\" --validation_file \"%s\"", job,
                    put_file(a, "v.csv", "text,label\nx,bill\ny,bil\n"));
    CHECK(!file_exists(path_join(a, here(a, "out"), "log.jsonl")));
    arena_free(a);
}
