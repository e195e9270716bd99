/* train.h - a job from its first byte read to the folder handed back. */
#ifndef TRAIN_TRAIN_H
#define TRAIN_TRAIN_H
#include "model/export.h"
#include "run/checkpoint.h"
#include "train/eval.h"
#include "train/inputs.h"
#include "train/record.h"
#include "train/replay.h"
#include "train/saver.h"
#include "train/schedule.h"
#include "train/steps.h"
#include "train/straggler.h"

/* An optimizer step that the device was given and has not answered for yet. */
typedef struct {
    int64_t tokens, n_samples, n_losses; /* that its loss is the mean of: samples, or words under masks */
    double rate;
    uint64_t from_ns;
} given_step;

/* Everything a run in training knows. */
struct training {
    session *s;
    const job *job;
    inputs *in;
    steps steps;
    step_shards shards;   /* of a step */
    tree_sum *sum;        /* over ranks; NULL: one process */
    record *record;
    metrics validation;   /* of the last evaluation */
    const char *folder;   /* output_dir; NULL: a replay, which writes nothing */
    const replay *replay; /* that the steps are compared with; NULL: none */

    uint64_t chain;                  /* of the steps done: a hash over their bits (chain_next); 0 before the first */
    int64_t step;                    /* optimizer steps done, as far as the device has answered */
    int64_t given;                   /* steps given to it: step, or one more on a device that is late */
    given_step given_step[2];        /* by the parity of the step */
    hone_tick tick;                  /* before the step that is answered for next */
    uint64_t heard_ns;               /* when it last answered */
    int64_t rows_played;             /* token rows in this process, with the tails of rungs */
    int64_t tokens;                  /* real tokens so far */
    int64_t tokens_now, samples_now; /* in this process */
    double loss_sum;                 /* since the last row of the log: sum over samples */
    int64_t loss_samples;
    double total_loss; /* over the whole run */
    int64_t total_samples;
    double sequence_sum, total_sequence_loss; /* pretrain: the same of next sentences; loss_sum is that of words */
    int64_t sequence_samples, total_sequences;
    int64_t start_step; /* where this process began (a resumed run: not 0) */
    double start_s, first_step_s;

    const char *best_metric_name; /* "eval_accuracy" */
    int best_larger;
    double best_metric;
    int64_t best_step;           /* -1: none yet */
    schedule rate;               /* learning rate of each step */
    double *rate_factor, *decay; /* [n_groups]: times the scheduled rate; weight decay */
    metric figures[METRICS_MAX]; /* of the last evaluation */
    int n_figures;
    double smooth_speed; /* tokens a second */
    int evaluations_without_gain;
    int stop;            /* early stopping */
    int owes_evaluation; /* that of this step was ended by a signal: a resumed run begins with it */
    int has_best;        /* the weights are no longer those of this step, but the best ones */
    int tokenizer_is_saved; /* its files are those of a checkpoint in the run's folder */
    int64_t saved_step;  /* newest checkpoint, -1: none */
    saver *saver;
    double token_cost_ns; /* of this rank's own work in the step given last; 0: it had none */
    int64_t costed; /* steps given that stragglers have seen */
    stragglers stragglers;
};

/* Train as the job says, with the other ranks of c (comm_alone: none). summary: one JSON object; people: the same as
 * text; of all ranks the same. Files are written by rank 0. */
hone_status train_job(const job *j, pool *p, comm *c, text *summary, text *people, hone_err *err);

/* What the largest batch of training or evaluation needs room for. */
session_limits training_limits(const job *j, const inputs *in, const steps *st, int n_ranks);
/* Gradients that the rank with the most work holds at once in a step of so many shards. */
int training_slots(const job *j, int64_t n_shards, int n_ranks);

/* The session of a job with the plan of one rank, its step cut for n_ranks, and no device; session_close ends it. facts may
 * be NULL. */
