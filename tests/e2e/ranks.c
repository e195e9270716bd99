/* ranks.c - one job as several ranks: the same bits, resumed on other numbers of ranks, stopped, killed, poisoned. */
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/host.h"
#include "base/net.h"
#include "command.h"
#include "golden.h"

static const char *const cut =
    ",\"train_batch_size\": 48, \"per_device_train_batch_size\": 2, \"reduce_shards\": 24";

static const char *sha_of_ranks(arena *a, int n, const char *job, const char *flags) {
    return text_of(command_json(a, "launch -n %d train \"%s\" --json --quiet --overwrite_output_dir true %s",
                                n, job, flags),
                   "params_sha256");
}

/* 48 samples a step in 24 shards, whatever the ranks. */
static void same_bits(const char *more) {
    static const int ranks[] = {2, 3, 4, 8};
    arena *a = command_begin();
    const char *job = tiny_job(a, "job.json", "out", arena_print(a, "%s%s", cut, more));
    const json *alone = command_json(a, "train \"%s\" --json --quiet", job);
    const char *whole = text_of(alone, "params_sha256");
    for (size_t i = 0; i < sizeof ranks / sizeof *ranks; i++) {
        const json *run = command_json(
            a, "launch -n %d train \"%s\" --json --quiet --overwrite_output_dir true", ranks[i], job);
        CHECK_STR(text_of(run, "params_sha256"), whole);
        CHECK_INT(number_of(run, "world_size"), ranks[i]);
        CHECK(number_of(run, "train_loss") == number_of(alone, "train_loss"));
        CHECK(number_of(run, "train_tokens") == number_of(alone, "train_tokens"));
        CHECK(number_of(run, "eval_loss") == number_of(alone, "eval_loss"));
        CHECK(number_of(run, "eval_accuracy") == number_of(alone, "eval_accuracy"));
    }
    arena_free(a);
}

TEST(one_to_eight_ranks_end_in_the_same_bits) { same_bits(",\"num_train_epochs\": 8"); }
TEST(one_to_eight_ranks_end_in_the_same_bits_in_bf16) {
    same_bits(",\"num_train_epochs\": 4, \"bf16\": true");
}

/* Rank 0 chooses the algorithms of products for all. */
TEST(two_ranks_on_emulated_gpus_end_in_the_bits_of_one) {
    arena *a = command_begin();
    const char *job =
        tiny_job(a, "job.json", "out",
                 ",\"train_batch_size\": 8, \"per_device_train_batch_size\": 4, \"reduce_shards\": 2, "
                 "\"max_steps\": 3, \"device\": \"emu\", \"save_strategy\": \"no\"");
    const said s = command_run(a, "plan \"%s\" --quiet", job);
    if (s.code == 2 && strstr(s.err, "there is no libhone_emu.so")) test_skip("%s", s.err);
    const char *alone = sha_of_ranks(a, 1, job, "");
    CHECK_STR(sha_of_ranks(a, 2, job, ""), alone);
    arena_free(a);
}

/* Every file of the model, the optimizer and the state, written beside the training or not. */
TEST(checkpoints_of_a_divided_optimizer_are_those_of_a_whole_one) {
    static const char *const files[] = {"model.safetensors", "optimizer-00001-of-00003.safetensors",
                                        "optimizer-00002-of-00003.safetensors",
                                        "optimizer-00003-of-00003.safetensors", "run_state.json"};
    arena *a = command_begin();
    const char *job = tiny_job(a, "job.json", "out",
                               arena_print(a,
                                           "%s,\"max_steps\": 4, \"bf16\": true, \"save_strategy\": \"steps\", "
                                           "\"save_steps\": 4, \"ddp_bucket_cap_mb\": 0.02",
                                           cut)),
               *folder = path_join(a, here(a, "out"), "checkpoint-4"), *kept = here(a, "kept");
    for (int k = 0; k < 3; k++) {
        command_expect(a, 0,
                       "launch -n 3 train \"%s\" --quiet --overwrite_output_dir true --zero_stage %d "
                       "--save_in_background %s",
                       job, k > 0, k == 2 ? "false" : "true");
        if (!k) copy_folder(a, folder, kept);
        for (int f = 0; f < 5; f++)
            CHECK(!system(arena_print(a, "cmp \"%s/%s\" \"%s/%s\"", folder, files[f], kept, files[f])));
    }
    arena_free(a);
}

