/* steps.h - which batches make which optimizer step: a pure function of the job, so a resumed run asks for
 * the same.
 *
 * Epoch e has order_batches(e) micro-batches; A of them make a step, the last step of an epoch takes what is
 * left. A run of 2.5 epochs ends in the middle of its third. */
#ifndef TRAIN_STEPS_H
#define TRAIN_STEPS_H
#include "data/order.h"
#include "data/pairs.h"
#include "train/job.h"

/* A step's samples are cut into shards, micro-batches whose gradients are added as one tree (run/tree.h), whoever
 * computes them. They are dealt so that shards have about as many tokens each (data/order.h), and ranks finish together. */
typedef struct {
    int64_t n, samples; /* of a step; of a shard, where batches are not filled by tokens */
} step_shards;

/* The shards of a job on so many ranks: reduce_shards, else as many as the checkpoint says (kept, 0: there is none), else
 * ranks times gradient_accumulation_steps. HONE_EUSAGE: the step's samples cannot be cut so. */
hone_status steps_shards(step_shards *out, const job *j, int n_ranks, int64_t kept, hone_err *err);

typedef struct {
    order_options order;
    int64_t accumulation; /* A: shards of a step */
    int n_epochs;         /* begun epochs */
    int64_t *first;       /* [n_epochs + 1] first step of each epoch; first[n_epochs]: of the one after */
    int64_t n_samples;    /* of the first epoch; of every one, but where they are drawn anew */
    int64_t total;        /* steps of the run: max_steps, or those of num_train_epochs */
    int64_t tokens_max, samples_max; /* largest micro-batch of the run: the plan's capacities */
    dataset *data;                   /* holds the samples of the epoch asked for last (data/pairs.h) */
    order *epoch;                    /* private: the epoch asked for last */
    int epoch_number;
} steps;

void steps_init(steps *s, arena *a, const job *j, step_shards shards, dataset *d);
void steps_deinit(steps *s);
/* The order of an epoch, whose samples d then holds; order_free ends it. */
order *steps_order(steps *s, int64_t epoch);
/* Micro-batch m (from 0) of step `step` (from 0): its samples and how many; NULL: this step has no such
 * micro-batch. They are samples of that step's epoch, which d then holds. */
const int64_t *steps_batch(steps *s, int64_t step, int64_t m, int64_t *n);
int64_t steps_epoch_of(const steps *s, int64_t step); /* that step `step` is in, from 0 */
double steps_epoch(const steps *s, int64_t done);   /* epochs done after `done` steps, with its fraction */
int steps_ends_epoch(const steps *s, int64_t done); /* 1: that step was the last of an epoch, or of the run */
#endif
