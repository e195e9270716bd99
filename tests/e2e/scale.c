/* scale.c - hone plan --gpu --gpus: what is predicted, and that it says so. */
#include <math.h>
#include <stdlib.h>

#include "command.h"
#include "golden.h"

static const json *predicted(arena *a, const char *job, const char *flags) {
    const json *plan = command_json(a, "plan \"%s\" --json --quiet %s", job, flags);
    CHECK(number_of(plan, "planned_device_bytes") > 0); /* the plan itself is there as ever */
    CHECK_STR(text_of(plan, "device"), "cuda");
    const json *p = member(plan, "prediction");
    CHECK(member(p, "predicted")->boolean);
    return p;
}

static const json *count_of(const json *p, int i) {
    const json *x = member(p, "scale")->child;
    while (i-- && x) x = x->next;
    CHECK(x);
    return x;
}

TEST(a_prediction_adds_up) {
    arena *a = command_begin();
    const char *job = tiny_job(a, "job.json", "out", "");
    const json *p = predicted(a, job, "--gpu h100 --gpus 1,8,64 --network ib-ndr400 --price 2.5");
    CHECK(strstr(text_of(p, "gpu"), "H100") && strstr(text_of(p, "network"), "NDR"));
    for (int i = 0; i < 3; i++) {
        const json *x = count_of(p, i);
        const double gpus = number_of(x, "gpus"), step_s = number_of(x, "step_s");
        CHECK(gpus == (i ? i == 1 ? 8 : 64 : 1));
        CHECK_NEAR(number_of(x, "compute_s") + number_of(x, "optimizer_s") + number_of(x, "exposed_s") +
                       number_of(x, "straggler_s"),
                   step_s, 1e-6 * step_s);
        CHECK(number_of(x, "exposed_s") <= number_of(x, "communication_s") * (1 + 1e-6));
        CHECK((number_of(x, "communication_s") > 0) == (gpus > 1));
        CHECK_NEAR(number_of(x, "tokens_per_second") * step_s, number_of(x, "tokens_per_step"), 1e-3);
        CHECK_NEAR(number_of(x, "dollars"), 2.5 * gpus / 3600 * step_s * number_of(x, "steps"), 1e-9);
        CHECK_NEAR(number_of(x, "dollars_per_hour"), 2.5 * gpus, 1e-9);
        CHECK(number_of(x, "micro_batches") == 1); /* 8 samples a GPU, however many */
    }
    CHECK(number_of(count_of(p, 2), "tokens_per_step") > 50 * number_of(count_of(p, 0), "tokens_per_step"));
    const said s = command_expect(a, 0, "plan \"%s\" --gpu h100 --gpus 8 --network nvlink4 --quiet", job);
    CHECK(strstr(s.out, "\npredicted, nothing here was measured: NVIDIA H100 "));
    arena_free(a);
}

TEST(a_prediction_knows_accumulation_buckets_and_a_divided_optimizer) {
    arena *a = command_begin();
    const char *job =
        tiny_job(a, "job.json", "out", ",\"train_batch_size\": 64, \"per_device_train_batch_size\": 2");
    const json *p = predicted(a, job, "--gpu h100 --gpus 1,8,32 --network roce-100");
    CHECK(number_of(count_of(p, 0), "micro_batches") == 32 &&
          number_of(count_of(p, 1), "micro_batches") == 4 && number_of(count_of(p, 2), "micro_batches") == 1);
    CHECK(number_of(count_of(p, 0), "tokens_per_step") == number_of(count_of(p, 2), "tokens_per_step"));
    const json *whole = count_of(predicted(a, job, "--gpu h100 --gpus 8 --network roce-100 --jitter 0"), 0);
    const json *half = count_of(
        predicted(a, job, "--gpu h100 --gpus 8 --network roce-100 --jitter 0 --reduce_dtype bf16"), 0);
    const json *small = count_of(
        predicted(a, job, "--gpu h100 --gpus 8 --network roce-100 --jitter 0 --ddp_bucket_cap_mb 0.02"), 0);
    const json *zero =
        count_of(predicted(a, job, "--gpu h100 --gpus 8 --network roce-100 --jitter 0 --zero_stage 1"), 0);
    CHECK(number_of(whole, "straggler_s") == 0);
    CHECK(number_of(half, "gradient_bytes") * 2 == number_of(whole, "gradient_bytes"));
    CHECK(number_of(half, "communication_s") < number_of(whole, "communication_s"));
    CHECK(number_of(small, "buckets") > 3 * number_of(whole, "buckets"));
    CHECK(number_of(zero, "memory_bytes_per_gpu") < number_of(whole, "memory_bytes_per_gpu"));
    CHECK_NEAR(number_of(zero, "optimizer_s") * 8, number_of(whole, "optimizer_s"), 1e-9);
    arena_free(a);
}

