/* train.c - what a run promises: the same bits however it was cut, threads or not; checkpoints kept as asked. */
#include <math.h>
#include <stdlib.h>

#include "command.h"
#include "golden.h"

/* The part of an end-to-end test that repeats: train the job file with flags, summary as JSON. */
static const json *train(arena *a, const char *job, const char *flags) {
    return command_json(a, "train \"%s\" --json --quiet %s", job, flags);
}

static const char *sha_of(const json *summary) {
    const char *sha = text_of(summary, "params_sha256");
    CHECK_INT(strlen(sha), 64);
    return sha;
}

static int is_there(arena *a, const char *out, const char *name) {
    return file_exists(path_join(a, here(a, out), name));
}

/* Steps of checkpoint-N folders, as "10 20 60". */
static const char *checkpoints_of(arena *a, const char *out) {
    const char **names, *all = "";
    int n;
    CHECK_OK(folder_list(&names, &n, a, here(a, out), err));
    for (int step = 1; step <= 200; step++)
        for (int i = 0; i < n; i++)
            if (!strcmp(names[i], arena_print(a, "checkpoint-%d", step)))
                all = arena_print(a, "%s%s%d", all, *all ? " " : "", step);
    return all;
}

/* Rows of log.jsonl that hold a key, as steps. */
static const char *steps_with(arena *a, const char *out, const char *key) {
    const char *all = "";
    for (const char *p = file_text(a, path_join(a, here(a, out), "log.jsonl")); *p;) {
        const char *end = strchr(p, '\n');
        const json *row;
        CHECK(end); /* whole lines only */
        CHECK_OK(json_parse(&row, a, "log.jsonl", p, (size_t)(end - p), HONE_EDATA, err));
        if (json_get(row, key))
            all = arena_print(a, "%s%s%.0f", all, *all ? " " : "", number_of(row, "step"));
        p = end + 1;
    }
    return all;
}

/* ---- same bits ----------------------------------------------------------------------------------------------------*/

TEST(resuming_at_five_steps_gives_the_bits_of_an_uninterrupted_run) {
    arena *a = command_begin();
    const char *job =
        tiny_job(a, "job.json", "out",
                 ",\"save_strategy\": \"steps\", \"save_steps\": 4, \"eval_strategy\": \"epoch\"");
    const char *whole = sha_of(train(a, tiny_job(a, "plain.json", "plain", ""), ""));
    CHECK_STR(sha_of(train(a, job, "")), whole); /* saving and evaluating changes nothing */
    const char *history = file_text(a, path_join(a, here(a, "out"), "trainer_state.json"));
    static const int stops[] = {4, 8, 20, 36, 56}; /* inside an epoch, at its end, before the last steps */
    for (size_t i = 0; i < sizeof stops / sizeof *stops; i++) {
        const char *copy = arena_print(a, "copy-%d", stops[i]);
        CHECK_OK(folder_make(here(a, copy), err));
        const char *from = arena_print(a, "%s/checkpoint-%d", here(a, "out"), stops[i]);
        copy_folder(a, from, here(a, copy));
        const json *s =
            train(a, job, arena_print(a, "--output_dir \"%s\" --resume_from_checkpoint true", here(a, copy)));
        CHECK_STR(sha_of(s), whole);
        CHECK_INT(number_of(s, "global_step"), TINY_STEPS);
        CHECK_INT(number_of(s, "train_tokens"), 3918); /* of the whole run */
        const json *old, *new = json_of_file(a, path_join(a, here(a, copy), "trainer_state.json"));
        CHECK_OK(json_parse(&old, a, "state", history, strlen(history), HONE_EDATA, err));
        CHECK_INT(member(new, "log_history")->n, member(old, "log_history")->n);
        const json *x = member(old, "log_history")->child, *y = member(new, "log_history")->child;
        for (; x; x = x->next, y = y->next)
            if (json_get(x, "loss")) CHECK_NEAR(number_of(y, "loss"), number_of(x, "loss"), 0);
    }
    arena_free(a);
}

