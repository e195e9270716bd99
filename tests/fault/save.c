/* save.c - every call of a save fails in turn, as on a full or broken disk: exit code 8, no checkpoint
 * announced that is not there, the earlier one intact, and the same bits from whoever goes on. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../test.h"
#include "base/file.h"
#include "base/host.h"
#include "calls.h"
#include "one_run.h"

static int holds(arena *a, const char *path, const char *part) {
    str s;
    CHECK_OK(file_read(&s, a, path, (size_t)1 << 24, HONE_EDATA, err));
    return strstr(s.p, part) != NULL;
}

static void check_folder(arena *a, const char *folder, const outcome *o, int n) {
    const char *log = path_join(a, folder, "log.jsonl");
    if (!is_valid(a, folder, 3))
        test_fail(__FILE__, __LINE__, "call %d (%s): checkpoint-3 is damaged", n, o->last);
    const int there = file_exists(path_join(a, folder, "checkpoint-6"));
    if (there && !is_valid(a, folder, 6))
        test_fail(__FILE__, __LINE__, "call %d (%s): checkpoint-6 is half there", n, o->last);
    if (!there && holds(a, log, "{\"step\":6,\"saved\""))
        test_fail(__FILE__, __LINE__, "call %d (%s): step 6 is said to be saved", n, o->last);
}

static void fail_calls(int error, int for_ever, int every_write) {
    arena *a = arena_new("test");
    const outcome whole = train_with(a, "whole", (faults){.from = NULL});
    CHECK_INT(whole.status, HONE_OK);
    int n = 1;
    for (;; n++) {
        arena *here = arena_new("a fault");
        const faults f = {.from = "/.checkpoint-6.",
                          .fail_at = n,
                          .every_write = every_write,
                          .for_ever = for_ever,
                          .error = error};
        const outcome o = train_with(here, "out", f);
        const char *folder = folder_of(here, "out");
        if (o.seen.n < n) { /* the save has no more calls than that */
            CHECK_INT(o.status, HONE_OK);
            arena_free(here);
            break;
        }
        if (o.status != HONE_ESTORAGE)
            test_fail(__FILE__, __LINE__, "call %d (%s) failed, the run ended with %d: %s", n, o.last,
                      o.status, o.text);
        if (!strstr(o.text, strerror(error)))
            test_fail(__FILE__, __LINE__, "call %d (%s): %s", n, o.last, o.text);
        check_folder(here, folder, &o, n);
        const outcome again = train_with(here, "out", (faults){.from = NULL});
        if (again.status || strcmp(again.sha, whole.sha))
            test_fail(__FILE__, __LINE__, "after call %d (%s) the next run ended with %d: %s", n, o.last,
                      again.status, again.text);
        CHECK_OK(folder_remove(folder, err));
        arena_free(here);
    }
    CHECK(n > 100); /* some twenty files, each opened, written, synced, closed and renamed */
    arena_free(a);
}

TEST(every_call_of_a_save_may_find_the_disk_full) { fail_calls(ENOSPC, 0, 1); }
TEST(a_disk_may_break_for_good_at_any_call_of_a_save) { fail_calls(EIO, 1, 25); }

TEST(writes_that_take_a_part_are_gone_on_with) {
    arena *a = arena_new("test");
    const outcome whole = train_with(a, "whole", (faults){.from = NULL}),
                  parts = train_with(a, "out", (faults){.from = NULL, .short_writes = 997});
    CHECK_INT(parts.status, HONE_OK);
    CHECK_STR(parts.sha, whole.sha);
    CHECK(is_valid(a, folder_of(a, "out"), 3) && is_valid(a, folder_of(a, "out"), 6));
    arena_free(a);
}

/* Where a row that begins so stands in the log. */
static long row_of(arena *a, const char *begin) {
    str s;
    CHECK_OK(
        file_read(&s, a, path_join(a, folder_of(a, "out"), "log.jsonl"), (size_t)1 << 24, HONE_EDATA, err));
    const char *at = strstr(s.p, begin);
    if (!at) test_fail(__FILE__, __LINE__, "%s is not in the log: %s", begin, s.p);
    return at - s.p;
}

TEST(training_goes_on_while_a_slow_disk_takes_a_checkpoint) {
    arena *a = arena_new("test");
    const outcome whole = train_with(a, "whole", (faults){.from = NULL});
    for (int waits = 0; waits < 2; waits++) {
        const outcome slow = train_with(a, "out", (faults){.slow_us = 30000, .waits = waits});
        CHECK_INT(slow.status, HONE_OK);
        CHECK_STR(slow.sha, whole.sha);
        const long saved = row_of(a, "{\"step\":3,\"saved\""), next = row_of(a, "{\"step\":4,\"epoch\"");
        CHECK_INT(saved < next, waits);
        CHECK(saved < row_of(a, "{\"step\":6,\"saved\"")); /* which waited for it */
        CHECK(row_of(a, "{\"step\":6,\"epoch\"") < row_of(a, "{\"step\":6,\"saved\""));
        CHECK(is_valid(a, folder_of(a, "out"), 3) && is_valid(a, folder_of(a, "out"), 6));
        CHECK_OK(folder_remove(folder_of(a, "out"), err));
    }
    arena_free(a);
}

TEST(a_disk_without_room_for_a_checkpoint_ends_no_training) {
    arena *a = arena_new("test");
    const outcome whole = train_with(a, "whole", (faults){.from = NULL}),
                  full = train_with(a, "out", (faults){.no_room = 1});
    CHECK_INT(full.status, HONE_OK);
    CHECK_STR(full.sha, whole.sha);
    CHECK(!file_exists(path_join(a, folder_of(a, "out"), "checkpoint-3")));
    CHECK(!holds(a, path_join(a, folder_of(a, "out"), "log.jsonl"), "\"saved\""));
    CHECK(file_exists(path_join(a, folder_of(a, "out"), "model.safetensors")));
    arena_free(a);
}

TEST(a_run_that_goes_on_within_an_epoch_does_not_read_its_data_again) {
    arena *a = arena_new("test");
    const shape three = {"3", "3", "0"};
    const faults watching = {.watched = "e2e/train.csv"};
    const outcome first = one_run(a, "out", &three, watching, (disk_state){0});
    CHECK_INT(first.status, HONE_OK);
    CHECK(first.seen.n_watched > 0);
    const outcome then = train_with(a, "out", watching); /* steps 4 to 6 of the epoch's 10 */
    CHECK_INT(then.status, HONE_OK);
    CHECK_INT(then.seen.n_watched, 0);
    arena_free(a);
}
