/* session.c - from a model folder to a live run. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "train/session.h"
#include "base/err.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/rng.h"
#include "model/architecture.h"
#include "model/params.h"
#include "plan/device.h"
#include "plan/rung.h"
#include "run/tree_device.h"

#define SPACE_BYTES "\u0120" /* of byte-level BPE */
#define SPACE_PIECE "\u2581" /* of SentencePiece */

#ifndef RED_ZONE_BYTES
#define RED_ZONE_BYTES 0
#endif

/* ---- opening ---- */

/* The table of words is what guesses are compared with. */
static hone_status open_words(session *s, words_kind kind, const char *architecture, hone_err *err) {
    const family *f = s->config->family;
    const json *tree = s->config->tree, *tie = tree ? json_get(tree, "tie_word_embeddings") : NULL;
    const char *task = kind == WORDS_HIDDEN ? "fill-mask" : "text-generation";
    if (!architecture)
        return hone_fail(err, HONE_EUSAGE, "%s: family %s has no head for task %s", s->config->path, f->model_type, task);
    if (tie && tie->kind == JSON_BOOL && !tie->boolean)
        return hone_fail(err, HONE_EUSAGE, "%s: tie_word_embeddings: false, expected true for task %s", s->config->path,
                         task);
    s->words = kind;
    session_set_head(s, kind == WORDS_HIDDEN ? HEAD_WORDS : HEAD_NEXT, (labels){0});
    return HONE_OK;
}

/* Words of the tokenizer that are never hidden, and what hides the others. */
static int begins_with(str s, const char *with) { return s.n >= strlen(with) && !memcmp(s.p, with, strlen(with)); }

/* [vocab] of the tokens that go on the word before them: "##" of WordPiece; what does not begin with the space, of models that
 * write it into the token. */
static const uint8_t *inside_words(const session *s) {
    const int pieces = !strcmp(tokenizer_kind(s->tok), "WordPiece");
    uint8_t *inside = ARENA_ARRAY(s->a, (size_t)s->config->vocab, uint8_t);
    for (int i = 0; i < tokenizer_size(s->tok); i++) {
        const str t = tokenizer_token(s->tok, i);
        inside[i] = (uint8_t)(pieces ? begins_with(t, "##") : !begins_with(t, SPACE_BYTES) && !begins_with(t, SPACE_PIECE));
    }
    return inside;
}

/* [vocab] what tokens are to sentences. */
static const uint8_t *ends_of_sentences(const session *s) {
    static const char *const ends[] = {".", "!", "?"}, *const closes[] = {"\"", "'", ")", "]", "\u2019", "\u201d", "\u00bb"};
    uint8_t *kind = ARENA_ARRAY(s->a, (size_t)s->config->vocab, uint8_t);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        const int id = tokenizer_id(s->tok, str_of(ends[i]));
        if (id >= 0) kind[id] = PAIRS_END;
    }
    for (size_t i = 0; i < sizeof closes / sizeof *closes; i++) {
        const int id = tokenizer_id(s->tok, str_of(closes[i]));
        if (id >= 0) kind[id] = PAIRS_CLOSES;
    }
    return kind;
}

static hone_status open_pairs(session *s, hone_err *err) {
    const job *j = s->job;
    const tokenizer_roles special = tokenizer_special(s->tok);
    const int64_t length = session_longest(s);
    if (!architecture_of(s->config->family, HEAD_PRETRAINING))
        return hone_fail(err, HONE_EUSAGE, "%s: family %s has no head for task pretrain, expected bert", s->config->path,
                         s->config->family->model_type);
    if (s->config->types < 2)
        return hone_fail(err, HONE_EUSAGE, "%s: type_vocab_size: %d, expected at least 2 for task pretrain", s->config->path,
                         s->config->types);
    if (length < PAIRS_LENGTH_MIN)
        return hone_fail(err, HONE_EUSAGE, "max_seq_length: %lld, expected at least %d for task pretrain", (long long)length,
                         PAIRS_LENGTH_MIN);
    pair_rule *r = ARENA_NEW(s->a, pair_rule);
    *r = (pair_rule){.seed = (uint64_t)j->seed,
                     .length = (int)length,
                     .p_random = j->nsp_probability,
                     .p_short = j->short_seq_prob,
                     .cls = special.cls,
                     .sep = special.sep,
                     .ends = j->split_sentences ? ends_of_sentences(s) : NULL};
    s->pairs = r;
    session_set_head(s, HEAD_PRETRAINING, (labels){0});
    return HONE_OK;
}

/* Special tokens come later, around what is made of the texts. */
static int is_bare(const session *s) {
    return s->words == WORDS_NEXT || (s->masks && !s->job->line_by_line && !s->job->cross_documents);
}

