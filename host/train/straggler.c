/* straggler.c - medians of medians: one step that took long names nobody. */
#include <stdlib.h>

#include "train/straggler.h"

static int compare(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts x; 0 where there is nothing. */
static double median(double *x, int n) {
    if (!n) return 0;
    qsort(x, (size_t)n, sizeof *x, compare);
    return n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}

static double cost_of(const stragglers *s, int rank) {
    double x[STRAGGLER_STEPS];
    int n = 0;
    for (int i = 0; i < STRAGGLER_STEPS; i++)
        if (s->cost[rank][i] > 0) x[n++] = s->cost[rank][i];
    return n > STRAGGLER_STEPS / 2 ? median(x, n) : 0;
}

int straggler_look(stragglers *s, int n_ranks, const double *cost, double *own, double *others) {
    double of[COMM_RANKS_MAX];
    int found = -1;
    for (int r = 0; r < n_ranks; r++) s->cost[r][s->at] = cost[r];
    s->at = (s->at + 1) % STRAGGLER_STEPS;
    if (s->n_steps < STRAGGLER_STEPS && ++s->n_steps < STRAGGLER_STEPS) return -1;
    for (int r = 0; r < n_ranks; r++) of[r] = cost_of(s, r);
    for (int r = 0; r < n_ranks; r++) {
        double rest[COMM_RANKS_MAX];
        int n = 0;
        for (int k = 0; k < n_ranks; k++)
            if (k != r && of[k] > 0) rest[n++] = of[k];
        const double usual = median(rest, n);
        s->slow[r] = usual > 0 && of[r] > STRAGGLER_FACTOR * usual ? s->slow[r] + 1 : 0;
        if (found >= 0 || s->named[r] || s->slow[r] < STRAGGLER_IN_A_ROW) continue;
        s->named[r] = 1;
        found = r;
        *own = of[r];
        *others = usual;
    }
    return found;
}