TEST(shards_that_do_not_divide_a_step_are_refused) {
    arena *a = command_begin();
    const char *job = tiny_job(a, "job.json", "out", ",\"reduce_shards\": 3");
    command_refused(a, 2, "reduce_shards: 3 does not divide the 8 samples of a step", "train \"%s\"", job);
    const char *other = tiny_job(a, "other.json", "out", ",\"train_batch_size\": 24");
    const said s = command_expect(a, 2, "launch -n 2 train \"%s\"", other);
    CHECK(strstr(s.err, "train_batch_size: 24 cannot be dealt to 2 ranks in micro-batches of 8"));
    /* as DeepSpeed counts: all samples of a step = those of a rank's micro-batch x micro-batches x ranks */
    command_expect(a, 0, "launch -n 3 train \"%s\" --quiet --gradient_accumulation_steps 1 --max_steps 1", other);
    command_refused(a, 2,
                    "gradient_accumulation_steps: 2, but train_batch_size 24 / (per_device_train_batch_size 8 x 1 "
                    "ranks) gives 3",
                    "train \"%s\" --overwrite_output_dir true --gradient_accumulation_steps 2", other);
    arena_free(a);
}

TEST(a_run_goes_on_with_another_number_of_ranks) {
    arena *a = command_begin();
    const char *more =
        arena_print(a, "%s,\"max_steps\": 12, \"save_strategy\": \"steps\", \"save_steps\": 3", cut);
    const char *job = tiny_job(a, "job.json", "out", more), *whole = sha_of_ranks(a, 1, job, "");
    static const int then[][4] = {{1, 4, 0, 0}, {4, 1, 0, 0}, {3, 8, 1, 0}, {8, 2, 0, 1}, {2, 3, 1, 1}}; /* ranks, divided */
    for (size_t i = 0; i < sizeof then / sizeof *then; i++) {
        sha_of_ranks(a, then[i][0], job, arena_print(a, "--zero_stage %d", then[i][2]));
        const char *keep = path_join(a, here(a, "out"), "checkpoint-6");
        CHECK(file_is_folder(keep));
        const char *last = then[i][0] == 1
                               ? "optimizer.safetensors"
                               : arena_print(a, "optimizer-%05d-of-%05d.safetensors", then[i][0], then[i][0]);
        CHECK(file_is_regular(path_join(a, keep, last)) &&
              (then[i][0] == 1) == file_exists(path_join(a, keep, "optimizer.safetensors")));
        CHECK(!system(arena_print(a, "cd \"%s\" && rm -rf checkpoint-9 checkpoint-12 model.safetensors",
                                  here(a, "out"))));
        const json *run = command_json(
            a, "launch -n %d train \"%s\" --json --quiet --resume_from_checkpoint true --zero_stage %d", then[i][1],
            job, then[i][3]);
        CHECK_STR(text_of(run, "params_sha256"), whole);
    }
    arena_free(a);
}

TEST(shards_are_kept_when_a_run_goes_on_with_fewer_ranks) {
    arena *a = command_begin();
    const char *job = tiny_job(a, "job.json", "out",
                               ",\"per_device_train_batch_size\": 4, \"max_steps\": 8, "
                               "\"save_strategy\": \"steps\", \"save_steps\": 4");
    const char *whole = sha_of_ranks(a, 4, job, ""); /* four shards of four by default */
    CHECK(!system(arena_print(a, "cd \"%s\" && rm -rf checkpoint-8 model.safetensors", here(a, "out"))));
    const json *run = command_json(a, "train \"%s\" --json --quiet --resume_from_checkpoint true", job);
    CHECK_STR(text_of(run, "params_sha256"), whole);
    arena_free(a);
}

/* ---- predictions ----------------------------------------------------------------------------------------------*/

TEST(predictions_of_several_ranks_are_those_of_one) {
    arena *a = command_begin();
    const char *test = arena_print(a,
                                   "%s,\"max_steps\": 4, \"do_predict\": true, \"test_file\": \"%s\", "
                                   "\"per_device_eval_batch_size\": 3",
                                   cut, test_fixture("e2e/validation.csv"));
    const char *one = tiny_job(a, "one.json", "one", test), *three = tiny_job(a, "three.json", "three", test);
    command_expect(a, 0, "train \"%s\" --quiet", one);
    command_expect(a, 0, "launch -n 3 train \"%s\" --quiet", three);
    const char *first = file_text(a, path_join(a, here(a, "one"), "predict_results.jsonl")),
               *second = file_text(a, path_join(a, here(a, "three"), "predict_results.jsonl"));
    CHECK_STR(second, first);
    CHECK(strlen(first) > 100);
    arena_free(a);
}

/* ---- ends ------------------------------------------------------------------------------------------------------*/

static const char *long_job(arena *a) {
    return tiny_job(a, "job.json", "out",
                    arena_print(a,
                                "%s,\"max_steps\": 3000, \"logging_steps\": 5, \"save_strategy\": "
                                "\"steps\", \"save_steps\": 1000, \"resume_from_checkpoint\": true",
                                cut));
}