/* What stands around pieces of documents, and a word between. */
static hone_status check_frame(const session *s, hone_err *err) {
    const tokenizer_roles special = tokenizer_special(s->tok);
    if (session_longest(s) < 3)
        return hone_fail(err, HONE_EUSAGE, "max_seq_length: %lld, expected at least 3", (long long)session_longest(s));
    if (special.cls >= 0 && special.sep >= 0) return HONE_OK;
    return hone_fail(err, HONE_EUSAGE, "%s: the tokenizer has no [CLS] or [SEP], expected both for task %s",
                     s->tokenizer_folder, job_task(s->job));
}

static hone_status open_masks(session *s, hone_err *err) {
    const int mask = tokenizer_special(s->tok).mask, vocab = tokenizer_size(s->tok);
    HONE_TRY(open_words(s, WORDS_HIDDEN, architecture_of(s->config->family, HEAD_WORDS), err));
    if (mask < 0) {
        hone_fail(err, HONE_EUSAGE, "%s: the tokenizer has no mask token", s->tokenizer_folder);
        return hone_hint(err, "task: fill-mask hides words behind it; hone vocab makes vocabularies that have one");
    }
    uint8_t *special = ARENA_ARRAY(s->a, (size_t)s->config->vocab, uint8_t);
    for (int i = 0; i < vocab; i++) special[i] = (uint8_t)(tokenizer_is_special(s->tok, i) != 0);
    mask_rule *r = ARENA_NEW(s->a, mask_rule);
    *r = (mask_rule){.seed = (uint64_t)s->job->seed,
                     .p = s->job->mlm_probability,
                     .mask_id = mask,
                     .vocab = vocab,
                     .pad_id = s->config->pad_id,
                     .special = special,
                     .inside = s->job->whole_word_mask ? inside_words(s) : NULL};
    s->masks = r;
    s->room = ARENA_ARRAY(s->a, 5 * (size_t)s->config->longest, int32_t);
    if (is_bare(s)) HONE_TRY(check_frame(s, err));
    return s->job->task == TASK_PRETRAIN ? open_pairs(s, err) : HONE_OK;
}

static hone_status open_texts(session *s, hone_err *err) {
    HONE_TRY(open_words(s, WORDS_NEXT, architecture_of(s->config->family, HEAD_NEXT), err));
    if (tokenizer_special(s->tok).eos >= 0) return HONE_OK;
    hone_fail(err, HONE_EUSAGE, "%s: the tokenizer has no token that ends a text (eos_token)", s->tokenizer_folder);
    return hone_hint(err, "task: text-generation puts it behind each document; hone vocab --type bpe makes one");
}

/* What ends a text: of a tokenizer without such a token whatever stands for nothing. */
static int32_t end_of_texts(const tokenizer *t) {
    const tokenizer_roles r = tokenizer_special(t);
    return r.eos >= 0 ? r.eos : r.bos >= 0 ? r.bos : r.unk >= 0 ? r.unk : 0;
}

void session_set_head(session *s, head_kind head, labels l) {
    s->head = head;
    s->labels = l;
    s->n_labels = head == HEAD_REGRESSION                        ? 1
                  : head == HEAD_WORDS || head == HEAD_NEXT || head == HEAD_SPANS ? 2
                  : head == HEAD_PRETRAINING                 ? 4
                  : head == HEAD_EMBED                       ? s->config->width
                                                             : l.n;
    s->n_outputs = head == HEAD_TOKENS || head == HEAD_SPANS ? (int)session_longest(s) * s->n_labels : s->n_labels;
}

/* As the folder says; a job that trains says it again (inputs.c). */
static hone_status take_labels(session *s, hone_err *err) {
    const model_config *c = s->config;
    const char *type = c->problem_type ? c->problem_type : "";
    const head_kind head = s->job->task == TASK_TOKENS                   ? HEAD_TOKENS
                           : s->job->task == TASK_QUESTIONS              ? HEAD_SPANS
                           : !strcmp(type, "regression")                 ? HEAD_REGRESSION
                           : !strcmp(type, "multi_label_classification") ? HEAD_MARKS
                                                                         : HEAD_CLASSES;
    labels l = {c->n_labels, ARENA_ARRAY(s->a, (size_t)c->n_labels + 1, str)};
    for (int i = 0; i < c->n_labels; i++)
        l.name[i] = c->label ? c->label[i] : str_of(arena_print(s->a, "LABEL_%d", i));
    if (!architecture_of(c->family, head))
        return hone_fail(err, HONE_EUSAGE, "%s: family %s has no head for task %s", c->path, c->family->model_type, job_task(s->job));
    session_set_head(s, head, head == HEAD_REGRESSION || head == HEAD_SPANS ? (labels){0} : l);
    return HONE_OK;
}