/* What rank 0 plans, its wire too, and an estimate of what NCCL takes. */
TEST(the_memory_of_a_gpu_is_that_of_the_plan_of_its_ranks_and_nccls) {
    arena *a = command_begin();
    const char *job =
        tiny_job(a, "job.json", "out", ",\"train_batch_size\": 64, \"per_device_train_batch_size\": 2");
    static const char *const flags[] = {"", "--zero_stage 1", "--reduce fast", "--reduce_dtype bf16"};
    for (int i = 0; i < 4; i++) {
        const json *p =
            predicted(a, job, arena_print(a, "--gpu h100 --gpus 1,8,16 --network roce-100 %s", flags[i]));
        for (int k = 0; k < 3; k++) {
            const json *x = count_of(p, k),
                       *plan = command_json(a, "plan \"%s\" --device cuda --json --quiet --ranks %d %s", job,
                                            (int[]){1, 8, 16}[k], flags[i]);
            CHECK((number_of(member(plan, "slab_bytes"), "wire") > 0) == (k > 0 || i == 3));
            CHECK(number_of(x, "memory_bytes_per_gpu") ==
                  number_of(plan, "planned_device_bytes") + number_of(x, "nccl_bytes_per_gpu"));
            CHECK_INT(
                number_of(
                    x, "nccl_bytes_per_gpu"), /* 7 others, or a ring's 2, 32 channels each; 512 MiB outside */
                k ? (int64_t)((i == 2 ? 2 : 7) * 32 * 12 + (k == 2 ? 512 : 0)) << 20 : 0);
        }
    }
    arena_free(a);
}

TEST(the_largest_micro_batch_just_fits) {
    arena *a = command_begin();
    const char *job = tiny_job(a, "job.json", "out", "");
    const char *small =
        put_file(a, "small.json",
                 "{\"name\": \"small\", \"memory_bytes\": 64e6, \"memory_bytes_per_s\": 1e11, "
                 "\"multiprocessors\": 1, \"clock_hz\": 1e9, \"bf16_flops\": 1e12, "
                 "\"fp16_flops\": 1e12, \"fp32_flops\": 1e12}");
    const int64_t n =
        (int64_t)number_of(predicted(a, job, arena_print(a, "--gpu \"%s\" --tokens 640 --seqs 64", small)),
                           "largest_micro_batch_tokens");
    const json *at = command_json(a, "plan \"%s\" --device cuda --json --quiet --tokens %lld --seqs %lld",
                                  job, (long long)n, (long long)n / 10 + 1),
               *above = command_json(a, "plan \"%s\" --device cuda --json --quiet --tokens %lld --seqs %lld",
                                     job, (long long)n * 21 / 20, (long long)n * 21 / 200 + 1);
    CHECK(number_of(at, "planned_device_bytes") <= 64e6 && number_of(above, "planned_device_bytes") > 64e6);
    arena_free(a);
}

TEST(every_network_and_gpu_of_configs_can_be_asked_for_and_names_its_sources) {
    arena *a = command_begin();
    const char *job = tiny_job(a, "job.json", "out", "");
    static const char *const folders[] = {"networks", "devices"};
    for (int f = 0; f < 2; f++) {
        const char **names,
            *folder = arena_print(a, "%s", test_source(arena_print(a, "configs/%s", folders[f])));
        int n;
        CHECK_OK(folder_list(&names, &n, a, folder, err));
        CHECK(n >= 6);
        for (int i = 0; i < n; i++) {
            const char *path = path_join(a, folder, names[i]);
            CHECK(strstr(file_text(a, path), "\"sources\""));
            const char *name = arena_copy(a, names[i], strlen(names[i]) - strlen(".json"));
            const json *p = predicted(a, job,
                                      f ? arena_print(a, "--gpu %s --gpus 8 --network pcie4", name)
                                        : arena_print(a, "--gpu h100 --gpus 8 --network %s", name));
            CHECK(number_of(count_of(p, 0), "step_s") > 0);
        }
    }
    arena_free(a);
}

TEST(what_cannot_be_predicted_is_refused) {
    arena *a = command_begin();
    const char *job = tiny_job(a, "job.json", "out", "");
    const char *const refused[][2] = {
        {"--gpus 8", "--gpus without --gpu"},
        {"--gpu h100 --gpus 8", "--gpus: 8 without --network"},
        {"--gpu h99", "--gpu: \"h99\" has no file configs/devices/NAME.json"},
        {"--gpu h100 --gpus 8 --network token-ring",
         "--network: \"token-ring\" has no file configs/networks/NAME.json"},
        {"--gpu h100 --gpus 16 --network nvlink4", "--network: nvlink4 joins 8 GPUs"},
        {"--gpu h100 --gpus 9 --network ib-ndr400",
         "--gpus: 9, expected at most 8 (one machine) or a multiple"},
        {"--gpu h100 --gpus 0", "--gpus: \"0\", expected up to 16 numbers"},
        {"--gpu h100 --gpus 2048 --network ib-ndr400", "--gpus: \"2048\""},
        {"--gpu h100 --price much", "--price: \"much\", expected a number"},
        {"--gpu h100 --gpus 8 --network nvlink4 --links star",
         "--links: \"star\", expected ring or halving"}};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        command_refused(a, 2, refused[i][1], "plan \"%s\" --quiet %s", job, refused[i][0]);
    const char *bad = put_file(a, "bad.json", "{\"name\": \"bad\", \"gpus_per_machine\": 8.5}");
    command_refused(a, 2, "\"gpus_per_machine\" is 8.5; expected an integer",
                    "plan \"%s\" --quiet --gpu h100 --gpus 8 --network \"%s\"", job, bad);
    arena_free(a);
}
