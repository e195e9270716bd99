/* answers.h - from the two scores of every token to answers, as run_qa.py has it.
 *
 * Of each window the n_best largest starts are paired with the n_best largest ends; a pair is an answer where both lie in the
 * text, the end not before the start, and not more than max_length tokens from it. The n_best answers of all windows of a
 * question are kept, by the sum of both scores. With `negative` the first token's scores say that there is none: the least
 * such sum of the windows is one more answer, of no text, and it is the prediction where it lies more than `threshold` above
 * the best that has a text. (Windows have no padding here, so that none of the n_best are spent on it.) */
#ifndef TRAIN_ANSWERS_H
#define TRAIN_ANSWERS_H
#include "data/windows.h"

typedef struct {
    int n_best, max_length, negative;
    double threshold;
} answer_rules;

typedef struct {
    str text;         /* of the context; empty: none */
    int64_t from, to; /* bytes of the context; -1: no text of it */
    float start, end, score;
    double probability; /* among those that were kept */
} answer;

typedef struct {
    int64_t question;
    const answer *best; /* [n_best] by falling score */
    int n_best;
    int chosen;        /* of best; -1: there is no answer */
    double difference; /* negative: how far the score of no answer lies above the best answer's */
} answered;

typedef struct answers answers;
typedef void answers_each(void *arg, const answered *a);
answers *answers_new(const dataset *d, const answer_rules *r, answers_each *each, void *arg);
/* Windows come in order; scores [tokens of it, 2]. `each` hears of a question once its last window was seen. */
void answers_add(answers *a, int64_t window, const float *scores);
void answers_free(answers *a);
#endif
