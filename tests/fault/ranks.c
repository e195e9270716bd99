/* ranks.c - one of several ranks computes wrongly, slowly, or cannot write: all know, and say the same. */
#include <errno.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../test.h"
#include "base/file.h"
#include "base/host.h"
#include "calls.h"
#include "hooks.h"
#include "train/train.h"

typedef struct {
    hone_status status;
    char text[1024];
} ending;

static const char *folder_of(arena *a, const char *name) { return path_join(a, test_folder(), name); }

/* A rank in a process of its own; its ending goes into a file. */
static void be_rank(arena *a, int rank, int n, const char *n_steps) {
    const char *model = arena_print(a, "%s", test_fixture("e2e/model"));
    const job_override o[] = {{"config_name", model},
                              {"tokenizer_name", model},
                              {"train_file", arena_print(a, "%s", test_fixture("e2e/train.csv"))},
                              {"output_dir", folder_of(a, "out")},
                              {"cache_dir", folder_of(a, "cache")},
                              {"per_device_train_batch_size", "2"},
                              {"max_steps", n_steps},
                              {"save_strategy", "steps"},
                              {"save_steps", "30"},
                              {"logging_steps", "1"},
                              {"threads", "1"},
                              {"log_level", "error"}};
    job *j;
    comm *c;
    text summary = {0}, people = {0};
    ending e = {0};
    hone_err err = {0};
    log_set(LOG_QUIET);
    e.status = job_load(&j, NULL, o, sizeof o / sizeof *o, 1, &err);
    if (!e.status) e.status = comm_shm_open(&c, folder_of(a, "ranks"), rank, n, 20, &err);
    if (!e.status) {
        e.status = train_job(j, pool_new(1), c, &summary, &people, &err);
        comm_close(c);
    }
    snprintf(e.text, sizeof e.text, "%s", err.text);
    fault = (faults){0};
    _exit(file_write(folder_of(a, arena_print(a, "end-%d", rank)), &e, sizeof e, &err) != HONE_OK);
}

/* n ranks, of which `other` has these hooks and faults. */
static void run_ranks(arena *a, ending *end, int n, int other, hooks h, faults f, const char *n_steps) {
    CHECK_OK(folder_remove(folder_of(a, "out"), err));
    CHECK_OK(file_remove(folder_of(a, "ranks"), err));
    CHECK_OK(comm_shm_make(folder_of(a, "ranks"), n, err));
    for (int r = 0; r < n; r++) {
        const pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid) continue;
        if (r == other) hook = h, fault = f;
        be_rank(a, r, n, n_steps);
    }
    for (int r = 0; r < n; r++) {
        int status;
        CHECK(wait(&status) > 0 && !status);
    }
    for (int r = 0; r < n; r++) {
        str s;
        CHECK_OK(file_read(&s, a, folder_of(a, arena_print(a, "end-%d", r)), 1 << 20, HONE_EDATA, err));
        memcpy(&end[r], s.p, sizeof *end);
    }
}

static const char *log_text(arena *a) {
    str s;
    CHECK_OK(
        file_read(&s, a, path_join(a, folder_of(a, "out"), "log.jsonl"), (size_t)1 << 24, HONE_EDATA, err));
    return s.p;
}

static void says(const ending *e, hone_status status, const char *part) {
    if (e->status != status || !strstr(e->text, part))
        test_fail(__FILE__, __LINE__, "ended with %d: %s; expected %d and \"%s\"", e->status, e->text, status,
                  part);
}

TEST(a_flipped_bit_of_a_weight_stops_all_ranks_and_names_rank_and_tensor) {
    arena *a = arena_new("test");
    static const int param[] = {1, 9, 20, 38};
    ending end[4];
    for (int i = 0; i < 4; i++) {
        const int n = i % 2 ? 4 : 3, other = i % n;
        run_ranks(a, end, n, other, (hooks){.flip_at = 100, .flip_param = param[i]}, (faults){0}, "110");
        for (int r = 0; r < n; r++) {
            says(&end[r], HONE_ENOTFINITE, arena_print(a, "step 100: rank %d has other bits in ", other));
            CHECK_STR(end[r].text, end[0].text);
        }
        CHECK(strstr(end[0].text, i == 0 ? "word_embeddings" : "weight") || strstr(end[0].text, "bias"));
        CHECK(strstr(log_text(a), "{\"step\":90,\"saved\""));
    }
    CHECK_INT(hone_status_exit(HONE_ENOTFINITE), 5);
    arena_free(a);
}

TEST(of_two_ranks_with_unlike_bits_neither_is_accused) {
    arena *a = arena_new("test");
    ending end[2];
    run_ranks(a, end, 2, 1, (hooks){.flip_at = 100, .flip_param = 9}, (faults){0}, "110");
    for (int r = 0; r < 2; r++)
        says(&end[r], HONE_ENOTFINITE, "step 100: ranks 0 and 1 have unlike bits in ");
    arena_free(a);
}

TEST(a_rank_that_is_slow_is_named_in_the_log_once) {
    arena *a = arena_new("test");
    ending end[3];
    run_ranks(a, end, 3, 2, (hooks){.slow_us = 60000}, (faults){0}, "40");
    for (int r = 0; r < 3; r++) says(&end[r], HONE_OK, "");
    const char *row = strstr(log_text(a), "\"straggler\":");
    CHECK(row && !strncmp(row, "\"straggler\":2,\"slower\":", 23));
    CHECK(!strstr(row + 1, "\"straggler\":2"));
    arena_free(a);
}

TEST(a_rank_that_cannot_write_its_part_ends_all_with_its_words) {
    arena *a = arena_new("test");
    ending end[3];
    /* rank 2 writes one file: opened, written, synced, renamed */
    for (int call = 1; call < 5; call++) {
        run_ranks(a, end, 3, 2, (hooks){0},
                  (faults){.from = "optimizer-00003", .fail_at = call, .every_write = 1, .error = EIO}, "80");
        for (int r = 0; r < 3; r++) {
            says(&end[r], HONE_ESTORAGE, "optimizer-00003-of-00003.safetensors: ");
            says(&end[r], HONE_ESTORAGE, strerror(EIO));
        }
        CHECK(!strstr(log_text(a), "\"saved\""));
        CHECK(!file_exists(path_join(a, folder_of(a, "out"), "checkpoint-30")));
    }
    arena_free(a);
}
