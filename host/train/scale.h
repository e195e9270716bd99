/* scale.h - hone plan --gpus: what a job would take on so many GPUs of a kind, joined by a network of known figures. All of
 * it is predicted, from the plan's cost model (plan/cost.h) and the simulator (plan/simulate.h). */
#ifndef TRAIN_SCALE_H
#define TRAIN_SCALE_H
#include "base/host.h"
#include "plan/cost.h"
#include "plan/simulate.h"
#include "train/job.h"

#define SCALE_COUNTS_MAX 16
typedef struct {
    const char *gpu, *network; /* their names, for people */
    plan_machine machine;
    sim_links links; /* n and halving are set for each count */
    int halving;     /* -1: whichever is faster, 0: rings, 1 */
    int n_gpus[SCALE_COUNTS_MAX], n_counts;
    double price;         /* dollars an hour a GPU; 0: not asked for */
    double bucket_bytes;  /* gradients leave in pieces of about so much */
    int wire_bytes;       /* of a gradient that travels: 4 or 2 */
    int zero;             /* 1: the optimizer's state is divided (ZeRO-1) */
    double jitter;        /* simulate.h */
    int64_t tokens, seqs; /* as for plan_job */
} scale_question;

/* Text: a table; JSON: one object on one line. HONE_EUSAGE: the job's step cannot be dealt to so many GPUs. */
hone_status scale_job(const job *j, pool *p, const scale_question *q, int as_json, text *out, hone_err *err);
#endif
