/* words.h - logits over a whole vocabulary, of the few rows that somebody asks for, and the likeliest words of one.
 *
 * A session of task fill-mask, pretrain or text-generation whose session_start was given limits.asks plays evaluations that end
 * in such logits: of models with masks the rows where the mask token stands, of causal ones the last row of each sequence. */
#ifndef TRAIN_WORDS_H
#define TRAIN_WORDS_H
#include "train/session.h"

/* Play n samples of d, which have at most s->asks rows to be asked (a broken promise otherwise): logits [s->batch->n_words,
 * vocab], with room for s->asks rows, in the order of the sequences; s->batch->words_at says which are whose. */
hone_status words_logits(session *s, const dataset *d, const int64_t *samples, int64_t n, float *logits,
                         hone_err *err);

typedef struct {
    int32_t id;
    float score; /* softmax over all of them */
} word_guess;

/* The k largest of n logits, falling (equal ones by id); k at most n. */
void words_top(const float *logits, int n, int k, word_guess *out);
#endif
