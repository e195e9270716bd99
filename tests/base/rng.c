/* rng.c - known answers, an independent Philox, and the shape of what is drawn. */
#include <math.h>

#include "base/rng.h"
#include "test.h"

TEST(philox_gives_random123s_answer_for_7_rounds) {
    const uint32_t counter[4] = {0}, key[2] = {0};
    uint32_t out[4];
    philox(counter, key, out);
    CHECK(out[0] == 0x5f6fb709 && out[1] == 0x0d893f64 && out[2] == 0x4f121f81 && out[3] == 0x4f730a48);
}

/* Written another way: products by halves of 16 bits, the state as an array, the key made anew for each
 * round. */
static uint32_t multiply_high(uint32_t a, uint32_t b) {
    const uint32_t al = a & 0xffff, ah = a >> 16, bl = b & 0xffff, bh = b >> 16;
    const uint32_t mid = ah * bl + (al * bl >> 16), mid2 = al * bh + (mid & 0xffff);
    return ah * bh + (mid >> 16) + (mid2 >> 16);
}
static void other_philox(const uint32_t counter[4], const uint32_t key[2], int rounds, uint32_t x[4]) {
    memcpy(x, counter, 16);
    for (uint32_t r = 0; r < (uint32_t)rounds; r++) {
        const uint32_t y[4] = {
            multiply_high(0xCD9E8D57u, x[2]) ^ x[1] ^ (key[0] + r * 0x9E3779B9u), 0xCD9E8D57u * x[2],
            multiply_high(0xD2511F53u, x[0]) ^ x[3] ^ (key[1] + r * 0xBB67AE85u), 0xD2511F53u * x[0]};
        memcpy(x, y, 16);
    }
}

TEST(philox_equals_an_independent_one) {
    uint32_t state = 1, out[4], other[4];
    const uint32_t zero[4] = {0};
    other_philox(zero, zero, 10,
                 other); /* the published answer for 10 rounds holds the other one to account */
    CHECK(other[0] == 0x6627e8d5 && other[1] == 0xe169c58d && other[2] == 0xbc57ac4c &&
          other[3] == 0x9b00dbd8);
    for (int i = 0; i < 20000; i++) {
        uint32_t counter[4], key[2];
        for (int k = 0; k < 4; k++) counter[k] = state = state * 1664525u + 1013904223u;
        for (int k = 0; k < 2; k++) key[k] = state = state * 1664525u + 1013904223u;
        philox(counter, key, out);
        other_philox(counter, key, 7, other);
        CHECK(!memcmp(out, other, sizeof out));
    }
}

TEST(rng_depends_on_seed_stream_and_both_numbers) {
    const uint64_t x = rng_bits(1, RNG_ORDER, 2, 3);
    CHECK(x == rng_bits(1, RNG_ORDER, 2, 3));
    CHECK(x != rng_bits(2, RNG_ORDER, 2, 3) && x != rng_bits(1, RNG_SPLIT, 2, 3));
    CHECK(x != rng_bits(1, RNG_ORDER, 3, 3) && x != rng_bits(1, RNG_ORDER, 2, 4) &&
          x != rng_bits(1, RNG_ORDER, 3, 2));
    CHECK(x != rng_bits(1 + (1ull << 40), RNG_ORDER, 2, 3) &&
          x != rng_bits(1, RNG_ORDER, 2 + (1ull << 40), 3));
    CHECK(x != rng_bits(1, RNG_ORDER, 2, 3 + (1ull << 39)));
}

TEST(rng_uniform_fills_the_unit_interval) {
    double sum = 0, low = 1, high = 0;
    for (uint64_t i = 0; i < 100000; i++) {
        const double x = rng_uniform(7, RNG_TEST, i, 0);
        sum += x;
        if (x < low) low = x;
        if (x > high) high = x;
    }
    CHECK(low >= 0 && low < 1e-3 && high < 1 && high > 0.999);
    CHECK_NEAR(sum / 100000, 0.5, 0.004); /* 4 standard deviations */
}

TEST(rng_below_is_even_and_in_range) {
    int counts[10] = {0};
    for (uint64_t i = 0; i < 100000; i++) {
        const uint64_t x = rng_below(7, RNG_TEST, i, 1, 10);
        CHECK(x < 10);
        counts[x]++;
    }
    for (int i = 0; i < 10; i++) CHECK_NEAR(counts[i], 10000, 400);
    CHECK_INT(rng_below(1, RNG_TEST, 1, 1, 1), 0);
    int upper = 0; /* two thirds of 2^64: half of the naive remainders would fall into the lower half */
    for (uint64_t i = 0; i < 30000; i++)
        upper += rng_below(7, RNG_TEST, i, 2, 0xaaaaaaaaaaaaaaaa) >= 0x5555555555555555;
    CHECK_NEAR(upper, 15000, 400);
}

TEST(rng_normal_has_mean_0_and_variance_1) {
    double sum = 0, square = 0, fourth = 0;
    for (uint64_t i = 0; i < 200000; i++) {
        const double x = rng_normal(7, RNG_INIT, i, 0);
        CHECK(isfinite(x));
        sum += x;
        square += x * x;
        fourth += x * x * x * x;
    }
    CHECK_NEAR(sum / 200000, 0, 0.01);
    CHECK_NEAR(square / 200000, 1, 0.015);
    CHECK_NEAR(fourth / 200000, 3, 0.12);
}
