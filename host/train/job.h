/* job.h - a job: everything that a run was asked to do, resolved from job file, command line and defaults.
 *
 * Every field is one row of the table in fields.c: the parser, --help, the JSON Schema, the reference page
 * and the record of a run are made from it. Names are those of transformers' TrainingArguments and
 * run_classification.py; a field that hone knows but cannot do yet is refused by name, never ignored. */
#ifndef TRAIN_JOB_H
#define TRAIN_JOB_H
#include "base/arena.h"
#include "base/json.h"

typedef enum {
    FIELD_TEXT,
    FIELD_TEXTS,
    FIELD_INT,
    FIELD_REAL,
    FIELD_BOOL,
    FIELD_CHOICE,
    FIELD_REALS,
    FIELD_GENERATION
} field_kind;

typedef struct {
    const char *group; /* heading in help and reference */
    const char *name;
    const char *aliases; /* blank-separated, "" none */
    field_kind kind;
    size_t at;          /* offset in job; unused where later is set */
    const char *preset; /* default as the job file would write it; "" : not set */
    double low, high;   /* range of numbers, both ends allowed unless open_low */
    int open_low;
    const char *choices; /* CHOICE: blank-separated, in the order of the enum that holds it. INT: "true=N"
                            where true is accepted as N and false as 0. BOOL: "object" where an object
                            with "enabled" and other fields is accepted too */
    const char *unit;    /* "" or what it counts */
    const char *help;    /* one sentence */
    const char *later;   /* not NULL: known, not yet available; says what stands in */
} field;
const field *job_fields(int *n);

typedef struct {
    const char **p;
    int n;
} texts;
typedef struct {
    double *p;
    int n;
} reals;

typedef enum {
    TASK_CLASSIFY,
    TASK_FILL_MASK,
    TASK_CONTINUE,
    TASK_CONTINUE_ALIAS,
    TASK_PRETRAIN,
    TASK_TOKENS,
    TASK_QUESTIONS,
    N_TASKS
} task_kind; /* task */
typedef enum { PROBLEM_AUTO, PROBLEM_SINGLE, PROBLEM_MULTI, PROBLEM_REGRESSION } problem_kind; /* problem_type */
typedef enum { STRATEGY_NO, STRATEGY_STEPS, STRATEGY_EPOCH, STRATEGY_BEST } strategy_kind;
typedef enum { REDUCE_EXACT, REDUCE_FAST } reduce_kind; /* reduce */
typedef enum { REDUCE_FP32, REDUCE_BF16 } reduce_type;   /* reduce_dtype */
typedef enum { NORMS_HONE, NORMS_CUDNN } norm_engine;    /* layernorm */
typedef enum {
    SCHEDULE_LINEAR,
    SCHEDULE_COSINE,
    SCHEDULE_CONSTANT,
    SCHEDULE_CONSTANT_WITH_WARMUP,
    SCHEDULE_POLYNOMIAL,
    SCHEDULE_INVERSE_SQRT
} schedule_kind;
typedef enum { PRECISION_FP32, PRECISION_BF16 } precision;
typedef enum { WEIGHTS_NONE, WEIGHTS_BALANCED, WEIGHTS_LIST } class_weight_kind;
typedef enum {
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG,
    LOG_LEVEL_WARNING,
    LOG_LEVEL_ERROR,
    LOG_LEVEL_PASSIVE
} log_kind;