TEST(a_checkpoint_named_by_path_is_resumed) {
    arena *a = command_begin();
    const char *job = tiny_job(a, "job.json", "out", ",\"save_strategy\": \"steps\", \"save_steps\": 20");
    const char *whole = sha_of(train(a, job, ""));
    const char *flags = arena_print(a, "--output_dir \"%s\" --resume_from_checkpoint \"%s/checkpoint-40\"",
                                    here(a, "other"), here(a, "out"));
    CHECK_STR(sha_of(train(a, job, flags)), whole);
    CHECK_STR(checkpoints_of(a, "out"), "20 40 60");
    arena_free(a);
}

TEST(a_finished_run_resumed_ends_at_once_with_the_same_bits) {
    arena *a = command_begin();
    const char *job = tiny_job(a, "job.json", "out", ",\"save_strategy\": \"steps\", \"save_steps\": 30");
    const char *whole = sha_of(train(a, job, ""));
    const json *s = train(a, job, "--resume_from_checkpoint true");
    CHECK_STR(sha_of(s), whole);
    CHECK_INT(number_of(s, "global_step"), TINY_STEPS);
    CHECK_NEAR(number_of(s, "train_samples_per_second"), 0, 0);
    arena_free(a);
}

TEST(threads_and_accumulation_keep_the_bits_they_should) {
    arena *a = command_begin();
    const char *first = NULL, *tree = NULL;
    for (int threads = 1; threads <= 3; threads++) {
        const char *one = tiny_job(a, "job.json", arena_print(a, "out-%d", threads), ""),
                   *flags = arena_print(a, "--threads %d", threads);
        const char *sha = sha_of(train(a, one, flags));
        const json *s = train(a,
                              tiny_job(a, "tree.json", arena_print(a, "tree-%d", threads),
                                       ",\"gradient_accumulation_steps\": 4"),
                              flags);
        CHECK_INT(number_of(s, "threads"), threads);
        CHECK_INT(number_of(s, "global_step"), 18); /* 10 micro-batches an epoch: 4, 4, 2 */
        CHECK(isfinite(number_of(s, "train_loss")));
        if (first) CHECK_STR(sha, first);
        if (tree) CHECK_STR(sha_of(s), tree);
        first = sha, tree = sha_of(s);
    }
    CHECK(strcmp(first, tree));
    arena_free(a);
}

/* 4 x 8 samples make the mean of 32 samples: what one batch of 32 gives, but for rounding (dropout is keyed by sample). */
TEST(accumulated_steps_equal_one_large_batch) {
    arena *a = command_begin();
    const char *common = "--train_sampling_strategy sequential --max_steps 2 --logging_steps 1";
    train(a, tiny_job(a, "job.json", "parts", ",\"gradient_accumulation_steps\": 4"), common);
    train(a, tiny_job(a, "job.json", "one", ""),
          arena_print(a, "%s --per_device_train_batch_size 32", common));
    const json *log[2];
    const char *names[] = {"parts", "one"};
    for (int i = 0; i < 2; i++)
        log[i] = member(json_of_file(a, path_join(a, here(a, names[i]), "trainer_state.json")), "log_history")
                     ->child;
    for (const json *x = log[0], *y = log[1]; x && json_get(x, "loss"); x = x->next, y = y->next) {
        CHECK_NEAR(number_of(x, "loss"), number_of(y, "loss"), 2e-6);
        CHECK_NEAR(number_of(x, "grad_norm"), number_of(y, "grad_norm"), 2e-6);
    }
    arena_free(a);
}

TEST(a_seed_changes_the_run_and_data_seed_only_the_order) {
    arena *a = command_begin();
    const char *shas[3];
    const char *flags[] = {"", "--seed 8", "--data_seed 9"};
    for (int i = 0; i < 3; i++)
        shas[i] = sha_of(
            train(a, tiny_job(a, "job.json", arena_print(a, "out-%d", i), ",\"max_steps\": 12"), flags[i]));
    CHECK(strcmp(shas[0], shas[1]) && strcmp(shas[0], shas[2]) && strcmp(shas[1], shas[2]));
    arena_free(a);
}

