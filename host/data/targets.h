/* targets.h - what the cells of a table are worth as labels and texts, checked before anything is tokenised.
 */
#ifndef DATA_TARGETS_H
#define DATA_TARGETS_H
#include "data/columns.h"
#include "data/dataset.h"

/* Texts of rows 0 .. n are there and flat (bad-inputs D8). */
hone_status targets_check_texts(const rows *r, const columns *c, int64_t n, hone_err *err);

/* Labels of rows 0 .. n: label[n] by kind LABEL_CLASS (index into known), target[n] by LABEL_TARGET; the
 * other is left alone. No label: -1 or NaN, where optional. Refusals: bad-inputs D9, D11. */
hone_status targets_read(int32_t *label, double *target, const rows *r, int column, label_kind kind,
                         const labels *known, int optional, int64_t n, hone_err *err);
#endif