hone_status session_open(session **out, const job *j, const char *model_folder, const char *tokenizer_folder,
                         pool *p, hone_err *err) {
    arena *a = arena_new("session");
    session *s = ARENA_NEW(a, session);
    s->a = a;
    s->job = j;
    s->pool = p;
    s->comm = comm_alone();
    s->folder = model_folder;
    s->tokenizer_folder = tokenizer_folder ? tokenizer_folder : model_folder;
    hone_status status = config_load(&s->config, model_folder ? model_folder : j->config_name, err);
    if (!status) status = tokenizer_load(&s->tok, s->tokenizer_folder, err);
    if (!status && tokenizer_size(s->tok) > s->config->vocab) {
        hone_fail(err, HONE_EUSAGE, "%s: the tokenizer has %d ids, vocab_size says %d", s->tokenizer_folder,
                  tokenizer_size(s->tok), s->config->vocab);
        status = hone_hint(err, "tokenizer_name must be the tokenizer of the model");
    }
    if (!status && j->max_seq_length > s->config->longest && j->given[field_find("max_seq_length")])
        status = hone_fail(err, HONE_EUSAGE, "max_seq_length: %lld > %d, the model's position rows",
                           (long long)j->max_seq_length, s->config->longest);
    if (!status) s->end_id = end_of_texts(s->tok);
    if (!status && (j->task == TASK_FILL_MASK || j->task == TASK_PRETRAIN)) status = open_masks(s, err);
    if (!status && j->task == TASK_CONTINUE) status = open_texts(s, err);
    if (!status && !s->words) status = take_labels(s, err);
    if (status) {
        session_close(s);
        return status;
    }
    const model_config *c = s->config;
    for (int i = 0; i < c->n_notes; i++) log_note("%s: %s", c->path ? c->path : "config.json", c->note[i]);
    *out = s;
    return HONE_OK;
}

void session_close(session *s) {
    if (!s) return;
    run_close(s->run);
    hone_plan_free(s->plan);
    tokenizer_free(s->tok);
    config_free(s->config);
    mem_free(s->logits);
    arena_free(s->a);
}

int64_t session_longest(const session *s) {
    return s->job->max_seq_length < s->config->longest ? s->job->max_seq_length : s->config->longest;
}

static text_ends ends_of_texts(const session *s) {
    if (s->words == WORDS_NEXT) return s->job->line_by_line ? ENDS_TEXTS : ENDS_FILE;
    return s->config->family->causal ? ENDS_EMPTY : ENDS_NOT; /* others put tokens around each text */
}

/* Texts that are put behind each other are not cut before. */
static int64_t longest_text(const session *s) {
    const int blocks = s->words == WORDS_NEXT || (s->words && !s->job->line_by_line);
    return blocks ? 0 : session_longest(s);
}

dataset_options session_dataset_options(const session *s, int64_t max_samples) {
    static const label_kind label[N_HEADS] = {[HEAD_CLASSES] = LABEL_CLASS,
                                              [HEAD_REGRESSION] = LABEL_TARGET,
                                              [HEAD_MARKS] = LABEL_MARKS,
                                              [HEAD_TOKENS] = LABEL_WORDS};
    const job *j = s->job;
    return (dataset_options){.text_columns = j->text_column_names.p,
                             .n_text_columns = j->text_column_names.n,
                             .text_column_delimiter = j->text_column_delimiter,
                             .label_column = j->label_column_name,
                             .label = label[s->head],
                             .label_delimiter = s->head == HEAD_MARKS ? j->label_column_delimiter : NULL,
                             .encode = {.max_length = (int)longest_text(s),
                                        .strategy = (truncation)j->truncation,
                                        .no_special = is_bare(s)},
                             .ends = ends_of_texts(s),
                             .end_id = s->end_id,
                             .max_samples = s->words ? 0 : max_samples,
                             .rows = {.header = (int)j->header, .quoting = (int)j->quoting, .words = s->head == HEAD_TOKENS},
                             .cache_folder = j->cache_dir ? j->cache_dir : env_cache_folder(),
                             .rebuild = j->overwrite_cache};
}

/* ---- planning and starting ---- */

/* The pure functions are enough to plan; `live`: the device itself. */
static hone_status choose_device(session *s, int live, hone_err *err) {
    const char *name = s->job->device;
    if (s->table) return HONE_OK;
    if (!live && strcmp(name, "auto")) s->table = plan_device(name);
    if (!s->table) s->table = device_pick(name, err);
    if (!s->table) return HONE_EUSAGE;
    s->device = s->table->name;
    return HONE_OK;
}

hone_status session_device(session *s, hone_err *err) { return choose_device(s, 1, err); }

