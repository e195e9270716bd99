/* stop.c - runs that are stopped, killed, damaged or poisoned: nothing is lost, nothing is trusted, the bits stay. */
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/host.h"
#include "command.h"
#include "golden.h"

static const char *sha_of_run(arena *a, const char *fmt_job, const char *flags) {
    return text_of(command_json(a, "train \"%s\" --json --quiet %s", fmt_job, flags), "params_sha256");
}

/* Wait until a file of the run holds a text; a run that does not get there in 20 s fails the test. */
static void wait_for(arena *a, const char *path, const char *part) {
    for (int i = 0; i < 4000; i++, usleep(5000))
        if (file_is_regular(path) && file_bytes(path) > 0 && strstr(file_text(a, path), part)) return;
    test_fail(__FILE__, __LINE__, "%s never held %s", path, part);
}

/* ---- signals ------------------------------------------------------------------------------------------------------*/

static void check_signal(int number, int code) {
    arena *a = command_begin();
    const char *more = ",\"max_steps\": 1500, \"save_strategy\": \"steps\", \"save_steps\": 700, "
                       "\"logging_steps\": 10, \"resume_from_checkpoint\": true";
    const char *whole = sha_of_run(a, tiny_job(a, "whole.json", "whole", ",\"max_steps\": 1500"), "");
    const char *job = tiny_job(a, "job.json", "out", more), *log = path_join(a, here(a, "out"), "log.jsonl");
    const pid_t pid = command_start(a, "train \"%s\"", job);
    wait_for(a, log, "\"step\":20,");
    CHECK(!kill(pid, number));
    CHECK_INT(command_wait(pid), code);
    const char *reason = file_text(a, here(a, "started-err"));
    CHECK(strstr(reason,
                 number == SIGINT ? "error: interrupted: saved step " : "error: preempted: saved step "));
    CHECK(!file_exists(path_join(a, here(a, "out"), "model.safetensors")));
    const json *run = command_json(a, "inspect \"%s\" --json", here(a, "out"));
    const double at = number_of(run, "global_step");
    CHECK(at >= 20 && at < 1500);
    CHECK_STR(sha_of_run(a, job, ""), whole); /* the same command again */
    arena_free(a);
}

TEST(a_signal_to_terminate_saves_and_the_same_command_goes_on) { check_signal(SIGTERM, 75); }
TEST(a_user_signal_saves_and_the_same_command_goes_on) { check_signal(SIGUSR1, 75); }
TEST(an_interrupt_saves_too) { check_signal(SIGINT, 130); }

TEST(a_run_killed_twenty_times_ends_in_the_same_bits) {
    arena *a = command_begin();
    const char *more = ",\"max_steps\": 400, \"save_strategy\": \"steps\", \"save_steps\": 10, "
                       "\"save_total_limit\": 2, \"logging_steps\": 20, "
                       "\"resume_from_checkpoint\": true";
    const char *whole = sha_of_run(a, tiny_job(a, "whole.json", "whole", ",\"max_steps\": 400"), ""),
               *job = tiny_job(a, "job.json", "out", more);
    unsigned random = 2463534242u;
    int killed = 0;
    for (int i = 0; i < 60 && killed < 20; i++) {
        random ^= random << 13, random ^= random >> 17, random ^= random << 5;
        const pid_t pid = command_start(a, "train \"%s\"", job);
        usleep(20000 + random % 180000);
        kill(pid, SIGKILL);
        const int code = command_wait(pid);
        if (code == -SIGKILL) {
            killed++;
            const said s = command_run(a, "inspect \"%s\" --json", here(a, "out"));
            if (s.code && file_exists(path_join(a, here(a, "out"), "log.jsonl")))
                test_fail(__FILE__, __LINE__, "kill %d: %s", i, s.err);
            CHECK(!strstr(s.err, "passed over")); /* a checkpoint is there whole or not at all */
        } else { /* it was done before the signal: from the beginning again */
            if (code)
                test_fail(__FILE__, __LINE__, "start %d ended with %d: %s", i, code,
                          file_text(a, here(a, "started-err")));
            CHECK_STR(sha_of_run(a, job, ""), whole);
            CHECK_OK(folder_remove(here(a, "out"), err));
        }
    }
    CHECK_INT(killed, 20);
    CHECK_STR(sha_of_run(a, job, ""), whole);
    const char **names;
    int n;
    CHECK_OK(folder_list(&names, &n, a, here(a, "out"), err));
    for (int i = 0; i < n; i++)
        if (strstr(names[i], ".tmp")) test_fail(__FILE__, __LINE__, "%s was left over", names[i]);
    arena_free(a);
}

