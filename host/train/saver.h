/* saver.h - checkpoints that are written while training goes on.
 *
 * A save copies what this rank writes to host memory that was reserved before the first step, and a thread writes files
 * from there: rank 0 the model and the states, every rank its part of the optimizer (optimizer.h). When all parts are
 * whole (a file takes its name once it is synced), rank 0's thread writes the manifest, syncs and renames; only then is
 * the checkpoint announced, at the end of the step at hand. The next save, signals and the end of the run wait for one
 * that is under way. Without reserved memory (save_in_background: false, or no save is due in the run) the files are
 * written from the device while training waits. */
#ifndef TRAIN_SAVER_H
#define TRAIN_SAVER_H
#include "hone/plan.h"
#include "train/job.h"

typedef struct training training;
typedef struct saver saver;

/* Bytes of the copy of a rank; 0: none is kept. */
size_t saver_copy_bytes(const hone_plan *p, const job *j, int rank, int n_ranks);
/* copies 0: without. */
saver *saver_new(training *t, int copies);
/* Ends what is under way: it is waited for, or given up where other ranks are missing. NULL is fine. */
void saver_free(saver *s);

/* The four below are called by all ranks alike. Begin a save of the step that is done, after the one before it. */
hone_status save_checkpoint(training *t, hone_err *err);
/* The same, but a disk that has no room now ends no training: a warning, and the next save tries again. */
hone_status save_if_room(training *t, hone_err *err);
/* Wait for the save under way, if there is one: afterwards it is durable and announced, or this fails on all ranks. */
hone_status save_wait(training *t, hone_err *err);
/* After a step, for what this rank knows by itself: announce a save that has ended, or fail as it did. */
hone_status save_look(training *t, hone_err *err);
#endif
