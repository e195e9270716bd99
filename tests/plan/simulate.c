/* simulate.c - sums over links against what can be worked out by hand. */
#include <math.h>

#include "plan/simulate.h"
#include "test.h"

static sim_links links(int n, int per_node, int halving) {
    return (sim_links){.n = n,
                       .per_node = per_node,
                       .node_bytes_per_s = 400e9,
                       .node_latency_s = 3e-6,
                       .net_bytes_per_s = 50e9,
                       .net_latency_s = 10e-6,
                       .halving = halving};
}

static void near(double x, double expected) { CHECK_NEAR(x, expected, 1e-12 + 1e-9 * expected); }

TEST(one_gpu_has_nothing_to_say) {
    const sim_links l = links(1, 8, 0);
    const sim_bucket b = {0.001, 1e9};
    near(sim_sum_seconds(&l, 1e9), 0);
    near(sim_step_seconds(
             &l,
             &(sim_step){.compute_s = 0.01, .update_s = 0.002, .bucket = &b, .n_buckets = 1, .n_steps = 3}),
         0.012);
}

TEST(a_ring_moves_twice_n_minus_1_parts_of_n) {
    for (int n = 2; n <= 64; n += 3) {
        const sim_links l = links(n, 64, 0);
        near(sim_sum_seconds(&l, 1e8), 2 * (n - 1) / (double)n * 1e8 / 400e9 + 2 * (n - 1) * 3e-6);
    }
}

TEST(halving_moves_the_same_bytes_in_fewer_messages) {
    for (int n = 2, rounds = 1; n <= 64; n *= 2, rounds++) {
        const sim_links l = links(n, 64, 1);
        near(sim_sum_seconds(&l, 1e8), 2 * (n - 1) / (double)n * 1e8 / 400e9 + 2 * rounds * 3e-6);
    }
    const sim_links six = links(6, 8, 1); /* two of six give all to a partner first and hear it last */
    near(sim_sum_seconds(&six, 1e8), 2 * (1e8 / 400e9 + 3e-6) + 2 * (3 / 4.0 * 1e8 / 400e9 + 2 * 3e-6));
}

TEST(machines_sum_inside_then_across_each_gpu_its_part) {
    const sim_links l = links(32, 8, 0); /* 4 machines */
    near(sim_sum_seconds(&l, 8e8),
         2 * (7 / 8.0 * 8e8 / 400e9 + 7 * 3e-6) + 2 * (3 / 4.0 * 1e8 / 50e9 + 3 * 10e-6));
}

TEST(infinite_links_cost_nothing_but_waiting) {
    sim_links l = links(16, 8, 0);
    const sim_bucket b[] = {{0.004, 1e9}, {0.01, 1e9}};
    l.node_bytes_per_s = l.net_bytes_per_s = HUGE_VAL;
    l.node_latency_s = l.net_latency_s = 0;
    sim_step s = {.compute_s = 0.01, .update_s = 0.001, .bucket = b, .n_buckets = 2, .n_steps = 1};
    near(sim_step_seconds(&l, &s), 0.011);
    s.jitter = 0.1;
    s.n_steps = 50;
    CHECK(sim_step_seconds(&l, &s) > 0.011); /* the slowest of 16 is waited for */
}

TEST(one_bucket_at_the_end_hides_nothing_and_an_early_one_all) {
    const sim_links l = links(8, 8, 0);
    const double sum = sim_sum_seconds(&l, 1e9);
    sim_bucket b = {0.01, 1e9};
    sim_step s = {.compute_s = 0.01, .update_s = 0.001, .bucket = &b, .n_buckets = 1, .n_steps = 1};
    near(sim_step_seconds(&l, &s), 0.011 + sum);
    b.ready_s = 0.01 - sum;
    near(sim_step_seconds(&l, &s), 0.011);
    b.ready_s = 0.01 - sum / 4;
    near(sim_step_seconds(&l, &s), 0.011 + sum * 3 / 4);
}

TEST(buckets_queue_behind_each_other) {
    const sim_links l = links(8, 8, 0);
    const sim_bucket b[] = {{0.001, 1e9}, {0.001, 1e9}, {0.01, 1e9}};
    const sim_step s = {.compute_s = 0.01, .bucket = b, .n_buckets = 3, .n_steps = 1};
    const double sum = sim_sum_seconds(&l, 1e9), third = fmax(0.01, 0.001 + 2 * sum);
    near(sim_step_seconds(&l, &s), third + sum);
}

TEST(a_scattered_step_gathers_after_its_update) {
    const sim_links l = links(16, 8, 0);
    const sim_bucket b = {0.01, 1e9};
    const sim_step s = {.compute_s = 0.01,
                        .update_s = 0.0005,
                        .bucket = &b,
                        .n_buckets = 1,
                        .scatter = 1,
                        .gather_bytes = 5e8,
                        .n_steps = 1};
    near(sim_step_seconds(&l, &s),
         0.01 + sim_sum_seconds(&l, 1e9) / 2 + 0.0005 + sim_sum_seconds(&l, 5e8) / 2);
}

TEST(more_bytes_slower_links_and_more_jitter_take_longer) {
    const sim_bucket b[] = {{0.004, 2e8}, {0.008, 2e8}, {0.01, 2e8}};
    double before = 0;
    for (int k = 0; k < 12; k++) { /* each change alone, larger and larger */
        for (int halving = 0; halving < 2; halving++) {
            sim_links l = links(24, 8, halving);
            sim_step s = {
                .compute_s = 0.01, .update_s = 0.001, .bucket = b, .n_buckets = 3, .n_steps = 8, .seed = 3};
            const double usual = sim_step_seconds(&l, &s);
            s.jitter = 0.01 * k;
            CHECK(sim_step_seconds(&l, &s) >= usual * (1 - 1e-12));
            s.jitter = 0;
            l.net_bytes_per_s /= 1 + k;
            CHECK(sim_step_seconds(&l, &s) >= usual * (1 - 1e-12));
        }
        const sim_links l = links(24, 8, 0);
        const double now = sim_sum_seconds(&l, 1e6 * (k + 1));
        CHECK(now > before);
        before = now;
    }
}

TEST(the_same_seed_gives_the_same_times_and_another_one_others) {
    const sim_links l = links(1024, 8, 1);
    const sim_bucket b = {0.01, 1e8};
    sim_step s = {.compute_s = 0.01, .bucket = &b, .n_buckets = 1, .jitter = 0.02, .n_steps = 4, .seed = 1};
    const double first = sim_step_seconds(&l, &s);
    CHECK(first == sim_step_seconds(&l, &s));
    s.seed = 2;
    CHECK(first != sim_step_seconds(&l, &s));
    /* of 1,024 exponentials the largest is about ln 1024 + 0.58 times the mean */
    CHECK_NEAR(first, 0.01 * (1 + 0.02 * (log(1024) + 0.58)) + sim_sum_seconds(&l, 1e8), 0.0006);
}
