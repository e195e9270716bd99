#include <math.h>

#include "test.h"
#include "train/words.h"

TEST(words_top_are_the_largest_with_their_probability) {
    static const float x[] = {1, 3, -2, 3, 0.5f, 2};
    static const int32_t want[] = {1, 3, 5, 0, 4, 2}; /* equal ones by id */
    word_guess g[6];
    double sum = 0, all = 0;
    for (int i = 0; i < 6; i++) all += exp((double)x[i]);
    for (int k = 1; k <= 6; k++) {
        words_top(x, 6, k, g);
        for (int i = 0; i < k; i++) {
            CHECK_INT(g[i].id, want[i]);
            CHECK_NEAR((double)g[i].score, exp((double)x[want[i]]) / all, 1e-7);
        }
    }
    for (int i = 0; i < 6; i++) sum += (double)g[i].score;
    CHECK_NEAR(sum, 1, 1e-6);
}

/* Logits whose exponentials no float holds. */
TEST(words_top_of_large_logits_are_finite) {
    static const float x[] = {-900, 900, 899};
    word_guess g[2];
    words_top(x, 3, 2, g);
    CHECK(g[0].id == 1 && g[1].id == 2);
    CHECK_NEAR((double)g[0].score, 1 / (1 + exp(-1)), 1e-6);
}
