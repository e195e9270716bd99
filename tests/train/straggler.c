/* straggler.c - who is slow is named, who was only unlucky is not. */
#include "base/rng.h"
#include "test.h"
#include "train/straggler.h"

/* Costs of a step: 1, up to 20 % more, one in 20 three times as much; rank `slow` (-1: none) is 1.5 times as slow in the
 * steps from 40 on. */
static void draw(double *cost, int n, int step, int slow, uint64_t seed) {
    for (int r = 0; r < n; r++) {
        const double noise = (double)rng_below(seed, RNG_SAMPLE, (uint64_t)step, (uint64_t)r, 1000) / 1000,
                     luck = (double)rng_below(seed + 1, RNG_SAMPLE, (uint64_t)step, (uint64_t)r, 1000) / 1000;
        cost[r] = (1 + 0.2 * noise) * (luck < 0.05 ? 3 : 1) * (r == slow && step >= 40 ? 1.5 : 1);
    }
}

TEST(a_rank_that_is_slow_for_twenty_steps_is_named_once) {
    for (int i = 0; i < 50; i++) {
        stragglers s = {0};
        const int n = 2 + i % 7, slow = i % n;
        double cost[COMM_RANKS_MAX], own = 0, others = 0;
        int named = 0;
        for (int step = 0; step < 60; step++) {
            draw(cost, n, step, slow, (uint64_t)i);
            const int r = straggler_look(&s, n, cost, &own, &others);
            if (r < 0) continue;
            CHECK_INT(r, slow);
            CHECK(step >= 40 && ++named == 1);
            CHECK(own > 1.35 * others);
        }
        CHECK_INT(named, 1);
    }
}

TEST(nobody_is_named_in_a_thousand_windows_without_a_slow_rank) {
    double cost[COMM_RANKS_MAX], own, others;
    for (int i = 0; i < 1000; i++) {
        stragglers s = {0};
        for (int step = 0; step < 40; step++) {
            draw(cost, 2 + i % 7, step, -1, 1000 + (uint64_t)i);
            CHECK_INT(straggler_look(&s, 2 + i % 7, cost, &own, &others), -1);
        }
    }
}

TEST(a_rank_without_work_of_its_own_is_not_compared) {
    stragglers s = {0};
    double own, others;
    for (int step = 0; step < 100; step++)
        CHECK_INT(straggler_look(&s, 3, (double[]){1, 0, 1.1}, &own, &others), -1);
}
