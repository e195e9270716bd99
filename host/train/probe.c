/* probe.c - drawn, played, written; read, played again, compared. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "train/probe.h"
#include "base/err.h"
#include "base/file.h"
#include "base/rng.h"
#include "train/eval.h"

#define PROBE "probe.json"
#define ROWS 4
#define ROWS_MAX 64
#define MAX_BYTES ((size_t)16 << 20)

/* What another processor or device may add up differently, for logits up to 1. */
static double bound_of(hone_dtype dtype) { return dtype == HONE_F32 ? 1e-5 : 2e-2; }

/* A data set in an arena, to be filled: n rows, n_tokens in all. */
typedef struct {
    dataset d;
    int64_t *at;
    int32_t *id, *label;
    uint8_t *type;
} drawn;

static drawn make_rows(arena *a, int64_t n, int64_t n_tokens) {
    drawn x = {.at = ARENA_ARRAY(a, (size_t)n + 1, int64_t),
               .id = ARENA_ARRAY(a, (size_t)n_tokens + 1, int32_t),
               .label = ARENA_ARRAY(a, (size_t)n + 1, int32_t),
               .type = ARENA_ARRAY(a, (size_t)n_tokens + 1, uint8_t)};
    for (int64_t i = 0; i < n; i++) x.label[i] = -1;
    x.d = (dataset){.n = n, .n_tokens = n_tokens, .at = x.at, .id = x.id, .type = x.type, .label = x.label};
    return x;
}

/* Rows of 2, 7, 19 and 40 ids, as far as the model and the session's batches reach. */
static drawn draw_rows(arena *a, const session *s) {
    static const int64_t lengths[ROWS] = {2, 7, 19, 40};
    const model_config *c = s->config;
    const int64_t room = s->longest < s->batch->tokens_max ? s->longest : s->batch->tokens_max;
    int64_t length[ROWS], all = 0;
    for (int i = 0; i < ROWS; i++) all += length[i] = lengths[i] < room ? lengths[i] : room;
    drawn x = make_rows(a, ROWS, all);
    for (int i = 0; i < ROWS; i++) {
        x.at[i + 1] = x.at[i] + length[i];
        for (int64_t k = 0; k < length[i]; k++) {
            x.id[x.at[i] + k] =
                (int32_t)rng_below(1, RNG_SAMPLE, (uint64_t)i, (uint64_t)k, (uint64_t)c->vocab);
            x.type[x.at[i] + k] = c->types > 1 && 2 * k >= length[i];
        }
        if (length[i] > x.d.max_length) x.d.max_length = (int)length[i];
    }
    return x;
}

typedef struct {
    float *logits; /* [rows, n_outputs] */
    int n_outputs;
} kept;

static void keep_logits(void *to, int64_t i, const float *logits, double loss) {
    kept *k = to;
    (void)loss;
    memcpy(k->logits + i * k->n_outputs, logits, sizeof(float) * (size_t)k->n_outputs);
}

static hone_status play(kept *out, arena *a, session *s, const dataset *d, hone_err *err) {
    *out = (kept){ARENA_ARRAY(a, (size_t)(d->n * s->n_outputs) + 1, float), s->n_outputs};
    return evaluate(s, d, (eval_batches){1, s->batch->tokens_max}, keep_logits, out, err);
}

/* ---- writing ---- */

static void print_rows(text *out, const session *s, const drawn *x, const kept *k) {
    text_str(out, "{\n  \"device\": ");
    text_json(out, s->device, strlen(s->device));
    text_printf(out, ",\n  \"dtype\": \"%s\",\n  \"rows\": [", hone_dtype_name(s->plan->dtype));
    for (int64_t i = 0; i < x->d.n; i++) {
        text_str(out, i ? ",\n    {\"ids\": [" : "\n    {\"ids\": [");
        for (int64_t t = x->at[i]; t < x->at[i + 1]; t++)
            text_printf(out, "%s%d", t > x->at[i] ? "," : "", (int)x->id[t]);
        text_str(out, "], \"type_ids\": [");
        for (int64_t t = x->at[i]; t < x->at[i + 1]; t++)
            text_printf(out, "%s%d", t > x->at[i] ? "," : "", (int)x->type[t]);
        text_str(out, "], \"logits\": [");
        for (int c = 0; c < k->n_outputs; c++) {
            if (c) text_str(out, ",");
            text_double(out, (double)k->logits[i * k->n_outputs + c]);
        }
        text_str(out, "]}");
    }
    text_str(out, "\n  ]\n}\n");
}

hone_status probe_write(session *s, const char *folder, hone_err *err) {
    arena *a = arena_new("probe");
    const drawn x = draw_rows(a, s);
    kept k;
    text out = {0};
    hone_status status = play(&k, a, s, &x.d, err);
    if (!status) {
        print_rows(&out, s, &x, &k);
        status = file_write(path_join(a, folder, PROBE), out.p, out.n, err);
    }
    text_free(&out);
    arena_free(a);
    return status;
}

/* ---- reading ---- */

typedef struct {
    arena *a;
    const char *path;
    const json *root, *rows;
    drawn x;
    const float *logits; /* [rows, n_outputs] */
} stored_probe;

static hone_status refuse(const stored_probe *p, int64_t row, const char *what, hone_err *err) {
    return hone_fail(err, HONE_EDAMAGED, "%s: row %lld: %s", p->path, (long long)row, what);
}

