/* session.c - from a model folder to a live run. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "train/guess.h"
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

#ifndef RED_ZONE_BYTES
#define RED_ZONE_BYTES 0
#endif

/* ---- opening ---- */

/* What ends a text: of a tokenizer without such a token whatever stands for nothing. */
static int32_t end_of_texts(const tokenizer *t) {
    const tokenizer_roles r = tokenizer_special(t);
    return r.eos >= 0 ? r.eos : r.bos >= 0 ? r.bos : r.unk >= 0 ? r.unk : 0;
}

void session_set_head(session *s, head_kind head, labels l) {
    s->head = head;
    s->labels = l;
    s->n_labels = head == HEAD_REGRESSION                                         ? 1
                  : head == HEAD_WORDS || head == HEAD_NEXT || head == HEAD_SPANS ? 2
                  : head == HEAD_PRETRAINING                                      ? 4
                  : head == HEAD_EMBED                                            ? s->config->width
                                                                                  : l.n;
    s->n_outputs =
        head == HEAD_TOKENS || head == HEAD_SPANS ? (int)session_longest(s) * s->n_labels : s->n_labels;
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
        return hone_fail(err, HONE_EUSAGE, "%s: family %s has no head for task %s", c->path,
                         c->family->model_type, job_task(s->job));
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
    if (!status) status = guess_open(s, err);
    if (!status && !session_guesses_words(s)) status = take_labels(s, err);
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
    if (s->head == HEAD_NEXT) return s->job->line_by_line ? ENDS_TEXTS : ENDS_FILE;
    return s->config->family->causal ? ENDS_EMPTY : ENDS_NOT; /* others put tokens around each text */
}

/* Texts that are put behind each other are not cut before. */
static int64_t longest_text(const session *s) {
    const int blocks = s->head == HEAD_NEXT || (session_guesses_words(s) && !s->job->line_by_line);
    return blocks ? 0 : session_longest(s);
}

dataset_options session_dataset_options(const session *s, int64_t max_samples) {
    static const label_kind label[N_HEADS] = {[HEAD_CLASSES] = LABEL_CLASS,
                                              [HEAD_REGRESSION] = LABEL_TARGET,
                                              [HEAD_MARKS] = LABEL_MARKS,
                                              [HEAD_TOKENS] = LABEL_WORDS};
    const job *j = s->job;
    return (dataset_options){
        .text_columns = j->text_column_names.p,
        .n_text_columns = j->text_column_names.n,
        .text_column_delimiter = j->text_column_delimiter,
        .label_column = j->label_column_name,
        .label = label[s->head],
        .label_delimiter = s->head == HEAD_MARKS ? j->label_column_delimiter : NULL,
        .encode = {.max_length = (int)longest_text(s),
                   .strategy = (truncation)j->truncation,
                   .no_special = guess_is_bare(s)},
        .ends = ends_of_texts(s),
        .end_id = s->end_id,
        .max_samples = session_guesses_words(s) ? 0 : max_samples,
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
    return s->head == HEAD_NEXT || s->head == HEAD_TOKENS ? l->tokens_max
           : s->masks                                     ? masks_bound(s->masks, l->tokens_max, l->seqs_max)
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
        return hone_hint(err,
                         "attention: auto takes cuDNN where it can; dropout inside attention is the model's "
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

static hone_status load(session *s, const char *folder, const texts *reinit, hone_err *err) {
    params *p;
    arena *a = arena_new("weights");
    const params_options o = {.seed = (uint64_t)s->job->seed,
                              .ignore_sizes = s->job->ignore_mismatched_sizes,
                              .strict = s->job->strict_weights,
                              .reinit = reinit ? reinit->p : NULL,
                              .n_reinit = reinit ? reinit->n : 0};
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

hone_status session_load_weights(session *s, const char *folder, hone_err *err) { return load(s, folder, NULL, err); }

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
    HONE_TRY(load(s, s->folder, l->reinit, err));
    return l->training ? put_first_tick(s, err) : HONE_OK;
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
                status = hone_fail(
                    err, HONE_ENOTFINITE,
                    "step %lld: ranks 0 and 1 have unlike bits in %s: silent corruption of a memory "
                    "or processor",
                    (long long)step, p->param[i + 1].name);
            else
                status =
                    hone_fail(err, HONE_ENOTFINITE,
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
