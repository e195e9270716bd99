#include <stdlib.h>
#include <string.h>

#include "../test.h"
#include "data/order.h"

#define N 1000
static int64_t at[N + 1];
static int32_t label[N];

static order_options begin(sampling kind) {
    for (int i = 0; i < N; i++) {
        at[i + 1] = at[i] + 3 + (i * 37) % 50;
        label[i] = i % 100 == 0 ? 2 : i % 3 == 0;
    }
    return (order_options){
        .kind = kind, .seed = 42, .samples_per_batch = 32, .length_at = at, .label = label, .n = N};
}

/* Every sample exactly once; returns the number of batches. */
static int64_t check_once(const order *o) {
    char seen[N] = {0};
    int64_t total = 0;
    for (int64_t b = 0; b < order_batches(o); b++) {
        int64_t n;
        const int64_t *s = order_batch(o, b, &n);
        CHECK(n > 0);
        for (int64_t i = 0; i < n; i++) CHECK_INT(seen[s[i]]++, 0);
        total += n;
    }
    CHECK_INT(total, N);
    return order_batches(o);
}

static void flatten(const order *o, int64_t *out) {
    for (int64_t b = 0; b < order_batches(o); b++) {
        int64_t n;
        const int64_t *s = order_batch(o, b, &n);
        memcpy(out, s, (size_t)n * sizeof *s);
        out += n;
    }
}

TEST(order_holds_every_sample_once) {
    for (int kind = SAMPLING_RANDOM; kind <= SAMPLING_GROUP_BY_LENGTH; kind++) {
        order_options o = begin((sampling)kind);
        order *e = order_new(&o, 0);
        CHECK_INT(check_once(e), 32);
        int64_t n;
        order_batch(e, 31, &n);
        CHECK_INT(n, N - 31 * 32);
        order_free(e);
        o.drop_last = 1;
        e = order_new(&o, 0);
        CHECK_INT(order_batches(e), 31);
        order_free(e);
    }
}

TEST(order_is_a_function_of_seed_and_epoch) {
    order_options o = begin(SAMPLING_RANDOM);
    int64_t a[N], b[N];
    order *x = order_new(&o, 3), *y = order_new(&o, 3), *z = order_new(&o, 4);
    flatten(x, a), flatten(y, b);
    CHECK(!memcmp(a, b, sizeof a));
    flatten(z, b);
    CHECK(memcmp(a, b, sizeof a));
    order_free(y);
    o.seed = 43;
    y = order_new(&o, 3);
    flatten(y, b);
    CHECK(memcmp(a, b, sizeof a));
    order_free(x), order_free(y), order_free(z);
    o.kind = SAMPLING_SEQUENTIAL;
    x = order_new(&o, 9);
    flatten(x, a);
    for (int i = 0; i < N; i++) CHECK_INT(a[i], i);
    order_free(x);
}

TEST(order_shuffles_evenly) {
    /* Place of sample 0 over 2,000 epochs of 10 samples: each place near 200 times (five standard deviations
     * are 67). */
    order_options o = begin(SAMPLING_RANDOM);
    o.n = 10;
    int place[10] = {0};
    for (int64_t epoch = 0; epoch < 2000; epoch++) {
        order *e = order_new(&o, epoch);
        int64_t n;
        const int64_t *s = order_batch(e, 0, &n);
        CHECK_INT(n, 10);
        for (int i = 0; i < 10; i++)
            if (s[i] == 0) place[i]++;
        order_free(e);
    }
    for (int i = 0; i < 10; i++) CHECK(place[i] > 133 && place[i] < 267);
}

TEST(order_by_tokens_fills_the_budget_and_never_exceeds_it) {
    for (int kind = SAMPLING_RANDOM; kind <= SAMPLING_GROUP_BY_LENGTH; kind++) {
        order_options o = begin((sampling)kind);
        o.max_tokens = 500;
        order *e = order_new(&o, 1);
        check_once(e);
        int64_t before = -1;
        for (int64_t b = 0; b < order_batches(e); b++) {
            int64_t n, tokens = 0;
            const int64_t *s = order_batch(e, b, &n);
            for (int64_t i = 0; i < n; i++) tokens += at[s[i] + 1] - at[s[i]];
            CHECK(tokens <= 500);
            if (b)
                CHECK(before + at[s[0] + 1] - at[s[0]] > 500); /* the batch before had no room for this one */
            before = tokens;
        }
        int64_t most, samples, bound, bound_samples;
        order_largest(e, &most, &samples);
        order_bound(&o, &bound, &bound_samples);
        CHECK(most <= bound && samples <= bound_samples);
        order_free(e);
        o.max_tokens = 20; /* below the longest: such samples stand alone */
        e = order_new(&o, 1);
        check_once(e);
        order_largest(e, &most, &samples);
        CHECK_INT(most, 52);
        order_bound(&o, &bound, &bound_samples);
        CHECK_INT(bound, 52);
        order_free(e);
    }
}

