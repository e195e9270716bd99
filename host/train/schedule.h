/* schedule.h - the learning rate of a step, equal to transformers.optimization.get_scheduler's, step by step.
 */
#ifndef TRAIN_SCHEDULE_H
#define TRAIN_SCHEDULE_H
#include "train/job.h"

typedef struct {
    schedule_kind kind;
    int64_t warmup, total; /* optimizer steps */
    double rate;           /* highest */
    double end, power, cycles, timescale;
} schedule;

/* Warm-up steps of a job of `total` steps: a ratio, or a count below 1, is taken of total and rounded up. */
int64_t schedule_warmup(const job *j, int64_t total);
schedule schedule_of(const job *j, int64_t total);
/* Rate used in step s, counted from 0 (so the first warm-up step has rate 0). */
double schedule_rate(const schedule *s, int64_t step);
#endif