TEST(two_runs_never_write_into_one_folder) {
    arena *a = command_begin();
    const char *job =
        tiny_job(a, "job.json", "out",
                 ",\"max_steps\": 100000, \"logging_steps\": 10, \"resume_from_checkpoint\": true");
    const pid_t pid = command_start(a, "train \"%s\"", job);
    wait_for(a, path_join(a, here(a, "out"), "log.jsonl"), "\"step\":10,");
    char host[64] = "";
    CHECK(!gethostname(host, sizeof host - 1));
    command_refused(a, 2,
                    arena_print(a, "out: folder locked by pid %d on host %s: another run is", (int)pid, host),
                    "train \"%s\"", job);
    command_refused(a, 2, "another run is writing there",
                    "train \"%s\" --resume_from_checkpoint false --overwrite_output_dir", job);
    kill(pid, SIGKILL);
    CHECK_INT(command_wait(pid), -SIGKILL);
    arena_free(a);
}

/* ---- what an earlier run left -------------------------------------------------------------------------------------*/

static const char *listing(arena *a, const char *folder) {
    const said s = {.out = here(a, "listing")};
    CHECK(!system(arena_print(a, "cd \"%s\" && find . -type f ! -name .lock | sort | xargs sha256sum >\"%s\"",
                              folder, s.out)));
    return file_text(a, s.out);
}

TEST(a_folder_that_holds_a_run_is_never_written_over_unasked) {
    arena *a = command_begin();
    const char *job = tiny_job(a, "job.json", "out", ",\"save_strategy\": \"steps\", \"save_steps\": 30"),
               *out = here(a, "out");
    const char *whole = sha_of_run(a, job, ""), *before = listing(a, out);
    command_refused(a, 2, "contains a run", "train \"%s\"", job);
    /* even with leave, only once nothing else refuses the job */
    const char *broken[] = {"--train_file nowhere.csv", "--max_seq_length 4000",
                            "--text_column_names nothing", "--warmup_ratio 0 --warmup_steps 9000",
                            "--metric_for_best_model eval_nothing --eval_strategy epoch"};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        const said s = command_run(a, "train \"%s\" --overwrite_output_dir %s", job, broken[i]);
        if (s.code != 2 && s.code != 3)
            test_fail(__FILE__, __LINE__, "%s ended with %d: %s", broken[i], s.code, s.err);
        CHECK_STR(listing(a, out), before);
    }
    CHECK_STR(sha_of_run(a, job, "--overwrite_output_dir --max_steps 60"), whole);
    command_expect(a, 0, "train \"%s\" --overwrite_output_dir --max_steps 3", job);
    CHECK(!file_exists(path_join(a, out, "checkpoint-30")));
    arena_free(a);
}

