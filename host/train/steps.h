/* steps.h - which batches make which optimizer step: a pure function of the job, so a resumed run asks for
 * the same.
 *
 * Epoch e has order_batches(e) micro-batches; A of them make a step, the last step of an epoch takes what is
 * left. A run of 2.5 epochs ends in the middle of its third. */
#ifndef TRAIN_STEPS_H
#define TRAIN_STEPS_H
#include "data/order.h"
#include "train/job.h"

typedef struct {
    order_options order;
    int64_t accumulation; /* A */
    int n_epochs;         /* begun epochs */
    int64_t *first;       /* [n_epochs + 1] first step of each epoch; first[n_epochs]: of the one after */
    int64_t total;        /* steps of the run: max_steps, or those of num_train_epochs */
    int64_t tokens_max, samples_max; /* largest micro-batch of the run: the plan's capacities */
    order *epoch;                    /* private: the epoch asked for last */
    int epoch_number;
} steps;

void steps_init(steps *s, arena *a, const job *j, const dataset *d);
void steps_deinit(steps *s);
/* Micro-batch m (from 0) of step `step` (from 0): its samples and how many; NULL: this step has no such
 * micro-batch. */
const int64_t *steps_batch(steps *s, int64_t step, int64_t m, int64_t *n);
double steps_epoch(const steps *s, int64_t done);   /* epochs done after `done` steps, with its fraction */
int steps_ends_epoch(const steps *s, int64_t done); /* 1: that step was the last of an epoch, or of the run */
#endif
