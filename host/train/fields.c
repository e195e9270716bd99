/* fields.c - the table of job fields. A row: group, name, aliases, kind, place, default, range, choices,
 * unit, sentence. What prints the table (help, schema, reference) stands in fields_print.c, what reads values
 * in job.c. */
#include <float.h>
#include <stddef.h>
#include <string.h>

#include "train/job.h"

#define AT(member) offsetof(job, member)
#define T(g, n, al, m, def, help)                                                                            \
    { g, n, al, FIELD_TEXT, AT(m), def, 0, 0, 0, "", "", help, NULL }
#define TS(g, n, al, m, help)                                                                                \
    { g, n, al, FIELD_TEXTS, AT(m), "", 0, 0, 0, "", "", help, NULL }
#define I(g, n, al, m, def, lo, hi, unit, help)                                                              \
    { g, n, al, FIELD_INT, AT(m), def, lo, hi, 0, "", unit, help, NULL }
#define R(g, n, al, m, def, lo, hi, unit, help)                                                              \
    { g, n, al, FIELD_REAL, AT(m), def, lo, hi, 0, "", unit, help, NULL }
#define RO(g, n, al, m, def, lo, hi, unit, help)                                                             \
    { g, n, al, FIELD_REAL, AT(m), def, lo, hi, 1, "", unit, help, NULL }
#define B(g, n, al, m, def, help)                                                                            \
    { g, n, al, FIELD_BOOL, AT(m), def, 0, 0, 0, "", "", help, NULL }
#define C(g, n, al, m, def, ch, help)                                                                        \
    { g, n, al, FIELD_CHOICE, AT(m), def, 0, 0, 0, ch, "", help, NULL }
#define LATER(g, n, al, why)                                                                                 \
    { g, n, al, FIELD_TEXT, 0, "", 0, 0, 0, "", "", "Not yet available.", why }
#define COUNT_MAX 9e15

