/* verify.c - hone verify: files of a checkpoint, and the bits of a run played again. */
#include <stdlib.h>
#include <unistd.h>

#include "base/hash.h"
#include "command.h"
#include "golden.h"

static const char *saving = ",\"save_strategy\": \"steps\", \"save_steps\": 20, \"max_steps\": 40";

/* The chain of each step of a run, from its log; how many. Each step must be there once. */
static int chain_of(arena *a, const char *out, const char **chain, int room) {
    int n = 0;
    for (const char *p = file_text(a, path_join(a, here(a, out), "log.jsonl")); *p;) {
        const char *end = strchr(p, '\n');
        const json *row;
        CHECK_OK(json_parse(&row, a, "log.jsonl", p, (size_t)(end - p), HONE_EDATA, err));
        const json *list = json_get(row, "chain");
        for (const json *v = list ? list->child : NULL; v; v = v->next) {
            CHECK(n < room && v->string.n == 16);
            chain[n++] = v->string.p;
        }
        if (list) CHECK_INT(n, number_of(row, "step"));
        p = end + 1;
    }
    return n;
}

static const char *const in_24_shards =
    ",\"max_steps\": 40, \"train_batch_size\": 48, "
    "\"per_device_train_batch_size\": 2, \"reduce_shards\": 24, \"logging_steps\": 7";

/* One rank and three have the same hash after each step, whatever is divided among them. */
static void same_chain(arena *a, const char **one, const char *flags) {
    static const char *other[80];
    command_expect(a, 0, "train \"%s\" --quiet --overwrite_output_dir %s",
                   tiny_job(a, "one.json", "one", in_24_shards), flags);
    CHECK_INT(chain_of(a, "one", one, 80), 40);
    for (int zero = 0; zero < 2; zero++) {
        const char *job = tiny_job(a, "other.json", "other", in_24_shards);
        command_expect(
            a, 0,
            "launch -n 3 train \"%s\" --quiet --save_strategy steps --save_steps 10 --zero_stage %d "
            "--overwrite_output_dir %s",
            job, zero, flags);
        CHECK_INT(chain_of(a, "other", other, 80), 40);
        for (int i = 0; i < 40; i++) CHECK_STR(one[i], other[i]);
        /* and a checkpoint of divided state is replayed by one rank */
        CHECK_INT(
            number_of(command_json(a, "verify \"%s\" --replay 20 --json --quiet --from 10", here(a, "other")),
                      "last"),
            30);
    }
}

TEST(steps_of_bf16_have_the_same_hashes_on_one_rank_and_on_three) {
    static const char *one[80];
    same_chain(command_begin(), one, "--bf16");
}

TEST(each_step_has_a_hash_in_the_log_and_the_same_steps_have_the_same_ones) {
    static const char *one[80];
    arena *a = command_begin();
    same_chain(a, one, "");
    /* gone on from step 20: with the same rate the same steps, with another one others from the first on */
    const char *job = tiny_job(a, "last.json", "other", in_24_shards),
               *log = path_join(a, here(a, "other"), "log.jsonl");
    for (int i = 0; i < 2; i++) {
        CHECK(!system(
            arena_print(a, "cd \"%s\" && rm -rf checkpoint-30 checkpoint-40 log.jsonl", here(a, "other"))));
        command_expect(a, 0, "train \"%s\" --quiet --resume_from_checkpoint true --learning_rate %s", job,
                       i ? "1e-3" : "5e-3");
        for (int k = 20; k < 40; k++) CHECK((strstr(file_text(a, log), one[k]) != NULL) == !i);
    }
    arena_free(a);
}

TEST(verify_says_every_fault_of_a_checkpoint_in_a_line) {
    arena *a = command_begin();
    const char *job = tiny_job(a, "job.json", "out", saving), *out = here(a, "out");
    command_expect(a, 0, "train \"%s\" --quiet", job);
    said s = command_expect(a, 0, "verify \"%s/checkpoint-20\"", out);
    CHECK(strstr(s.out, ": every hash holds\n"));
    const json *run = command_json(a, "verify \"%s\" --json", out);
    CHECK_INT(member(run, "checkpoints")->n, 2);
    CHECK(member(run, "valid")->boolean);
    const char *weights = arena_print(a, "%s/checkpoint-20/model.safetensors", out);
    patch_file(weights, (long)file_bytes(weights) - 9, "\x5a", 1);
    CHECK(!truncate(arena_print(a, "%s/checkpoint-20/optimizer.safetensors", out), 100));
    CHECK(!unlink(arena_print(a, "%s/checkpoint-20/run_state.json", out)));
    put_file(a, "out/checkpoint-20/other.bin", "x");
    s = command_expect(a, 7, "verify \"%s/checkpoint-20\"", out);
    CHECK(strstr(s.out, "model.safetensors: SHA-256 differs"));
    CHECK(strstr(s.out, "optimizer.safetensors: 100 bytes, the manifest says"));
    CHECK(strstr(s.out, "run_state.json: "));
    CHECK(strstr(s.out, "other.bin: the manifest does not name it"));
    CHECK(strstr(s.err, "checkpoint-20: damaged"));
    s = command_expect(a, 7, "verify \"%s\"", out);
    CHECK(strstr(s.err, "1 of 2 checkpoints are damaged") && strstr(s.out, "checkpoint-40: step 40"));
    command_refused(a, 2, "expected a checkpoint or a run's folder", "verify \"%s/nothing\"", out);
    arena_free(a);
}

