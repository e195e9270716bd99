/* optimizer.h - Adam's moments and the tick as files of a checkpoint.
 *
 * One rank alone writes optimizer.safetensors: exp_avg.NAME and exp_avg_sq.NAME of every trained parameter, and tick, the 16
 * words of device.h. Of n ranks each writes optimizer-R-of-n.safetensors with its part (run/own.h) of the flat range of
 * trained parameters: of each tensor that has elements there a row of them, whose first element the file's metadata
 * name; the tick is in the first one. They are read by any number of ranks. */
#ifndef TRAIN_OPTIMIZER_H
#define TRAIN_OPTIMIZER_H
#include "base/arena.h"
#include "run/run.h"

/* What a rank writes, and where it comes from: the device, or a copy of it. */
typedef struct {
    const hone_plan *plan;
    int rank, n; /* whose part, of how many */
    run *run;
    const float *copy[2]; /* the part of exp_avg and of exp_avg_sq; NULL: from the device */
    const int32_t *tick;  /* [16], where copy is */
} optimizer_part;

/* The elements first .. first + n - 1 of the flat range that a rank writes. */
void optimizer_range(const hone_plan *p, int rank, int n_ranks, int64_t *first, int64_t *n);
/* The plan's values of the flat moments. */
void optimizer_moments(const hone_plan *p, int moment[2]);
const char *optimizer_file(arena *a, const char *folder, int rank, int n_ranks);
hone_status optimizer_write(const optimizer_part *o, const char *folder, hone_err *err);

/* All of it, whoever wrote it. HONE_EUSAGE: the folder has none (save_only_model); HONE_EDAMAGED. */
hone_status optimizer_read(run *r, const hone_plan *p, const char *folder, hone_err *err);
#endif
