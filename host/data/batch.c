#include <math.h>

#include "data/batch.h"
#include "base/err.h"

batch *batch_new(arena *a, int64_t tokens_max, int64_t seqs_max, int64_t words_max, int n_targets) {
    batch *b = ARENA_NEW(a, batch);
    b->tokens_max = tokens_max;
    b->seqs_max = seqs_max;
    b->id = ARENA_ARRAY(a, (size_t)tokens_max, int32_t);
    b->type = ARENA_ARRAY(a, (size_t)tokens_max, int32_t);
    b->position = ARENA_ARRAY(a, (size_t)tokens_max, int32_t);
    b->key = ARENA_ARRAY(a, (size_t)tokens_max, hone_key);
    b->at = ARENA_ARRAY(a, (size_t)seqs_max, hone_range);
    b->label = ARENA_ARRAY(a, (size_t)seqs_max, int32_t);
    b->n_targets = n_targets;
    b->target = ARENA_ARRAY(a, (size_t)seqs_max * (size_t)n_targets + 1, float);
    b->span = ARENA_ARRAY(a, 2 * (size_t)seqs_max, int32_t);
    b->sample = ARENA_ARRAY(a, (size_t)seqs_max, int64_t);
    if (!words_max) return b;
    b->words_max = words_max;
    b->word_row = ARENA_ARRAY(a, (size_t)words_max, int32_t);
    b->word = ARENA_ARRAY(a, (size_t)words_max, int32_t);
    b->words_at = ARENA_ARRAY(a, (size_t)seqs_max, hone_range);
    b->room = ARENA_ARRAY(a, 4 * (size_t)tokens_max, int32_t);
    return b;
}

/* Rows and sequences beyond the batch: nothing is read there, and nothing flows back. */
static void fill_tail(batch *b) {
    for (int64_t i = b->n_tokens; i < b->tokens_max; i++) {
        b->id[i] = b->type[i] = b->position[i] = -1;
        b->key[i] = (hone_key){0, 0};
    }
    for (int64_t i = b->n_seqs; i < b->seqs_max; i++) {
        b->at[i] = (hone_range){(int32_t)b->n_tokens, 0};
        b->label[i] = -1;
        for (int k = 0; k < b->n_targets; k++) b->target[i * b->n_targets + k] = NAN;
        b->span[2 * i] = b->span[2 * i + 1] = -1;
        b->sample[i] = -1;
    }
}

void batch_fill(batch *b, const dataset *d, const int64_t *samples, int64_t n) {
    HONE_ASSERT(n <= b->seqs_max);
    int64_t row = 0;
    for (int64_t s = 0; s < n; s++) {
        HONE_ASSERT(samples[s] >= 0 && samples[s] < d->n);
        const int64_t length = d->at[samples[s] + 1] - d->at[samples[s]];
        HONE_ASSERT(row + length <= b->tokens_max);
        dataset_tokens(d, samples[s], b->id + row, b->type + row);
        for (int64_t k = 0; k < length; k++) {
            b->position[row + k] = (int32_t)k;
            b->key[row + k] = (hone_key){(uint32_t)samples[s], (uint32_t)k};
        }
        b->at[s] = (hone_range){(int32_t)row, (int32_t)length};
        b->label[s] = d->label[samples[s]];
        for (int k = 0; k < b->n_targets; k++)
            b->target[s * b->n_targets + k] = d->target ? (float)d->target[samples[s] * b->n_targets + k] : NAN;
        for (int k = 0; k < 2; k++) b->span[2 * s + k] = d->span ? d->span[2 * samples[s] + k] : -1;
        b->sample[s] = samples[s];
        row += length;
    }
    HONE_ASSERT(!d->target || !b->n_targets || d->n_targets == b->n_targets);
    b->n_tokens = row;
    b->n_seqs = n;
    fill_tail(b);
}

static void put_word(batch *b, int64_t row, int32_t word) {
    HONE_ASSERT(b->n_words < b->words_max);
    b->word_row[b->n_words] = (int32_t)row;
    b->word[b->n_words++] = word;
}

static void fill_words_tail(batch *b) {
    for (int64_t k = b->n_words; k < b->words_max; k++) b->word_row[k] = b->word[k] = -1;
    for (int64_t s = b->n_seqs; s < b->seqs_max; s++) b->words_at[s] = (hone_range){(int32_t)b->n_words, 0};
}

void batch_find_words(batch *b, const dataset *d) {
    b->n_words = 0;
    for (int64_t s = 0; s < b->n_seqs; s++) {
        const int64_t from = d->at[b->sample[s]], before = b->n_words;
        for (int32_t k = 0; k < b->at[s].n; k++)
            if (d->word[from + k] >= 0) put_word(b, b->at[s].first + k, d->tag[from + k]);
        b->words_at[s] = (hone_range){(int32_t)before, (int32_t)(b->n_words - before)};
    }
    fill_words_tail(b);
}

void batch_ask(batch *b, int32_t id) {
    b->n_words = 0;
    for (int64_t s = 0; s < b->n_seqs; s++) {
        const int64_t from = b->at[s].first, end = from + b->at[s].n, before = b->n_words;
        for (int64_t i = id < 0 && end > from ? end - 1 : from; i < end; i++)
            if (id < 0 || b->id[i] == id) put_word(b, i, b->id[i]);
        b->words_at[s] = (hone_range){(int32_t)before, (int32_t)(b->n_words - before)};
    }
    fill_words_tail(b);
}

void batch_hide(batch *b, const mask_rule *r, int64_t epoch) {
    b->n_words = 0;
    for (int64_t s = 0; s < b->n_seqs; s++) {
        const int32_t first = b->at[s].first, length = b->at[s].n;
        const int64_t n = masks_draw(r, epoch, b->sample[s], b->id + first, length, b->room);
        b->words_at[s] = (hone_range){(int32_t)b->n_words, (int32_t)n};
        for (int64_t k = 0; k < n; k++) put_word(b, first + b->room[k], b->room[length + k]);
    }
    fill_words_tail(b);
}

void batch_look_ahead(batch *b) {
    HONE_ASSERT(b->words_max == b->tokens_max);
    b->n_words = b->n_tokens;
    for (int64_t s = 0; s < b->seqs_max; s++) b->words_at[s] = b->at[s];
    for (int64_t k = 0; k < b->words_max; k++) b->word_row[k] = k < b->n_tokens ? (int32_t)k : -1, b->word[k] = -1;
    for (int64_t s = 0; s < b->n_seqs; s++)
        for (int32_t k = b->at[s].first; k + 1 < b->at[s].first + b->at[s].n; k++) b->word[k] = b->id[k + 1];
}