/* A precision that the device does not have is refused by the field's name. */
static hone_status choose_type(const session *s, hone_dtype *out, hone_err *err) {
    const job *j = s->job;
    const char *asked = j->fp16 ? "fp16" : "bf16";
    hone_limits kind;
    *out = j->fp16 ? HONE_F16 : j->bf16 ? HONE_BF16 : HONE_F32;
    HONE_TRY(s->table->limits(NULL, &kind));
    if (j->tf32 && !kind.tf32) {
        hone_fail(err, HONE_EUSAGE, "tf32: true, but device %s has no TF32; expected device cuda", s->device);
        return hone_hint(err, "without tf32 its products of fp32 are exact to fp32");
    }
    if (j->tf32 && *out != HONE_F32)
        log_note("tf32: true changes nothing: products of %s read no fp32", hone_dtype_name(*out));
    if (kind.dtypes & 1u << *out) return HONE_OK;
    char have[64] = "";
    for (int d = 0; d < HONE_N_DTYPES; d++)
        if (kind.dtypes & 1u << d)
            snprintf(have + strlen(have), sizeof have - strlen(have), "%s%s", *have ? ", " : "",
                     hone_dtype_name((hone_dtype)d));
    return hone_fail(err, HONE_EUSAGE, "%s: true, but device %s computes in %s", asked, s->device, have);
}

/* cuDNN is a player of the GPU's device alone, and what it cannot play is the job's to change. */
static hone_status check_engines(const session *s, hone_err *err) {
    const int attends = s->job->attention == HONE_ENGINE_CUDNN, norms = s->job->layernorm == NORMS_CUDNN;
    if ((!attends && !norms) || !strcmp(s->device, "cuda") || !strcmp(s->device, "emu")) return HONE_OK;
    const char *name = attends ? "attention" : "layernorm";
    hone_fail(err, HONE_EUSAGE, "%s: cudnn, but device %s has one %s, its own", name, s->device, name);
    return hone_hint(err, "leave %s out, or choose a GPU by device: cuda", name);
}

static int64_t words_max(const session *s, const session_limits *l) {
    if (l->asks) return l->asks;
    return s->words == WORDS_NEXT || s->head == HEAD_TOKENS ? l->tokens_max
           : s->masks                                       ? masks_bound(s->masks, l->tokens_max, l->seqs_max)
                                                            : 0;
}

static hone_status make_plan(session *s, const session_limits *l, hone_err *err) {
    const job *j = s->job;
    hone_dtype dtype;
    HONE_TRY(choose_type(s, &dtype, err));
    HONE_TRY(check_engines(s, err));
    const plan_options o = {.config = s->config,
                            .head = {.kind = s->head,
                                     .n_outputs = s->n_labels,
                                     .pool_first = s->pool_first,
                                     .words_max = words_max(s, l),
                                     .word_logits = l->asks > 0,
                                     .smoothing = j->label_smoothing_factor,
                                     .class_weight = l->class_weight},
                            .dtype = dtype,
                            .tf32 = j->tf32,
                            .tokens_max = l->tokens_max,
                            .seqs_max = l->seqs_max,
                            .slots = l->n_slots,
                            .n_ranks = l->n_ranks,
                            .rank = l->rank,
                            .divide = j->zero_stage == 1,
                            .bucket_bytes = (size_t)(j->ddp_bucket_cap_mb * (1 << 20)) + 1,
                            .wire = s->sums.wire,
                            .freeze = j->freeze.p,
                            .n_freeze = j->freeze.n,
                            .beta1 = j->adam_beta1,
                            .beta2 = j->adam_beta2,
                            .epsilon = j->adam_epsilon,
                            .attention = (hone_engine)j->attention,
                            .norm = j->layernorm == NORMS_CUDNN ? HONE_ENGINE_CUDNN : HONE_ENGINE_HONE,
                            .longest = l->longest ? l->longest : (int)session_longest(s),
                            .training = l->training,
                            .cached = l->cached,
                            .moves = l->moves,
                            .recompute = l->recompute ? l->recompute - 1 : (int)j->gradient_checkpointing,
                            .guard = {j->fp16 && j->loss_scale == 0, (int32_t)j->loss_scale_window,
                                      (int32_t)j->hysteresis, (float)j->min_loss_scale},
                            .zone_bytes = l->zone_bytes ? l->zone_bytes : RED_ZONE_BYTES,
                            .device = s->table};
    s->longest = o.longest;
    s->asks = l->asks;
    const hone_status status = plan_build(&s->plan, &o, err);
    if (status && o.norm == HONE_ENGINE_CUDNN && strstr(err->text, ": NORM_") && strstr(err->text, "cuDNN"))
        return hone_hint(err, "layernorm: hone plays every norm of this model");
    if (status && o.attention == HONE_ENGINE_CUDNN && strstr(err->text, "cuDNN"))
        return hone_hint(err, "attention: auto takes cuDNN where it can; dropout inside attention is the model's "
                              "attention_probs_dropout_prob (config.json), bf16: true or fp16: true the type");
    HONE_TRY(status);
    s->rows = ARENA_ARRAY(s->a, (size_t)s->plan->n_spaces + 1, int64_t);
    s->played = ARENA_ARRAY(s->a, (size_t)s->plan->n_spaces + 1, int64_t);
    return HONE_OK;
}