/* ---- what is kept -------------------------------------------------------------------------------------------------*/

TEST(learning_happens_and_the_summary_says_so) {
    arena *a = command_begin();
    const char *job = tiny_job(a, "job.json", "out",
                               ",\"eval_strategy\": \"epoch\", \"report_to\": [\"tensorboard\", \"csv\"]");
    const json *s = train(a, job, "--num_train_epochs 12");
    static const char *const keys[] = {"output_dir",
                                       "device",
                                       "dtype",
                                       "world_size",
                                       "threads",
                                       "global_step",
                                       "epoch",
                                       "train_samples",
                                       "train_tokens",
                                       "train_loss",
                                       "train_runtime",
                                       "train_samples_per_second",
                                       "train_tokens_per_second",
                                       "startup_seconds",
                                       "peak_host_bytes",
                                       "peak_device_bytes",
                                       "planned_device_bytes",
                                       "params_sha256",
                                       "best_metric",
                                       "best_model_checkpoint",
                                       "eval_loss",
                                       "eval_accuracy",
                                       "eval_f1",
                                       "eval_runtime",
                                       "eval_samples_per_second"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) member(s, keys[i]);
    CHECK(number_of(s, "eval_accuracy") > 0.6); /* 0.25 is chance */
    CHECK(number_of(s, "startup_seconds") > 0 && number_of(s, "startup_seconds") < 1);
    CHECK_INT(number_of(s, "train_samples"), TINY_SAMPLES);
    static const char *const files[] = {"model.safetensors",
                                        "config.json",
                                        "tokenizer.json",
                                        "tokenizer_config.json",
                                        "README.md",
                                        "log.jsonl",
                                        "log.csv",
                                        "job.json",
                                        "trainer_state.json",
                                        "all_results.json",
                                        "train_results.json",
                                        "eval_results.json"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (!is_there(a, "out", files[i])) test_fail(__FILE__, __LINE__, "%s is missing", files[i]);
    CHECK_STR(text_of(json_of_file(a, path_join(a, here(a, "out"), "all_results.json")), "params_sha256"),
              sha_of(s));
    CHECK_STR(steps_with(a, "out", "eval_loss"), "10 20 30 40 50 60 70 80 90 100 110 120");
    const said check = command_expect(a, 0, "export --check \"%s\"", here(a, "out"));
    CHECK(strstr(check.out, "0 failed"));
    arena_free(a);
}

TEST(save_total_limit_keeps_the_newest_and_the_best) {
    arena *a = command_begin();
    const char *more =
        ",\"save_strategy\": \"steps\", \"save_steps\": 10, \"eval_strategy\": \"steps\", \"eval_steps\": "
        "10, \"save_total_limit\": 2, "
        "\"metric_for_best_model\": \"eval_loss\", \"greater_is_better\": true"; /* the worst, which comes early */
    const json *s = train(a, tiny_job(a, "job.json", "out", more), "");
    const json *state = json_of_file(a, path_join(a, here(a, "out"), "trainer_state.json"));
    const int best = (int)number_of(state, "best_global_step");
    CHECK(best < 50);
    CHECK_STR(checkpoints_of(a, "out"), arena_print(a, "%d 50 60", best));
    CHECK_STR(text_of(s, "best_model_checkpoint"), arena_print(a, "%s/checkpoint-%d", here(a, "out"), best));
    CHECK_STR(steps_with(a, "out", "saved"), "10 20 30 40 50 60");
    arena_free(a);
}

TEST(the_best_model_is_handed_back) {
    arena *a = command_begin();
    static const char *const saving[] = {"\"save_strategy\": \"steps\", \"save_steps\": 20",
                                         "\"save_strategy\": \"best\""};
    for (int i = 0; i < 2; i++) { /* also where the best evaluation stood between two saves */
        const char *out = arena_print(a, "out-%d", i);
        const char *more = arena_print(a,
                                       ",%s, \"eval_strategy\": \"steps\", \"eval_steps\": 5, "
                                       "\"load_best_model_at_end\": true, \"save_total_limit\": 1,"
                                       "\"metric_for_best_model\": \"loss\", \"greater_is_better\": true",
                                       saving[i]);
        const json *s = train(a, tiny_job(a, "job.json", out, more), "");
        CHECK_NEAR(number_of(s, "eval_loss"), number_of(s, "best_metric"), 1e-7);
        const char *best = text_of(s, "best_model_checkpoint");
        CHECK(strcmp(best, arena_print(a, "%s/checkpoint-60", here(a, out))));
        const char *x = path_join(a, best, "model.safetensors"),
                   *y = path_join(a, here(a, out), "model.safetensors");
        CHECK(!system(arena_print(a, "cmp -s \"%s\" \"%s\"", x, y)));
    }
    arena_free(a);
}

TEST(early_stopping_ends_the_run) {
    arena *a = command_begin();
    /* an improvement of 100 never comes after the first evaluation: 3 more and it is over */
    const char *more =
        ",\"eval_strategy\": \"steps\", \"eval_steps\": 5, \"save_strategy\": \"steps\", \"save_steps\": 5,"
        "\"early_stopping_patience\": 3, \"early_stopping_threshold\": 100";
    const char *job = tiny_job(a, "job.json", "out", more);
    const json *s = train(a, job, "");
    CHECK_INT(number_of(s, "global_step"), 20);
    const json *again = train(a, job, "--resume_from_checkpoint true"); /* stays stopped */
    CHECK_INT(number_of(again, "global_step"), 20);
    CHECK_STR(sha_of(again), sha_of(s));
    arena_free(a);
}

TEST(evaluations_and_logs_come_when_they_were_asked_for) {
    arena *a = command_begin();
    const struct {
        const char *flags, *evals, *logs;
    } rows[] = {{"--eval_strategy no", "", "5 10 15 20 25"},
                {"--eval_strategy steps --eval_steps 8", "8 16 24", "5 10 15 20 25"},
                {"--eval_strategy steps --eval_steps 0.5", "13", "5 10 15 20 25"},
                {"--eval_strategy steps --logging_steps 10", "10 20", "10 20 25"},
                {"--eval_strategy epoch --logging_first_step true", "10 20 25", "1 5 10 15 20 25"},
                {"--eval_strategy epoch --eval_delay 2 --logging_steps 0", "20 25", "25"},
                {"--eval_strategy steps --eval_steps 20 --eval_on_start true", "0 20", "5 10 15 20 25"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *out = arena_print(a, "out-%zu", i);
        train(a, tiny_job(a, "job.json", out, ",\"max_steps\": 25"), rows[i].flags);
        CHECK_STR(steps_with(a, out, "eval_loss"), rows[i].evals);
        CHECK_STR(steps_with(a, out, "learning_rate"), rows[i].logs);
    }
    arena_free(a);
}

TEST(a_held_out_part_is_evaluated_and_a_test_file_predicted) {
    arena *a = command_begin();
    const char *more =
        arena_print(a,
                    ",\"max_steps\": 10, \"validation_split_percentage\": 20, \"eval_strategy\": \"epoch\", "
                    "\"do_predict\": true, \"test_file\": \"%s\"",
                    test_fixture("e2e/validation.csv"));
    const json *s = train(a, tiny_job(a, "job.json", "out", more), "--validation_file \"\"");
    CHECK_INT(number_of(s, "train_samples"), 64);
    CHECK_INT(number_of(s, "eval_samples"), 16);
    CHECK_INT(number_of(s, "test_samples"), 20);
    const char *rows = file_text(a, path_join(a, here(a, "out"), "predict_results.jsonl"));
    int n = 0;
    for (const char *p = rows; (p = strchr(p, '\n')); p++) n++;
    CHECK_INT(n, 20);
    arena_free(a);
}

TEST(the_schedule_and_frozen_parts_are_those_of_the_job) {
    arena *a = command_begin();
    train(a, tiny_job(a, "job.json", "out", ",\"max_steps\": 4, \"logging_steps\": 1"),
          "--warmup_steps 2 --warmup_ratio 0");
    const json *row =
        member(json_of_file(a, path_join(a, here(a, "out"), "trainer_state.json")), "log_history")->child;
    static const double rates[] = {0, 2.5e-3, 5e-3, 2.5e-3};
    for (int i = 0; i < 4; i++, row = row->next) CHECK_NEAR(number_of(row, "learning_rate"), rates[i], 1e-9);
    /* what is frozen keeps its bits from the seed on, what is not does not */
    const char *long_run = tiny_job(a, "job.json", "frozen",
                                    ",\"max_steps\": 12, \"freeze\": [\"*embeddings*\", \"*layer.0.*\"]");
    train(a, long_run, "");
    train(a, tiny_job(a, "job.json", "short", ",\"max_steps\": 1"), "");
    const char *names[] = {"bert.embeddings.word_embeddings.weight",
                           "bert.encoder.layer.0.attention.self.query.weight",
                           "bert.encoder.layer.1.attention.self.query.weight", "classifier.weight"};
    for (int i = 0; i < 4; i++) {
        file_view x, y;
        const char *xs = path_join(a, here(a, "frozen"), "model.safetensors"),
                   *ys = path_join(a, here(a, "short"), "model.safetensors");
        CHECK_OK(file_map(&x, xs, HONE_EDAMAGED, err));
        CHECK_OK(file_map(&y, ys, HONE_EDAMAGED, err));
        /* the first warm-up step has rate 0: "short" holds the first weights */
        CHECK_INT(!memcmp(x.p + tensor_offset(a, xs, names[i]), y.p + tensor_offset(a, ys, names[i]), 128),
                  i < 2);
        file_unmap(&x);
        file_unmap(&y);
    }
    arena_free(a);
}

static const char *weights_of(arena *a, const char *run, const char *name) {
    file_view x;
    const char *path = path_join(a, here(a, run), "model.safetensors");
    CHECK_OK(file_map(&x, path, HONE_EDAMAGED, err));
    const char *copy = arena_copy(a, (const char *)x.p + tensor_offset(a, path, name), 128);
    file_unmap(&x);
    return copy;
}

/* Once, where the run begins; a checkpoint's weights are what they are. */
TEST(what_begins_anew_does_so_once) {
    arena *a = command_begin();
    const char *pooler = "bert.pooler.dense.weight", *query = "bert.encoder.layer.1.attention.self.query.weight";
    train(a, tiny_job(a, "job.json", "first", ",\"max_steps\": 12"), "");
    train(a, tiny_job(a, "job.json", "seed", ",\"max_steps\": 1"), "--warmup_steps 1 --warmup_ratio 0"); /* rate 0 */
    const char *from = arena_print(a, "--model_name_or_path \"%s\" --config_name \"\" --tokenizer_name \"\"", here(a, "first"));
    const char *anew = tiny_job(a, "job.json", "anew", ",\"max_steps\": 1, \"reinit\": [\"*pooler*\"]");
    train(a, anew, arena_print(a, "%s --warmup_steps 1 --warmup_ratio 0", from));
    CHECK(!memcmp(weights_of(a, "anew", pooler), weights_of(a, "seed", pooler), 128));
    CHECK(!memcmp(weights_of(a, "anew", query), weights_of(a, "first", query), 128));
    CHECK(memcmp(weights_of(a, "anew", query), weights_of(a, "seed", query), 128));
    const char *job = tiny_job(a, "job.json", "out",
                               ",\"max_steps\": 8, \"save_strategy\": \"steps\", \"save_steps\": 4, \"reinit\": [\"*pooler*\"]");
    const char *whole = sha_of(train(a, job, from));
    CHECK_STR(sha_of(train(a, job, arena_print(a, "%s --output_dir \"%s\" --resume_from_checkpoint \"%s/checkpoint-4\"", from,
                                               here(a, "again"), here(a, "out")))),
              whole);
    arena_free(a);
}
