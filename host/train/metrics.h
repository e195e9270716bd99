/* metrics.h - how good predictions are, equal to scikit-learn's figures.
 *
 * Macro figures are means over the classes that occur among labels or predictions (scikit-learn's default); a
 * precision, recall or F1 of 0/0 is 0. eval_ece: expected calibration error, 15 equal bins of the top
 * probability (Guo et al. 2017). Top 5: the label is among the five largest scores, ties broken as
 * top_k_accuracy_score does. */
#ifndef TRAIN_METRICS_H
#define TRAIN_METRICS_H
#include <stdint.h>
#include "base/arena.h"

#define METRICS_BINS 15

typedef struct {
    int n_classes;      /* 1: regression; METRICS_WORDS, METRICS_PRETRAINING: words under masks, with next sentences */
    int64_t n;          /* samples counted (label -1 is not) */
    int64_t *confusion; /* [label * n_classes + predicted] */
    int64_t n_top5;
    int64_t bin_n[METRICS_BINS], bin_right[METRICS_BINS];
    double bin_confidence[METRICS_BINS];
    double loss_sum;
    int64_t n_words, n_right; /* under masks */
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
#define METRICS_MAX 16
enum { METRICS_WORDS = 0, METRICS_PRETRAINING = -1 }; /* in the place of a number of classes */

/* Room for n samples is taken from a; adding allocates nothing. */
void metrics_init(metrics *m, arena *a, int n_classes, int64_t n);
void metrics_clear(metrics *m);
/* One sample: its logits [n_classes] and label; returns the predicted class. loss: its own, unweighted by the
 * mean. */
int metrics_add(metrics *m, const float *logits, int32_t label, double loss);
void metrics_add_target(metrics *m, float guess, double target, double loss);
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
