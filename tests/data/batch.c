#include <math.h>

#include "../test.h"
#include "data/batch.h"

TEST(batch_packs_samples_without_padding) {
    static const int64_t at[] = {0, 3, 5, 9};
    static const int32_t id[] = {2, 10, 3, 2, 3, 2, 11, 12, 3}, label[] = {1, -1, 0};
    static const uint8_t type[] = {0, 0, 0, 0, 0, 0, 1, 1, 1};
    static const double target[] = {0.5, 1.5, NAN};
    dataset d = {.n = 3,
                 .n_tokens = 9,
                 .at = at,
                 .id = id,
                 .type = type,
                 .label = label,
                 .n_targets = 1,
                 .target = target,
                 .max_length = 4};
    arena *a = arena_new("test");
    batch *b = batch_new(a, 10, 4, 0, 1);
    const int64_t all[] = {2, 0, 1}, one[] = {1};
    batch_fill(b, &d, all, 3);
    CHECK_INT(b->n_tokens, 9);
    CHECK_INT(b->n_seqs, 3);
    static const int32_t want_id[] = {2, 11, 12, 3, 2, 10, 3, 2, 3, -1},
                         want_position[] = {0, 1, 2, 3, 0, 1, 2, 0, 1, -1};
    static const int32_t want_type[] = {0, 1, 1, 1, 0, 0, 0, 0, 0, -1};
    for (int i = 0; i < 10; i++) {
        CHECK_INT(b->id[i], want_id[i]);
        CHECK_INT(b->position[i], want_position[i]);
        CHECK_INT(b->type[i], want_type[i]);
    }
    CHECK_INT(b->key[1].sample, 2);
    CHECK_INT(b->key[1].position, 1);
    CHECK_INT(b->key[4].sample, 0);
    CHECK(b->at[0].first == 0 && b->at[0].n == 4 && b->at[1].first == 4 && b->at[1].n == 3 &&
          b->at[2].n == 2);
    CHECK_INT(b->at[3].n, 0);
    CHECK(b->label[0] == 0 && b->label[1] == 1 && b->label[2] == -1 && b->label[3] == -1);
    CHECK(isnan(b->target[0]) && isnan(b->target[3]));
    CHECK_NEAR(b->target[1], 0.5, 0);
    CHECK(b->sample[0] == 2 && b->sample[3] == -1);
    batch_fill(b, &d, one, 1); /* nothing of the larger batch is left */
    CHECK_INT(b->n_tokens, 2);
    for (int i = 2; i < 10; i++) CHECK(b->id[i] == -1 && b->position[i] == -1 && b->key[i].sample == 0);
    for (int i = 1; i < 4; i++) CHECK(b->at[i].n == 0 && b->label[i] == -1 && b->sample[i] == -1);
    arena_free(a);
}

TEST(batch_hides_words_and_keeps_what_stood_there) {
    static const int64_t at[] = {0, 4, 12};
    static const int32_t id[] = {2, 10, 11, 3, 2, 20, 21, 22, 23, 24, 25, 3}, label[] = {-1, -1};
    static const uint8_t type[12], special[30] = {1, 1, 1, 1, 1};
    static const mask_rule rule = {.seed = 3, .p = 0.5, .mask_id = 4, .vocab = 30, .pad_id = 0, .special = special};
    const dataset d = {.n = 2, .n_tokens = 12, .at = at, .id = id, .type = type, .label = label, .max_length = 8};
    const int64_t both[] = {1, 0}, last[] = {0};
    arena *a = arena_new("test");
    const int64_t room = masks_bound(&rule, 14, 3);
    batch *b = batch_new(a, 14, 3, room, 1);
    for (int epoch = 0; epoch < 50; epoch++) {
        batch_fill(b, &d, both, 2);
        batch_hide(b, &rule, epoch);
        CHECK_INT(b->n_words, 4); /* 3 of 6 and 1 of 2 */
        CHECK(b->words_at[0].first == 0 && b->words_at[0].n == 3 && b->words_at[1].first == 3 && b->words_at[1].n == 1);
        CHECK(b->words_at[2].first == 4 && b->words_at[2].n == 0);
        for (int row = 0, k = 0; row < 12; row++) {
            const int32_t was = id[row < 8 ? 4 + row : row - 8];
            const int hidden = k < b->n_words && b->word_row[k] == row;
            if (hidden) CHECK(b->word[k++] == was && !special[was]);
            else CHECK_INT(b->id[row], was);
        }
        for (int64_t k = 4; k < room; k++) CHECK(b->word_row[k] == -1 && b->word[k] == -1);
    }
    batch_fill(b, &d, last, 1); /* nothing of the larger batch is left */
    batch_hide(b, &rule, 0);
    CHECK(b->n_words == 1 && b->word_row[1] == -1 && b->words_at[1].first == 1 && b->words_at[1].n == 0);
    arena_free(a);
}

/* Where a token stands, or the last rows; nothing is hidden. */
TEST(batch_asks_for_rows) {
    static const int64_t at[] = {0, 4, 4, 8};
    static const int32_t id[] = {2, 4, 11, 3, 2, 4, 4, 3}, label[] = {-1, -1, -1};
    static const uint8_t type[8];
    const dataset d = {.n = 3, .n_tokens = 8, .at = at, .id = id, .type = type, .label = label, .max_length = 4};
    const int64_t all[] = {2, 1, 0};
    arena *a = arena_new("test");
    batch *b = batch_new(a, 10, 4, 5, 0);
    batch_fill(b, &d, all, 3);
    batch_ask(b, 4);
    CHECK(b->n_words == 3 && b->word_row[0] == 1 && b->word_row[1] == 2 && b->word_row[2] == 5 && b->word_row[3] == -1);
    CHECK(b->words_at[0].n == 2 && b->words_at[1].n == 0 && b->words_at[2].first == 2 && b->words_at[2].n == 1);
    CHECK(b->words_at[3].first == 3 && b->words_at[3].n == 0);
    batch_ask(b, -1);
    CHECK(b->n_words == 2 && b->word_row[0] == 3 && b->word_row[1] == 7 && b->word[0] == 3 && b->word[2] == -1);
    CHECK(b->words_at[0].n == 1 && b->words_at[1].n == 0 && b->words_at[2].n == 1);
    for (int row = 0; row < 8; row++) CHECK_INT(b->id[row], id[(row + 4) % 8]);
    arena_free(a);
}
