/* session.h - a model, its tokenizer, a plan and a live run, as one thing: what training, evaluation and
 * prediction share. */
#ifndef TRAIN_SESSION_H
#define TRAIN_SESSION_H
#include "data/batch.h"
#include "data/pairs.h"
#include "model/config.h"
#include "plan/build.h"
#include "run/comm.h"
#include "run/run.h"
#include "train/job.h"

typedef struct {
    arena *a;
    const job *job;
    pool *pool;
    const char *folder; /* of the weights; NULL: all are made new */
    const char *tokenizer_folder;
    model_config *config; /* labels are those of this session */
    tokenizer *tok;
    labels labels; /* n 0: regression, or words */
    head_kind head;
    int n_labels; /* numbers that the head gives for a row: of classes, 1 of a regression, 2 of answers (begin, end); of an embedding
                      its width */
    int n_outputs; /* numbers that an evaluation gives for a sample: n_labels; words: 2, how many and how many right; 4: also the
                      logits of next sentences; tagged words and answers: room for n_labels of each word, or token, of the longest
                      text */
    int pool_first; /* EMBED: the first row, not the mean */
    int64_t asks;   /* 0, or: evaluations give logits of at most so many rows over the vocabulary (words.h) */
    const mask_rule *masks; /* of words that are hidden, else NULL */
    const pair_rule *pairs; /* of these, task pretrain: next sentences too; else NULL */
    float
        sequence_scale; /* weight of a sequence in the mean of their losses, beside that of a row (session_feed) */
    int32_t end_id; /* causal families: the token that ends a text */
    const hone_device_v1 *table;
    const char *device;
    hone_plan *plan;
    run *run;
    int32_t longest; /* tokens of a sequence that the plan was made for */
    comm *comm;      /* the ranks that evaluate and train together; of one process: comm_alone */
    int linked;      /* their devices add by themselves (session_link) */
    run_sums sums;   /* how they add gradients */
    batch *batch;
    int64_t *rows, *played; /* the batch's count by row space, and what is played */
    float *logits,
        *loss;         /* of the last evaluated batch: [seqs, n_outputs], [seqs] (words: the sum of theirs) */
    float *word_loss;  /* [words] */
    float *row_logits; /* [words, or tokens; n_labels] of tagged words, of answers */
    float *follows;    /* [seqs, 2], of next sentences */
    int32_t *word_best;       /* [words] */
    int32_t *sorted, *counts; /* room for sorting rows by id */
    int32_t *room;            /* for the tokens of a sample and a drawing of its masks: 5 * longest */
} session;

/* Folder of the model of a job or a command (a run folder is a model folder too), config and tokenizer;
 * labels are taken from the config and may be replaced before session_plan. */
hone_status session_open(session **out, const job *j, const char *model_folder, const char *tokenizer_folder,
                         pool *p, hone_err *err);
void session_close(session *s); /* NULL is fine */
/* head, labels, and what follows from them. */
void session_set_head(session *s, head_kind head, labels l);
/* Are its losses those of words to guess, instead of samples: of hidden ones, or of each token's next one? */
static inline int session_guesses_words(const session *s) {
    return s->head == HEAD_WORDS || s->head == HEAD_PRETRAINING || s->head == HEAD_NEXT;
}

/* Make the plan for batches up to these sizes and open the run on the job's device; weights are loaded from
 * s->folder. training 0: evaluation only. */
typedef struct {
    int training;
    int64_t tokens_max, seqs_max;
    const double *class_weight; /* [n_outputs] or NULL */
    int n_slots;                /* gradients held at once; 0: 1 */
    size_t zone_bytes;          /* of red zones (plan/build.h); 0: none, but in builds of type Debug */
    int n_ranks, rank;          /* that train together; 0, 0: one */
    int n_shards;               /* most of a step, of all ranks */
    int recompute;              /* 0: the job's gradient_checkpointing, else 1 + level */
    int longest;                /* tokens of a sequence; 0: what the job cuts texts at */
    int64_t asks;               /* words, evaluation only: s->asks */
    const texts *reinit;        /* weights that begin anew (params.h), or NULL: what goes on from a checkpoint has begun */
    int64_t cached,
        moves; /* of a plan that goes on with texts (plan/build.h), which batch and feed are not for */
} session_limits;
/* s->plan (instead of an earlier one); no device is needed. Of several ranks: their devices add gradients where the kind can
 * (hone_limits.links). */
hone_status session_plan_only(session *s, const session_limits *limits, hone_err *err);
hone_status session_start(session *s, const session_limits *limits, hone_err *err);

/* All ranks together, before their session_start: do their devices add gradients themselves (all can), or does the host, which
 * is said? s->linked. */
hone_status session_link(session *s, hone_err *err);
/* s->table of the job's device, which session_start opens. */
hone_status session_device(session *s, hone_err *err);

/* Replace the weights by those of a model folder (of the same shapes). */
hone_status session_load_weights(session *s, const char *folder, hone_err *err);

/* s->rows and s->played of a batch of these samples in an epoch. */
void session_count(session *s, const dataset *d, const int64_t *samples, int64_t n, int64_t epoch);
/* Fill the batch with samples, and an INPUT image of it; epoch: whose masks hide words; scale: weight of a row in the mean.
 * Counts too. Of next sentences s->sequence_scale, too. */
hone_status session_feed(session *s, const dataset *d, const int64_t *samples, int64_t n, int64_t epoch,
                         float scale, hone_err *err);
/* Rows of a space (no slice) that sequence i of the batch has there. */
hone_range session_rows_of(const session *s, int space, int64_t i);
/* How many words of these samples are to be guessed in an epoch, asked for, or tagged. */
int64_t session_words(const session *s, const dataset *d, const int64_t *samples, int64_t n, int64_t epoch);
/* How many losses these samples have, that a mean is over: words that are to be guessed or labelled, else the samples. */
int64_t session_losses(const session *s, const dataset *d, const int64_t *samples, int64_t n, int64_t epoch);

/* SHA-256 over the parameters' fp32 bytes in name order. */
hone_status session_params_sha256(session *s, char hex[65], hone_err *err);

/* The same bits in every rank's weights, or HONE_ENOTFINITE (silent corruption) naming rank and parameter. */
hone_status session_compare_ranks(session *s, int64_t step, hone_err *err);

/* Options of a data set of this session (columns, truncation, cache) from the job. Words: its texts are not samples yet, but
 * what inputs_samples makes them of. */
int64_t session_longest(const session *s); /* tokens of a sequence that the job and the model allow */
dataset_options session_dataset_options(const session *s, int64_t max_samples);
#endif
