/* metrics.h - how good predictions are, equal to scikit-learn's figures.
 *
 * Macro figures are means over the classes that occur among labels or predictions (scikit-learn's default); a
 * precision, recall or F1 of 0/0 is 0. eval_ece: expected calibration error, 15 equal bins of the top
 * probability (Guo et al. 2017). Top 5: the label is among the five largest scores, ties broken as
 * top_k_accuracy_score does.
 *
 * Several labels a sample (marks): a class is predicted where its probability is above the threshold; macro figures are means
 * over all classes, accuracy is the part of samples with no class wrong; marks that nothing is said of do not count.
 * Answers: exact and F1 by text_metrics.h, in percent as SQuAD's scripts print them (1.1: exact_match, f1; 2.0: exact, f1, both
 * of the questions with an answer and of those without, and the best that a threshold for no answer could give). The loss is
 * the mean over windows.
 * Tagged words: accuracy is of words; where the tags are those of entities, the other figures are of these (entities.h). */
#ifndef TRAIN_METRICS_H
#define TRAIN_METRICS_H
#include <stdint.h>
#include "train/answers.h"
#include "train/entities.h"

#define METRICS_BINS 15

typedef struct {
    double exact, f1; /* 0 .. 1 */
    int has_answer, predicted_none;
    double difference; /* of answered */
} answer_score;

typedef struct {
    int n_classes;      /* 1: regression; METRICS_WORDS, METRICS_PRETRAINING: words under masks, with next sentences */
    int64_t n;          /* counted by class (label -1 is not): samples, of tagged texts words */
    int64_t n_samples;
    int64_t *confusion; /* [label * n_classes + predicted] */
    int64_t n_top5;
    int64_t bin_n[METRICS_BINS], bin_right[METRICS_BINS];
    double bin_confidence[METRICS_BINS];
    double loss_sum;
    int64_t n_words, n_right; /* under masks */
    struct {
        int64_t right, labelled, predicted;
    } *mark; /* [n_classes], else NULL */
    float threshold; /* of logits */
    entities *entities; /* NULL: there are none */
    answer_score *answer; /* [cap], or NULL */
    int negative;         /* SQuAD 2.0 */
    int tags;           /* of words */
    int32_t *tag;       /* [2, longest]: private */
    int64_t n_sequences_right; /* next sentences, of n */
    double sequence_loss_sum;
    double *target, *guess; /* regression: every pair, for the rank correlation */
    int64_t cap;
} metrics;

/* One figure by name, without "eval_". */
typedef struct {
    const char *name;
    double value;
} metric;
#define METRICS_MAX 20
enum { METRICS_WORDS = 0, METRICS_PRETRAINING = -1 }; /* in the place of a number of classes */

/* Room for n samples is taken from a; adding allocates nothing. */
void metrics_init(metrics *m, arena *a, int n_classes, int64_t n);
/* Several labels a sample; of tagged texts with at most so many words. labels are borrowed. */
void metrics_init_marks(metrics *m, arena *a, int n_classes, double threshold);
void metrics_init_tags(metrics *m, arena *a, const labels *l, int64_t longest);
/* Answers to at most so many questions. */
void metrics_init_answers(metrics *m, arena *a, int negative, int64_t n);
void metrics_clear(metrics *m);
/* One sample: its logits [n_classes] and label; returns the predicted class. loss: its own, unweighted by the
 * mean. */
int metrics_add(metrics *m, const float *logits, int32_t label, double loss);
void metrics_add_target(metrics *m, float guess, double target, double loss);
/* mark [n_classes]: 1, 0, or NaN. */
void metrics_add_marks(metrics *m, const float *logits, const double *mark, double loss);
/* What was answered to a question whose answers are known; and the loss of a window. */
void metrics_add_answer(metrics *m, const question *q, const answered *a);
void metrics_add_window(metrics *m, double loss);
/* One text: logits [n, n_classes] and labels of its words (-1: none; does not count). loss: the sum over the words. */
void metrics_add_tags(metrics *m, const float *logits, const int32_t *tag, int64_t n, double loss);
/* loss: the sum over the words. */
void metrics_add_words(metrics *m, int64_t words, int64_t right, double loss);
/* The same sample's next sentence, beside metrics_add_words: two logits. */
void metrics_add_sequence(metrics *m, const float *logits, int32_t label);
/* All figures, in the order of outputs.md; returns how many. */
int metrics_figures(const metrics *m, metric out[METRICS_MAX]);
int metric_larger_is_better(const char *name); /* without eval_ */

/* Figures of one class: precision, recall, f1, support (labels of it). */
void metrics_of_class(const metrics *m, int c, double out[3], int64_t *support);
#endif
