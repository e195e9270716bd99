/* targets.h - what the cells of a table are worth as labels and texts, checked before anything is tokenised.
 */
#ifndef DATA_TARGETS_H
#define DATA_TARGETS_H
#include "data/columns.h"
#include "data/dataset.h"

/* Texts of rows 0 .. n are there and flat (bad-inputs D8). */
hone_status targets_check_texts(const rows *r, const columns *c, int64_t n, hone_err *err);

/* Labels of rows 0 .. n: label[n] by kind LABEL_CLASS (index into known), target[n] by LABEL_TARGET; the
 * other is left alone. No label: -1 or NaN, where optional. Refusals: bad-inputs D9, D11. (LABEL_WORDS: nothing; tokens.h) */
hone_status targets_read(int32_t *label, double *target, const rows *r, int column, label_kind kind,
                         const labels *known, int optional, int64_t n, hone_err *err);
/* LABEL_MARKS: mark[n, known->n]. column -1: the columns called as the classes are (targets_are_columns), or nothing is said. */
hone_status targets_read_marks(double *mark, const rows *r, int column, const char *delimiter, const labels *known,
                               int optional, int64_t n, hone_err *err);
int targets_are_columns(const rows *r, const labels *known);

/* HONE_EDATA: the label of a row is not among the known ones; names the nearest. */
hone_status targets_refuse_label(const rows *r, int64_t row, str label, const labels *known, hone_err *err);
#endif