TEST(overwriting_never_removes_what_the_job_reads) {
    arena *a = command_begin();
    const char *model = tiny_model(a), *words = path_join(a, model, "log.csv");
    put_file(a, "model/log.csv", file_text(a, test_fixture("e2e/train.csv"))); /* named as a run's file */
    const char *before = listing(a, model);
    const char *const rows[][2] = {{"model_name_or_path", model},
                                   {"model_name_or_path", arena_print(a, "%s/../model/", model)},
                                   {"tokenizer_name", arena_print(a, "%s/tokenizer.json", model)},
                                   {"train_file", words}};
    const char *job = tiny_job(a, "job.json", "model", ",\"max_steps\": 3, \"overwrite_output_dir\": true");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *clear =
            strcmp(rows[i][0], "model_name_or_path") ? "" : "--config_name \"\" --tokenizer_name \"\"";
        command_refused(a, 2, arena_print(a, "overwrite_output_dir would remove %s of this job", rows[i][0]),
                        "train \"%s\" %s --%s \"%s\"", job, clear, rows[i][0], rows[i][1]);
        CHECK_STR(listing(a, model), before);
    }
    put_file(a, "model/mine.csv", file_text(a, test_fixture("e2e/train.csv"))); /* not a run's: stays */
    command_expect(a, 0, "train \"%s\" --train_file \"%s/mine.csv\"", job, model);
    CHECK(file_exists(path_join(a, model, "mine.csv")));
    arena_free(a);
}

TEST(resuming_wins_over_overwriting) {
    arena *a = command_begin();
    const char *job =
        tiny_job(a, "job.json", "out",
                 ",\"save_strategy\": \"steps\", \"save_steps\": 30, \"overwrite_output_dir\": true");
    const char *whole = sha_of_run(a, job, "");
    const said s = command_expect(a, 0, "train \"%s\" --resume_from_checkpoint true", job);
    CHECK(strstr(s.err, "going on from"));
    CHECK(file_exists(path_join(a, here(a, "out"), "checkpoint-30")));
    CHECK_STR(sha_of_run(a, job, "--resume_from_checkpoint true"), whole);
    arena_free(a);
}

TEST(resuming_where_nothing_was_saved_starts_from_the_beginning) {
    arena *a = command_begin();
    const char *job = tiny_job(a, "job.json", "out", ",\"max_steps\": 5, \"resume_from_checkpoint\": true");
    const said s = command_expect(a, 0, "train \"%s\"", job);
    CHECK(strstr(s.err, "no checkpoint in"));
    command_refused(a, 7, "no valid checkpoint in", "train \"%s\" --resume_from_checkpoint \"%s\"", job,
                    here(a, "nothing"));
    command_refused(a, 7, "no valid checkpoint in", "train \"%s\" --resume_from_checkpoint \"%s\"", job,
                    here(a, "out"));
    arena_free(a);
}

static void damage(arena *a, const char *folder, const char *name) {
    const char *path = path_join(a, folder, name);
    const int64_t at = file_bytes(path) - 9;
    patch_file(path, (long)at, "\x5a\xa5", 2);
}

TEST(a_damaged_checkpoint_is_passed_over) {
    arena *a = command_begin();
    const char *job = tiny_job(
                   a, "job.json", "out",
                   ",\"save_strategy\": \"steps\", \"save_steps\": 20, \"resume_from_checkpoint\": true"),
               *out = here(a, "out");
    const char *whole = sha_of_run(a, job, "");
    damage(a, path_join(a, out, "checkpoint-60"), "optimizer.safetensors");
    command_refused(a, 7, "optimizer.safetensors: SHA-256 differs", "inspect \"%s/checkpoint-60\"", out);
    const said s = command_expect(a, 0, "train \"%s\" --json", job);
    CHECK(strstr(s.err, "warning: step 60 passed over: "));
    CHECK(strstr(s.err, "optimizer.safetensors: SHA-256 differs"));
    CHECK(strstr(s.err, "checkpoint-40 (step 40)"));
    CHECK(strstr(s.out, whole));
    command_expect(a, 0, "inspect \"%s/checkpoint-60\"", out); /* saved again */
    /* each kind of damage: a byte, a missing file, a short one, no manifest, a later format */
    damage(a, path_join(a, out, "checkpoint-20"), "model.safetensors");
    CHECK(!truncate(arena_print(a, "%s/checkpoint-40/trainer_state.json", out), 100));
    CHECK(!unlink(arena_print(a, "%s/checkpoint-60/run_state.json", out)));
    const char *before = listing(a, out);
    const char *line = command_refused(a, 7, "none of 3 checkpoints is valid", "train \"%s\"", job);
    CHECK(strstr(line, "checkpoint-60") &&
          strstr(line, "run_state.json")); /* the newest, not the last one tried */
    CHECK_STR(listing(a, out), before);
    command_refused(a, 7, "trainer_state.json: 100 bytes", "inspect \"%s/checkpoint-40\"", out);
    char *manifest = arena_print(a, "%s/checkpoint-20/MANIFEST.json", out),
         *at = strstr(file_text(a, manifest), "\"format\": 1");
    CHECK(at);
    patch_file(manifest,
               (long)(at - file_text(a, manifest)) * 0 + (long)strcspn(file_text(a, manifest), ":") + 2, "7",
               1);
    command_refused(a, 7, "format 7, this hone reads 1", "inspect \"%s/checkpoint-20\"", out);
    arena_free(a);
}

