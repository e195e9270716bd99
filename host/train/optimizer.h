/* optimizer.h - Adam's moments and the tick as files of a checkpoint.
 *
 * One rank alone writes optimizer.safetensors: exp_avg.NAME and exp_avg_sq.NAME of every trained parameter, and tick, the 16
 * words of device.h. Of n ranks each writes optimizer-R-of-n.safetensors with its ranges of the flat range of trained
 * parameters: exp_avg.NAME@FIRST are the elements of exp_avg.NAME from FIRST on that lie in one of them. The tick is in
 * the first file. They are read by any number of ranks, whatever the ranges were. */
#ifndef TRAIN_OPTIMIZER_H
#define TRAIN_OPTIMIZER_H
#include "base/arena.h"
#include "run/run.h"

/* What a rank writes, and where it comes from: the device, or a copy of it. */
typedef struct {
    const hone_plan *plan;
    int rank, n; /* whose part, of how many */
    run *run;
    const float *copy[2]; /* the rank's ranges of exp_avg and of exp_avg_sq, one after the other; NULL: from the device */
    const int32_t *tick;  /* [16], where copy is */
} optimizer_part;

/* A range of the flat range of trained parameters that a rank writes: what it owns of bucket i (plan/own.h), at `at` of the
 * copy. 0: there is no such one. */
typedef struct {
    int64_t first, n, at;
} optimizer_range;
int optimizer_range_of(const hone_plan *p, int rank, int n_ranks, int i, optimizer_range *out);
int64_t optimizer_elements(const hone_plan *p, int rank, int n_ranks); /* of all its ranges */
const char *optimizer_file(arena *a, const char *folder, int rank, int n_ranks);
hone_status optimizer_write(const optimizer_part *o, const char *folder, hone_err *err);

/* All of it, whoever wrote it. HONE_EUSAGE: the folder has none (save_only_model); HONE_EDAMAGED. */
hone_status optimizer_read(run *r, const hone_plan *p, const char *folder, hone_err *err);
#endif