typedef struct {
    arena *a;
    const char *file; /* the job file's name for messages; NULL was given: "command line" */
    /* model */
    const char *model_name_or_path, *config_name, *tokenizer_name, *cache_dir;
    int ignore_mismatched_sizes, strict_weights;
    /* task and data */
    int64_t task, problem_type;
    const char *train_file, *validation_file, *test_file;
    texts text_column_names;
    const char *text_column_delimiter, *label_column_name, *labels_file, *metric_name;
    texts label_column_names;
    const char *label_column_delimiter;
    double threshold;
    int64_t doc_stride, n_best_size, max_answer_length, version_2_with_negative;
    double null_score_diff_threshold;
    double mlm_probability, nsp_probability, short_seq_prob;
    int do_regression, line_by_line, cross_documents, whole_word_mask, split_sentences, shuffle_train_dataset;
    int64_t header, quoting, shuffle_seed, max_seq_length, max_tokens_per_batch;
    int64_t max_train_samples, max_eval_samples, max_predict_samples, preprocessing_num_workers;
    int overwrite_cache, pad_to_max_length;
    double validation_split_percentage;
    int64_t train_sampling_strategy, truncation; /* in the order of data/order.h and text/tokenizer.h */
    /* run */
    const char *output_dir, *run_name, *device, *preempt_notice;
    int overwrite_output_dir, do_train, do_eval, do_predict, full_determinism, graphs, nvtx;
    int64_t seed, data_seed, threads;
    int64_t per_device_train_batch_size, per_device_eval_batch_size, gradient_accumulation_steps,
        train_batch_size;
    double num_train_epochs;
    int64_t max_steps;
    int dataloader_drop_last;
    int64_t reduce, reduce_shards, reduce_dtype, ddp_timeout, zero_stage;
    double ddp_bucket_cap_mb;
    /* optimizer */
    double learning_rate, warmup_steps, warmup_ratio, weight_decay, adam_beta1, adam_beta2, adam_epsilon,
        max_grad_norm;
    int64_t lr_scheduler_type;
    double lr_end, power, num_cycles, timescale; /* lr_scheduler_kwargs */
    double label_smoothing_factor, layerwise_lr_decay, head_learning_rate;
    texts freeze, reinit;
    int64_t class_weights;
    reals class_weight_list;
    int64_t optim;
    int bf16, bf16_full_eval, fp16, tf32;
    double loss_scale, min_loss_scale; /* fp16 */
    int64_t initial_scale_power, loss_scale_window, hysteresis;
    int64_t gradient_checkpointing;
    int64_t attention; /* hone_engine */
    int64_t layernorm; /* norm_engine */
    const char *generation; /* an object as generation_read leaves it; NULL: none */
    /* evaluation and saving */
    int64_t eval_strategy, save_strategy;
    double eval_steps, save_steps, logging_steps;
    double eval_delay;
    int eval_on_start, prediction_loss_only, save_in_background, save_only_model, load_best_model_at_end;
    int64_t save_total_limit, greater_is_better;
    const char *resume_from_checkpoint, *metric_for_best_model;
    int64_t early_stopping_patience;
    double early_stopping_threshold;
    int accept_data_change, accept_tokenizer_change;
    /* logging */
    int logging_first_step, disable_tqdm, include_num_input_tokens_seen;
    texts report_to;
    int64_t log_level; /* in the order of log_kind */
    /* What was said, by row of the table: 0 default, 1 job file, 2 command line. */
    uint8_t *given;
} job;

/* An override from the command line: --name value (value NULL: a bare flag, true). */
typedef struct {
    const char *name, *value;
} job_override;

/* Read PATH (NULL: only overrides), apply the overrides, check ranges and what fields say about each other.
 * strict 0: unknown keys are warnings. All failures are HONE_EUSAGE with file, line, column and field. */
hone_status job_load(job **out, const char *path, const job_override *overrides, int n_overrides, int strict,
                     hone_err *err);
/* Fields that say nothing about its task are refused (where there is no job file, the caller finds out what the task is). */
hone_status job_check_task(const job *j, hone_err *err);
/* A job from its text; name: of the file that it stands in, for messages. */
hone_status job_parse(job **out, const char *name, str content, hone_err *err);
void job_free(job *j);
const char *job_task(const job *j); /* its name */
/* Every field with its value, as one JSON object. */
void job_print_json(const job *j, text *out);
void fields_print_help(text *out);      /* --help */
void fields_print_schema(text *out);    /* configs/job.schema.json */
void fields_print_reference(text *out); /* Markdown */
/* Row of a field by name or alias; -1: none. */
int field_find(const char *name);
#endif
