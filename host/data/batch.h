/* batch.h - a batch as packed rows: samples one after another, no padding anywhere.
 *
 * This is the plan's INPUT in the host's words; the run copies it into the places that the plan gave
 * (run/feed.h). */
#ifndef DATA_BATCH_H
#define DATA_BATCH_H
#include "data/dataset.h"
#include "data/masks.h"

typedef struct {
    int64_t n_tokens, n_seqs; /* N, B */
    int64_t tokens_max,
        seqs_max; /* capacity; beyond n: tail rows are id, index, label -1, ranges of length 0 */
    int32_t *id, *type, *position; /* [tokens_max] */
    hone_key *key;                 /* [tokens_max] {sample, place in its sequence} */
    hone_range *at;                /* [seqs_max] rows of each sequence */
    int32_t *label;                /* [seqs_max]; -1 none */
    int n_targets;
    float *target;                 /* [seqs_max, n_targets] */
    int32_t *span;                 /* [seqs_max, 2]; -1 none */
    int64_t *sample;               /* [seqs_max] number in the data set */

    /* Words under masks, next ones, or those of rows of words, in the order of their rows; words_max 0: never any. */
    int64_t n_words, words_max;
    int32_t *word_row, *word; /* [words_max] the row, and what is to be guessed there (-1: nothing); beyond n_words: -1 */
    hone_range *words_at;     /* [seqs_max] the words of each sequence */
    int32_t *room;            /* private: for drawing */
} batch;

batch *batch_new(arena *a, int64_t tokens_max, int64_t seqs_max, int64_t words_max, int n_targets);
/* Fill from n samples (broken promise if they do not fit). */
void batch_fill(batch *b, const dataset *d, const int64_t *samples, int64_t n);
/* Rows of a filled batch that words are asked for, without anything being hidden: where token `id` stands, or the last of each
 * sequence (id -1). word is what stands there (broken promise if they do not fit). */
void batch_ask(batch *b, int32_t id);
/* Hide words of a filled batch: id then holds what is shown (broken promise if they do not fit). */
void batch_hide(batch *b, const mask_rule *r, int64_t epoch);
/* The words of a filled batch of a data set that has rows of words (broken promise if they do not fit). */
void batch_find_words(batch *b, const dataset *d);
/* Every row's next token in its sequence is a word to guess: the rows of words are those of tokens. */
void batch_look_ahead(batch *b);
#endif