/* A list of integers of 0 .. below; NULL if it is something else. */
static const json *integers(const json *row, const char *name, int64_t below) {
    const json *list = json_get(row, name);
    if (!list || list->kind != JSON_ARRAY || !list->n) return NULL;
    for (const json *v = list->child; v; v = v->next)
        if (v->kind != JSON_NUMBER || !v->is_int || v->integer < 0 || v->integer >= below) return NULL;
    return list;
}

/* Counts first, all against the model, then the numbers. */
static hone_status read_rows(stored_probe *p, const session *s, hone_err *err) {
    const model_config *c = s->config;
    int64_t i = 0, all = 0, at = 0;
    for (const json *row = p->rows->child; row; row = row->next, i++) {
        const json *ids = integers(row, "ids", c->vocab),
                   *types = integers(row, "type_ids", c->types > 1 ? c->types : 1),
                   *logits = json_get(row, "logits");
        if (!ids || (int64_t)ids->n > c->longest) return refuse(p, i, "ids are none of this model's", err);
        if (!types || types->n != ids->n) return refuse(p, i, "type_ids are not one for each id", err);
        if (!logits || logits->kind != JSON_ARRAY || logits->n != (size_t)s->n_outputs)
            return refuse(p, i, "logits are not one for each label", err);
        for (const json *v = logits->child; v; v = v->next)
            if (v->kind != JSON_NUMBER) return refuse(p, i, "a logit is no number", err);
        all += (int64_t)ids->n;
    }
    p->x = make_rows(p->a, i, all);
    float *logit = ARENA_ARRAY(p->a, (size_t)(i * s->n_outputs) + 1, float);
    p->logits = logit;
    i = 0;
    for (const json *row = p->rows->child; row; row = row->next, i++) {
        const json *id = json_get(row, "ids"), *type = json_get(row, "type_ids")->child;
        if ((int)id->n > p->x.d.max_length) p->x.d.max_length = (int)id->n;
        for (id = id->child; id; id = id->next, type = type->next, at++) {
            p->x.id[at] = (int32_t)id->integer;
            p->x.type[at] = (uint8_t)type->integer;
        }
        p->x.at[i + 1] = at;
        for (const json *v = json_get(row, "logits")->child; v; v = v->next) *logit++ = (float)v->number;
    }
    return HONE_OK;
}

static hone_status compare(const stored_probe *p, const session *s, const kept *now, char found[200],
                           hone_err *err) {
    const int64_t n = p->x.d.n * s->n_outputs;
    double difference = 0, largest = 1;
    for (int64_t i = 0; i < n; i++) {
        const double d = fabs((double)now->logits[i] - (double)p->logits[i]),
                     size = fabs((double)p->logits[i]);
        if (!(d <= difference)) difference = d;
        if (size > largest) largest = size;
    }
    if (!(difference <= bound_of(s->plan->dtype) * largest))
        return hone_fail(err, HONE_EDAMAGED, "%s: the logits of its %lld rows differ by up to %.3g", p->path,
                         (long long)p->x.d.n, difference);
    if (difference == 0) snprintf(found, 200, "%lld stored rows give identical logits", (long long)p->x.d.n);
    else
        snprintf(found, 200,
                 "%lld stored rows give logits within %.2g (stored on another processor or device)",
                 (long long)p->x.d.n, difference);
    return HONE_OK;
}

static hone_status replay(stored_probe *p, session *s, char found[200], hone_err *err) {
    kept now;
    HONE_TRY(read_rows(p, s, err));
    const session_limits limits = {.tokens_max = p->x.d.max_length, .seqs_max = 1};
    HONE_TRY(session_start(s, &limits, err));
    HONE_TRY(play(&now, p->a, s, &p->x.d, err));
    return compare(p, s, &now, found, err);
}

static hone_status read_file(stored_probe *p, hone_err *err) {
    str content;
    HONE_TRY(file_read(&content, p->a, p->path, MAX_BYTES, HONE_EDAMAGED, err));
    HONE_TRY(json_parse(&p->root, p->a, p->path, content.p, content.n, HONE_EDAMAGED, err));
    p->rows = json_get(p->root, "rows");
    if (!p->rows || p->rows->kind != JSON_ARRAY || !p->rows->n || p->rows->n > ROWS_MAX)
        return hone_fail(err, HONE_EDAMAGED, "%s: expected \"rows\" of 1 to %d objects", p->path, ROWS_MAX);
    return HONE_OK;
}

hone_status probe_replay(const char *folder, char found[200], hone_err *err) {
    stored_probe p = {.a = arena_new("probe")};
    session *s = NULL;
    job *j = NULL;
    pool *threads = NULL;
    hone_status status = HONE_OK;
    p.path = path_join(p.a, folder, PROBE);
    if (!file_exists(p.path)) snprintf(found, 200, "no " PROBE ": nothing was stored to be compared with");
    else {
        status = read_file(&p, err);
        const json *dtype = status ? NULL : json_get(p.root, "dtype");
        const int bf16 =
            dtype && dtype->kind == JSON_STRING && str_is(dtype->string, hone_dtype_name(HONE_BF16));
        const job_override o = {"bf16", bf16 ? "true" : "false"};
        if (!status) status = job_load(&j, NULL, &o, 1, 1, err);
        if (!status) threads = pool_new(0);
        if (!status) status = session_open(&s, j, folder, NULL, threads, err);
        if (!status) status = replay(&p, s, found, err);
    }
    session_close(s);
    pool_free(threads);
    job_free(j);
    arena_free(p.a);
    return status;
}
