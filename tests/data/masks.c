#include <math.h>
#include <stdlib.h>

#include "base/rng.h"
#include "data/masks.h"
#include "test.h"

#define VOCAB 1000
#define MASK 4

static uint8_t special[VOCAB] = {1, 1, 1, 1, 1};
static const mask_rule rule = {.seed = 7, .p = 0.15, .mask_id = MASK, .vocab = VOCAB, .pad_id = 0, .special = special};

/* [CLS] words [SEP] */
static void make_sample(int32_t *id, int64_t n, uint64_t sample) {
    for (int64_t i = 0; i < n; i++) id[i] = 5 + (int32_t)rng_below(1, RNG_TEST, sample, (uint64_t)i, VOCAB - 5);
    id[0] = 2, id[n - 1] = 3;
}

TEST(masks_hide_15_percent_behind_8_1_1) {
    int64_t n_words = 0, n_hidden = 0, n_mask = 0, n_same = 0;
    for (int64_t sample = 0; n_words < 1000000; sample++) {
        int32_t id[128], shown[128], place[512], *was;
        const int64_t n = 3 + (int64_t)rng_below(2, RNG_TEST, (uint64_t)sample, 0, 126);
        make_sample(id, n, (uint64_t)sample);
        memcpy(shown, id, sizeof id);
        const int64_t k = masks_draw(&rule, 0, sample, shown, n, place);
        was = place + n;
        CHECK_INT(k, masks_count(&rule, 0, sample, id, n, (int32_t[512]){0}));
        CHECK_INT(k, (int64_t)fmax(1, floor(0.15 * (double)(n - 2) + 0.5)));
        for (int64_t i = 0, h = 0; i < n; i++) {
            const int hidden = h < k && place[h] == i;
            if (!hidden) CHECK_INT(shown[i], id[i]);
            else CHECK(!special[id[i]] && was[h++] == id[i]);
            CHECK(shown[i]);
            n_mask += hidden && shown[i] == MASK;
            n_same += hidden && shown[i] == id[i];
        }
        n_words += n - 2;
        n_hidden += k;
    }
    /* a sample's share is rounded, and at least one word of it is hidden: so more than 15 % by less than half a word each */
    const double share = (double)n_hidden / (double)n_words, h = (double)n_hidden;
    CHECK_NEAR(share, 0.15, 0.002);
    CHECK_NEAR((double)n_mask, 0.8 * h + 0.1 * h / VOCAB, 3 * sqrt(h * 0.8 * 0.2));
    CHECK_NEAR((double)n_same, 0.1 * h + 0.1 * h / VOCAB, 3 * sqrt(h * 0.1 * 0.9));
}

TEST(masks_fall_anywhere_alike) {
    int count[40] = {0};
    for (int64_t sample = 0; sample < 20000; sample++) {
        int32_t id[40], place[160];
        make_sample(id, 40, (uint64_t)sample);
        const int64_t k = masks_draw(&rule, 3, sample, id, 40, place);
        CHECK_INT(k, 6);
        for (int64_t i = 0; i < k; i++) count[place[i]]++;
    }
    const double want = 20000 * 6 / 38.0;
    CHECK(!count[0] && !count[39]);
    for (int i = 1; i < 39; i++) CHECK_NEAR(count[i], want, 4.5 * sqrt(want));
}

TEST(masks_are_drawn_anew_every_epoch_and_the_same_every_time) {
    int32_t id[64], a[64], b[64], c[64], d[64], place[256];
    mask_rule other = rule;
    make_sample(id, 64, 9);
    memcpy(a, id, sizeof id), memcpy(b, id, sizeof id), memcpy(c, id, sizeof id), memcpy(d, id, sizeof id);
    masks_draw(&rule, 1, 5, a, 64, place);
    masks_draw(&rule, 1, 5, b, 64, place);
    masks_draw(&rule, 2, 5, c, 64, place);
    other.seed++;
    masks_draw(&other, 1, 5, d, 64, place);
    CHECK(!memcmp(a, b, sizeof a));
    CHECK(memcmp(a, c, sizeof a) && memcmp(a, d, sizeof a));
}