hone_status session_link(session *s, hone_err *err) {
    hone_err why = {0};
    HONE_TRY(choose_device(s, 1, err));
    const hone_comm_v1 *between = s->table->comm;
    if (s->comm->n == 1 || !between) return HONE_OK;
    int64_t lack = between->ready(&why) != HONE_OK;
    if (lack) log_warn("%s; gradients travel through the host", why.text);
    HONE_TRY(comm_largest(s->comm, &lack, err));
    s->linked = !lack;
    return HONE_OK;
}

static void choose_sums(session *s, const session_limits *l) {
    const int n = l->n_ranks;
    s->sums = (run_sums){.plain = s->job->reduce == REDUCE_FAST};
    if (!l->training) return;
    s->sums.wire.bf16 = s->job->reduce_dtype == REDUCE_BF16;
    s->sums.wire.n_ranks = s->sums.wire.bf16; /* at least what rounds */
    s->sums.linked = s->linked;
    if (s->sums.linked) s->sums.wire.n_ranks = n, s->sums.wire.n_nodes = tree_device_nodes(n, l->n_shards);
}

/* A rank whose process sees one device has been given it; of several it takes its own. */
static int own_device(const session *s) {
    const int n = s->table->count ? s->table->count() : 1;
    return n > 1 ? s->comm->local_rank : 0;
}

hone_status session_plan_only(session *s, const session_limits *l, hone_err *err) {
    hone_limits kind;
    HONE_TRY(choose_device(s, 0, err));
    HONE_TRY(s->table->limits(NULL, &kind));
    s->linked = l->n_ranks > 1 && kind.links; /* what session_link would find where the library is there */
    choose_sums(s, l);
    hone_plan_free(s->plan);
    s->plan = NULL;
    return make_plan(s, l, err);
}

typedef struct {
    run *run;
    hone_plan *plan;
} weight_sink;

static hone_status put_weights(void *to, int i, int64_t first, int64_t n, const float *values,
                               hone_err *err) {
    const weight_sink *w = to;
    return run_put_param(w->run, i + 1, first, n, values, err);
}

hone_status session_load_weights(session *s, const char *folder, hone_err *err) {
    params *p;
    arena *a = arena_new("weights");
    const params_options o = {.seed = (uint64_t)s->job->seed,
                              .ignore_sizes = s->job->ignore_mismatched_sizes,
                              .strict = s->job->strict_weights};
    hone_status status =
        params_open(&p, s->config, folder, params_of_plan(a, s->plan), s->plan->n_params, &o, err);
    if (!status) {
        status = params_fill(p, put_weights, &(weight_sink){s->run, s->plan}, err);
        for (int i = 0; i < s->plan->n_params; i++)
            s->plan->param[i + 1].is_new = (uint8_t)params_is_new(p, i);
        params_close(p);
    }
    arena_free(a);
    return status;
}

/* Seeds, step 0, its step key: what GUARD moves on from. */
static hone_status put_first_tick(session *s, hone_err *err) {
    const job *j = s->job;
    hone_tick t = {.hysteresis = (int32_t)j->hysteresis};
    const float scale = !j->fp16            ? 1
                        : j->loss_scale > 0 ? (float)j->loss_scale
                                            : ldexpf(1, (int)j->initial_scale_power);
    const uint64_t seed = (uint64_t)s->job->seed;
    uint32_t counter[4] = {0}, key[4];
    t.seed[0] = (uint32_t)seed;
    t.seed[1] = (uint32_t)(seed >> 32);
    philox(counter, t.seed, key);
    t.step_key[0] = key[0];
    t.step_key[1] = key[1];
    memcpy(&t.loss_scale, &scale, 4);
    return run_put(s->run, s->plan->tick, &t, err);
}

hone_status session_start(session *s, const session_limits *l, hone_err *err) {
    HONE_TRY(choose_device(s, 1, err));
    choose_sums(s, l);
    HONE_TRY(make_plan(s, l, err));
    HONE_TRY(run_open_on(&s->run, s->plan, s->table, own_device(s), s->pool, err));
    run_graphs(s->run, s->job->graphs);
    if (s->job->nvtx) HONE_TRY(run_ranges(s->run, err));
    if (l->cached) return session_load_weights(s, s->folder, err);
    const int64_t words = words_max(s, l);
    s->batch = batch_new(s->a, l->tokens_max, l->seqs_max, words,
                         s->head == HEAD_REGRESSION || s->head == HEAD_MARKS ? s->n_labels : 0);
    s->sorted = ARENA_ARRAY(s->a, 2 * (size_t)l->tokens_max + 2, int32_t);
    int most = s->config->vocab > s->config->positions ? s->config->vocab : s->config->positions;
    s->counts = ARENA_ARRAY(s->a, (size_t)(most > s->config->types ? most : s->config->types) + 2, int32_t);
    s->logits =
        mem_new(sizeof(float) * (size_t)l->seqs_max * ((size_t)s->n_outputs + 1), "logits of a batch");
    s->loss = s->logits + (size_t)l->seqs_max * (size_t)s->n_outputs;
    s->word_loss = ARENA_ARRAY(s->a, (size_t)words + 1, float);
    s->word_best = ARENA_ARRAY(s->a, (size_t)words + 1, int32_t);
    const int64_t n_rows = s->head == HEAD_SPANS ? l->tokens_max : s->head == HEAD_TOKENS ? words : 0;
    s->row_logits = ARENA_ARRAY(s->a, (size_t)n_rows * (size_t)s->n_labels + 1, float);
    if (s->pairs) s->follows = ARENA_ARRAY(s->a, 2 * (size_t)l->seqs_max, float);
    HONE_TRY(session_load_weights(s, s->folder, err));
    return l->training ? put_first_tick(s, err) : HONE_OK;
}

