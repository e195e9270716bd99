/* memory.c - bytes: planned, allocated, resident; and tokens: none is computed that is not in the data. */
#include <stdlib.h>

#include "command.h"
#include "golden.h"

static double sum_of(const json *object) {
    double sum = 0;
    for (const json *x = object->child; x; x = x->next) sum += x->number;
    return sum;
}

/* The plan as printed, the plan of the run and what the run asked the device for. */
static void check_bytes(arena *a, const char *job, const json *summary, const char *flags) {
    const json *plan = command_json(a, "plan \"%s\" --json --quiet %s", job, flags);
    CHECK_INT(sum_of(member(plan, "slab_bytes")), number_of(plan, "planned_device_bytes"));
    CHECK_INT(number_of(summary, "planned_device_bytes"), number_of(plan, "planned_device_bytes"));
    CHECK_INT(number_of(summary, "peak_device_bytes"), number_of(plan, "planned_device_bytes"));
}

TEST(planned_bytes_are_those_allocated) {
    arena *a = command_begin();
    static const char *const flags[] = {"",
                                        "--gradient_accumulation_steps 4",
                                        "--bf16",
                                        "--gradient_checkpointing 2",
                                        "--max_tokens_per_batch 100",
                                        "--device ref",
                                        "--freeze *embeddings*"};
    double bytes[7];
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        const char *job = tiny_job(a, "job.json", arena_print(a, "out-%zu", i), ",\"max_steps\": 3");
        const json *s = command_json(a, "train \"%s\" --json --quiet %s", job, flags[i]);
        check_bytes(a, job, s, flags[i]);
        bytes[i] = number_of(s, "planned_device_bytes");
    }
    CHECK(bytes[1] > bytes[0]); /* two more gradient slots */
    CHECK(bytes[3] < bytes[0]);
    CHECK(bytes[6] < bytes[0]);
    arena_free(a);
}

TEST(recomputed_layers_keep_the_bits) {
    static const char *const types[] = {"", "--bf16"};
    arena *a = command_begin();
    const char *job = tiny_job(a, "job.json", "out", ",\"max_steps\": 8, \"device\": \"cpu\"");
    for (int i = 0; i < 2; i++) {
        const char *sha[3];
        for (int level = 0; level < 3; level++)
            sha[level] = text_of(command_json(a,
                                              "train \"%s\" --json --quiet --overwrite_output_dir true "
                                              "--gradient_checkpointing %d %s",
                                              job, level, types[i]),
                                 "params_sha256");
        CHECK_STR(sha[1], sha[0]);
        CHECK_STR(sha[2], sha[0]);
    }
    arena_free(a);
}

static double cache_bytes(arena *a, const char *folder) {
    const char **names;
    int n;
    double sum = 0;
    CHECK_OK(folder_list(&names, &n, a, folder, err));
    for (int i = 0; i < n; i++) {
        const char *path = path_join(a, folder, names[i]);
        sum += file_is_folder(path) ? cache_bytes(a, path) : (double)file_bytes(path);
    }
    return sum;
}

TEST(resident_memory_is_the_plan_the_mapped_files_a_planned_copy_and_a_little) {
    const char *model = test_model_or_skip(), *data = test_data_or_skip("banking77/train.csv");
    arena *a = command_begin();
    const char *more =
        arena_print(a,
                    ",\"config_name\": null, \"tokenizer_name\": null, \"validation_file\": null, "
                    "\"model_name_or_path\": \"%s\", "
                    "\"train_file\": \"%s\", \"label_column_name\": \"category\", \"max_seq_length\": 128, "
                    "\"per_device_train_batch_size\": 32, \"max_steps\": 3, \"save_strategy\": \"steps\", "
                    "\"save_steps\": 2",
                    model, data);
    const char *job = tiny_job(a, "job.json", "out", more);
    const json *s =
        command_json(a, "train \"%s\" --json --quiet", job); /* a process of its own: its peak is its own */
    check_bytes(a, job, s, "");
    const double mapped =
        (double)file_bytes(path_join(a, model, "model.safetensors")) + cache_bytes(a, here(a, "cache"));
    const json *plan = command_json(a, "plan \"%s\" --json --quiet", job);
    const double copy = number_of(plan, "checkpoint_copy_bytes"); /* of a checkpoint while it is written */
    const double little =
        number_of(s, "peak_host_bytes") - number_of(s, "planned_device_bytes") - mapped - copy;
    CHECK(copy > 0);
    printf("peak resident memory: %.1f MiB, %.1f MiB beyond the plan, the mapped files and the copy of %.1f MiB\n",
           number_of(s, "peak_host_bytes") / (1 << 20), little / (1 << 20), copy / (1 << 20));
    CHECK(little <= 40.0 * (1 << 20));
    arena_free(a);
}

/* A small model sees real sentences: what is counted are tokens, not their meaning. */
TEST(an_epoch_computes_the_tokens_of_the_data_and_no_more) {
    const char *data = test_data_or_skip("banking77/train.csv");
    arena *a = command_begin();
    const char *more = arena_print(
        a,
        ",\"train_file\": \"%s\", \"validation_file\": null, \"label_column_name\": \"category\", "
        "\"per_device_train_batch_size\": 32, \"num_train_epochs\": 1, \"logging_steps\": 100",
        data);
    const char *job = tiny_job(a, "job.json", "out", more);
    const json *train = member(command_json(a, "validate \"%s\" --json --quiet", job), "train");
    const double tokens = number_of(train, "tokens");
    CHECK(number_of(train, "rows") == 10003 && tokens > 10003 * 8);
    const json *s = command_json(a, "train \"%s\" --json --quiet", job);
    CHECK_INT(number_of(s, "train_tokens"), tokens);
    CHECK_INT(number_of(s, "global_step"), 313);
    s = command_json(
        a, "train \"%s\" --json --quiet --max_tokens_per_batch 2000 --num_train_epochs 2 --output_dir \"%s\"",
        job, here(a, "by-tokens"));
    CHECK_INT(number_of(s, "train_tokens"), 2 * tokens);
    arena_free(a);
}
