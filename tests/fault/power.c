/* power.c - the power is cut at a random call of a run that saves and prunes: what was announced is there and whole, and who
 * goes on makes the same bits. With syncs taken away the same test must fail. */
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "campaign.h"
#include "one_run.h"

static const shape saves_often = {"16", "2", "2"};
#define KEPT 2 /* save_total_limit */

static disk_state watched(arena *a) {
    disk_state d = {
        .root = folder_of(a, "disk"), .store = folder_of(a, "store"), .after = folder_of(a, "after")};
    CHECK_OK(folder_remove(d.root, err));
    CHECK_OK(folder_remove(d.store, err));
    CHECK_OK(folder_remove(d.after, err));
    CHECK_OK(folder_make(d.root, err));
    CHECK_OK(folder_make(d.store, err));
    return d;
}

/* Announced checkpoints that the cut has lost, of those that were not to be pruned: the newest KEPT. */
static int lost_checkpoints(arena *a, const outcome *o) {
    int lost = 0;
    for (int i = 0; i < KEPT && i < o->disk.n_announced; i++)
        lost += !is_valid(a, folder_of(a, "after/run"), o->disk.announced[o->disk.n_announced - 1 - i]);
    return lost;
}

TEST(campaign_power_cuts_lose_nothing_that_was_announced) {
    campaign c = campaign_begin("power", 24, 200);
    arena *a = arena_new("test");
    CHECK_OK(folder_make(folder_of(a, "disk"), err));
    const outcome whole = one_run(a, "disk/run", &saves_often, (faults){0}, watched(a));
    CHECK_INT(whole.status, HONE_OK);
    CHECK_INT(whole.disk.n_announced, 8);
    const uint64_t n_calls = (uint64_t)whole.disk.n;
    int cuts = 0, lucky = 0;
    int64_t announced = 0;
    for (int round = c.first; cuts < c.n_rounds - c.first && round < 2 * c.n_rounds; round++) {
        arena *b = arena_new("round");
        disk_state d = watched(b);
        campaign_round(&c, round);
        d.cut_at = 1 + (int)campaign_below(&c, n_calls);
        d.lucky = (int)campaign_below(&c, 2);
        d.seed = campaign_below(&c, UINT64_MAX);
        const outcome o = one_run(b, "disk/run", &saves_often, (faults){0}, d);
        if (o.status == HONE_EPREEMPTED) {
            cuts++;
            lucky += d.lucky;
            announced += o.disk.n_announced;
            if (lost_checkpoints(b, &o))
                test_fail(__FILE__, __LINE__,
                          "seed %llu round %d: cut at call %d of %llu%s: step %lld was announced",
                          (unsigned long long)c.seed, round, d.cut_at, (unsigned long long)n_calls,
                          d.lucky ? ", lucky" : "", (long long)o.disk.announced[o.disk.n_announced - 1]);
            const outcome again = one_run(b, "after/run", &saves_often, (faults){0}, (disk_state){0});
            if (again.status || again.left || strcmp(again.sha, whole.sha))
                test_fail(__FILE__, __LINE__,
                          "seed %llu round %d: cut at call %d: the next run ended with %d: %s",
                          (unsigned long long)c.seed, round, d.cut_at,
                          again.status ? (int)again.status : again.left, again.text);
        } else CHECK_INT(o.status, HONE_OK); /* a call fewer than before: no cut */
        arena_free(b);
    }
    campaign_say(&c,
                 "%d cuts of a run of %llu calls (%d with luck), %lld announcements before them, none lost",
                 cuts, (unsigned long long)n_calls, lucky, (long long)announced);
    CHECK(cuts == c.n_rounds - c.first || c.first);
    arena_free(a);
}

/* A run that goes on from an older checkpoint saves the later ones again: at no cut is there less than before. */
TEST(a_power_cut_while_a_checkpoint_is_saved_again_leaves_the_old_one_or_the_new) {
    arena *a = arena_new("test");
    static const shape again = {"4", "2", "0"};
    const int n_cuts = getenv("HONE_LONG_TESTS") ? 400 : 20;
    disk_state d = watched(a);
    CHECK_INT(one_run(a, "disk/run", &again, (faults){0}, d).status, HONE_OK);
    const faults from_2 = {.resume_from = path_join(a, d.root, "run/checkpoint-2")};
    copy_folder(a, d.root, folder_of(a, "first"));
    d.as_found = 1;
    CHECK_OK(folder_remove(d.store, err));
    CHECK_OK(folder_make(d.store, err));
    const outcome whole = one_run(a, "disk/run", &again, from_2, d);
    const int n_calls = whole.disk.n, removal = whole.disk.first_removal;
    CHECK(n_calls > 100 && removal > 10); /* of what was there before */
    for (int i = 0; i < n_cuts; i++) {
        CHECK_OK(folder_remove(d.root, err));
        CHECK_OK(folder_remove(d.after, err));
        CHECK_OK(folder_remove(d.store, err));
        CHECK_OK(folder_make(d.store, err));
        copy_folder(a, folder_of(a, "first"), d.root);
        d.cut_at = n_cuts > 100 ? 1 + (int)((int64_t)i * n_calls / n_cuts) : removal - 6 + i;
        d.lucky = i % 2;
        d.seed = (uint64_t)i;
        const outcome o = one_run(a, "disk/run", &again, from_2, d);
        CHECK_INT(o.status, HONE_EPREEMPTED);
        for (int step = 2; step <= 4; step += 2)
            if (!is_valid(a, folder_of(a, "after/run"), step))
                test_fail(__FILE__, __LINE__, "cut at call %d of %d: checkpoint-%d is lost", d.cut_at,
                          n_calls, step);
    }
    arena_free(a);
}

/* The same with syncs that do nothing: how many of n cuts have lost something. */
static int cuts_that_lose(int n, int forgets_files, int forgets_folders) {
    campaign c = campaign_begin("power", n, n);
    arena *a = arena_new("test");
    int losing = 0;
    for (int round = 0; round < n; round++) {
        disk_state d = watched(a);
        campaign_round(&c, round);
        d.cut_at = 400 + (int)campaign_below(&c, 300);
        d.forgets_files = forgets_files;
        d.forgets_folders = forgets_folders;
        const outcome o = one_run(a, "disk/run", &saves_often, (faults){0}, d);
        CHECK_INT(o.status, HONE_EPREEMPTED);
        CHECK(o.disk.n_announced > 0);
        losing += lost_checkpoints(a, &o) > 0;
    }
    arena_free(a);
    return losing;
}

TEST(without_syncs_of_files_a_power_cut_loses_what_was_announced) { CHECK_INT(cuts_that_lose(5, 1, 0), 5); }
TEST(without_syncs_of_folders_a_power_cut_loses_what_was_announced) { CHECK_INT(cuts_that_lose(5, 0, 1), 5); }