/* ---- feeding ---- */

/* Rows sorted by id, stable, -1 last: counting sort. */
static void sort_rows(session *s, const int32_t *id, int64_t n, int64_t cap, int32_t *order) {
    int32_t most = -1;
    for (int64_t i = 0; i < n; i++) most = id[i] > most ? id[i] : most;
    memset(s->counts, 0, sizeof *s->counts * ((size_t)most + 2));
    for (int64_t i = 0; i < n; i++) s->counts[id[i] + 1]++;
    for (int32_t v = 0; v <= most; v++) s->counts[v + 1] += s->counts[v];
    for (int64_t i = 0; i < n; i++) order[s->counts[id[i]]++] = (int32_t)i;
    for (int64_t i = n; i < cap; i++) order[i] = (int32_t)i;
}

/* As RoBERTa counts: padding has the place of its id, in the middle of a text too, and all others the next one. */
static void count_positions(const model_config *c, const batch *b, int32_t *to) {
    for (int64_t i = 0; i < b->n_seqs; i++) {
        int32_t seen = 0;
        for (int64_t k = b->at[i].first; k < b->at[i].first + b->at[i].n; k++)
            to[k] = c->pad_id + (b->id[k] == c->pad_id ? 0 : ++seen);
    }
    for (int64_t k = b->n_tokens; k < b->tokens_max; k++) to[k] = -1;
}

/* A companion of the space of hidden words: rows picked from those of the tokens. */
static void fill_words(const session *s, hone_fill fill, void *to) {
    const batch *b = s->batch;
    const size_t words = (size_t)b->words_max;
    if (fill == HONE_FILL_INDEX) memcpy(to, b->word_row, words * sizeof *b->word_row);
    if (fill == HONE_FILL_LABEL) memcpy(to, b->word, words * sizeof *b->word);
    if (fill == HONE_FILL_AT) memcpy(to, b->words_at, (size_t)b->seqs_max * sizeof *b->words_at);
    for (size_t i = 0; i < words && (fill == HONE_FILL_POS || fill == HONE_FILL_KEY); i++) {
        const int32_t row = b->word_row[i];
        if (fill == HONE_FILL_POS) ((int32_t *)to)[i] = row < 0 ? -1 : b->position[row];
        else ((hone_key *)to)[i] = row < 0 ? (hone_key){0, 0} : b->key[row];
    }
}

/* The row that a head of sequence i looks at: the first, of causal families the last that is no padding; -1: none. */
static int32_t picked_row(const session *s, int64_t i) {
    const batch *b = s->batch;
    if (i >= b->n_seqs || !b->at[i].n) return -1;
    int32_t row = b->at[i].first;
    if (!s->config->family->causal) return row;
    row += b->at[i].n - 1;
    while (row > b->at[i].first && b->id[row] == s->config->pad_id) row--;
    return row;
}

/* A companion of the space of tokens, or of the space of sequences, of each of which one row is picked. */
static void fill_value(session *s, int v) {
    const hone_value *x = &s->plan->value[v];
    const hone_space *space = x->fill_space ? &s->plan->space[x->fill_space] : NULL;
    const batch *b = s->batch;
    const int picked = space && !space->seqs;
    void *to = run_input(s->run, v);
    const size_t tokens = (size_t)b->tokens_max, seqs = (size_t)b->seqs_max;
    if (space && space->seqs && !hone_space_is_tokens(space)) {
        fill_words(s, x->fill, to);
        return;
    }
    switch (x->fill) {
    case HONE_FILL_ID:
        memcpy(to, b->id, tokens * sizeof *b->id);
        break;
    case HONE_FILL_TYPE:
        memcpy(to, b->type, tokens * sizeof *b->type);
        for (int64_t i = 0; s->config->types == 1 && i < b->n_tokens; i++) ((int32_t *)to)[i] = 0;
        break;
    case HONE_FILL_POS:
        if (!picked && s->config->first_position) count_positions(s->config, b, to);
        else if (!picked) memcpy(to, b->position, tokens * sizeof *b->position);
        for (size_t i = 0; picked && i < seqs; i++) {
            const int32_t row = picked_row(s, (int64_t)i);
            ((int32_t *)to)[i] = row < 0 ? -1 : b->position[row];
        }
        break;
    case HONE_FILL_KEY:
        if (!picked) memcpy(to, b->key, tokens * sizeof *b->key);
        for (size_t i = 0; picked && i < seqs; i++) {
            const int32_t row = picked_row(s, (int64_t)i);
            ((hone_key *)to)[i] = row < 0 ? (hone_key){0, 0} : b->key[row];
        }
        break;
    case HONE_FILL_AT:
        if (!picked) memcpy(to, b->at, seqs * sizeof *b->at);
        for (size_t i = 0; picked && i < seqs; i++)
            ((hone_range *)to)[i] = (hone_range){(int32_t)i, (int64_t)i < b->n_seqs};
        break;
    case HONE_FILL_INDEX:
        for (size_t i = 0; i < seqs; i++) ((int32_t *)to)[i] = picked_row(s, (int64_t)i);
        break;
    case HONE_FILL_LABEL:
        if (picked) memcpy(to, b->label, seqs * sizeof *b->label);
        else memcpy(to, b->word, tokens * sizeof *b->word);
        break;
    case HONE_FILL_SPAN:
        memcpy(to, b->span, 2 * seqs * sizeof *b->span);
        break;
    case HONE_FILL_TARGET:
        memcpy(to, b->target, seqs * (size_t)b->n_targets * sizeof *b->target);
        break;
    default:
        break;
    }
}

