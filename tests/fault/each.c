/* memory.c - each request for memory fails in turn, and each call that reads: an orderly end, nothing announced that is not
 * there, and the same bits from whoever goes on. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "campaign.h"
#include "one_run.h"

static int holds(arena *a, const char *path, const char *part) {
    str s;
    if (!file_is_regular(path) || !file_bytes(path)) return 0;
    CHECK_OK(file_read(&s, a, path, (size_t)1 << 24, HONE_EDATA, err));
    return strstr(s.p, part) != NULL;
}

static void check_folder(arena *a, const char *out, const char *what) {
    const char *log = path_join(a, out, "log.jsonl");
    for (int step = 3; step <= 6; step += 3) {
        const int there = file_exists(checkpoint_path(a, out, step));
        if (there && !is_valid(a, out, step))
            test_fail(__FILE__, __LINE__, "%s: checkpoint-%d is damaged", what, step);
        if (!there && holds(a, log, arena_print(a, "{\"step\":%d,\"saved\"", step)))
            test_fail(__FILE__, __LINE__, "%s: step %d is said to be saved", what, step);
    }
}

/* Runs with call number 1, 1 + stride ... of a kind failing, until there are no more. resumed: the run goes on from step 3. */
static void fail_in_turn(campaign *c, faults f, int resumed, const char *kind) {
    arena *a = arena_new("test");
    const shape three = {"3", "3", "0"};
    const char *out = folder_of(a, "out");
    CHECK_OK(folder_remove(out, err));
    if (resumed) CHECK_INT(one_run(a, "out", &three, (faults){0}, (disk_state){0}).status, HONE_OK);
    /* how many there are */
    f.counts_all = 1;
    CHECK_OK(folder_remove(folder_of(a, "copy"), err));
    if (resumed) copy_folder(a, out, folder_of(a, "copy"));
    const outcome whole = one_run(a, "copy", &six_steps, f, (disk_state){0});
    const int n = whole.seen.n;
    CHECK_INT(whole.status, HONE_OK);
    CHECK(n > 10);
    int ended[256] = {0}, done = 0;
    for (int round = 0; round < c->n_rounds && round < n; round++) {
        arena *b = arena_new("round");
        campaign_round(c, round);
        f.fail_at = c->n_rounds >= n ? 1 + round : 1 + (int)campaign_below(c, (uint64_t)n);
        const char *what = arena_print(b, "%s %d of %d", kind, f.fail_at, n);
        CHECK_OK(folder_remove(folder_of(b, "copy"), err));
        if (resumed) copy_folder(b, out, folder_of(b, "copy"));
        const outcome o = one_run(b, "copy", &six_steps, f, (disk_state){0});
        const int code = o.left ? o.left : hone_status_exit(o.status);
        if (o.left < 0 || (o.left && o.left != 4))
            test_fail(__FILE__, __LINE__, "%s failed: the process ended with %d", what, o.left);
        if (!o.left && o.status && !*o.text)
            test_fail(__FILE__, __LINE__, "%s failed: ended with %d, silently", what, code);
        if (o.status == HONE_OK && !o.left && strcmp(o.sha, whole.sha))
            test_fail(__FILE__, __LINE__, "%s failed, the run went on to other weights", what);
        ended[code & 255]++;
        check_folder(b, folder_of(b, "copy"), what);
        if (resumed && !is_valid(b, folder_of(b, "copy"), 3))
            test_fail(__FILE__, __LINE__, "%s: checkpoint-3 is lost", what);
        const outcome again = one_run(b, "copy", &six_steps, (faults){0}, (disk_state){0});
        if (again.status || again.left || strcmp(again.sha, whole.sha))
            test_fail(__FILE__, __LINE__, "after %s the next run ended with %d: %s", what,
                      again.status ? (int)again.status : again.left, again.text);
        done++;
        arena_free(b);
    }
    text codes = {0};
    for (int i = 0; i < 256; i++)
        if (ended[i]) text_printf(&codes, " %d: %d", i, ended[i]);
    campaign_say(c, "%s%s: %d of %d failed in turn; exit codes and how often:%s", kind,
                 resumed ? ", resumed" : "", done, n, codes.p);
    text_free(&codes);
    arena_free(a);
}

TEST(campaign_each_request_for_memory_may_fail) {
    campaign c = campaign_begin("memory", 15, 100000);
    fail_in_turn(&c, (faults){.memory = 1}, 0, "request");
    fail_in_turn(&c, (faults){.memory = 1}, 1, "request");
}

TEST(campaign_each_open_read_and_mapping_may_fail) {
    campaign c = campaign_begin("reading", 15, 100000);
    fail_in_turn(&c, (faults){.reading = 1, .error = EIO}, 0, "call");
    fail_in_turn(&c, (faults){.reading = 1, .error = EIO}, 1, "call");
    fail_in_turn(&c, (faults){.reading = 1, .error = EMFILE}, 1, "call (no descriptors)");
}
