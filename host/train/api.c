/* api.c - hone.h: the library for other programs. */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/host.h"
#include "base/mem.h"
#include "base/version.h"
#include "hone/hone.h"
#include "train/predict.h"
#include "train/train.h"

struct hone_model {
    job *job;
    pool *pool;
    session *s;
    arena *names;
    const char **label;
};

const char *hone_version(void) { return HONE_VERSION; }

void hone_quiet(void) { log_set(LOG_WARN); }

hone_status hone_train(const char *job_file, const char *const *overrides, int n_overrides, char *json_out,
                       size_t json_bytes, hone_err *err) {
    job *j;
    text summary = {0}, people = {0};
    job_override *o = mem_new(sizeof *o * (size_t)(n_overrides + 1), "overrides");
    for (int i = 0; i < n_overrides; i++) o[i] = (job_override){overrides[2 * i], overrides[2 * i + 1]};
    hone_status status = job_load(&j, job_file, o, n_overrides, 1, err);
    mem_free(o);
    if (status) return status;
    pool *p = pool_new((int)j->threads);
    status = train_job(j, p, comm_alone(), &summary, &people, err);
    if (json_out && json_bytes) snprintf(json_out, json_bytes, "%s", status ? "" : summary.p);
    text_free(&summary);
    text_free(&people);
    pool_free(p);
    job_free(j);
    return status;
}

hone_status hone_model_open(hone_model **out, const char *folder, const hone_options *options,
                            hone_err *err) {
    hone_model *m = mem_new(sizeof *m, "model");
    hone_status status = job_load(&m->job, NULL, NULL, 0, 1, err);
    if (!status) {
        if (options && options->device) m->job->device = options->device;
        m->pool = pool_new(options ? options->threads : 0);
        status = session_open(&m->s, m->job, folder, NULL, m->pool, err);
    }
    if (!status) {
        const int64_t longest = session_dataset_options(m->s, 0).encode.max_length;
        const session_limits l = {.tokens_max = longest > 4096 ? longest : 4096, .seqs_max = 256};
        m->names = arena_new("labels");
        m->label = ARENA_ARRAY(m->names, (size_t)m->s->n_outputs, const char *);
        for (int i = 0; i < m->s->labels.n; i++)
            m->label[i] = arena_copy(m->names, m->s->labels.name[i].p, m->s->labels.name[i].n);
        status = session_start(m->s, &l, err);
    }
    if (status) {
        hone_model_close(m);
        return status;
    }
    *out = m;
    return HONE_OK;
}

void hone_model_close(hone_model *m) {
    if (!m) return;
    session_close(m->s);
    arena_free(m->names);
    pool_free(m->pool);
    job_free(m->job);
    mem_free(m);
}

int hone_model_labels(const hone_model *m) { return m->s->n_outputs; }

const char *hone_model_label(const hone_model *m, int label) {
    return label >= 0 && label < m->s->labels.n ? m->label[label] : "";
}

/* Encoded texts as a data set in memory. */
static hone_status encode_texts(hone_model *m, dataset *d, arena *a, const char *const *first,
                                const char *const *second, int n, hone_err *err) {
    const encode_options o = session_dataset_options(m->s, 0).encode;
    int64_t *at = ARENA_ARRAY(a, (size_t)n + 1, int64_t);
    int32_t *id = ARENA_ARRAY(a, (size_t)n * (size_t)o.max_length + 1, int32_t),
            *label = ARENA_ARRAY(a, (size_t)n + 1, int32_t);
    uint8_t *type = ARENA_ARRAY(a, (size_t)n * (size_t)o.max_length + 1, uint8_t);
    encoding e = {0};
    hone_status status = HONE_OK;
    for (int i = 0; i < n && !status; i++) {
        const str a0 = str_of(first[i]), a1 = second ? str_of(second[i]) : (str){0};
        size_t bad;
        if (!utf8_valid(a0.p, a0.n, &bad) || !utf8_valid(a1.p, a1.n, &bad))
            status = hone_fail(err, HONE_EDATA, "text %d: byte %zu: invalid UTF-8", i, bad + 1);
        if (!status) status = tokenizer_encode(m->s->tok, a0, a1, &o, &e, err);
        if (status) break;
        memcpy(id + at[i], e.id, sizeof *id * (size_t)e.n);
        memcpy(type + at[i], e.type, (size_t)e.n);
        at[i + 1] = at[i] + e.n;
        if (!e.n && m->s->config->family->causal) id[at[i + 1]++] = m->s->end_id;
        label[i] = -1;
        d->max_length = (int)(at[i + 1] - at[i]) > d->max_length ? (int)(at[i + 1] - at[i]) : d->max_length;
    }
    encoding_free(&e);
    d->n = n;
    d->n_tokens = at[n];
    d->at = at, d->id = id, d->type = type, d->label = label;
    return status;
}

typedef struct {
    float *to;
    int n, marks;
} score_sink;

static void keep_scores(void *arg, int64_t i, const float *logits, double loss) {
    const score_sink *s = arg;
    (void)loss;
    memcpy(s->to + i * s->n, logits, sizeof *logits * (size_t)s->n);
    if (s->marks) chances(s->to + i * s->n, s->n);
    else if (s->n > 1) probabilities(s->to + i * s->n, s->n);
}

hone_status hone_model_predict(hone_model *m, const char *const *first, const char *const *second, int n,
                               float *scores, hone_err *err) {
    arena *a = arena_new("predict");
    dataset d = {0};
    score_sink to = {scores, m->s->n_outputs, m->s->head == HEAD_MARKS};
    hone_status status = encode_texts(m, &d, a, first, second, n, err);
    if (!status) status = evaluate(m->s, &d, eval_batches_in(m->s), keep_scores, &to, err);
    arena_free(a);
    return status;
}