static void fill_list(session *s, const hone_list *l) {
    const int64_t played[2] = {s->played[l->q_space], s->played[l->k_space]};
    s->table->list_fill(&l->query, run_input(s->run, l->q_at), run_input(s->run, l->k_at),
                        l->key ? run_input(s->run, l->key) : NULL, played, run_input(s->run, l->value));
}

static int64_t hidden_words(const session *s, const dataset *d, int64_t sample, int64_t epoch) {
    HONE_ASSERT(d->at[sample + 1] - d->at[sample] <= s->config->longest);
    const int64_t length = dataset_tokens(d, sample, s->room, NULL);
    if (!s->asks) return masks_count(s->masks, epoch, sample, s->room, length, s->room + length);
    int64_t n = 0;
    for (int64_t i = 0; i < length; i++) n += s->room[i] == s->masks->mask_id;
    return n;
}

/* The last token of a sequence is asked what follows, and all but the first are what is to be guessed. */
static int64_t next_words(const session *s, int64_t length) { return s->asks ? length > 0 : length > 1 ? length - 1 : 0; }

int64_t session_words(const session *s, const dataset *d, const int64_t *samples, int64_t n, int64_t epoch) {
    int64_t words = 0;
    for (int64_t i = 0; s->words && i < n; i++) {
        const int64_t length = d->at[samples[i] + 1] - d->at[samples[i]];
        words += s->masks ? hidden_words(s, d, samples[i], epoch) : next_words(s, length);
    }
    for (int64_t i = 0; s->head == HEAD_TOKENS && i < n; i++)
        for (int64_t k = d->at[samples[i]]; k < d->at[samples[i] + 1]; k++) words += d->word[k] >= 0;
    return words;
}

int64_t session_losses(const session *s, const dataset *d, const int64_t *samples, int64_t n, int64_t epoch) {
    int64_t tags = 0;
    if (s->head != HEAD_TOKENS) return s->words ? session_words(s, d, samples, n, epoch) : n;
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = d->at[samples[i]]; k < d->at[samples[i] + 1]; k++) tags += d->tag[k] >= 0;
    return tags;
}

void session_count(session *s, const dataset *d, const int64_t *samples, int64_t n, int64_t epoch) {
    int64_t tokens = 0;
    for (int64_t i = 0; i < n; i++) {
        const int64_t length = d->at[samples[i] + 1] - d->at[samples[i]];
        HONE_ASSERT(length <= s->longest);
        tokens += length;
    }
    const int64_t words = session_words(s, d, samples, n, epoch);
    for (int i = 1; i <= s->plan->n_spaces; i++) {
        const hone_space *x = &s->plan->space[i];
        s->rows[i] = hone_space_is_tokens(x) ? tokens : x->seqs ? words : n;
    }
    plan_rung(s->plan, s->rows, s->played);
}

hone_status session_feed(session *s, const dataset *d, const int64_t *samples, int64_t n, int64_t epoch, float scale,
                         hone_err *err) {
    const hone_plan *p = s->plan;
    HONE_TRY(run_feed(s->run, err));
    batch_fill(s->batch, d, samples, n);
    if (s->asks) batch_ask(s->batch, s->masks ? s->masks->mask_id : -1);
    else if (s->masks) batch_hide(s->batch, s->masks, epoch);
    else if (s->words == WORDS_NEXT) batch_look_ahead(s->batch);
    else if (s->head == HEAD_TOKENS) batch_find_words(s->batch, d);
    session_count(s, d, samples, n, epoch);
    for (int v = 1; v <= p->n_values; v++)
        if (p->value[v].fill && p->value[v].cls == HONE_INPUT && p->value[v].fill != HONE_FILL_ORDER)
            fill_value(s, v);
    for (int v = 1; v <= p->n_values; v++)
        if (p->value[v].fill == HONE_FILL_ORDER)
            sort_rows(s, run_input(s->run, p->value[v].fill_of), s->batch->n_tokens, s->batch->tokens_max,
                      run_input(s->run, v));
    for (int i = 0; i < p->n_lists; i++) fill_list(s, &p->list[i]);
    *(float *)run_input(s->run, p->scale) = scale;
    if (p->sequence_scale) *(float *)run_input(s->run, p->sequence_scale) = s->sequence_scale;
    return HONE_OK;
}

