/* predict.h - a finished model over a file: labels with their probabilities, or figures beside the truth. */
#ifndef TRAIN_PREDICT_H
#define TRAIN_PREDICT_H
#include "train/eval.h"

typedef struct {
    int logits; /* add "logits" */
    int top;    /* add "top" with so many labels; 0: none */
} predict_options;

/* One JSON row a sample of d, in order (outputs.md), appended to out as they are made; flush is called
 * whenever out has grown beyond 64 KiB and at the end. */
hone_status predict_rows(session *s, const dataset *d, const predict_options *o, text *out,
                         void (*flush)(void *arg, text *out), void *arg, hone_err *err);

/* softmax of n logits, in place; and the logistic function of each. */
void probabilities(float *logits, int n);
void chances(float *logits, int n);

/* The summary of an evaluation as one JSON object (keys eval_...), and as text: figures, a table a class, the
 * most confused pairs (l NULL: the figures only). */
void eval_summary_json(const metrics *m, double seconds, text *out);
void eval_summary_people(const metrics *m, const labels *l, double seconds, text *out);
#endif
