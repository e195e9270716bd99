/* checkpoint.c - a checkpoint is there whole or not at all, and no byte of it is believed. */
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "run/checkpoint.h"
#include "test.h"

static const char *run_folder(arena *a) { return path_join(a, test_folder(), "run"); }

static void put(arena *a, const char *folder, const char *name, const char *content) {
    CHECK_OK(file_write(path_join(a, folder, name), content, strlen(content), err));
}

/* Two files and facts, saved as step; returns its path. */
static const char *save(arena *a, int64_t step) {
    checkpoint_writer *w;
    int64_t bytes;
    CHECK_OK(folder_make(run_folder(a), err));
    CHECK_OK(checkpoint_begin(&w, run_folder(a), step, 1000, err));
    const char *hidden = arena_print(a, "%s", checkpoint_folder(w));
    put(a, hidden, "weights", "0123456789");
    put(a, hidden, "state.json", "{}\n");
    CHECK_OK(checkpoint_end(w, "{\"seed\": 7}", &bytes, err));
    CHECK(!file_exists(hidden));
    CHECK(bytes > 13);
    return arena_print(a, "%s/checkpoint-%lld", run_folder(a), (long long)step);
}

static const char *refusal(arena *a, const char *path) {
    checkpoint c;
    hone_err err = {0};
    CHECK_INT(checkpoint_open(&c, a, path, &err), HONE_EDAMAGED);
    return arena_print(a, "%s", err.text);
}

/* The steps that are there, as "1 2 3". */
static const char *steps(arena *a) {
    const char *all = "";
    for (int i = 0; i < 100; i++)
        if (file_exists(arena_print(a, "%s/checkpoint-%d", run_folder(a), i)))
            all = arena_print(a, "%s%s%d", all, *all ? " " : "", i);
    return all;
}

TEST(checkpoint_holds_what_was_put_into_it) {
    arena *a = arena_new("test");
    const char *path = save(a, 12);
    checkpoint c;
    CHECK_OK(checkpoint_open(&c, a, path, err));
    CHECK_INT(c.step, 12);
    CHECK_INT(c.n_files, 2);
    CHECK_STR(c.path, path);
    CHECK_INT(json_get(c.facts, "seed")->integer, 7);
    save(a, 12); /* again: replaces it */
    CHECK_OK(checkpoint_open(&c, a, path, err));
    arena_free(a);
}

TEST(checkpoint_abandoned_or_refused_leaves_nothing) {
    arena *a = arena_new("test");
    const char **names;
    int n;
    checkpoint_writer *w;
    hone_err err = {0};
    CHECK_OK(folder_make(run_folder(a), err));
    CHECK_OK(checkpoint_begin(&w, run_folder(a), 3, 1000, err));
    put(a, checkpoint_folder(w), "weights", "0123456789");
    checkpoint_abort(w);
    CHECK_INT(checkpoint_begin(&w, run_folder(a), 4, (size_t)1 << 60, &err), HONE_ESTORAGE);
    CHECK(strstr(err.text, "a checkpoint needs "));
    CHECK_OK(folder_list(&names, &n, a, run_folder(a), err));
    CHECK_INT(n, 0);
    arena_free(a);
}

TEST(checkpoint_with_any_damage_is_refused_by_name) {
    arena *a = arena_new("test");
    const char *path = save(a, 5), *manifest = path_join(a, path, "MANIFEST.json");
    str whole;
    CHECK_OK(file_read(&whole, a, manifest, 1 << 16, HONE_EDAMAGED, err));
    put(a, path, "weights", "0123456780");
    CHECK(strstr(refusal(a, path), "weights: SHA-256 differs from the manifest's"));
    put(a, path, "weights", "012345678");
    CHECK(strstr(refusal(a, path), "weights: 9 bytes, the manifest says 10"));
    CHECK(!unlink(path_join(a, path, "weights")));
    CHECK(strstr(refusal(a, path), "weights: "));
    put(a, path, "weights", "0123456789");
    checkpoint c;
    CHECK_OK(checkpoint_open(&c, a, path, err));
    for (size_t n = 0; n + 2 < whole.n; n += 7) { /* cut anywhere; the last bytes are "}\n" */
        CHECK_OK(file_write(manifest, whole.p, n, err));
        refusal(a, path);
    }
    put(a, path, "MANIFEST.json", "{\"format\": 2, \"step\": 5, \"facts\": {}, \"files\": []}");
    CHECK(strstr(refusal(a, path), "written in format 2, this hone reads 1"));
    static const char *const bad[] = {
        "[]",
        "{}",
        "{\"format\": \"1\", \"step\": 5, \"facts\": {}, \"files\": []}",
        "{\"format\": 1, \"step\": -5, \"facts\": {}, \"files\": []}",
        "{\"format\": 1, \"step\": 5, \"facts\": [], \"files\": []}",
        "{\"format\": 1, \"step\": 5, \"facts\": {}, \"files\": {}}",
        "{\"format\": 1, \"step\": 5, \"facts\": {}, \"files\": [{\"name\": \"weights\"}]}",
        "{\"format\": 1, \"step\": 5, \"facts\": {}, \"files\": [7]}",
        "{\"format\": 1, \"step\": 5, \"facts\": {}, \"files\": [{\"name\": \"../../x\", \"bytes\": 1, "
        "\"sha256\": \"\"}]}",
        "{\"format\": 1, \"step\": 5, \"facts\": {}, \"files\": [{\"name\": \"..\", \"bytes\": 1, "
        "\"sha256\": \"\"}]}",
        "{\"format\": 1, \"step\": 5, \"facts\": {}, \"files\": [{\"name\": \"\", \"bytes\": 1, \"sha256\": "
        "\"\"}]}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put(a, path, "MANIFEST.json", bad[i]);
        refusal(a, path);
    }
    CHECK(strstr(refusal(a, test_folder()), "no MANIFEST.json, so no checkpoint"));
    arena_free(a);
}

