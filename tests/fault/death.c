/* death.c - one of 2 to 8 ranks is killed or stopped at a random moment: it is named, in time, all end with 6, and nobody is
 * left. */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "../golden.h"
#include "base/host.h"
#include "campaign.h"

/* Bars: until a survivor says who is lost. */
#define DEATH_S 2.0
#define STOP_S (1.0 + 5.0) /* --ddp_timeout 1 */

/* A random moment from the first step on: before it a rank that is missing is an affair of the meeting. */
static void wait_for_steps(arena *a, pid_t group, const char *log) {
    for (int i = 0; i < 10000; i++) {
        if (file_is_regular(log) && file_bytes(log) > 0 && strstr(file_text(a, log), "\"learning_rate\""))
            return;
        const int code = group_wait(group, 0.005);
        if (code != -1000)
            test_fail(__FILE__, __LINE__, "the run ended with %d: %s", code,
                      file_text(a, here(a, "run-err")));
    }
    group_kill(group);
    test_fail(__FILE__, __LINE__, "no step was logged");
}

/* The end of a file of words. */
static const char *last_words(arena *a, const char *name) {
    const char *all = file_text(a, here(a, name));
    const size_t n = strlen(all);
    return n > 2000 ? all + n - 2000 : all;
}

/* Until a survivor says who is lost: seconds. */
static double wait_for_words(arena *a, pid_t group, const char *part, const char *place) {
    const uint64_t from = clock_ns();
    const char *path = here(a, "run-err");
    for (double s = 0; s < 30; s = (double)(clock_ns() - from) * 1e-9, usleep(5000)) {
        arena *b = arena_new("words");
        const char *e = strstr(file_text(b, path), "error: ");
        const int found = e && strstr(e, part);
        arena_free(b);
        if (found) return s;
    }
    const int code = group_wait(group, 0);
    if (code == -1000) group_kill(group);
    test_fail(__FILE__, __LINE__, "%s: not named, ended with %d: %s", place, code, last_words(a, "run-err"));
}

TEST(campaign_a_rank_that_dies_or_stops_is_named_in_time_and_all_end) {
    campaign c = campaign_begin("death", 4, 300);
    arena *a = command_begin();
    const char *more =
        ",\"per_device_train_batch_size\": 2, \"max_steps\": 100000, \"logging_steps\": 1, \"threads\": 1, "
        "\"save_strategy\": \"steps\", "
        "\"save_steps\": 20, \"save_total_limit\": 2, \"eval_strategy\": \"steps\", \"eval_steps\": 15";
    const char *job = tiny_job(a, "job.json", "out", more), *out = here(a, "out");
    command_expect(a, 0, "train \"%s\" --quiet --max_steps 1", job); /* the cache of tokens */
    int deaths = 0, stops = 0, late = 0;
    double worst[2] = {0};
    for (int round = c.first; round < c.n_rounds; round++) {
        arena *b = arena_new("round");
        pid_t child[16];
        campaign_round(&c, round);
        const int n = 2 + (int)campaign_below(&c, 7), which = (int)campaign_below(&c, (uint64_t)n),
                  stops_it = (int)campaign_below(&c, 2);
        const useconds_t moment = (useconds_t)campaign_below(&c, 600000);
        CHECK_OK(folder_remove(out, err));
        const pid_t group = group_start(
            b, "run", "launch -n %d --limit 1 train \"%s\" --overwrite_output_dir --ddp_timeout 1", n, job);
        wait_for_steps(b, group, path_join(b, out, "log.jsonl"));
        CHECK_INT(children_of(b, group, child, 16), n);
        usleep(moment);
        CHECK(!kill(child[which], stops_it ? SIGSTOP : SIGKILL));
        const char *place = arena_print(b, "seed %llu round %d: rank %d of %d %s", (unsigned long long)c.seed,
                                        round, which, n, stops_it ? "stopped" : "killed");
        const double took = wait_for_words(b, group, arena_print(b, "rank %d (host ", which), place);
        const int code = group_wait(group, 30);
        if (code == -1000) group_kill(group);
        if (code != 6)
            test_fail(__FILE__, __LINE__, "%s: ended with %d: %s", place, code, last_words(b, "run-err"));
        for (int i = 0; i < 300 && !group_is_empty(group); i++) usleep(1000);
        if (!group_is_empty(group)) test_fail(__FILE__, __LINE__, "%s: somebody is left", place);
        worst[stops_it] = took > worst[stops_it] ? took : worst[stops_it];
        late += took > (stops_it ? STOP_S : DEATH_S);
        deaths += !stops_it;
        stops += stops_it;
        arena_free(b);
    }
    campaign_say(&c,
                 "%d killed, %d stopped, all named; the longest took %.2f s and %.2f s, %d of them too long",
                 deaths, stops, worst[0], worst[1], late);
    CHECK_INT(late, 0);
    arena_free(a);
}
