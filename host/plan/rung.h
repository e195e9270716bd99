/* rung.h - how many rows are played. A device with fixed_rows plays captured graphs, whose extents are
 * constants: 16 rungs cut the capacity of every row space into steps of 64 rows, and a batch is played at the
 * least one that holds it. The rows between its count and the rung's are tail: data like any other (plan.h).
 * Other devices play a batch at its count. */
#ifndef PLAN_RUNG_H
#define PLAN_RUNG_H
#include "hone/plan.h"

#define HONE_N_RUNGS 16

/* Are others picked from these picked rows: the first row and the words of each sequence, which pre-training reads? 0: no space. */
int plan_space_is_read(const hone_plan *p, int space);
/* Rows of a space that is no slice when a batch has so many tokens, words and sequences. */
int64_t plan_space_rows(const hone_plan *p, int space, int64_t tokens, int64_t words, int64_t seqs);
/* Rows of a space at rung 0 .. HONE_N_RUNGS - 1. */
int64_t plan_rung_rows(const hone_plan *p, int space, int rung);
void plan_rung_played(const hone_plan *p, int rung, int64_t *played); /* of all, slices too: [1 .. n_spaces] */
/* Rows that a slice has of the rows of its space. */
int64_t plan_slice_rows(const hone_space *slice, int64_t rows);
/* The rung that holds rows[space] of every space; played[space]: what is played there. Without fixed rows: 0,
 * and the rows themselves. Slices follow their spaces: rows of them are not read. */
int plan_rung(const hone_plan *p, const int64_t *rows, int64_t *played);
/* The slice, beyond the first of its space, whose rows a step is about: without rows it is not played. 0: none. */
int plan_step_slice(const hone_plan *p, const hone_step *s);
#endif