TEST(checkpoint_newest_passes_over_damage_and_says_when_all_is_damaged) {
    arena *a = arena_new("test");
    checkpoint c;
    hone_err err = {0};
    int found = 7;
    CHECK_OK(checkpoint_newest(&c, &found, a, run_folder(a), err)); /* no folder even */
    CHECK_INT(found, 0);
    save(a, 9);
    const char *second = save(a, 10), *third = save(a, 80); /* by number, not by name */
    CHECK_OK(checkpoint_newest(&c, &found, a, run_folder(a), err));
    CHECK(found && c.step == 80);
    put(a, third, "weights", "?");
    CHECK_OK(checkpoint_newest(&c, &found, a, run_folder(a), err));
    CHECK(found && c.step == 10);
    put(a, second, "weights", "?");
    put(a, path_join(a, run_folder(a), "checkpoint-9"), "weights", "?");
    CHECK_INT(checkpoint_newest(&c, &found, a, run_folder(a), &err), HONE_EDAMAGED);
    CHECK(strstr(err.text, "none of 3 checkpoints is valid; the newest: ") &&
          strstr(err.text, "checkpoint-80"));
    CHECK_INT(found, 0);
    arena_free(a);
}

TEST(checkpoint_prune_keeps_newest_best_and_what_lies_ahead) {
    arena *a = arena_new("test");
    for (int i = 1; i <= 6; i++) save(a, i);
    CHECK_OK(checkpoint_prune(run_folder(a), 6, 3, 1, err));
    CHECK_STR(steps(a), "1 4 5 6");
    CHECK_OK(checkpoint_prune(run_folder(a), 6, 3, -1, err));
    CHECK_STR(steps(a), "4 5 6");
    /* 6 was damaged, the run went on from 4 and has just saved 5: it must not be the one to go */
    CHECK_OK(checkpoint_prune(run_folder(a), 5, 1, -1, err));
    CHECK_STR(steps(a), "5 6");
    arena_free(a);
}

TEST(checkpoint_sweep_removes_what_never_ended_and_nothing_else) {
    arena *a = arena_new("test");
    const char **names;
    int n;
    save(a, 1);
    const char *run = run_folder(a);
    CHECK_OK(folder_make(path_join(a, run, ".checkpoint-2.4711.tmp"), err));
    put(a, path_join(a, run, ".checkpoint-2.4711.tmp"), "weights", "x");
    static const char *const go[] = {"job.json.tmp.4465.0", "model.safetensors.tmp.1.12"};
    static const char *const stay[] = {"notes.tmp", "notes.tmp.old", "x.tmp.5",
                                       "x.tmp.5.",  "x.tmp.5.6b",    "log.jsonl"};
    for (size_t i = 0; i < sizeof go / sizeof *go; i++) put(a, run, go[i], "");
    for (size_t i = 0; i < sizeof stay / sizeof *stay; i++) put(a, run, stay[i], "");
    CHECK_OK(checkpoint_sweep(run, err));
    CHECK_OK(checkpoint_sweep(path_join(a, test_folder(), "nothing"), err));
    CHECK_OK(folder_list(&names, &n, a, run, err));
    CHECK_INT(n, 1 + (int)(sizeof stay / sizeof *stay));
    CHECK_STR(steps(a), "1");
    arena_free(a);
}
