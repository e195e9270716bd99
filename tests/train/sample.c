/* sample.c - logits beside transformers' processors (scripts/golden/generate.py), and draws by their probabilities. */
#include <math.h>

#include "base/rng.h"
#include "golden.h"
#include "train/sample.h"

#define N 100

static void formula(float *x, int c) {
    for (uint64_t i = 0; i < N; i++) {
        const uint64_t u = (i * 2654435761u + (uint64_t)c * 40503u + 12345u) & 0xffffffffu;
        x[i] = (float)(((double)u / 4294967296.0 - 0.4) * 8);
    }
}

TEST(sample_leaves_what_transformers_leaves) {
    arena *a = arena_new("test");
    sampler *s = sampler_new(a, N);
    int n = 0;
    for (const json *c = member(golden_open(a, "generate.json"), "warped")->child; c; c = c->next, n++) {
        float x[N];
        int32_t id[16];
        int n_ids = 0, n_left = 0;
        formula(x, n);
        for (const json *i = member(c, "ids")->child; i; i = i->next) id[n_ids++] = (int32_t)i->integer;
        sample_penalize(s, x, id, n_ids, number_of(c, "repetition_penalty"));
        sample_warm(s, x, number_of(c, "temperature"));
        sample_top_k(s, x, (int64_t)number_of(c, "top_k"));
        sample_top_p(s, x, number_of(c, "top_p"), 1);
        const json *left = member(c, "left")->child, *value = member(c, "values")->child;
        for (int i = 0; i < N; i++) {
            if (!(x[i] > -INFINITY)) continue;
            n_left++;
            if (!left || left->integer != i) test_fail(__FILE__, __LINE__, "case %d: token %d should be ruled out", n, i);
            CHECK_NEAR(x[i], value->number, 1e-6 * fabs(value->number));
            left = left->next, value = value->next;
        }
        CHECK_INT(n_left, member(c, "left")->n);
    }
    CHECK_INT(n, 24);
    arena_free(a);
}

TEST(sample_draws_by_probability_and_nothing_that_is_ruled_out) {
    arena *a = arena_new("test");
    sampler *s = sampler_new(a, 5);
    const float x[5] = {logf(0.1f), -INFINITY, logf(0.6f), logf(0.3f), -INFINITY};
    const double p[5] = {0.1, 0, 0.6, 0.3, 0};
    int count[5] = {0}, draws = 40000;
    for (int i = 0; i < draws; i++) count[sample_draw(s, x, sample_uniform(42, 7, i % 3, i / 3))]++;
    for (int i = 0; i < 5; i++) CHECK_NEAR(count[i] / (double)draws, p[i], 4 * sqrt(p[i] * (1 - p[i]) / draws));
    CHECK_INT(sample_draw(s, x, 0), 0);
    CHECK_INT(sample_draw(s, x, nextafter(1, 0)), 3);
    CHECK_INT(sample_best(s, x), 2);
    CHECK_NEAR(sample_normaliser(s, x), 0, 1e-7);
    arena_free(a);
}

/* Seeds mean the same numbers on every machine, for ever. */
TEST(sample_numbers_are_those_of_philox) {
    CHECK(sample_uniform(42, 5, 2, 9) == rng_uniform(42, RNG_GENERATE, 5, 2 << 20 | 9));
    CHECK(sample_uniform(42, 5, 2, 9) != sample_uniform(42, 5, 9, 2));
    CHECK(sample_uniform(42, 5, 2, 9) != sample_uniform(43, 5, 2, 9));
    CHECK(sample_uniform(42, 5, 2, 9) != sample_uniform(42, 6, 2, 9));
}

TEST(sample_forbids_ends_and_a_penalty_counts_a_token_once) {
    arena *a = arena_new("test");
    sampler *s = sampler_new(a, 4);
    float x[4] = {2, -1, 4, 0};
    const int32_t id[4] = {0, 0, 1, 0}, end[1] = {2};
    sample_penalize(s, x, id, 4, 2);
    sample_forbid(x, end, 1);
    CHECK(x[0] == 1 && x[1] == -2 && x[2] == -INFINITY && x[3] == 0);
    float y[4] = {2, -1, 4, 0};
    sample_top_p(s, y, 0.1, 3); /* the likeliest alone has more; three stay where three must */
    CHECK(y[0] == 2 && y[1] == -INFINITY && y[2] == 4 && y[3] == 0);
    sample_penalize(s, x, id, 4, 2); /* marks of the call before are gone */
    CHECK(x[0] == 0.5f && x[1] == -4);
    arena_free(a);
}