TEST(a_changed_job_is_not_resumed_as_if_it_were_the_same) {
    arena *a = command_begin();
    const char *data = put_file(a, "train.csv", file_text(a, test_fixture("e2e/train.csv")));
    const char *job = tiny_job(a, "job.json", "out",
                               arena_print(a,
                                           ",\"train_file\": \"%s\", \"save_strategy\": \"steps\", "
                                           "\"save_steps\": 20, \"num_train_epochs\": 2",
                                           data));
    command_expect(a, 0, "train \"%s\"", job);
    const struct {
        const char *flags, *part;
    } rows[] = {{"--seed 8", "seed 7 -> 8"},
                {"--per_device_train_batch_size 4", "per_device_train_batch_size 8 -> 4"},
                {"--gradient_accumulation_steps 2", "gradient_accumulation_steps 1 -> 2"},
                {"--max_tokens_per_batch 100", "max_tokens_per_batch 0 -> 100"},
                {"--data_seed 3", "data_seed 7 -> 3"},
                {"--max_train_samples 50", "samples 80 -> 50"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        command_refused(a, 2, rows[i].part, "train \"%s\" --resume_from_checkpoint true %s", job,
                        rows[i].flags);
    const said s = command_expect(a, 0,
                                  "train \"%s\" --resume_from_checkpoint true --learning_rate 1e-3 "
                                  "--lr_scheduler_type cosine --weight_decay 0.1",
                                  job);
    CHECK(strstr(s.err, "warning: the job differs from that of "));
    const char *const table[] = {"learning_rate", "0.005",  "0.001",       "lr_scheduler_type",
                                 "linear",        "cosine", "weight_decay"};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) CHECK(strstr(s.err, table[i]));
    CHECK(!strstr(s.err, "not allowed") && strstr(s.err, "allowed: the job counts"));
    const said refused = command_expect(
        a, 2, "train \"%s\" --resume_from_checkpoint true --freeze \"*LayerNorm*\" --adam_beta1 0.8", job);
    CHECK(strstr(refused.err, "not allowed") && strstr(refused.err, "adam_beta1"));
    CHECK(strstr(refused.err, "the job differs from the checkpoint's: freeze none -> *LayerNorm*\n"));
    put_file(a, "train.csv", arena_print(a, "%sone more row,bill\n", file_text(a, data)));
    command_refused(a, 3, "changed since the checkpoint", "train \"%s\" --resume_from_checkpoint true", job);
    command_expect(a, 0,
                   "train \"%s\" --resume_from_checkpoint true --accept_data_change --max_train_samples 80 "
                   "--num_train_epochs 3",
                   job);
    arena_free(a);
}

TEST(a_tokenizer_changed_since_the_checkpoint_is_refused) {
    arena *a = command_begin();
    const char *words = here(a, "words");
    copy_folder(a, test_fixture("e2e/model"), words);
    const char *job =
        tiny_job(a, "job.json", "out",
                 arena_print(a,
                             ",\"tokenizer_name\": \"%s\", \"max_steps\": 20, \"save_strategy\": "
                             "\"steps\", \"save_steps\": 10, \"resume_from_checkpoint\": true",
                             words));
    const char *whole = sha_of_run(a, job, "");
    CHECK_OK(folder_remove(path_join(a, here(a, "out"), "checkpoint-20"), err));
    CHECK_STR(sha_of_run(a, job, ""), whole);
    CHECK_OK(folder_remove(path_join(a, here(a, "out"), "checkpoint-20"), err));
    /* two ids change places: weights and sizes stay the same, every text means something else */
    const char *path = path_join(a, words, "vocab.txt"), *vocab = file_text(a, path), *at = vocab;
    for (int i = 0; i < 60; i++) at = strchr(at, '\n') + 1;
    const char *second = strchr(at, '\n') + 1, *rest = strchr(second, '\n') + 1;
    put_file(a, "words/vocab.txt",
             arena_print(a, "%.*s%.*s%.*s%s", (int)(at - vocab), vocab, (int)(rest - second), second,
                         (int)(second - at), at, rest));
    command_refused(a, 7, "words: tokenizer changed since the checkpoint", "train \"%s\"", job);
    CHECK(strcmp(sha_of_run(a, job, "--accept_tokenizer_change"), whole));
    CHECK_OK(folder_remove(path_join(a, here(a, "out"), "checkpoint-20"), err));
    CHECK_OK(folder_remove(words, err)); /* gone: the checkpoint holds a copy */
    const said s = command_expect(a, 0, "train \"%s\" --json", job);
    CHECK(strstr(s.err, "is no longer there, the tokenizer is the checkpoint's own") && strstr(s.out, whole));
    arena_free(a);
}

/* ---- not finite ---------------------------------------------------------------------------------------------------*/

TEST(a_poisoned_weight_stops_the_run_before_anything_is_touched) {
    arena *a = command_begin();
    const char *model = tiny_model(a), *weights = path_join(a, model, "model.safetensors");
    const float infinite = HUGE_VALF, nan_ = NAN;
    /* one word's embedding: only the sample that holds it, number 71 of the file, in step 9 of batches of 8 in file order */
    patch_file(weights,
               tensor_offset(a, weights, "bert.embeddings.word_embeddings.weight") +
                   (long)tiny_id(a, "customer") * 32 * 4,
               &nan_, 4);
    const char *job = tiny_job(
        a, "job.json", "out",
        ",\"save_strategy\": \"steps\", \"save_steps\": 4, \"train_sampling_strategy\": \"sequential\"");
    const char *base =
        arena_print(a, "--config_name \"\" --tokenizer_name \"\" --model_name_or_path \"%s\"", model);
    const char *line = command_refused(a, 5, "step 9: ", "train \"%s\" %s", job, base);
    CHECK(strstr(line, "in the embeddings is NaN; sample 71; last saved step 8"));
    CHECK(!file_exists(path_join(a, here(a, "out"), "model.safetensors")));
    CHECK(!file_exists(path_join(a, here(a, "out"), "checkpoint-12")));
    command_expect(a, 0, "inspect \"%s/checkpoint-8\"", here(a, "out"));
    command_refused(a, 5, "", "train \"%s\" %s --strict_weights --output_dir \"%s\"", job, base,
                    here(a, "strict"));
    /* a weight that every sample meets */
    const char *second = arena_print(a, "%s-2", model);
    copy_folder(a, model, second);
    weights = path_join(a, second, "model.safetensors");
    patch_file(weights,
               tensor_offset(a, weights, "bert.embeddings.word_embeddings.weight") +
                   (long)tiny_id(a, "customer") * 32 * 4,
               "\0\0\0\0", 4);
    patch_file(weights, tensor_offset(a, weights, "bert.encoder.layer.1.intermediate.dense.weight") + 40,
               &infinite, 4);
    line = command_refused(a, 5, "step 1: output ",
                           "train \"%s\" --config_name \"\" --tokenizer_name \"\" --model_name_or_path "
                           "\"%s\" --output_dir \"%s\"",
                           job, second, here(a, "out-2"));
    CHECK(strstr(line, "in layer 1 is ") && strstr(line, "; sample 0; nothing saved yet"));
    arena_free(a);
}
