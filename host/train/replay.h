/* replay.h - playing steps of a run again and comparing the chain of step hashes (train.h) with that of its log.jsonl. */
#ifndef TRAIN_REPLAY_H
#define TRAIN_REPLAY_H
#include "run/checkpoint.h"
#include "train/job.h"
#include "base/host.h"

/* Steps of a run whose chain is known: step first + i has chain[i]. All were made under one job. */
typedef struct {
    int64_t first, n;
    const uint64_t *chain;
    str job;            /* its JSON */
    const char *device; /* that the run was played on */
} replay;

/* What RUN/log.jsonl says of up to `most` steps after each checkpoint: choose the newest checkpoint with that many, else
 * the one with the most (from >= 0: the checkpoint of that step). HONE_EUSAGE: there is none; HONE_EDAMAGED: the
 * log cannot be read. */
hone_status replay_choose(replay *out, checkpoint *from, arena *a, const char *run_folder, int64_t from_step,
                          int64_t most, hone_err *err);

/* Play them from the checkpoint on, writing nothing. HONE_ENOTFINITE names the first step whose bits differ. */
hone_status replay_play(const replay *r, const checkpoint *from, const job *j, pool *p, hone_err *err);
#endif
