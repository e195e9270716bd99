/* ranks_device.c - several ranks whose gradients are added by their devices (emulated GPUs, the emulated NCCL), by the
 * library's order, or as bf16. */
#include <math.h>
#include <string.h>

#include "command.h"
#include "golden.h"
#include "test.h"

/* 24 samples a step in 12 shards, whatever the ranks. */
static const char *job_of(arena *a, const char *more) {
    return tiny_job(a, "job.json", "out",
                    arena_print(a, ",\"train_batch_size\": 24, \"per_device_train_batch_size\": 2, \"reduce_shards\": 12, "
                                   "\"max_steps\": 3, \"overwrite_output_dir\": true%s", more));
}

static const char *sha_of(arena *a, int n, const char *job, const char *flags) {
    const json *run;
    const said s = command_expect(a, 0, "launch -n %d train \"%s\" --json %s", n, job, flags);
    CHECK_OK(json_parse(&run, a, "stdout", s.out, s.n_out, HONE_EDATA, err));
    CHECK_INT(number_of(run, "world_size"), n);
    CHECK_INT(number_of(run, "peak_device_bytes"), number_of(run, "planned_device_bytes"));
    if (n > 1 && strstr(flags, "emu")) CHECK(strstr(s.err, "their devices by NCCL"));
    return text_of(run, "params_sha256");
}

static void same_bits(const char *more, const char *flags) {
    arena *a = command_begin();
    const char *job = job_of(a, more), *alone = sha_of(a, 1, job, flags);
    for (int n = 2; n <= 4; n++) CHECK_STR(sha_of(a, n, job, flags), alone);
    arena_free(a);
}

TEST(one_to_four_emulated_gpus_end_in_the_same_bits) { same_bits("", "--device emu"); }
TEST(one_to_four_emulated_gpus_end_in_the_same_bits_in_bf16) { same_bits(",\"bf16\": true", "--device emu"); }
TEST(one_to_four_emulated_gpus_end_in_the_same_bits_with_gradients_as_bf16) {
    same_bits(",\"reduce_dtype\": \"bf16\"", "--device emu");
}
TEST(one_to_four_ranks_end_in_the_same_bits_with_gradients_as_bf16) {
    same_bits(",\"reduce_dtype\": \"bf16\"", "--device cpu");
    same_bits(",\"reduce_dtype\": \"bf16\", \"bf16\": true", "--device cpu");
}

/* Small buckets, so that several leave between the graphs of one backward. */
TEST(emulated_gpus_with_a_divided_optimizer_end_in_the_same_bits) {
    arena *a = command_begin();
    const char *job = job_of(a, ",\"ddp_bucket_cap_mb\": 0.02, \"bf16\": true"), *alone = sha_of(a, 1, job, "--device emu");
    for (int n = 2; n <= 3; n++) CHECK_STR(sha_of(a, n, job, "--device emu --zero_stage 1"), alone);
    CHECK_STR(sha_of(a, 2, job, "--device emu --zero_stage 1 --graphs false"), alone);
    arena_free(a);
}

/* The sums lie between graphs. */
TEST(graphs_and_sums_of_emulated_gpus_have_the_bits_of_calls) {
    arena *a = command_begin();
    const char *job = job_of(a, "");
    CHECK_STR(sha_of(a, 2, job, "--device emu --max_steps 5 --graphs true"),
              sha_of(a, 2, job, "--device emu --max_steps 5 --graphs false"));
    arena_free(a);
}

/* Two shards on two ranks: their sum is the same in any order; with more, it differs by roundings. */
static void fast_is_near(const char *device) {
    arena *a = command_begin();
    const char *two = tiny_job(a, "two.json", "out",
                               ",\"train_batch_size\": 16, \"max_steps\": 3, \"reduce_shards\": 2, \"overwrite_output_dir\": true"),
               *job = job_of(a, ""), *flags = arena_print(a, "--device %s", device),
               *fast = arena_print(a, "--device %s --reduce fast", device);
    CHECK_STR(sha_of(a, 2, two, fast), sha_of(a, 2, two, flags));
    const double exact = number_of(command_json(a, "launch -n 3 train \"%s\" --json %s", job, flags), "train_loss");
    for (int bf16 = 0; bf16 < 2; bf16++) {
        const json *run = command_json(a, "launch -n 3 train \"%s\" --json %s --reduce_dtype %s", job, fast,
                                       bf16 ? "bf16" : "fp32");
        CHECK_NEAR(number_of(run, "train_loss"), exact, bf16 ? 1e-3 : 1e-6);
    }
    arena_free(a);
}
TEST(fast_sums_on_the_cpu_train_as_exact_ones_do) { fast_is_near("cpu"); }
TEST(fast_sums_of_emulated_gpus_train_as_exact_ones_do) { fast_is_near("emu"); }

/* A step with fewer samples than there are ranks: one of them adds nothing. */
TEST(a_rank_without_a_shard_adds_nothing) {
    arena *a = command_begin();
    const char *job = tiny_job(a, "job.json", "out",
                               ",\"per_device_train_batch_size\": 16, \"reduce_shards\": 3, \"num_train_epochs\": 1, "
                               "\"train_batch_size\": 48, \"overwrite_output_dir\": true");
    CHECK_STR(sha_of(a, 3, job, "--device emu"), sha_of(a, 1, job, "--device emu"));
    const json *run = command_json(a, "launch -n 3 train \"%s\" --json --device emu --reduce fast", job);
    CHECK(isfinite(number_of(run, "train_loss")));
    arena_free(a);
}
