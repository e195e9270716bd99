/* straggler.h - which rank keeps the others waiting.
 *
 * Every rank tells what a token of its own work cost it in a step (exchanges and waiting left out). Of the last 11 steps the
 * median is a rank's cost; a rank whose cost has been above 1.35 times the median of the others' in 10 steps in a row is
 * slow. It is named once. */
#ifndef TRAIN_STRAGGLER_H
#define TRAIN_STRAGGLER_H
#include "run/comm.h"

#define STRAGGLER_STEPS 11
#define STRAGGLER_IN_A_ROW 10
#define STRAGGLER_FACTOR 1.35

typedef struct {
    double cost[COMM_RANKS_MAX][STRAGGLER_STEPS]; /* ring; 0: the rank had no work in that step */
    int at, n_steps;
    int slow[COMM_RANKS_MAX]; /* steps in a row */
    int named[COMM_RANKS_MAX];
} stragglers;

/* One step: cost[r] of rank r. The rank to be named now, its cost and the others', or -1. */
int straggler_look(stragglers *s, int n_ranks, const double *cost, double *own, double *others);
#endif
