/* each.c - each request for memory fails in turn, each call that reads and each that writes, in a run from its beginning to its
 * end and in one that goes on from a checkpoint: an orderly end, nothing announced that is not there, what was there before
 * whole, and the same bits from whoever goes on. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "campaign.h"
#include "one_run.h"

static const shape prunes = {"6", "2", "1"}; /* a newer checkpoint takes the place of the one before */

static int says_saved(arena *a, const char *log, int step) {
    str s;
    if (!file_is_regular(log) || !file_bytes(log)) return 0;
    CHECK_OK(file_read(&s, a, log, (size_t)1 << 24, HONE_EDATA, err));
    return strstr(s.p, arena_print(a, "{\"step\":%d,\"saved\"", step)) != NULL;
}

/* had: the step of a checkpoint that was there before; 0: none. */
static void check_folder(arena *a, const char *out, const shape *k, int had, const char *what) {
    const char *log = path_join(a, out, "log.jsonl");
    const int every = atoi(k->save_steps), pruned = atoi(k->save_total_limit) > 0;
    int newer = 0; /* is there, whether or not the log could be told */
    for (int step = atoi(k->max_steps); step > 0; step -= every) {
        const int there = file_exists(checkpoint_path(a, out, step)), whole = there && is_valid(a, out, step),
                  announced = says_saved(a, log, step) || step == had;
        if (there && !whole) test_fail(__FILE__, __LINE__, "%s: checkpoint-%d is damaged", what, step);
        if (announced && !whole && !(pruned && newer))
            test_fail(__FILE__, __LINE__, "%s: step %d was saved and is lost", what, step);
        newer |= whole;
    }
}

/* Runs with call number 1, 2 ... of a kind failing, until there are no more. resumed: the run goes on from its first
 * checkpoint. */
static void fail_in_turn(campaign *c, faults f, const shape *k, int resumed, const char *kind) {
    arena *a = arena_new("test");
    const shape first = {k->save_steps, k->save_steps, k->save_total_limit};
    const char *out = folder_of(a, "out");
    const int had = resumed ? atoi(k->save_steps) : 0;
    CHECK_OK(folder_remove(out, err));
    if (resumed) CHECK_INT(one_run(a, "out", &first, (faults){0}, (disk_state){0}).status, HONE_OK);
    /* how many there are */
    f.counts_all = 1;
    CHECK_OK(folder_remove(folder_of(a, "copy"), err));
    if (resumed) copy_folder(a, out, folder_of(a, "copy"));
    const outcome whole = one_run(a, "copy", k, f, (disk_state){0});
    const int n = whole.seen.n;
    CHECK_INT(whole.status, HONE_OK);
    CHECK(n > 10);
    int ended[256] = {0}, done = 0;
    for (int round = c->first; round < c->n_rounds && round < n; round++) {
        arena *b = arena_new("round");
        campaign_round(c, round);
        f.fail_at = c->n_rounds >= n || c->first ? 1 + round : 1 + (int)campaign_below(c, (uint64_t)n);
        CHECK_OK(folder_remove(folder_of(b, "copy"), err));
        if (resumed) copy_folder(b, out, folder_of(b, "copy"));
        const outcome o = one_run(b, "copy", k, f, (disk_state){0});
        const char *what =
            arena_print(b, "%s%s %d of %d (%s)", kind, resumed ? ", resumed," : "", f.fail_at, n, o.last);
        const int code = o.left ? o.left : hone_status_exit(o.status);
        if (o.left < 0 || (o.left && o.left != 4))
            test_fail(__FILE__, __LINE__, "%s failed: the process ended with %d", what, o.left);
        if (!o.left && o.status && !*o.text)
            test_fail(__FILE__, __LINE__, "%s failed: ended with %d, silently", what, code);
        if (o.status == HONE_OK && !o.left && strcmp(o.sha, whole.sha))
            test_fail(__FILE__, __LINE__, "%s failed, the run went on to other weights", what);
        ended[code & 255]++;
        check_folder(b, folder_of(b, "copy"), k, had, what);
        const outcome again = one_run(b, "copy", k, (faults){0}, (disk_state){0});
        if (again.status || again.left || strcmp(again.sha, whole.sha))
            test_fail(__FILE__, __LINE__, "after %s the next run ended with %d: %s", what,
                      again.status ? (int)again.status : again.left, again.text);
        check_folder(b, folder_of(b, "copy"), k, 0, what);
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
    fail_in_turn(&c, (faults){.memory = 1}, &six_steps, 0, "request");
    fail_in_turn(&c, (faults){.memory = 1}, &six_steps, 1, "request");
}

TEST(campaign_each_open_read_and_mapping_may_fail) {
    campaign c = campaign_begin("reading", 15, 100000);
    fail_in_turn(&c, (faults){.reading = 1, .error = EIO}, &prunes, 0, "reading call");
    fail_in_turn(&c, (faults){.reading = 1, .error = EIO}, &prunes, 1, "reading call");
    fail_in_turn(&c, (faults){.reading = 1, .error = EMFILE}, &six_steps, 1, "reading call (no descriptors)");
}

TEST(campaign_each_write_sync_and_rename_may_fail) {
    campaign c = campaign_begin("writing", 15, 100000);
    fail_in_turn(&c, (faults){.error = ENOSPC}, &prunes, 0, "writing call (no room)");
    fail_in_turn(&c, (faults){.error = EIO}, &prunes, 1, "writing call");
    fail_in_turn(&c, (faults){.error = EIO, .for_ever = 1}, &six_steps, 1, "writing call and all after it");
}