/* Write the manifest's hash of a file anew, as somebody would who may write there. */
static void sign_again(arena *a, const char *folder, const char *name) {
    const char *path = path_join(a, folder, "MANIFEST.json");
    char hex[65];
    const char *all = file_text(a, path);
    const char *at =
        strstr(strstr(all, arena_print(a, "\"%s\"", name)), "\"sha256\": \"") + strlen("\"sha256\": \"");
    file_view f;
    sha256 s;
    uint8_t digest[32];
    CHECK_OK(file_map(&f, path_join(a, folder, name), HONE_EDAMAGED, err));
    sha256_begin(&s);
    sha256_add(&s, f.p, f.n);
    sha256_end(&s, digest);
    sha256_hex(digest, hex);
    file_unmap(&f);
    patch_file(path, (long)(at - all), hex, 64);
}

static void flip_bit(const char *path, long at) {
    FILE *f = fopen(path, "r+b");
    CHECK(f && !fseek(f, at, SEEK_SET));
    const int byte = fgetc(f);
    CHECK(byte >= 0 && !fseek(f, at, SEEK_SET) && fputc(byte ^ 1, f) >= 0 && !fclose(f));
}

TEST(a_replay_finds_the_first_step_whose_bits_differ) {
    arena *a = command_begin();
    const char *job = tiny_job(a, "job.json", "out", saving), *out = here(a, "out"),
               *folder = path_join(a, out, "checkpoint-20");
    command_expect(a, 0, "train \"%s\" --quiet", job);
    const said s = command_expect(a, 0, "verify \"%s\" --replay 15", out);
    CHECK(strstr(s.out, "steps 21 to 35, played again from it: the same bits"));
    CHECK_INT(number_of(command_json(a, "verify \"%s\" --replay 500 --json --quiet", folder), "replayed"),
              20);
    command_refused(a, 2, "no checkpoint of step 40 with steps after it",
                    "verify \"%s\" --replay 5 --from 40", out);
    /* the lowest bit of one weight */
    const char *weights = path_join(a, folder, "model.safetensors");
    const long at = tensor_offset(a, weights, "bert.encoder.layer.0.output.dense.weight") + 4 * 77;
    flip_bit(weights, at);
    command_refused(a, 7, "model.safetensors: SHA-256 differs", "verify \"%s\" --replay 15 --quiet", out);
    sign_again(a, folder, "model.safetensors");
    command_expect(a, 0, "verify \"%s\"", folder);
    command_refused(a, 5, "step 21: other bits than the run had", "verify \"%s\" --replay 15 --quiet", out);
    flip_bit(weights, at);
    sign_again(a, folder, "model.safetensors");
    command_expect(a, 0, "verify \"%s\" --replay 15", out);
    /* a moment: other weights after the step */
    const char *optimizer = path_join(a, folder, "optimizer.safetensors");
    flip_bit(optimizer,
             tensor_offset(a, optimizer, "exp_avg.bert.encoder.layer.0.output.dense.weight") + 4 * 77 + 2);
    sign_again(a, folder, "optimizer.safetensors");
    command_refused(a, 5, "step 21: other bits than the run had", "verify \"%s\" --replay 15 --quiet", out);
    arena_free(a);
}

TEST(steps_that_a_later_start_made_under_another_job_are_replayed_under_it) {
    arena *a = command_begin();
    const char *job = tiny_job(a, "job.json", "out", saving), *out = here(a, "out");
    command_expect(a, 0, "train \"%s\" --quiet", job);
    CHECK(!system(arena_print(a, "rm -rf \"%s/checkpoint-40\" \"%s/model.safetensors\"", out, out)));
    command_expect(
        a, 0, "launch -n 2 train \"%s\" --quiet --resume_from_checkpoint true --learning_rate 1e-3", job);
    CHECK_INT(number_of(command_json(a, "verify \"%s\" --replay 20 --json --quiet", out), "first"), 21);
    /* half a line, as after a power cut, hides nothing else */
    FILE *log = fopen(path_join(a, out, "log.jsonl"), "a");
    CHECK(log && fputs("{\"step\":41,\"ep", log) >= 0 && !fclose(log));
    command_expect(
        a, 0, "train \"%s\" --quiet --resume_from_checkpoint true --max_steps 45 --learning_rate 1e-3", job);
    CHECK_INT(
        number_of(command_json(a, "verify \"%s\" --replay 20 --json --quiet --from 40", out), "replayed"), 5);
    arena_free(a);
}
