/* record.h - what a run writes down while it goes: log.jsonl, TensorBoard events, a CSV, and progress on
 * stderr.
 *
 * Rows are those of outputs.md. Each is one write, so a reader never sees half a line; a log that cannot be
 * written is a warning once, and the run goes on (bad-inputs E27). */
#ifndef TRAIN_RECORD_H
#define TRAIN_RECORD_H
#include "train/job.h"
#include "train/metrics.h"

typedef struct record record;

/* append: a resumed run goes on in the same log.jsonl. folder NULL: nothing is written or shown, only the history is kept
 * (ranks but the first). */
hone_status record_open(record **out, const job *j, const char *folder, int append, hone_err *err);
void record_close(record *r);

typedef struct {
    int64_t step;
    double epoch, loss, grad_norm, rate, seconds, tokens_per_second;
    int64_t tokens;
    int has_parts; /* loss is the sum of these two (task pretrain) */
    double mlm_loss, nsp_loss;
    int64_t skipped; /* fp16: steps skipped so far where this one was, else 0; then there is no grad_norm */
} record_train;
void record_run(record *r, const char *line); /* the first row: the whole resolved job, versions, hashes */
void record_step(record *r, const record_train *row);
/* The chain after a step (train.h): of each step one, in order. They are written with the next row of training, as
 * its "chain": those of the steps since the one before, the last one that of the row's step; and in a row of their own
 * before a checkpoint, or when there are many. */
void record_chain(record *r, int64_t step, uint64_t chain);
void record_eval(record *r, int64_t step, double epoch, const metric *figures, int n, double runtime,
                 double samples_per_second);
/* seconds: from its step to its being durable; held: of these, those that training waited for it. */
void record_saved(record *r, int64_t step, const char *folder, int64_t bytes, double seconds, double held);
/* A rank that keeps the others waiting (straggler.h), and how many times the others' cost a token costs it. */
void record_straggler(record *r, int64_t step, int rank, double factor);
/* Progress line on a terminal, else nothing. total: optimizer steps of the run. */
void record_progress(record *r, int64_t step, int64_t total, double loss, double rate,
                     double tokens_per_second, double seconds_left);

/* The rows so far, as the elements of trainer_state.json's log_history (HF's keys), without brackets. */
const text *record_history(const record *r);
/* A resumed run starts with the history of its checkpoint. */
void record_set_history(record *r, const char *elements, size_t n);
#endif
