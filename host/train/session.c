/* session.c - from a model folder to a live run. */
#include <stdlib.h>
#include <string.h>

#include "train/session.h"
#include "base/err.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/rng.h"
#include "model/params.h"

/* ---- opening ---- */

hone_status session_open(session **out, const job *j, const char *model_folder, const char *tokenizer_folder,
                         pool *p, hone_err *err) {
    arena *a = arena_new("session");
    session *s = ARENA_NEW(a, session);
    s->a = a;
    s->job = j;
    s->pool = p;
    s->folder = model_folder;
    s->tokenizer_folder = tokenizer_folder ? tokenizer_folder : model_folder;
    hone_status status = config_load(&s->config, model_folder ? model_folder : j->config_name, err);
    if (!status) status = tokenizer_load(&s->tok, s->tokenizer_folder, err);
    if (!status && tokenizer_size(s->tok) > s->config->vocab) {
        hone_fail(err, HONE_EUSAGE, "%s: the tokenizer has %d ids, vocab_size says %d", s->tokenizer_folder,
                  tokenizer_size(s->tok), s->config->vocab);
        status = hone_hint(err, "tokenizer_name must be the tokenizer of the model");
    }
    if (!status && j->max_seq_length > s->config->positions && j->given[field_find("max_seq_length")])
        status = hone_fail(err, HONE_EUSAGE, "max_seq_length: %lld > %d, the model's position rows",
                           (long long)j->max_seq_length, s->config->positions);
    if (status) {
        session_close(s);
        return status;
    }
    const model_config *c = s->config;
    for (int i = 0; i < c->n_notes; i++) log_note("%s: %s", c->path ? c->path : "config.json", c->note[i]);
    const int regression = c->problem_type && !strcmp(c->problem_type, "regression");
    s->n_outputs = regression ? 1 : c->n_labels;
    if (!regression) {
        s->labels = (labels){c->n_labels, ARENA_ARRAY(a, (size_t)c->n_labels + 1, str)};
        for (int i = 0; i < c->n_labels; i++) {
            const char *made = arena_print(a, "LABEL_%d", i);
            s->labels.name[i] = c->label ? c->label[i] : str_of(made);
        }
    }
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

dataset_options session_dataset_options(const session *s, int64_t max_samples) {
    const job *j = s->job;
    const int64_t longest =
        j->max_seq_length < s->config->positions ? j->max_seq_length : s->config->positions;
    return (dataset_options){.text_columns = j->text_column_names.p,
                             .n_text_columns = j->text_column_names.n,
                             .text_column_delimiter = j->text_column_delimiter,
                             .label_column = j->label_column_name,
                             .label = j->do_regression ? LABEL_TARGET : LABEL_CLASS,
                             .encode = {.max_length = (int)longest, .strategy = (truncation)j->truncation},
                             .max_samples = max_samples,
                             .rows = {.header = (int)j->header, .quoting = (int)j->quoting},
                             .cache_folder = j->cache_dir ? j->cache_dir : env_cache_folder(),
                             .rebuild = j->overwrite_cache};
}

/* ---- planning and starting ---- */

static hone_status choose_device(session *s, hone_err *err) {
    const char *name = s->job->device;
    if (s->table) return HONE_OK;
    if (!strcmp(name, "cuda") || !strcmp(name, "emu")) {
        hone_fail(err, HONE_EUSAGE, "device: %s is not yet available, expected auto, cpu or ref", name);
        return hone_hint(err, "this build of hone computes on the CPU");
    }
    s->device = strcmp(name, "auto") ? name : "cpu";
    s->table = device_load(s->device, err);
    return s->table ? HONE_OK : HONE_EUSAGE;
}

hone_status session_plan_only(session *s, const session_limits *l, hone_err *err) {
    const job *j = s->job;
    HONE_TRY(choose_device(s, err));
    const plan_options o = {.config = s->config,
                            .head = {.kind = s->labels.n ? HEAD_CLASSES : HEAD_REGRESSION,
                                     .n_outputs = s->n_outputs,
                                     .smoothing = j->label_smoothing_factor,
                                     .class_weight = l->class_weight},
                            .dtype = j->bf16 ? HONE_BF16 : HONE_F32,
                            .tokens_max = l->tokens_max,
                            .seqs_max = l->seqs_max,
                            .accumulation = j->gradient_accumulation_steps,
                            .freeze = j->freeze.p,
                            .n_freeze = j->freeze.n,
                            .beta1 = j->adam_beta1,
                            .beta2 = j->adam_beta2,
                            .epsilon = j->adam_epsilon,
                            .training = l->training,
                            .recompute = (int)j->gradient_checkpointing,
                            .device = s->table};
    return plan_build(&s->plan, &o, err);
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
    hone_tick t = {.hysteresis = 2};
    const float one = 1;
    const uint64_t seed = (uint64_t)s->job->seed;
    uint32_t counter[4] = {0}, key[4];
    t.seed[0] = (uint32_t)seed;
    t.seed[1] = (uint32_t)(seed >> 32);
    philox(counter, t.seed, key);
    t.step_key[0] = key[0];
    t.step_key[1] = key[1];
    memcpy(&t.loss_scale, &one, 4);
    return run_put(s->run, s->plan->tick, &t, err);
}

hone_status session_start(session *s, const session_limits *l, hone_err *err) {
    HONE_TRY(session_plan_only(s, l, err));
    HONE_TRY(run_open(&s->run, s->plan, s->table, s->pool, err));
    s->batch = batch_new(s->a, l->tokens_max, l->seqs_max);
    s->rows = ARENA_ARRAY(s->a, (size_t)s->plan->n_spaces + 1, int64_t);
    s->sorted = ARENA_ARRAY(s->a, 2 * (size_t)l->tokens_max + 2, int32_t);
    int most = s->config->vocab > s->config->positions ? s->config->vocab : s->config->positions;
    s->counts = ARENA_ARRAY(s->a, (size_t)(most > s->config->types ? most : s->config->types) + 2, int32_t);
    s->logits =
        mem_new(sizeof(float) * (size_t)l->seqs_max * ((size_t)s->n_outputs + 1), "logits of a batch");
    s->loss = s->logits + (size_t)l->seqs_max * (size_t)s->n_outputs;
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

/* A companion of the space of tokens, or of the space of sequences whose rows are the first ones of each. */
static void fill_value(session *s, int v) {
    const hone_value *x = &s->plan->value[v];
    const hone_space *space = x->fill_space ? &s->plan->space[x->fill_space] : NULL;
    const batch *b = s->batch;
    const int picked = space && !space->seqs;
    void *to = run_input(s->run, v);
    const size_t tokens = (size_t)b->tokens_max, seqs = (size_t)b->seqs_max;
    switch (x->fill) {
    case HONE_FILL_ID:
        memcpy(to, b->id, tokens * sizeof *b->id);
        break;
    case HONE_FILL_TYPE:
        memcpy(to, b->type, tokens * sizeof *b->type);
        break;
    case HONE_FILL_POS:
        if (!picked) memcpy(to, b->position, tokens * sizeof *b->position);
        for (size_t i = 0; picked && i < seqs; i++) ((int32_t *)to)[i] = (int64_t)i < b->n_seqs ? 0 : -1;
        break;
    case HONE_FILL_KEY:
        if (!picked) memcpy(to, b->key, tokens * sizeof *b->key);
        for (size_t i = 0; picked && i < seqs; i++)
            ((hone_key *)to)[i] = (int64_t)i < b->n_seqs ? b->key[b->at[i].first] : (hone_key){0, 0};
        break;
    case HONE_FILL_AT:
        if (!picked) memcpy(to, b->at, seqs * sizeof *b->at);
        for (size_t i = 0; picked && i < seqs; i++)
            ((hone_range *)to)[i] = (hone_range){(int32_t)i, (int64_t)i < b->n_seqs};
        break;
    case HONE_FILL_INDEX:
        for (size_t i = 0; i < seqs; i++) ((int32_t *)to)[i] = (int64_t)i < b->n_seqs ? b->at[i].first : -1;
        break;
    case HONE_FILL_LABEL:
        memcpy(to, b->label, seqs * sizeof *b->label);
        break;
    case HONE_FILL_TARGET:
        memcpy(to, b->target, seqs * sizeof *b->target);
        break;
    default:
        break;
    }
}

void session_feed(session *s, const dataset *d, const int64_t *samples, int64_t n, float scale) {
    const hone_plan *p = s->plan;
    batch_fill(s->batch, d, samples, n);
    for (int i = 1; i <= p->n_spaces; i++)
        s->rows[i] = p->space[i].seqs ? s->batch->n_tokens : s->batch->n_seqs;
    for (int v = 1; v <= p->n_values; v++)
        if (p->value[v].fill && p->value[v].cls == HONE_INPUT && p->value[v].fill != HONE_FILL_ORDER)
            fill_value(s, v);
    for (int v = 1; v <= p->n_values; v++)
        if (p->value[v].fill == HONE_FILL_ORDER)
            sort_rows(s, run_input(s->run, p->value[v].fill_of), s->batch->n_tokens, s->batch->tokens_max,
                      run_input(s->run, v));
    *(float *)run_input(s->run, p->scale) = scale;
}

/* ---- the weights as one number ---- */

static int by_name(const void *a, const void *b) {
    return strcmp((*(const hone_param *const *)a)->name, (*(const hone_param *const *)b)->name);
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
