/* measured.c - what a device measured stays with the run: each run here is a process of its own, whose emulated library of
 * products offers one algorithm alone, and which has a memory of its own. */
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "machine.h"
#include "train/train.h"

typedef struct {
    const char *out, *cache, *from; /* folders in the test's; from: a checkpoint, or NULL */
    int algorithm, driver;
    char sha[65], warned[1024];
} one_run;

static void train(const one_run *r, arena *a, int to) {
    job *j;
    text summary = {0}, people = {0};
    const char *model = test_fixture("e2e/model"), *folder = test_folder();
    const job_override o[] = {{"config_name", model},
                              {"tokenizer_name", model},
                              {"train_file", test_fixture("e2e/train.csv")},
                              {"output_dir", path_join(a, folder, r->out)},
                              {"max_seq_length", "48"},
                              {"max_steps", "6"},
                              {"save_steps", "3"},
                              {"device", "emu"},
                              {"do_eval", "false"},
                              {"resume_from_checkpoint", r->from ? path_join(a, folder, r->from) : "false"}};
    cuemu_state *machine = machine_of();
    machine->first_algorithm = r->algorithm;
    machine->driver_version = r->driver;
    CHECK(!setenv("HONE_CACHE", path_join(a, folder, r->cache), 1));
    log_set(LOG_WARN);
    CHECK_OK(job_load(&j, NULL, o, sizeof o / sizeof *o, 1, err));
    pool *p = pool_new(2);
    CHECK_OK(train_job(j, p, comm_alone(), &summary, &people, err));
    const char *sha = strstr(summary.p, "\"params_sha256\":\"");
    CHECK(sha && write(to, sha + 17, 64) == 64);
    pool_free(p);
    job_free(j);
    text_free(&summary);
    text_free(&people);
}

static void play(one_run *r) {
    arena *a = arena_new("paths");
    int ends[2], status;
    const char *said = path_join(a, test_folder(), "said");
    CHECK(!pipe(ends));
    const pid_t child = fork();
    if (!child) {
        CHECK(freopen(said, "w", stderr) != NULL);
        train(r, a, ends[1]);
        arena_free(a);
        exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child);
    FILE *f = fopen(said, "r");
    CHECK(f != NULL);
    r->warned[fread(r->warned, 1, sizeof r->warned - 1, f)] = 0;
    fclose(f);
    if (status) test_fail(__FILE__, __LINE__, "the run to %s ended with %d: %s", r->out, status, r->warned);
    CHECK(read(ends[0], r->sha, 64) == 64);
    close(ends[0]), close(ends[1]);
    arena_free(a);
}

TEST(a_resumed_run_keeps_the_algorithms_of_its_checkpoint) {
    machine_of();
    one_run whole = {"whole", "cache", NULL, 1, 13000, "", ""},
            other = {"other", "other-cache", NULL, 2, 13000, "", ""};
    play(&whole);
    play(&other);
    CHECK(strcmp(whole.sha, other.sha)); /* another algorithm has other bits, or this test could not fail */
    /* The machine it goes on with would choose number 2, and remembers it. */
    one_run resumed = {"resumed", "other-cache", "whole/checkpoint-3", 2, 13000, "", ""};
    play(&resumed);
    CHECK_STR(resumed.sha, whole.sha);
    CHECK(!strstr(resumed.warned, "chosen anew"));
}

TEST(a_run_resumed_with_another_driver_says_that_products_may_differ) {
    machine_of();
    one_run whole = {"whole", "cache", NULL, 1, 13000, "", ""};
    one_run resumed = {"resumed", "cache", "whole/checkpoint-3", 2, 13010, "", ""};
    play(&whole);
    play(&resumed);
    CHECK(strcmp(whole.sha, resumed.sha));
    CHECK(strstr(resumed.warned, "/whole/checkpoint-3 has no choice for ") &&
          strstr(resumed.warned, "driver 13010") &&
          strstr(resumed.warned, "may differ in their last bits from the run that was saved"));
    /* What that one saved knows both machines. */
    one_run back = {"back", "no-cache", "resumed/checkpoint-6", 2, 13000, "", ""};
    play(&back);
    CHECK(!strstr(back.warned, "chosen anew"));
}