static void wait_for_step(arena *a) {
    const char *log = path_join(a, here(a, "out"), "log.jsonl");
    for (int i = 0; i < 4000; i++, usleep(5000))
        if (file_is_regular(log) && file_bytes(log) > 0 && strstr(file_text(a, log), "\"step\":10,")) return;
    test_fail(__FILE__, __LINE__, "no step was logged");
}

TEST(a_signal_to_the_launcher_saves_one_step_of_all_ranks) {
    arena *a = command_begin();
    const pid_t pid = command_start(a, "launch -n 3 train \"%s\"", long_job(a));
    wait_for_step(a);
    CHECK(!kill(pid, SIGTERM));
    CHECK_INT(command_wait(pid), 75);
    CHECK(strstr(file_text(a, here(a, "started-err")), "error: preempted: saved step "));
    const json *run = command_json(a, "inspect \"%s\" --json", here(a, "out"));
    CHECK(number_of(run, "global_step") >= 10);
    arena_free(a);
}

TEST(a_signal_while_checkpoints_are_written_waits_for_them) {
    arena *a = command_begin();
    const char *job = tiny_job(a, "job.json", "out",
                               arena_print(a,
                                           "%s,\"max_steps\": 3000, \"logging_steps\": 5, \"save_strategy\": "
                                           "\"steps\", \"save_steps\": 1, \"save_total_limit\": 2, "
                                           "\"resume_from_checkpoint\": true",
                                           cut));
    for (int i = 0; i < 3; i++) {
        const pid_t pid = command_start(a, "launch -n 2 train \"%s\"", job);
        wait_for_step(a);
        usleep((useconds_t)(7000 * i));
        CHECK(!kill(pid, SIGTERM));
        CHECK_INT(command_wait(pid), 75);
        long long step = -1;
        const char *line = strstr(file_text(a, here(a, "started-err")), "error: preempted: saved step ");
        CHECK(line && sscanf(line, "error: preempted: saved step %lld", &step) == 1);
        const json *run = command_json(a, "inspect \"%s\" --json", here(a, "out"));
        CHECK_INT(number_of(run, "global_step"), step);
        const said s = command_expect(a, 0, "verify \"%s\"", here(a, "out"));
        CHECK(strstr(s.out, arena_print(a, "checkpoint-%lld: ", step)));
        CHECK(strstr(file_text(a, path_join(a, here(a, "out"), "log.jsonl")),
                     arena_print(a, "{\"step\":%lld,\"saved\":", step)));
        CHECK_OK(folder_remove(here(a, "out"), err));
    }
    arena_free(a);
}

static int parent_of(const char *pid) {
    char path[300], line[512] = "";
    int parent = 0;
    snprintf(path, sizeof path, "/proc/%s/stat", pid);
    FILE *f = fopen(path, "r");
    if (!f) return 0;
    if (!fgets(line, sizeof line, f) || !strrchr(line, ')')) line[0] = 0;
    fclose(f);
    if (*line) sscanf(strrchr(line, ')') + 1, " %*c %d", &parent);
    return parent;
}

/* One of the ranks: the `which`-th of the launcher's children in the order of their numbers, which is that of their start. */
static void signal_rank(arena *a, pid_t launcher, int which, int number) {
    const char **names;
    int n, child[8], n_children = 0;
    CHECK_OK(folder_list(&names, &n, a, "/proc", err));
    for (int i = 0; i < n && n_children < 8; i++)
        if (atoi(names[i]) > 0 && parent_of(names[i]) == launcher) child[n_children++] = atoi(names[i]);
    for (int i = 0; i < n_children; i++) /* names are sorted as text */
        for (int k = i + 1; k < n_children; k++)
            if (child[k] < child[i]) {
                const int swap = child[i];
                child[i] = child[k], child[k] = swap;
            }
    CHECK(which < n_children);
    CHECK(!kill(child[which], number));
}

static void one_is_lost(int number, const char *flags, double bar_s, const char *says) {
    arena *a = command_begin();
    const pid_t pid = command_start(a, "launch -n 3 --limit 1 train \"%s\" %s", long_job(a), flags);
    wait_for_step(a);
    const uint64_t from = clock_ns();
    signal_rank(a, pid, 2, number);
    CHECK_INT(command_wait(pid), 6);
    if ((double)(clock_ns() - from) * 1e-9 > bar_s)
        test_fail(__FILE__, __LINE__, "the end took more than %g s", bar_s);
    const char *reason = file_text(a, here(a, "started-err"));
    if (!strstr(reason, says)) test_fail(__FILE__, __LINE__, "said: %s", reason);
    arena_free(a);
}

TEST(a_rank_that_is_killed_is_named_and_all_end) { one_is_lost(SIGKILL, "", 6, "rank 2 (host "); }
TEST(a_rank_that_is_stopped_is_named_and_all_end) {
    one_is_lost(SIGSTOP, "--ddp_timeout 1", 14, "has shown no sign of life");
}