TEST(masks_of_what_is_all_special_or_short) {
    int32_t id[3] = {2, 77, 3}, place[12];
    CHECK_INT(masks_draw(&rule, 0, 0, id, 3, place), 1);
    CHECK(place[0] == 1 && place[3] == 77);
    id[1] = 0;
    CHECK_INT(masks_draw(&rule, 0, 0, id, 3, place), 0);
    CHECK_INT(masks_draw(&rule, 0, 0, id, 0, place), 0);
}

/* Half of the vocabulary goes on the word before it. */
static mask_rule whole_words(void) {
    static uint8_t inside[VOCAB];
    mask_rule r = rule;
    for (int i = 500; i < VOCAB; i++) inside[i] = 1;
    r.inside = inside;
    return r;
}

/* Samples of 100 words' tokens, of which 15 are hidden, whole words of them. */
TEST(masks_of_whole_words_hide_15_percent_behind_8_1_1) {
    const mask_rule r = whole_words();
    int64_t n_words = 0, n_hidden = 0, n_mask = 0, n_same = 0, n_short = 0;
    for (int64_t sample = 0; n_words < 1000000; sample++, n_words += 100) {
        int32_t id[102], shown[102], room[408];
        uint8_t hidden[103] = {0};
        make_sample(id, 102, (uint64_t)sample);
        memcpy(shown, id, sizeof id);
        const int64_t k = masks_draw(&r, 5, sample, shown, 102, room);
        CHECK_INT(k, masks_count(&r, 5, sample, id, 102, (int32_t[408]){0}));
        for (int64_t i = 0; i < k; i++) {
            CHECK(!special[id[room[i]]] && room[102 + i] == id[room[i]] && (!i || room[i] > room[i - 1]));
            hidden[room[i]] = 1;
            n_mask += shown[room[i]] == MASK;
            n_same += shown[room[i]] == id[room[i]];
        }
        for (int i = 1; i <= 100; i++) {
            if (i > 1 && i < 101 && r.inside[id[i]]) CHECK_INT(hidden[i], hidden[i - 1]); /* whole, or not at all */
            if (!hidden[i]) CHECK_INT(shown[i], id[i]);
        }
        n_hidden += k;
        n_short += k < 15;
        CHECK(k <= 15);
    }
    const double h = (double)n_hidden, words = (double)n_words;
    CHECK(n_short < 20); /* of 10,000: those without a word of one token that was left */
    CHECK_NEAR(h / words, 0.15, 3 * sqrt(0.15 * 0.85 / words));
    CHECK_NEAR((double)n_mask, 0.8 * h + 0.1 * h / VOCAB, 3 * sqrt(h * 0.8 * 0.2));
    CHECK_NEAR((double)n_same, 0.1 * h + 0.1 * h / VOCAB, 3 * sqrt(h * 0.1 * 0.9));
}

/* A word that is longer than what is to be hidden is passed over, in every epoch. */
TEST(masks_of_whole_words_pass_over_what_is_too_long) {
    const mask_rule r = whole_words();
    int32_t id[8] = {2, 100, 600, 601, 602, 603, 604, 3}, room[32];
    for (int epoch = 0; epoch < 50; epoch++) CHECK_INT(masks_count(&r, epoch, 0, id, 8, room), 0);
    id[6] = 101; /* 0.15 * 6: one */
    for (int epoch = 0; epoch < 50; epoch++) {
        CHECK_INT(masks_count(&r, epoch, 0, id, 8, room), 1);
        CHECK_INT(room[0], 6);
    }
    id[1] = 700, id[6] = 0; /* what begins with a piece is a word; what is special ends one */
    id[2] = 0;
    for (int epoch = 0; epoch < 50; epoch++) {
        CHECK_INT(masks_count(&r, epoch, 0, id, 8, room), 1);
        CHECK_INT(room[0], 1);
    }
}
