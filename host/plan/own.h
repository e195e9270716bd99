/* own.h - which part of the gradients each rank adds up, and which part of the optimizer's state it holds.
 *
 * The flat order is that of the slabs: trained parameters in the order in which the backward completes their gradients,
 * with gaps of alignment, then the frozen ones. A rank owns one range of every bucket. Where the optimizer is divided its
 * slab holds those ranges one after another, and behind them the masters of what is frozen, which everybody has. */
#ifndef PLAN_OWN_H
#define PLAN_OWN_H
#include "hone/plan.h"

/* Elements *first .. *end of the flat order that rank owns in bucket b. */
void plan_own(const hone_plan *p, int b, int rank, int64_t *first, int64_t *end);
int64_t plan_own_elements(const hone_plan *p, int rank); /* in all buckets */
int64_t plan_own_chunks(const hone_plan *p, int rank);

/* Where parameter i lies in the flat order: its first element; *n of them. */
int64_t plan_flat(const hone_plan *p, int param, int64_t *n);

/* What a rank holds of elements first .. end of the flat order, of a state that is divided or not: a piece each time, 0
 * when there is no more. *next: 0 at first. */
typedef struct {
    int64_t first, n; /* in the flat order */
    int64_t held;     /* element of the rank's own state at which it lies */
} own_piece;
int plan_next_piece(const hone_plan *p, int divided, int rank, int64_t first, int64_t end, int *next,
                    own_piece *out);
#endif
