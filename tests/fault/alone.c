/* alone.c - a rank that is alone, as hone launch -n 1 makes it, is a run without ranks: it says nothing in any step. */
#include <stdlib.h>

#include "one_run.h"
#include "run/rendezvous.h"
#include "test.h"

static int words_of(arena *a, const char *max_steps) {
    const shape s = {max_steps, "100", "0"}; /* nothing is saved */
    const outcome o = one_run(a, "out", &s, (faults){.speaking = 1, .counts_all = 1}, (disk_state){0});
    CHECK_INT(o.status, HONE_OK);
    CHECK_INT(o.left, 0);
    CHECK_OK(folder_remove(folder_of(a, "out"), err));
    return o.seen.n;
}

TEST(a_rank_alone_says_nothing_in_a_step) {
    arena *a = arena_new("test");
    rank_place place;
    comm *c;
    CHECK(!setenv("HONE_RANK", "0", 1) && !setenv("HONE_WORLD_SIZE", "1", 1) &&
          !setenv("HONE_LOCAL_RANK", "0", 1) && !setenv("HONE_LOCAL_WORLD_SIZE", "1", 1) &&
          !setenv("HONE_COMM", "/dev/shm/not-there", 1));
    CHECK_OK(rank_find(&place, NULL, NULL, err));
    CHECK_STR(place.by, "hone launch");
    CHECK_OK(ranks_open(&c, &place, 60, err));
    CHECK(c == comm_alone()); /* with which train_job trains here, and hone train does */
    const int of_20 = words_of(a, "20"), at_start = words_of(a, "1");
    CHECK(at_start > 0);
    CHECK_INT(of_20, at_start);
    arena_free(a);
}