typedef struct {
    int64_t shards;      /* micro-batches of a step, of all ranks */
    double tokens, seqs; /* of a micro-batch of the first epoch, on the average; without data: the largest */
    int64_t steps;       /* of the run; 0: not known without data */
    session_limits limits; /* of rank 0 of n_ranks, but for weights of classes */
    size_t rank_bytes;     /* that it plans */
} plan_facts;
hone_status plan_of_job(session **out, plan_facts *facts, const job *j, pool *p, int64_t tokens, int64_t seqs,
                        int n_ranks, hone_err *err);

/* The plan of a job (of rank 0 of n_ranks) as text or one JSON object, for batches of its data, or of so many tokens if
 * tokens is not 0. */
hone_status plan_job(const job *j, pool *p, int64_t tokens, int64_t seqs, int n_ranks, int with_steps,
                     int as_json, text *out, hone_err *err);

/* train.c: from the session on to the first step, from a checkpoint or (NULL) the beginning; and all given back. */
hone_status training_start(training *t, const checkpoint *from, hone_err *err);
void training_close(training *t);
/* The folder of the tokenizer that the run reads. */
const char *training_tokenizer(const job *j, const checkpoint *from);

/* replay.c: are the bits of the step that was just done those of the log? */
hone_status replay_step(const training *t, hone_err *err);

/* loop.c: the steps, with their evaluations and checkpoints. */
hone_status train_loop(training *t, hone_err *err);
/* What a status of this kind asks for, outside the loop too: save (if there is anything that is not) and say
 * what was saved and how to go on. Other statuses, HONE_OK among them, come back as they are. */
hone_status obey_signal(training *t, hone_status status, hone_err *err);

/* loop.c: is a save due before the run ends? */
int saves_at_all(const training *t);
/* loop.c: what the ranks tell each other once a step: signals, the step that is saved, a save that has failed. */
hone_status ranks_agree(training *t, hone_err *err);

/* save.c: what rank 0 writes into a checkpoint, as it was when it was filled; the final folder. */
typedef struct {
    arena *a;
    const training *t; /* for what never changes */
    const char *tokenizer_folder;
    card card;
    text trainer, state, facts;
} checkpoint_content;
size_t content_bytes(const training *t);                    /* about; of all ranks */
void content_fill(checkpoint_content *c, training *t);      /* c->a is there, the rest is empty */
hone_status content_write(const checkpoint_content *c, const char *folder, params_get *get, void *from, hone_err *err);
void content_free(checkpoint_content *c);
hone_status save_final(training *t, hone_err *err);
void print_facts(const training *t, text *out);

/* measured.c: session_start, the ranks and a resumed run with one memory of what the device measured (memo.h); a warning
 * says what a resumed run has to choose anew. The memory, if there is any, as a file of a checkpoint's folder. */
hone_status measured_start(training *t, const session_limits *limits, const checkpoint *from, hone_err *err);
hone_status measured_write(const char *folder, hone_err *err);
/* save.c: rank 0 calls read, in which run_get_param and run_get_flat see the whole of what is divided; the others, who call
 * this too, answer. */
hone_status rank_0_reads(training *t, hone_status (*read)(void *arg, hone_err *err), void *arg, hone_err *err);

/* resume.c: prints what differs between the job and the checkpoint's, refuses what may not, takes over the
 * state. */
hone_status resume_training(training *t, const checkpoint *from, hone_err *err);

/* The chain of step hashes: what it is after a step that left these bits of loss, gradient norm, loss scale and
 * gradient. Whatever computed the step, the same steps have the same chain; the first step whose chain differs from
 * another run's is the first whose bits do. */
uint64_t chain_next(uint64_t chain, const run_result *r);

/* loop.c: sum of the weights of n samples of a step (words under masks: how many they hold), by whose sum over the step the
 * mean is divided. */
double weight_of_rows(const training *t, const int64_t *sample, int64_t n, int64_t epoch);
float row_scale(double weight); /* of a row in the mean; 0: the step has none */

/* guard.c: after a step that was not finite: plays its micro-batches again and fills err with step, layer and
 * samples. */
hone_status explain_not_finite(training *t, const hone_tick *before, hone_err *err);
#endif