/* ---- the weights as one number ---- */

static int by_name(const void *a, const void *b) {
    return strcmp((*(const hone_param *const *)a)->name, (*(const hone_param *const *)b)->name);
}

/* The rank whose hash of parameter i stands against most of the others. */
static int odd_rank(const uint64_t *hash, int n_params, int n, int i) {
    for (int r = 0; r < n; r++) {
        int same = 0;
        for (int k = 0; k < n; k++)
            same += hash[(size_t)k * (size_t)n_params + (size_t)i] ==
                    hash[(size_t)r * (size_t)n_params + (size_t)i];
        if (2 * same < n) return r;
    }
    return n - 1;
}

hone_status session_compare_ranks(session *s, int64_t step, hone_err *err) {
    const hone_plan *p = s->plan;
    const int n = s->comm->n;
    const size_t row = (size_t)p->n_params;
    uint64_t *all = mem_new((row * (size_t)n + 1) * sizeof *all, "hashes of all ranks"),
             *own = all + row * (size_t)s->comm->rank;
    hone_status status = HONE_OK;
    for (int i = 1; i <= p->n_params && !status; i++) {
        const hone_value *v = &p->value[p->param[i].value];
        const size_t elements = (size_t)(v->dim[0].n * (v->n_dims > 1 ? v->dim[1].n : 1));
        float *w = mem_new(elements * sizeof *w + 1, "a parameter");
        size_t bytes = elements * sizeof *w;
        if (p->flat[HONE_MASTER].divided) { /* what every rank has is the copy that it computes with */
            bytes = elements * hone_dtype_bytes(v->dtype);
            status = run_get(s->run, p->param[i].value, w, err);
        } else status = run_get_param(s->run, i, w, err);
        own[i - 1] = hash64(w, bytes, 0);
        mem_free(w);
    }
    if (!status) status = comm_gather(s->comm, own, row * sizeof *own, all, err);
    for (int i = 0; i < p->n_params && !status; i++)
        for (int r = 1; r < n && !status; r++) {
            if (all[row * (size_t)r + (size_t)i] == all[i]) continue;
            if (n == 2) /* nobody can say which of the two is right */
                status = hone_fail(err, HONE_ENOTFINITE,
                                   "step %lld: ranks 0 and 1 have unlike bits in %s: silent corruption of a memory "
                                   "or processor",
                                   (long long)step, p->param[i + 1].name);
            else
                status = hone_fail(err, HONE_ENOTFINITE,
                                   "step %lld: rank %d has other bits in %s than the others: silent corruption of "
                                   "its memory or processor",
                                   (long long)step, odd_rank(all, p->n_params, n, i), p->param[i + 1].name);
            hone_hint(
                err,
                "take that machine out; resume_from_checkpoint: true goes on from the newest checkpoint");
        }
    mem_free(all);
    return status;
}

hone_status session_params_sha256(session *s, char hex[65], hone_err *err) {
    const hone_plan *p = s->plan;
    const hone_param **sorted = mem_new(sizeof *sorted * (size_t)p->n_params, "parameters");
    size_t most = 0;
    for (int i = 0; i < p->n_params; i++) {
        sorted[i] = &p->param[i + 1];
        const hone_value *x = &p->value[sorted[i]->value];
        const size_t n = (size_t)(x->dim[0].n * (x->n_dims > 1 ? x->dim[1].n : 1));
        most = n > most ? n : most;
    }
    qsort(sorted, (size_t)p->n_params, sizeof *sorted, by_name);
    float *w = mem_new(most * sizeof *w, "weights of a parameter");
    hone_status status = HONE_OK;
    sha256 h;
    uint8_t digest[32];
    sha256_begin(&h);
    for (int i = 0; i < p->n_params && !status; i++) {
        const hone_value *x = &p->value[sorted[i]->value];
        status = run_get_param(s->run, (int)(sorted[i] - p->param), w, err);
        sha256_add(&h, w, (size_t)(x->dim[0].n * (x->n_dims > 1 ? x->dim[1].n : 1)) * sizeof *w);
    }
    sha256_end(&h, digest);
    sha256_hex(digest, hex);
    mem_free(w);
    mem_free(sorted);
    return status;
}