/* clang-format off */
static const field fields[] = {
T("model", "model_name_or_path", "base_model pretrained_model_name init_checkpoint bert_model e", model_name_or_path, "", "Folder of the model to start from."),
T("model", "config_name", "", config_name, "", "config.json, or a folder with one, of a model to train from nothing; needs tokenizer_name."),
T("model", "tokenizer_name", "", tokenizer_name, "", "Folder of the tokenizer, where it is not the model's."),
T("model", "cache_dir", "", cache_dir, "", "Folder of token caches; by default HONE_CACHE or ~/.cache/hone."),
B("model", "ignore_mismatched_sizes", "", ignore_mismatched_sizes, "false", "Start a new head where the folder's has another size."),
B("model", "strict_weights", "", strict_weights, "false", "Unexpected tensors and non-finite weights are errors, not warnings."),
LATER("model", "model_revision", "", "give a local folder"),
LATER("model", "token", "", "hone reads local folders only"),

C("data", "task", "task_name stage pipeline_tag", task, "text-classification", "text-classification fill-mask text-generation causal-lm pretrain token-classification question-answering", "What to train: a classifier (problem_type makes it one of several labels, or a regression), guessing words under masks, that together with next sentences (pretrain), going on with a text (causal-lm is another name), a classifier of words, or finding answers in texts."),
C("data", "problem_type", "", problem_type, "auto", "auto single_label_classification multi_label_classification regression", "text-classification: one class a text, any number of them, or a number; auto: do_regression decides."),
T("data", "train_file", "i", train_file, "", "CSV, TSV, JSON, JSONL or plain lines to train on."),
T("data", "validation_file", "j", validation_file, "", "The file that evaluations during training use."),
T("data", "test_file", "", test_file, "", "The file that is evaluated and predicted at the end."),
TS("data", "text_column_names", "text_column text_column_name", text_column_names, "Column or columns (by name or number) of the text; two make a pair."),
T("data", "text_column_delimiter", "", text_column_delimiter, " ", "Put between the texts when more than two columns are joined."),
T("data", "label_column_name", "label_column", label_column_name, "", "Column of the label; by default \"label\", else the one that is left."),
TS("data", "label_column_names", "", label_column_names, "multi_label_classification: columns that say 1, 0 or nothing, one a class; without them the label column holds lists."),
T("data", "label_column_delimiter", "", label_column_delimiter, ",", "multi_label_classification: what stands between the labels of a text's list, where that is no JSON array."),
RO("data", "threshold", "", threshold, "0.5", 0, 0.9999999, "", "multi_label_classification: the probability above which a label is predicted."),
T("data", "labels_file", "", labels_file, "", "Names of the classes in id order, one a line; by default the sorted labels of train_file."),
LATER("data", "remove_columns", "", "name the columns of text in text_column_names"),
B("data", "do_regression", "", do_regression, "false", "Labels are numbers to be predicted (mean squared error)."),
{"data", "header", "", FIELD_INT, AT(header), "-1", -1, 1, 0, "", "", "1: the first row names the columns, 0: it does not, -1: by format.", NULL},
{"data", "quoting", "", FIELD_INT, AT(quoting), "-1", -1, 1, 0, "", "", "1: quotes mean something, 0: they are text, -1: CSV yes, TSV no.", NULL},
B("data", "shuffle_train_dataset", "", shuffle_train_dataset, "false", "Shuffle the training rows once before max_train_samples is taken."),
I("data", "shuffle_seed", "", shuffle_seed, "42", 0, COUNT_MAX, "", "Seed of that shuffle and of the validation split."),
T("data", "metric_name", "", metric_name, "", "Metric named in the model card; by default accuracy or mse."),
I("data", "max_seq_length", "sequence_len cutoff_len max_seq_len t block_size", max_seq_length, "128", 1, 1e6, "tokens", "Longest sequence with its special tokens; longer ones are cut and counted."),
C("data", "truncation", "", truncation, "longest_first", "longest_first only_first only_second", "Which text of a pair is cut."),
I("data", "max_tokens_per_batch", "max_tokens", max_tokens_per_batch, "0", 0, 1e9, "tokens", "Fill a batch up to this many tokens instead of counting samples; 0: count samples."),
I("data", "max_train_samples", "", max_train_samples, "0", 0, COUNT_MAX, "samples", "Use only the first ones; 0: all."),
I("data", "max_eval_samples", "", max_eval_samples, "0", 0, COUNT_MAX, "samples", "The same for evaluation."),
I("data", "max_predict_samples", "", max_predict_samples, "0", 0, COUNT_MAX, "samples", "The same for the test file."),
I("data", "preprocessing_num_workers", "", preprocessing_num_workers, "0", 0, 4096, "threads", "Threads of the tokenizer; 0: as many as training uses."),
B("data", "overwrite_cache", "", overwrite_cache, "false", "Tokenise again even where a valid cache lies."),
R("data", "validation_split_percentage", "val_set_size val_size", validation_split_percentage, "0", 0, 99, "%", "Without validation_file: hold out this part of train_file, stratified."),
C("data", "train_sampling_strategy", "", train_sampling_strategy, "random", "random sequential group_by_length balanced", "Order of the samples in an epoch."),
B("data", "pad_to_max_length", "", pad_to_max_length, "false", "hone computes no padding: only false is accepted."),
LATER("data", "dataset_name", "datasets data_dir", "give train_file, validation_file and test_file"),
LATER("data", "dataset_config_name", "", "give train_file, validation_file and test_file"),
LATER("data", "train_split_name", "", "give train_file"),
LATER("data", "validation_split_name", "", "give validation_file"),
LATER("data", "test_split_name", "", "give test_file"),
LATER("data", "lazy_labels_column", "", "one text a row: use label_column_name"),
LATER("data", "length_column_name", "", "hone knows the lengths itself"),
LATER("data", "sample_packing", "packing", "hone never pads: use max_tokens_per_batch"),
LATER("data", "sampler", "", "use train_sampling_strategy: balanced"),
I("data", "doc_stride", "stride sliding_window", doc_stride, "128", 0, 1e6, "tokens", "question-answering: tokens that two windows of a text share, where it is longer than max_seq_length."),
I("data", "n_best_size", "", n_best_size, "20", 1, 1000, "answers", "question-answering: how many answers to a question are weighed."),
I("data", "max_answer_length", "", max_answer_length, "30", 1, 1e6, "tokens", "question-answering: no answer is longer."),
{"data", "version_2_with_negative", "", FIELD_INT, AT(version_2_with_negative), "-1", -1, 1, 0, "true=1", "", "question-answering: 1 or true: some questions have no answer (SQuAD 2.0), 0 or false: all have one, -1: as the file says.", NULL},
R("data", "null_score_diff_threshold", "", null_score_diff_threshold, "0", -1e6, 1e6, "", "question-answering: how far the score of no answer must lie above the best answer's."),
LATER("data", "max_source_length", "max_target_length", "text-to-text models are not there yet"),
RO("data", "mlm_probability", "mask_prob", mlm_probability, "0.15", 0, 1, "", "fill-mask, pretrain: the part of a sample's words that is hidden and guessed."),
B("data", "whole_word_mask", "", whole_word_mask, "false", "fill-mask, pretrain: hide whole words, all their pieces together, as many as fit into mlm_probability of the tokens."),
B("data", "line_by_line", "", line_by_line, "false", "fill-mask: each text is a sample, cut at max_seq_length; false: documents (lines between empty ones; each text of a table) are cut into pieces. text-generation: each line of a plain file is a document; false: all of them are one, with their line breaks."),
B("data", "cross_documents", "", cross_documents, "false", "fill-mask, text-generation: documents are put behind each other and cut into blocks of max_seq_length, whose tokens see what of other documents stands in theirs; false: no token sees another document."),
{"data", "generation", "s g", FIELD_GENERATION, AT(generation), "", 0, 0, 0, "", "", "text-generation: how hone generate and transformers go on with texts where nobody says otherwise, an object of GenerationConfig's names (hone generate --help); it becomes part of the folder's generation_config.json.", NULL},
R("data", "nsp_probability", "", nsp_probability, "0.5", 0, 1, "", "pretrain: the part of samples whose second text is no next one but of another document."),
R("data", "short_seq_prob", "", short_seq_prob, "0.1", 0, 1, "", "pretrain: the part of samples that are made shorter than max_seq_length, so that short texts are known too."),
B("data", "split_sentences", "", split_sentences, "false", "pretrain: a line may hold several sentences (a paragraph): cut it behind . ! and ?; false: a line is a sentence."),
LATER("data", "max_predictions_per_seq", "", "use mlm_probability"),

T("run", "output_dir", "o save_folder", output_dir, "", "Folder of the run; it becomes the model folder."),
T("run", "run_name", "", run_name, "", "Name of the run in records and card; by default the folder's."),
B("run", "overwrite_output_dir", "", overwrite_output_dir, "false", "Remove what an earlier run left in output_dir."),
B("run", "do_train", "", do_train, "true", "Train."),
B("run", "do_eval", "", do_eval, "true", "Evaluate the final model on validation_file and test_file."),
B("run", "do_predict", "", do_predict, "false", "Write predict_results.jsonl for test_file."),
I("run", "seed", "manual_seed", seed, "42", 0, COUNT_MAX, "", "Seed of new weights and dropout."),
I("run", "data_seed", "", data_seed, "-1", -1, COUNT_MAX, "", "Seed of the order of samples; -1: seed."),
T("run", "device", "", device, "auto", "What to compute on: auto (cuda where there is a GPU, else cpu), cuda, cpu, ref, or emu (the GPU's code on the processor)."),
B("run", "graphs", "", graphs, "true", "GPU: capture the step once and replay it; false plays it call by call, with the same bits."),
B("run", "nvtx", "", nvtx, "false", "GPU: name programs and steps of the plan on the timeline of NVIDIA's profilers; those of a graph where it is captured."),
I("run", "threads", "", threads, "0", 0, 4096, "threads", "Processor threads; 0: all cores this process may use. Results do not depend on it."),
B("run", "full_determinism", "", full_determinism, "true", "hone always gives the same bits: only true changes nothing, false neither."),
I("run", "per_device_train_batch_size", "b micro_batch_size train_micro_batch_size_per_gpu", per_device_train_batch_size, "8", 1, 1e6, "samples", "Samples of a micro-batch of one rank."),
I("run", "per_device_eval_batch_size", "", per_device_eval_batch_size, "8", 1, 1e6, "samples", "Samples that there is room for in evaluation; without padding it changes speed only. A training fills at least the room of its own batches; hone eval, predict and embed, if it is not given, 4,096 tokens."),
I("run", "gradient_accumulation_steps", "", gradient_accumulation_steps, "1", 1, 65536, "micro-batches", "Micro-batches of one rank in an optimizer step."),
I("run", "train_batch_size", "d global_train_batch_size total_batch_size", train_batch_size, "0", 0, 1e8, "samples", "Samples of an optimizer step; given, it decides gradient_accumulation_steps."),
RO("run", "num_train_epochs", "", num_train_epochs, "3", 0, 1e6, "epochs", "How often the data is seen."),
I("run", "max_steps", "x", max_steps, "-1", -1, COUNT_MAX, "steps", "Optimizer steps in all; given, it overrides num_train_epochs."),
B("run", "dataloader_drop_last", "", dataloader_drop_last, "false", "Leave out a last batch that is not full."),
C("run", "reduce", "", reduce, "exact", "exact fast", "How gradients are summed: exact, in one tree over the shards, with the same bits for any number of ranks; fast, each rank its own and then all by the library (NCCL between GPUs), with the same bits for the same number of ranks at best."),
I("run", "reduce_shards", "", reduce_shards, "0", 0, 4096, "shards", "Pieces into which a step's samples are cut and whose gradients are added in one order, so that any number of ranks gives the same bits; 0: ranks times gradient_accumulation_steps at the first start."),
LATER("run", "auto_find_batch_size", "device_train_microbatch_size", "the plan says before the first step whether a batch fits"),
LATER("run", "max_duration", "", "use num_train_epochs or max_steps"),
C("run", "reduce_dtype", "", reduce_dtype, "fp32", "fp32 bf16", "What gradients travel as between ranks; bf16: half the bytes, rounded at every edge of the tree, so that bits still do not depend on the number of ranks."),
C("run", "attention", "", attention, "auto", "auto hone cudnn", "Who plays attention on a GPU. cudnn: NVIDIA's library, or the run is refused where it cannot (dropout inside attention, fp32, no cuDNN 9.6); hone: the device's own kernels; auto: cuDNN on Hopper for sequences beyond 256 tokens where it can, else hone's. The log says which."),
C("run", "layernorm", "", layernorm, "hone", "hone cudnn", "Who plays layer norms on a GPU. cudnn: NVIDIA's library, prepared for every number of rows that is played, with what stands before and after a norm (bias, dropout, residual) as operations of their own; or the run is refused where it cannot. Unlike hone's own, its bits may depend on how many rows a batch is played at."),
T("run", "preempt_notice", "", preempt_notice, "", "file:PATH or command:WORDS: that the file is there, or the command succeeds, counts as SIGTERM."),
I("run", "zero_stage", "z", zero_stage, "0", 0, 1, "", "1: the optimizer's state is divided among the ranks (ZeRO-1); the bits are the same."),
LATER("run", "zero_optimization", "", "use zero_stage"),
RO("run", "ddp_bucket_cap_mb", "", ddp_bucket_cap_mb, "25", 0, 1e6, "MB", "Several ranks: gradients leave in pieces of about this size while the backward goes on; the bits do not depend on it."),
I("run", "ddp_timeout", "dist_timeout", ddp_timeout, "300", 1, 1e6, "seconds", "How long a rank may show no sign of life before the others give it up."),
LATER("run", "average_tokens_across_devices", "", "one device"),

RO("optimizer", "learning_rate", "lr l", learning_rate, "5e-5", 0, 1, "", "Highest rate of the schedule."),
C("optimizer", "lr_scheduler_type", "k", lr_scheduler_type, "linear", "linear cosine constant constant_with_warmup polynomial inverse_sqrt", "How the rate falls, step by step as in transformers."),
R("optimizer", "warmup_steps", "u t_warmup", warmup_steps, "0", 0, COUNT_MAX, "steps", "Steps of rising rate; below 1 a part of all steps, rounded up."),
R("optimizer", "warmup_ratio", "warmup_proportion", warmup_ratio, "0", 0, 1, "", "The same as a part of all steps, rounded up."),
R("optimizer", "lr_end", "", lr_end, "1e-7", 0, 1, "", "polynomial: the last rate (lr_scheduler_kwargs.lr_end)."),
RO("optimizer", "power", "", power, "1", 0, 16, "", "polynomial: its power (lr_scheduler_kwargs.power)."),
RO("optimizer", "num_cycles", "", num_cycles, "0.5", 0, 1000, "", "cosine: waves (lr_scheduler_kwargs.num_cycles)."),
R("optimizer", "timescale", "", timescale, "0", 0, COUNT_MAX, "steps", "inverse_sqrt: its scale; 0: warmup_steps, or 10,000 (lr_scheduler_kwargs.timescale)."),
R("optimizer", "weight_decay", "c", weight_decay, "0", 0, 1, "", "AdamW's decay; biases and norms have none."),
R("optimizer", "adam_beta1", "", adam_beta1, "0.9", 0, 0.999999, "", "Decay of the first moment."),
R("optimizer", "adam_beta2", "", adam_beta2, "0.999", 0, 0.9999999, "", "Decay of the second moment."),
RO("optimizer", "adam_epsilon", "", adam_epsilon, "1e-8", 0, 1, "", "Added to the root of the second moment."),
R("optimizer", "max_grad_norm", "", max_grad_norm, "1", 0, 1e9, "", "Gradients are scaled down to this norm; 0: never."),
R("optimizer", "label_smoothing_factor", "", label_smoothing_factor, "0", 0, 0.99, "", "Part of the target spread over all classes."),
RO("optimizer", "layerwise_lr_decay", "", layerwise_lr_decay, "1", 0, 1, "", "Rate of a layer is this times the next one's."),
R("optimizer", "head_learning_rate", "", head_learning_rate, "0", 0, 1, "", "Rate of pooler and classifier; 0: learning_rate."),
TS("optimizer", "freeze", "", freeze, "Patterns (* and ?) of parameter names that are not trained."),
TS("optimizer", "reinit", "", reinit, "Patterns of parameter names that begin anew from the seed instead of as in model_name_or_path: *pooler* or the last layers, where few samples are to be learned."),
{"optimizer", "class_weights", "", FIELD_REALS, AT(class_weights), "none", 0, 0, 0, "none balanced", "", "Weight of each class in the loss: none, balanced, or a list in id order.", NULL},
C("optimizer", "optim", "", optim, "adamw_torch_fused", "adamw_torch_fused adamw_torch adamw", "The optimizer: decoupled AdamW under all its names."),
B("optimizer", "bf16", "", bf16, "false", "Compute in bfloat16; masters, moments and sums stay fp32."),
B("optimizer", "bf16_full_eval", "", bf16_full_eval, "false", "Evaluations compute as training does: only with bf16."),
{"optimizer", "gradient_checkpointing", "checkpoint_activations r", FIELD_INT, AT(gradient_checkpointing), "0", 0, 2, 0, "true=2", "level", "0 keep activations, 1 redo cheap ones, 2 keep only what enters a block; true is 2.", NULL},
{"optimizer", "fp16", "", FIELD_BOOL, AT(fp16), "false", 0, 0, 0, "object", "", "Compute in half precision with a loss scale; masters, moments and sums stay fp32. For GPUs.", NULL},
R("optimizer", "loss_scale", "fp16.loss_scale", loss_scale, "0", 0, 16777216, "", "fp16: a fixed loss scale; 0: it moves by itself."),
I("optimizer", "initial_scale_power", "fp16.initial_scale_power", initial_scale_power, "16", 0, 24, "", "fp16: the first loss scale is 2 to this power."),
I("optimizer", "loss_scale_window", "fp16.loss_scale_window", loss_scale_window, "1000", 1, 1e9, "steps", "fp16: sound steps in a row before the loss scale doubles."),
I("optimizer", "hysteresis", "fp16.hysteresis", hysteresis, "2", 1, 1000, "steps", "fp16: steps that overflow before the loss scale halves; such a step changes no weight, and the schedule goes on."),
RO("optimizer", "min_loss_scale", "fp16.min_loss_scale", min_loss_scale, "1", 0, 16777216, "", "fp16: a step that overflows at this loss scale ends the run."),
B("optimizer", "tf32", "", tf32, "false", "GPU: matrix products of fp32 round their operands to 10 bits of mantissa; other devices refuse true."),
LATER("optimizer", "precision", "mixed_precision f w", "use bf16: true"),
LATER("optimizer", "gradient_checkpointing_kwargs", "", "use gradient_checkpointing: 0, 1 or 2"),
LATER("optimizer", "focal_gamma", "", "use class_weights or train_sampling_strategy: balanced"),
LATER("optimizer", "skip_loss_zscore", "sl", "a non-finite loss stops the run"),
LATER("optimizer", "skip_grad_zscore", "sg", "max_grad_norm bounds a step"),
LATER("optimizer", "lora", "lora_r lora_rank lora_target", "freeze layers instead"),

C("evaluation", "eval_strategy", "evaluation_strategy", eval_strategy, "no", "no steps epoch", "When validation_file is evaluated during training."),
R("evaluation", "eval_steps", "v eval_interval", eval_steps, "0", 0, COUNT_MAX, "steps", "Every so many steps, or a part of all below 1; 0: logging_steps."),
R("evaluation", "eval_delay", "", eval_delay, "0", 0, COUNT_MAX, "", "Epochs or steps (as eval_strategy counts) before the first evaluation."),
B("evaluation", "eval_on_start", "", eval_on_start, "false", "Evaluate once before the first step."),
B("evaluation", "prediction_loss_only", "", prediction_loss_only, "false", "Report the loss alone."),
C("evaluation", "save_strategy", "", save_strategy, "steps", "no steps epoch best", "When a checkpoint is written."),
R("evaluation", "save_steps", "n", save_steps, "500", 0, COUNT_MAX, "steps", "Every so many steps, or a part of all below 1."),
I("evaluation", "save_total_limit", "nk", save_total_limit, "0", 0, 1e6, "checkpoints", "Keep the newest ones and the best; 0: all."),
B("evaluation", "save_in_background", "", save_in_background, "true", "Write checkpoints from a copy in host memory while training goes on; false: training waits."),
B("evaluation", "save_only_model", "", save_only_model, "false", "Leave the optimizer out of checkpoints; such a one cannot be resumed."),
T("evaluation", "resume_from_checkpoint", "y autoresume auto_resume_from_checkpoints", resume_from_checkpoint, "false", "true: the newest valid checkpoint in output_dir, or a checkpoint's folder."),
B("evaluation", "load_best_model_at_end", "", load_best_model_at_end, "false", "Hand back the best evaluated weights, not the last."),
T("evaluation", "metric_for_best_model", "early_stopping_metric", metric_for_best_model, "", "Which metric decides; by default eval_loss."),
{"evaluation", "greater_is_better", "", FIELD_INT, AT(greater_is_better), "-1", -1, 1, 0, "true=1", "", "1 or true: larger is better, 0 or false: smaller, -1: by the metric's name.", NULL},
I("evaluation", "early_stopping_patience", "", early_stopping_patience, "0", 0, 1e6, "evaluations", "Stop after so many evaluations without improvement; 0: never."),
R("evaluation", "early_stopping_threshold", "early_stopping_delta", early_stopping_threshold, "0", 0, 1e9, "", "What counts as an improvement."),
B("evaluation", "accept_data_change", "", accept_data_change, "false", "Resume although train_file changed since the checkpoint."),
B("evaluation", "accept_tokenizer_change", "", accept_tokenizer_change, "false", "Resume although the tokenizer changed since the checkpoint."),
LATER("evaluation", "ignore_data_skip", "", "resuming reads nothing again anyway"),
LATER("evaluation", "enable_jit_checkpoint", "", "SIGTERM always saves"),

R("logging", "logging_steps", "lg console_log_interval", logging_steps, "500", 0, COUNT_MAX, "steps", "A row in log.jsonl every so many steps, or a part of all below 1."),
B("logging", "logging_first_step", "", logging_first_step, "false", "Log the first step too."),
TS("logging", "report_to", "", report_to, "tensorboard, csv, jsonl or none; log.jsonl is always written."),
C("logging", "log_level", "", log_level, "info", "info debug warning error passive", "How much is said on stderr."),
B("logging", "disable_tqdm", "", disable_tqdm, "false", "No progress line on a terminal."),
B("logging", "include_num_input_tokens_seen", "", include_num_input_tokens_seen, "true", "Token counts are always recorded; accepted for drop-in use."),
LATER("logging", "logging_nan_inf_filter", "", "a non-finite loss always stops the run"),
LATER("logging", "push_to_hub", "hub_model_id hub_private_repo hub_strategy hub_token", "upload output_dir yourself"),
};
/* clang-format on */

const field *job_fields(int *n) {
    *n = (int)(sizeof fields / sizeof *fields);
    return fields;
}

static int word_in(const char *words, const char *word) {
    const size_t n = strlen(word);
    for (const char *p = words; n && (p = strstr(p, word)); p += n)
        if ((p == words || p[-1] == ' ') && (p[n] == ' ' || !p[n])) return 1;
    return 0;
}

int field_find(const char *name) {
    const int n = (int)(sizeof fields / sizeof *fields);
    for (int i = 0; i < n; i++)
        if (!strcmp(fields[i].name, name)) return i;
    for (int i = 0; i < n; i++)
        if (word_in(fields[i].aliases, name)) return i;
    return -1;
}