TEST(a_rank_that_is_killed_under_an_emulated_gpu_is_named_and_all_end) {
    one_is_lost(SIGKILL, "--device emu", 8, "rank 2 (host ");
}
TEST(a_rank_that_is_stopped_under_an_emulated_gpu_is_named_and_all_end) {
    one_is_lost(SIGSTOP, "--device emu --ddp_timeout 1", 16, "has shown no sign of life");
}

TEST(a_step_that_is_not_finite_ends_all_ranks_with_its_sample) {
    arena *a = command_begin();
    const char *model = tiny_model(a), *weights = path_join(a, model, "model.safetensors");
    const float nan_ = NAN;
    /* one word's embedding, as in stop.c: sample 71 is in shard 11 of the second step, which is rank 1's */
    patch_file(weights,
               tensor_offset(a, weights, "bert.embeddings.word_embeddings.weight") +
                   (long)tiny_id(a, "customer") * 32 * 4,
               &nan_, 4);
    const char *job =
        tiny_job(a, "job.json", "out", arena_print(a, "%s,\"train_sampling_strategy\": \"sequential\"", cut));
    const said s = command_expect(
        a, 5, "launch -n 3 train \"%s\" --config_name \"\" --tokenizer_name \"\" --model_name_or_path \"%s\"",
        job, model);
    const char *first = strstr(s.err, "\nerror: ");
    CHECK(first && strstr(first, "step 2: ") &&
          strstr(s.err, "in the embeddings is NaN; sample 71; nothing saved yet"));
    CHECK(strstr(s.err, "[rank 1] error: step 2: ") && strstr(s.err, "[rank 2] error: step 2: "));
    CHECK(!file_exists(path_join(a, here(a, "out"), "model.safetensors")));
    arena_free(a);
}

/* ---- other launchers ------------------------------------------------------------------------------------------*/

TEST(ranks_that_torchrun_would_start_meet_by_address_and_secret) {
    arena *a = command_begin();
    const char *job = tiny_job(a, "job.json", "out", arena_print(a, "%s,\"max_steps\": 6", cut));
    const json *one = command_json(a, "train \"%s\" --json --quiet --overwrite_output_dir true", job);
    const char *whole = text_of(one, "params_sha256");
    const int own = (int)number_of(one, "threads"), half = machine_cores() / 2 > 1 ? machine_cores() / 2 : 1;
    setenv("LOCAL_WORLD_SIZE", "2", 1);
    for (int w = 0; w < 2; w++) {
        int listener, port = 0;
        CHECK_OK(net_listen(&listener, NULL, &port, err));
        net_close(listener);
        setenv("MASTER_ADDR", "127.0.0.1", 1);
        setenv("MASTER_PORT", arena_print(a, "%d", port), 1);
        setenv("WORLD_SIZE", "2", 1);
        setenv("HONE_SECRET", "known to both ranks of it", 1);
        setenv("HONE_COMM", w ? "sockets" : "", 1);
        setenv("RANK", "1", 1);
        const pid_t other = command_start(a, "train \"%s\" --quiet --overwrite_output_dir true", job);
        setenv("RANK", "0", 1);
        const json *run = command_json(a, "train \"%s\" --json --quiet --overwrite_output_dir true", job);
        CHECK_INT(command_wait(other), 0);
        CHECK_STR(text_of(run, "params_sha256"), whole);
        CHECK_INT(number_of(run, "world_size"), 2);
        CHECK_INT(number_of(run, "threads"), half < own ? half : own); /* they share the machine */
    }
    arena_free(a);
}

TEST(ranks_started_by_hand_say_by_flags_which_they_are) {
    arena *a = command_begin();
    const char *job = tiny_job(a, "job.json", "out", arena_print(a, "%s,\"max_steps\": 6", cut));
    const char *whole = sha_of_ranks(a, 1, job, "");
    int listener, port = 0;
    CHECK_OK(net_listen(&listener, NULL, &port, err));
    net_close(listener);
    setenv("MASTER_PORT", arena_print(a, "%d", port), 1);
    setenv("HONE_SECRET", "known to both ranks of it", 1);
    const char *flags = "--overwrite_output_dir true --quiet --world_size 2 --rank";
    const pid_t other = command_start(a, "train \"%s\" %s 1", job, flags);
    const json *run = command_json(a, "train \"%s\" --json %s 0", job, flags);
    CHECK_INT(command_wait(other), 0);
    CHECK_STR(text_of(run, "params_sha256"), whole);
    CHECK_INT(number_of(run, "world_size"), 2);
    command_refused(a, 2, "--rank without --world_size, expected both", "train \"%s\" --rank 0", job);
    arena_free(a);
}