TEST(order_bound_holds_for_every_epoch) {
    for (int kind = SAMPLING_RANDOM; kind <= SAMPLING_BALANCED; kind++) {
        order_options o = begin((sampling)kind);
        int64_t bound, bound_samples, tokens, samples;
        order_bound(&o, &bound, &bound_samples);
        CHECK_INT(bound_samples, 32);
        for (int64_t epoch = 0; epoch < 20; epoch++) {
            order *e = order_new(&o, epoch);
            order_largest(e, &tokens, &samples);
            CHECK(tokens <= bound && samples <= bound_samples);
            order_free(e);
        }
    }
}

TEST(order_groups_by_length_longest_first) {
    order_options o = begin(SAMPLING_GROUP_BY_LENGTH);
    order *e = order_new(&o, 0);
    int64_t a[N], spread = 0, n;
    flatten(e, a);
    CHECK_INT(at[a[0] + 1] - at[a[0]], 52);
    /* 1,000 samples, batches of 32: mega-batches of 7 batches = 224 samples, each falling. */
    for (int i = 0; i + 1 < N; i++) {
        if (i % 224 == 0 || (i + 1) % 224 == 0) continue; /* the first ones were exchanged */
        CHECK(at[a[i] + 1] - at[a[i]] >= at[a[i + 1] + 1] - at[a[i + 1]]);
    }
    for (int64_t b = 1; b < order_batches(e) - 1; b++) {
        const int64_t *s = order_batch(e, b, &n);
        int64_t low = 99, high = 0;
        for (int64_t i = 0; i < n; i++) {
            const int64_t length = at[s[i] + 1] - at[s[i]];
            if (length < low) low = length;
            if (length > high) high = length;
        }
        spread += high - low;
    }
    CHECK(spread / 30 < 15);
    order_free(e);
}

TEST(order_balanced_draws_classes_equally_often) {
    order_options o = begin(SAMPLING_BALANCED);
    label[1] = -1; /* not labelled: never drawn */
    int64_t a[N], count[3] = {0}, times[N] = {0};
    order *e = order_new(&o, 0);
    flatten(e, a);
    int64_t total = 0, n;
    for (int64_t b = 0; b < order_batches(e); b++) order_batch(e, b, &n), total += n;
    CHECK_INT(total, N - 1);
    for (int i = 0; i < N - 1; i++) count[label[a[i]]]++, times[a[i]]++;
    for (int c = 0; c < 3; c++) CHECK_INT(count[c], 333);
    CHECK_INT(times[1], 0);
    for (int i = 0; i < N; i += 100)
        CHECK(times[i] == 33 || times[i] == 34); /* ten samples of class 2, 333 draws */
    for (int i = 2; i < N; i++)
        if (label[i] == 0) CHECK(times[i] <= 1);
    order *f = order_new(&o, 1);
    int64_t b[N];
    flatten(f, b);
    CHECK(memcmp(a, b, sizeof *a * (N - 1)));
    order_free(e), order_free(f);
}

/* Tokens of batch b, and how many samples. */
static int64_t tokens_of(const order *o, int64_t b, int64_t *n) {
    int64_t sum = 0;
    const int64_t *s = order_batch(o, b, n);
    for (int64_t i = 0; i < *n; i++) sum += at[s[i] + 1] - at[s[i]];
    return sum;
}

TEST(samples_of_a_step_are_dealt_so_that_its_batches_have_as_many_tokens) {
    static const int64_t deals[] = {2, 3, 8};
    for (int kind = SAMPLING_RANDOM; kind <= SAMPLING_GROUP_BY_LENGTH; kind++)
        for (int k = 0; k < 3; k++) {
            order_options o = begin((sampling)kind);
            order *plain = order_new(&o, 1);
            o.deal = deals[k];
            order *dealt = order_new(&o, 1);
            CHECK_INT(check_once(dealt), order_batches(plain));
            int64_t worst = 0, worst_plain = 0;
            for (int64_t first = 0; first < order_batches(plain); first += o.deal) {
                int64_t least[2] = {1 << 30, 1 << 30}, most[2] = {0}, all[2] = {0}, sum[2] = {0},
                        fewest = 1 << 30, n = 0;
                for (int64_t b = first; b < first + o.deal && b < order_batches(plain); b++)
                    for (int d = 0; d < 2; d++) {
                        const int64_t tokens = tokens_of(d ? dealt : plain, b, &n),
                                      *s = order_batch(d ? dealt : plain, b, &n);
                        if (tokens < least[d]) least[d] = tokens;
                        if (tokens > most[d]) most[d] = tokens;
                        all[d] += tokens;
                        for (int64_t i = 0; i < n; i++) sum[d] += s[i] * s[i];
                        if (d && n < fewest) fewest = n;
                        CHECK(n <= 32);
                    }
                CHECK(all[0] == all[1] && sum[0] == sum[1]); /* the same samples */
                CHECK(most[1] - least[1] <= 52);             /* the longest has as many tokens */
                CHECK(fewest >= (first + o.deal > order_batches(plain) - 1 ? 4 : 32));
                if (most[1] - least[1] > worst) worst = most[1] - least[1];
                if (most[0] - least[0] > worst_plain) worst_plain = most[0] - least[0];
            }
            CHECK(4 * worst < worst_plain || kind == SAMPLING_GROUP_BY_LENGTH);
            order_free(plain), order_free(dealt);
        }
}
