/* eval.h - a data set through the model, forward only: every sample once, in order, exact whatever the batch
 * size. */
#ifndef TRAIN_EVAL_H
#define TRAIN_EVAL_H
#include "train/metrics.h"
#include "train/session.h"

/* Called for every sample in order. logits [n_outputs] (words: how many are to be guessed, how many of them right, then the
 * logits of next sentences; tagged words: [words, n_labels]; answers: [tokens, 2]); loss of this sample (0 without a label;
 * words: the sum of theirs). */
typedef void (*eval_each)(void *arg, int64_t sample, const float *logits, double loss);

/* How samples are cut into batches: at most so many samples and tokens, in order. */
typedef struct {
    int64_t samples, tokens;
} eval_batches;
#define EVAL_TOKENS 4096 /* fill the caches' worth of rows; longer batches gain nothing */
/* Of a session that is to be started for d: per_device_eval_batch_size samples if the job says so, else as many as fill `room`
 * tokens. */
eval_batches eval_batches_of(const job *j, const dataset *d, int64_t room);
/* All that a session has room for: of a training at least its own batches, whatever the job says. */
static inline eval_batches eval_batches_in(const session *s) { return (eval_batches){s->batch->seqs_max, s->batch->tokens_max}; }

/* A signal ends it between two batches (sig_check): whoever has something to save does so then. */
hone_status evaluate(session *s, const dataset *d, eval_batches b, eval_each each, void *arg, hone_err *err);

void metrics_begin(metrics *m, arena *a, const session *s, const dataset *d); /* those of the session's head */
answer_rules answer_rules_of(const job *j, const dataset *d);
/* The same, into metrics; *seconds it took. */
hone_status evaluate_metrics(session *s, const dataset *d, eval_batches b, metrics *m, double *seconds,
                             hone_err *err);
/* The same; each (or NULL) hears of every question. HONE_EDATA: some have no answer, but the job says that all have one. */
hone_status evaluate_answers(session *s, const dataset *d, eval_batches b, metrics *m, double *seconds, answers_each *each,
                             void *arg, hone_err *err);
#endif
