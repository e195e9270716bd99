/* rows.c - one rank updates rows of the word embeddings when somebody looks at them, several ranks in every step: the same
 * bits in weights, checkpoints and hashes of steps, with decay, over more steps than a row may miss. */
#include <stdlib.h>
#include <sys/stat.h>

#include "command.h"
#include "golden.h"

static const char *const in_shards =
    ",\"train_batch_size\": 16, \"per_device_train_batch_size\": 2, \"reduce_shards\": 8, "
    "\"weight_decay\": 0.1, \"max_steps\": 90, \"save_strategy\": \"steps\", \"save_steps\": 42, "
    "\"eval_strategy\": \"no\", "
    "\"logging_steps\": 10";

/* Wide enough that a step's hash reads a small part of the weights: reading brings rows up to date. */
static const char *const config =
    "{\"architectures\": [\"BertForSequenceClassification\"], \"model_type\": \"bert\", \"vocab_size\": 229, "
    "\"hidden_size\": 256, \"num_hidden_layers\": 1, \"num_attention_heads\": 4, \"intermediate_size\": 512, "
    "\"max_position_embeddings\": 48, \"type_vocab_size\": 2}";

static void same_file(arena *a, const char *one, const char *other, const char *name) {
    if (system(arena_print(a, "cmp \"%s/%s\" \"%s/%s\"", here(a, one), name, here(a, other), name)))
        test_fail(__FILE__, __LINE__, "%s differs between one rank and two", name);
}

/* The hashes of all steps, in whichever rows of the log. */
static const char *chains_of(arena *a, const char *out) {
    text t = {0};
    const char *log = file_text(a, path_join(a, here(a, out), "log.jsonl"));
    while ((log = strstr(log, "\"chain\":["))) {
        log += strlen("\"chain\":[");
        text_printf(&t, "%.*s,", (int)strcspn(log, "]"), log);
    }
    const char *all = arena_print(a, "%s", t.p ? t.p : "");
    text_free(&t);
    CHECK(strlen(all) > 90 * 16);
    return all;
}

static void one_and_two(const char *flags) {
    static const char *const files[] = {"checkpoint-42/model.safetensors", "checkpoint-84/model.safetensors",
                                        "model.safetensors"};
    arena *a = command_begin();
    CHECK(!mkdir(here(a, "wide"), 0700));
    const char *const wide = put_file(a, "wide/config.json", config), *const more = arena_print(
                                                                          a, "%s,\"config_name\": \"%s\"",
                                                                          in_shards, wide);
    const char *one = tiny_job(a, "one.json", "one", more), *two = tiny_job(a, "two.json", "two", more);
    CHECK(strstr(command_expect(a, 0, "plan \"%s\" --steps %s", one, flags).out, "ADAMW_ROWS"));
    CHECK(!strstr(command_expect(a, 0, "plan \"%s\" --steps --ranks 2 %s", one, flags).out, "ADAMW_ROWS"));
    const json *alone = command_json(a, "train \"%s\" --json --quiet %s", one, flags);
    const char *whole = text_of(alone, "params_sha256");
    CHECK_STR(
        text_of(command_json(a, "launch -n 2 train \"%s\" --json --quiet %s", two, flags), "params_sha256"),
        whole);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) same_file(a, "one", "two", files[i]);
    CHECK_STR(chains_of(a, "one"), chains_of(a, "two"));
    /* the moments, and the rows that a step behind the checkpoint misses */
    CHECK(!system(
        arena_print(a, "cd \"%s\" && cp -r checkpoint-84 ../kept && rm -rf checkpoint-84 model.safetensors",
                    here(a, "one"))));
    const json *again =
        command_json(a, "train \"%s\" --json --quiet --resume_from_checkpoint true %s", one, flags);
    CHECK_STR(text_of(again, "params_sha256"), whole);
    CHECK(
        !system(arena_print(a, "cmp \"%s/checkpoint-84/optimizer.safetensors\" \"%s/optimizer.safetensors\"",
                            here(a, "one"), here(a, "kept"))));
    CHECK_INT(number_of(command_json(a, "verify \"%s\" --replay 6 --json --quiet --from 84", here(a, "one")),
                        "last"),
              90);
    arena_free(a);
}

TEST(rows_updated_later_end_in_the_bits_of_every_step) { one_and_two(""); }
TEST(rows_updated_later_end_in_the_bits_of_every_step_in_bf16) { one_and_two("--bf16"); }
