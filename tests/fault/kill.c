/* kill.c - SIGKILL to all processes of a run at a random moment, again and again: what was announced is there, and whoever
 * goes on, with another number of ranks, makes the same bits. */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "../golden.h"
#include "base/host.h"
#include "campaign.h"

#define STEPS 80

static const char *const kill_job =
    ",\"max_steps\": 80, \"train_batch_size\": 24, \"per_device_train_batch_size\": 2, \"reduce_shards\": "
    "12, "
    "\"save_strategy\": \"steps\", \"save_steps\": 5, \"save_total_limit\": 2, \"eval_strategy\": \"steps\", "
    "\"eval_steps\": 7, \"logging_steps\": 1, \"threads\": 1, \"resume_from_checkpoint\": true";

/* Every announced checkpoint that is not pruned yet is whole: the newest one must be. */
static void check_announced(arena *a, const campaign *c, int round, const char *out) {
    const int64_t step = newest_announced(a, out);
    if (step < 0) return;
    const said s = command_run(a, "verify \"%s/checkpoint-%lld\"", out, (long long)step);
    if (s.code)
        test_fail(__FILE__, __LINE__, "seed %llu round %d: step %lld was announced: %s %s",
                  (unsigned long long)c->seed, round, (long long)step, s.out, s.err);
}

static int is_whole(arena *a, const char *out) { return file_exists(path_join(a, out, "all_results.json")); }

TEST(campaign_kills_lose_nothing_that_was_announced_and_change_no_bit) {
    static char whole[STEPS][17];
    campaign c = campaign_begin("kill", 25, 1000);
    arena *a = command_begin();
    const char *sha =
        text_of(command_json(a, "train \"%s\" --json --quiet", tiny_job(a, "whole.json", "whole", kill_job)),
                "params_sha256");
    CHECK_INT(read_chain(a, here(a, "whole"), whole, STEPS), STEPS);
    const char *job = tiny_job(a, "job.json", "out", kill_job), *out = here(a, "out");
    int killed = 0, ended = 0, by_ranks[5] = {0}, at_none = 0;
    int64_t compared = 0;
    uint64_t longest_us = 400000; /* of a run that is not killed, as it turns out */
    for (int round = c.first; killed < c.n_rounds - c.first && round < 4 * c.n_rounds; round++) {
        arena *b = arena_new("round");
        campaign_round(&c, round);
        const int n = 1 + (int)campaign_below(&c, 4);
        const uint64_t from = clock_ns();
        const pid_t group = n == 1 ? group_start(b, "run", "train \"%s\"", job)
                                   : group_start(b, "run", "launch -n %d train \"%s\"", n, job);
        const double wait_s = (double)campaign_below(&c, longest_us) * 1e-6;
        const int code = group_wait(group, wait_s);
        if (code == -1000) {
            group_kill(group);
            killed++;
            by_ranks[n]++;
            at_none += newest_announced(b, out) < 0;
        } else if (code)
            test_fail(__FILE__, __LINE__, "seed %llu round %d: %d ranks ended with %d: %s",
                      (unsigned long long)c.seed, round, n, code, file_text(b, here(b, "run-err")));
        else {
            ended++;
            longest_us = (longest_us + 2 * (clock_ns() - from) / 1000) / 2;
        }
        compared += check_chain(b, out, whole, STEPS,
                                arena_print(b, "seed %llu round %d", (unsigned long long)c.seed, round));
        check_announced(b, &c, round, out);
        if (!code || is_whole(b, out)) { /* the whole run: its end once more, then from the beginning */
            const said s = command_expect(b, 0, "train \"%s\" --json --quiet", job);
            if (!strstr(s.out, sha))
                test_fail(__FILE__, __LINE__, "round %d: other weights at the end", round);
            CHECK_OK(folder_remove(out, err));
        }
        arena_free(b);
    }
    CHECK_STR(text_of(command_json(a, "train \"%s\" --json --quiet", job), "params_sha256"), sha);
    campaign_say(
        &c,
        "%d kills (1 to 4 ranks: %d, %d, %d, %d; %d before anything was announced), %d runs ended by "
        "themselves, %lld steps compared",
        killed, by_ranks[1], by_ranks[2], by_ranks[3], by_ranks[4], at_none, ended, (long long)compared);
    CHECK(killed == c.n_rounds - c.first || c.first);
    arena_free(a);
}
