/* job.c - reads a job: file, then command line, over the defaults of the table; every message names place and
 * field. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "train/job.h"
#include "base/err.h"
#include "base/file.h"
#include "base/host.h"
#include "base/mem.h"
#include "data/order.h"
#include "train/generation.h"

#define JOB_MAX_BYTES ((size_t)1 << 20)

/* Where a value stands, for messages: "job.json: line 3 column 7 (learning_rate)" or "command line
 * (learning_rate)". */
typedef struct {
    const char *file, *text;
    size_t n, offset;
    const char *name;
    char said[256];
} place;

static const char *place_text(place *p) {
    if (p->text) {
        int line, column;
        json_place(p->text, p->n, p->offset, &line, &column);
        snprintf(p->said, sizeof p->said, "%.150s: line %d column %d (%.60s)", p->file, line, column,
                 p->name);
    } else snprintf(p->said, sizeof p->said, "%.150s (%.60s)", p->file, p->name);
    return p->said;
}

static const char *expected(const field *f, char out[160]) {
    char range[96] = "";
    if (f->kind == FIELD_INT || f->kind == FIELD_REAL) {
        if (f->high >= 9e15)
            snprintf(range, sizeof range, " %s %.9g", f->open_low ? "above" : "from", f->low);
        else snprintf(range, sizeof range, " in %c%.9g, %.9g]", f->open_low ? '(' : '[', f->low, f->high);
    }
    switch (f->kind) {
    case FIELD_INT:
        snprintf(out, 160, "an integer%s", range);
        break;
    case FIELD_REAL:
        snprintf(out, 160, "a number%s", range);
        break;
    case FIELD_BOOL:
        snprintf(out, 160, "true or false");
        break;
    case FIELD_CHOICE:
        snprintf(out, 160, "one of: %s", f->choices);
        break;
    case FIELD_TEXTS:
        snprintf(out, 160, "text or a list of texts");
        break;
    case FIELD_REALS:
        snprintf(out, 160, "one of: %s, or a list of numbers", f->choices);
        break;
    case FIELD_GENERATION:
        snprintf(out, 160, "an object, as {\"max_new_tokens\": 60, \"do_sample\": true}");
        break;
    default:
        snprintf(out, 160, "text");
        break;
    }
    return out;
}

static hone_status wrong(const field *f, place *at, const char *shown, hone_err *err) {
    char want[160];
    return hone_fail(err, HONE_EUSAGE, "%s: %s, expected %s", place_text(at), shown, expected(f, want));
}

/* "32k" "2M" "10%" "1e-5": a number with the suffixes that people write. */
static int number_from_text(str s, const field *f, double *out) {
    double unit = 1;
    if (s.n > 1) {
        const char last = s.p[s.n - 1];
        if (last == 'k' || last == 'K') unit = 1e3;
        if (last == 'M') unit = 1e6;
        if (last == '%') unit = f->unit[0] == '%' ? 1 : 0.01;
        if (unit != 1 || last == '%') s.n--;
    }
    double x;
    if (!str_to_double(s, &x)) return 0;
    *out = x * unit;
    return 1;
}

static int choice_index(const char *choices, str word) {
    int i = 0;
    for (const char *p = choices; *p; i++) {
        const size_t n = strcspn(p, " ");
        if (n == word.n && !memcmp(p, word.p, n)) return i;
        p += n;
        while (*p == ' ') p++;
    }
    return -1;
}

static void *field_place(job *j, const field *f) { return (char *)j + f->at; }

static int bool_from_text(str s, int *out) {
    static const char *const yes[] = {"true", "True", "1", "yes", "on"}, *const no[] = {"false", "False", "0",
                                                                                        "no", "off"};
    for (int i = 0; i < 5; i++) {
        if (str_is(s, yes[i])) return *out = 1, 1;
        if (str_is(s, no[i])) return *out = 0, 1;
    }
    return 0;
}

static hone_status set_number(job *j, const field *f, double x, const char *shown, place *at, hone_err *err) {
    if (!isfinite(x) || x > f->high || x < f->low || (f->open_low && x <= f->low))
        return wrong(f, at, shown, err);
    if (f->kind == FIELD_INT) {
        if (x != floor(x)) return wrong(f, at, shown, err);
        *(int64_t *)field_place(j, f) = (int64_t)x;
    } else *(double *)field_place(j, f) = x;
    return HONE_OK;
}

static void texts_from_commas(arena *a, texts *out, str s) {
    int n = 1;
    for (size_t i = 0; i < s.n; i++) n += s.p[i] == ',';
    out->p = ARENA_ARRAY(a, (size_t)n, const char *);
    out->n = 0;
    for (size_t from = 0, i = 0; i <= s.n; i++) {
        if (i < s.n && s.p[i] != ',') continue;
        if (i > from) out->p[out->n++] = arena_copy(a, s.p + from, i - from);
        from = i + 1;
    }
}

static hone_status set_class_weights(job *j, const field *f, const double *list, size_t n, place *at,
                                     hone_err *err) {
    j->class_weights = WEIGHTS_LIST;
    j->class_weight_list.p = ARENA_ARRAY(j->a, n ? n : 1, double);
    j->class_weight_list.n = (int)n;
    for (size_t i = 0; i < n; i++) {
        if (!(list[i] >= 0) || list[i] > 1e6) return wrong(f, at, "a weight below 0 or above 1e6", err);
        j->class_weight_list.p[i] = list[i];
    }
    return n ? HONE_OK : wrong(f, at, "an empty list", err);
}

static int is_path(const field *f) {
    static const char *const names[] = {
        "model_name_or_path", "config_name", "tokenizer_name", "cache_dir",  "train_file",
        "validation_file",    "test_file",   "labels_file",    "output_dir", "resume_from_checkpoint"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(f->name, names[i])) return 1;
    return 0;
}

/* Text goes into messages, JSON and file names: what could hide there is refused (bad-inputs C15). */
static hone_status set_text(job *j, const field *f, str s, const char *shown, place *at, hone_err *err) {
    size_t bad;
    if (s.n > 4096) return wrong(f, at, "a text of more than 4,096 bytes", err);
    if (memchr(s.p, 0, s.n)) return wrong(f, at, "a text with a NUL", err);
    if (!utf8_valid(s.p, s.n, &bad))
        return hone_fail(err, HONE_EUSAGE, "%s: %s, expected UTF-8", place_text(at), shown);
    if (is_path(f)) {
        for (size_t i = 0; i < s.n; i++)
            if ((unsigned char)s.p[i] < 32 || s.p[i] == 127)
                return hone_fail(err, HONE_EUSAGE, "%s: %s, expected a path without control characters",
                                 place_text(at), shown);
        if (s.n && s.p[0] == '~' && (s.n == 1 || s.p[1] == '/')) {
            hone_fail(err, HONE_EUSAGE, "%s: %s, expected a path; \"~\" is a word of the shell",
                      place_text(at), shown);
            return hone_hint(err, "write ${HOME} in a job file");
        }
    }
    *(const char **)field_place(j, f) = s.n ? arena_copy(j->a, s.p, s.n) : NULL;
    return HONE_OK;
}

static hone_status set_generation(job *j, const json *v, place *at, hone_err *err) {
    text said = {0};
    const hone_status status = generation_read(&said, v, place_text(at), err);
    if (!status) j->generation = arena_copy(j->a, said.p, said.n);
    text_free(&said);
    return status;
}

/* A value as text: from the command line, a default, or a JSON string. */
static hone_status set_from_text(job *j, const field *f, str s, int from_json, place *at, hone_err *err) {
    char shown[96], safe[72];
    snprintf(shown, sizeof shown, "\"%s\"%s", text_escape(safe, sizeof safe, s.p, s.n),
             from_json ? " is text" : "");
    double x;
    int yes;
    switch (f->kind) {
    case FIELD_TEXT:
        return set_text(j, f, s, shown, at, err);
    case FIELD_TEXTS:
        texts_from_commas(j->a, field_place(j, f), s);
        return HONE_OK;
    case FIELD_INT:
    case FIELD_REAL: {
        const int suffixed = s.n > 1 && strchr("kKM%", s.p[s.n - 1]);
        if (f->choices[0] && bool_from_text(s, &yes) && strchr("tTfFyYo", s.p[0]))
            x = yes ? atof(f->choices + 5) : 0;
        else if ((from_json && !suffixed) || !number_from_text(s, f, &x)) return wrong(f, at, shown, err);
        return set_number(j, f, x, shown, at, err);
    }
    case FIELD_BOOL:
        if (from_json || !bool_from_text(s, &yes)) return wrong(f, at, shown, err);
        *(int *)field_place(j, f) = yes;
        return HONE_OK;
    case FIELD_CHOICE:
    case FIELD_REALS: {
        const int i = choice_index(f->choices, s);
        if (i >= 0) {
            *(int64_t *)field_place(j, f) = i;
            return HONE_OK;
        }
        if (f->kind == FIELD_CHOICE || from_json) return wrong(f, at, shown, err);
        texts parts;
        texts_from_commas(j->a, &parts, s);
        double *list = ARENA_ARRAY(j->a, (size_t)parts.n + 1, double);
        for (int k = 0; k < parts.n; k++)
            if (!str_to_double(str_of(parts.p[k]), &list[k])) return wrong(f, at, shown, err);
        return set_class_weights(j, f, list, (size_t)parts.n, at, err);
    }
    case FIELD_GENERATION: {
        const json *v;
        hone_err ignored = {0};
        if (from_json || json_parse(&v, j->a, "generation", s.p, s.n, HONE_EUSAGE, &ignored) || v->kind != JSON_OBJECT)
            return wrong(f, at, shown, err);
        return set_generation(j, v, at, err);
    }
    }
    return HONE_OK;
}

static hone_status expand_variables(job *j, str in, str *out, place *at, hone_err *err) {
    text t = {0};
    hone_status status = HONE_OK;
    for (size_t i = 0; i < in.n && !status; i++) {
        if (in.p[i] != '$' || i + 1 >= in.n || in.p[i + 1] != '{') {
            text_add(&t, in.p + i, 1);
            continue;
        }
        const char *end = memchr(in.p + i, '}', in.n - i);
        if (!end) {
            status = hone_fail(err, HONE_EUSAGE, "%s: \"${\" without \"}\"", place_text(at));
            break;
        }
        char name[128], safe[128];
        const char *from = in.p + i + 2, *colon = NULL;
        for (const char *p = from; p + 1 < end; p++)
            if (p[0] == ':' && p[1] == '-') {
                colon = p;
                break;
            }
        const size_t n = (size_t)((colon ? colon : end) - from);
        snprintf(name, sizeof name, "%.*s", (int)(n < 100 ? n : 100), from);
        const char *value = env_expand(name);
        if (value) text_str(&t, value);
        else if (colon) text_add(&t, colon + 2, (size_t)(end - colon - 2));
        else
            status = hone_fail(err, HONE_EUSAGE, "%s: ${%s} is not set", place_text(at),
                               text_escape(safe, sizeof safe, name, strlen(name)));
        i = (size_t)(end - in.p);
    }
    *out = (str){t.n ? arena_copy(j->a, t.p, t.n) : "", t.n};
    text_free(&t);
    return status;
}

static hone_status set_from_list(job *j, const field *f, const json *v, place *at, hone_err *err) {
    if (f->kind == FIELD_TEXTS) {
        texts *out = field_place(j, f);
        out->p = ARENA_ARRAY(j->a, v->n + 1, const char *);
        out->n = 0;
        for (const json *e = v->child; e; e = e->next) {
            if (e->kind == JSON_STRING) out->p[out->n++] = e->string.p;
            else if (e->is_int) out->p[out->n++] = arena_print(j->a, "%lld", (long long)e->integer);
            else return wrong(f, at, json_kind_name(e->kind), err);
        }
        return HONE_OK;
    }
    if (f->kind != FIELD_REALS) return wrong(f, at, "a list", err);
    double *list = ARENA_ARRAY(j->a, v->n + 1, double);
    size_t n = 0;
    for (const json *e = v->child; e; e = e->next) {
        if (e->kind != JSON_NUMBER) return wrong(f, at, json_kind_name(e->kind), err);
        list[n++] = e->number;
    }
    return set_class_weights(j, f, list, n, at, err);
}

static hone_status set_from_json(job *j, const field *f, const json *v, place *at, hone_err *err) {
    char shown[64];
    switch (v->kind) {
    case JSON_NULL:
        return HONE_OK; /* as transformers: not given */
    case JSON_STRING: {
        str s;
        HONE_TRY(expand_variables(j, v->string, &s, at, err));
        return set_from_text(j, f, s, 1, at, err);
    }
    case JSON_BOOL:
        if (f->kind == FIELD_BOOL) *(int *)field_place(j, f) = v->boolean;
        else if (f->kind == FIELD_TEXT && f->preset[0] == 'f')
            *(const char **)field_place(j, f) = v->boolean ? "true" : "false";
        else if (f->kind == FIELD_INT && f->choices[0])
            *(int64_t *)field_place(j, f) = v->boolean ? atoi(f->choices + 5) : 0;
        else return wrong(f, at, v->boolean ? "true" : "false", err);
        return HONE_OK;
    case JSON_NUMBER:
        snprintf(shown, sizeof shown, v->is_int ? "%.0f" : "%.9g", v->number);
        if (f->kind == FIELD_INT || f->kind == FIELD_REAL) return set_number(j, f, v->number, shown, at, err);
        if (f->kind == FIELD_TEXTS && v->is_int) {
            texts_from_commas(j->a, field_place(j, f), str_of(shown));
            return HONE_OK;
        }
        if (f->at == offsetof(job, label_column_name) && v->is_int) {
            j->label_column_name = arena_print(j->a, "%s", shown);
            return HONE_OK;
        }
        return wrong(f, at, shown, err);
    case JSON_ARRAY:
        return set_from_list(j, f, v, at, err);
    default:
        if (f->kind == FIELD_GENERATION) return set_generation(j, v, at, err);
        return wrong(f, at, "an object", err);
    }
}

/* A field that is not there yet may be switched off: false, null, 0, "no", "none", "". */
static int is_off(const json *v) {
    if (v->kind == JSON_STRING) return !v->string.n || str_is(v->string, "no") || str_is(v->string, "none");
    return v->kind == JSON_NULL || (v->kind == JSON_BOOL && !v->boolean) ||
           (v->kind == JSON_NUMBER && v->number == 0) ||
           ((v->kind == JSON_ARRAY || v->kind == JSON_OBJECT) && !v->n);
}

static hone_status refuse_later(const field *f, place *at, hone_err *err) {
    hone_fail(err, HONE_EUSAGE, "%s: %s is not yet available", place_text(at), f->name);
    return hone_hint(err, "%s", f->later);
}

static hone_status unknown_key(str key, place *at, int strict, hone_err *err) {
    int n;
    const field *f = job_fields(&n);
    const char **names = mem_new(sizeof *names * (size_t)n, "names of fields");
    char copy[96], safe[96];
    for (int i = 0; i < n; i++) names[i] = f[i].name;
    snprintf(copy, sizeof copy, "%.*s", (int)(key.n < 90 ? key.n : 90), key.p);
    const char *near = nearest_word(copy, names, n);
    mem_free(names);
    at->name = text_escape(safe, sizeof safe, key.p, key.n);
    if (strict)
        return near ? hone_fail(err, HONE_EUSAGE, "%s: unknown key; did you mean \"%s\"?", place_text(at),
                                near)
                    : hone_fail(err, HONE_EUSAGE, "%s: unknown key", place_text(at));
    log_warn("%s: unknown key, ignored%s%s", place_text(at), near ? "; nearest is " : "", near ? near : "");
    return HONE_OK;
}

static hone_status set_row(job *j, int row, int source, place *at, hone_err *err) {
    int n;
    const field *f = job_fields(&n);
    if (j->given[row] == source)
        return hone_fail(err, HONE_EUSAGE, "%s: given twice (also under another name); expected once",
                         place_text(at));
    at->name = f[row].name;
    j->given[row] = (uint8_t)source;
    return HONE_OK;
}

/* DeepSpeed's "fp16": {"enabled": true, "loss_scale": 0, ...}: a switch with what belongs to it. */
static int takes_object(const field *f) { return f->kind == FIELD_BOOL && f->choices[0]; }

static hone_status read_object(job *j, const json *object, str source, int strict, const char *inside,
                               hone_err *err) {
    int n;
    const field *f = job_fields(&n);
    for (const json *v = object->child; v; v = v->next) {
        place at = {.file = j->file, .text = source.p, .n = source.n, .offset = v->offset, .name = v->key.p};
        if (!inside && str_is(v->key, "$schema")) continue;
        if (!inside && str_is(v->key, "lr_scheduler_kwargs") && v->kind == JSON_OBJECT) {
            HONE_TRY(read_object(j, v, source, strict, "lr_scheduler_kwargs", err));
            continue;
        }
        const int row = field_find(inside && str_is(v->key, "enabled") ? inside : v->key.p);
        if (!inside && row >= 0 && takes_object(&f[row]) && v->kind == JSON_OBJECT) {
            HONE_TRY(read_object(j, v, source, strict, f[row].name, err));
            continue;
        }
        if (row < 0) {
            HONE_TRY(unknown_key(v->key, &at, strict, err));
            continue;
        }
        if (f[row].later) {
            if (is_off(v)) continue;
            at.name = f[row].name;
            return refuse_later(&f[row], &at, err);
        }
        HONE_TRY(set_row(j, row, 1, &at, err));
        HONE_TRY(set_from_json(j, &f[row], v, &at, err));
    }
    return HONE_OK;
}

static hone_status read_text(job *j, str s, int strict, hone_err *err) {
    const json *root;
    HONE_TRY(json_parse(&root, j->a, j->file, s.p, s.n, HONE_EUSAGE, err));
    if (root->kind != JSON_OBJECT)
        return hone_fail(err, HONE_EUSAGE, "%s: line 1 column 1: %s, expected an object of job fields",
                         j->file, json_kind_name(root->kind));
    return read_object(j, root, s, strict, NULL, err);
}

static hone_status read_overrides(job *j, const job_override *o, int n_o, int strict, hone_err *err) {
    int n;
    const field *f = job_fields(&n);
    for (int i = 0; i < n_o; i++) {
        const int row = field_find(o[i].name);
        place at = {.file = "command line", .name = o[i].name};
        if (row < 0) {
            HONE_TRY(unknown_key(str_of(o[i].name), &at, strict, err));
            continue;
        }
        const str value = str_of(o[i].value ? o[i].value : "true");
        if (f[row].later) {
            int yes = 1;
            if (!value.n || str_is(value, "none") || (bool_from_text(value, &yes) && !yes)) continue;
            at.name = f[row].name;
            return refuse_later(&f[row], &at, err);
        }
        HONE_TRY(set_row(j, row, 2, &at, err));
        HONE_TRY(set_from_text(j, &f[row], value, 0, &at, err));
    }
    return HONE_OK;
}

static const char *const task_names[] = {
    [TASK_CLASSIFY] = "text-classification", [TASK_FILL_MASK] = "fill-mask", [TASK_CONTINUE] = "text-generation",
    [TASK_CONTINUE_ALIAS] = "causal-lm",     [TASK_PRETRAIN] = "pretrain",   [TASK_TOKENS] = "token-classification",
    [TASK_QUESTIONS] = "question-answering"};

const char *job_task(const job *j) { return task_names[j->task]; }

hone_status job_check_task(const job *j, hone_err *err) {
    enum {
        CLASSIFY = 1 << TASK_CLASSIFY,
        FILL_MASK = 1 << TASK_FILL_MASK,
        CONTINUE = 1 << TASK_CONTINUE,
        PRETRAIN = 1 << TASK_PRETRAIN,
        TOKENS = 1 << TASK_TOKENS,
        QUESTIONS = 1 << TASK_QUESTIONS
    };
    const struct {
        const char *name;
        int tasks, is_set; /* to something else than its default */
    } fields[] = {{"do_regression", CLASSIFY, j->do_regression},
                  {"problem_type", CLASSIFY, j->problem_type != PROBLEM_AUTO},
                  {"label_column_names", CLASSIFY, j->label_column_names.n > 0},
                  {"threshold", CLASSIFY, j->threshold != 0.5},
                  {"do_predict", CLASSIFY | TOKENS | QUESTIONS, j->do_predict},
                  {"label_column_name", CLASSIFY | TOKENS, j->label_column_name != NULL},
                  {"labels_file", CLASSIFY | TOKENS, j->labels_file != NULL},
                  {"metric_name", CLASSIFY | TOKENS, j->metric_name != NULL},
                  {"class_weights", CLASSIFY, j->class_weights != WEIGHTS_NONE},
                  {"label_smoothing_factor", CLASSIFY | TOKENS, j->label_smoothing_factor != 0},
                  {"train_sampling_strategy: balanced", CLASSIFY, j->train_sampling_strategy == SAMPLING_BALANCED},
                  {"shuffle_train_dataset", ~(PRETRAIN | QUESTIONS), j->shuffle_train_dataset},
                  {"validation_split_percentage", ~(PRETRAIN | QUESTIONS), j->validation_split_percentage > 0},
                  {"text_column_names", ~QUESTIONS, j->text_column_names.n > 0},
                  {"doc_stride", QUESTIONS, j->doc_stride != 128},
                  {"n_best_size", QUESTIONS, j->n_best_size != 20},
                  {"max_answer_length", QUESTIONS, j->max_answer_length != 30},
                  {"version_2_with_negative", QUESTIONS, j->version_2_with_negative != -1},
                  {"null_score_diff_threshold", QUESTIONS, j->null_score_diff_threshold != 0},
                  {"mlm_probability", FILL_MASK | PRETRAIN, j->mlm_probability != 0.15},
                  {"whole_word_mask", FILL_MASK | PRETRAIN, j->whole_word_mask},
                  {"line_by_line", FILL_MASK | CONTINUE, j->line_by_line},
                  {"cross_documents", FILL_MASK | CONTINUE, j->cross_documents},
                  {"generation", CONTINUE, j->generation != NULL},
                  {"nsp_probability", PRETRAIN, j->nsp_probability != 0.5},
                  {"short_seq_prob", PRETRAIN, j->short_seq_prob != 0.1},
                  {"split_sentences", PRETRAIN, j->split_sentences}};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (!fields[i].is_set || fields[i].tasks >> j->task & 1) continue;
        int of = 0;
        while (!(fields[i].tasks >> of & 1)) of++;
        return hone_fail(err, HONE_EUSAGE, "%s: not for task %s, expected task %s", fields[i].name, job_task(j),
                         task_names[of]);
    }
    if (j->task == TASK_FILL_MASK && j->line_by_line && j->cross_documents)
        return hone_fail(err, HONE_EUSAGE, "line_by_line: true and cross_documents: true, expected one of them");
    if (j->task == TASK_CONTINUE && j->max_seq_length < 2)
        return hone_fail(err, HONE_EUSAGE, "max_seq_length: %lld, expected at least 2: of a single token none is the next",
                         (long long)j->max_seq_length);
    return HONE_OK;
}

/* do_regression is the older name of a problem; several labels have no shares that one could smooth or balance by. */
static hone_status check_problem(job *j, hone_err *err) {
    const int multi = j->problem_type == PROBLEM_MULTI;
    if (j->do_regression && j->problem_type != PROBLEM_AUTO && j->problem_type != PROBLEM_REGRESSION)
        return hone_fail(err, HONE_EUSAGE, "do_regression: true, but problem_type names another problem; expected regression");
    if (j->problem_type == PROBLEM_REGRESSION) j->do_regression = 1;
    if (!multi && (j->label_column_names.n || j->threshold != 0.5))
        return hone_fail(err, HONE_EUSAGE, "%s: needs problem_type multi_label_classification",
                         j->label_column_names.n ? "label_column_names" : "threshold");
    if (multi && j->label_column_names.n && (j->label_column_name || j->labels_file))
        return hone_fail(err, HONE_EUSAGE, "label_column_names and %s, expected one of them",
                         j->label_column_name ? "label_column_name" : "labels_file");
    if (multi && (j->label_smoothing_factor != 0 || j->train_sampling_strategy == SAMPLING_BALANCED))
        return hone_fail(err, HONE_EUSAGE, "%s: not for multi_label_classification",
                         j->label_smoothing_factor != 0 ? "label_smoothing_factor" : "train_sampling_strategy: balanced");
    return HONE_OK;
}

/* What fields say about each other. */
static hone_status check_together(job *j, hone_err *err) {
    if (j->pad_to_max_length)
        return hone_fail(err, HONE_EUSAGE,
                         "pad_to_max_length: true, expected false; hone computes no padding");
    if (j->train_batch_size) {
        const int64_t micro = j->per_device_train_batch_size, steps = j->train_batch_size / micro;
        if (j->train_batch_size % micro)
            return hone_fail(
                err, HONE_EUSAGE,
                "train_batch_size: %lld cannot be cut into micro-batches of %lld; nearest %lld or %lld",
                (long long)j->train_batch_size, (long long)micro, (long long)(steps ? steps * micro : micro),
                (long long)((steps + 1) * micro));
        if (!j->given[field_find("gradient_accumulation_steps")])
            j->gradient_accumulation_steps = steps; /* of one rank; else steps_shards compares */
    }
    if (j->max_steps == 0)
        return hone_fail(err, HONE_EUSAGE, "max_steps: 0, expected -1 (not used) or at least 1");
    if (j->warmup_steps > 0 && j->warmup_ratio > 0)
        return hone_fail(err, HONE_EUSAGE, "warmup_steps: %.9g and warmup_ratio: %.9g, expected one of them",
                         j->warmup_steps, j->warmup_ratio);
    if (j->bf16 && j->fp16)
        return hone_fail(err, HONE_EUSAGE, "bf16: true and fp16: true, expected one of them");
    if (j->fp16 && j->loss_scale == 0 && j->min_loss_scale > ldexp(1, (int)j->initial_scale_power))
        return hone_fail(err, HONE_EUSAGE,
                         "min_loss_scale: %.9g, expected at most 2^%lld (initial_scale_power)",
                         j->min_loss_scale, (long long)j->initial_scale_power);
    if (j->bf16_full_eval && !j->bf16)
        return hone_fail(err, HONE_EUSAGE, "bf16_full_eval: true, but bf16 is false; expected both");
    if (j->load_best_model_at_end && j->eval_strategy == STRATEGY_NO)
        return hone_fail(err, HONE_EUSAGE,
                         "load_best_model_at_end: true, but eval_strategy is no; expected steps or epoch");
    if (j->save_strategy == STRATEGY_BEST && j->eval_strategy == STRATEGY_NO)
        return hone_fail(err, HONE_EUSAGE,
                         "save_strategy: best, but eval_strategy is no; expected steps or epoch");
    if (j->early_stopping_patience && j->eval_strategy == STRATEGY_NO)
        return hone_fail(err, HONE_EUSAGE,
                         "early_stopping_patience: %lld, but eval_strategy is no; expected steps or epoch",
                         (long long)j->early_stopping_patience);
    if (j->eval_strategy != STRATEGY_NO && !j->validation_file && j->validation_split_percentage <= 0)
        return hone_fail(
            err, HONE_EUSAGE,
            "eval_strategy: needs data; expected validation_file or validation_split_percentage");
    for (int i = 0; i < j->report_to.n; i++)
        if (choice_index("none tensorboard csv jsonl", str_of(j->report_to.p[i])) < 0)
            return hone_fail(err, HONE_EUSAGE, "report_to: \"%s\", expected tensorboard, csv, jsonl or none",
                             j->report_to.p[i]);
    return HONE_OK;
}

/* given NULL: the text is that of the file, or there is none. */
static hone_status load(job **out, const char *path, const str *given, const job_override *overrides,
                        int n_overrides, int strict, hone_err *err) {
    arena *a = arena_new("job");
    str content = given ? *given : (str){0};
    job *j = ARENA_NEW(a, job);
    int n;
    const field *f = job_fields(&n);
    j->a = a;
    j->given = arena_alloc(a, (size_t)n);
    hone_status status = HONE_OK;
    for (int i = 0; i < n && !status; i++) {
        place at = {.file = "defaults", .name = f[i].name};
        if (!f[i].later && (f[i].preset[0] || f[i].kind == FIELD_TEXT))
            status = set_from_text(j, &f[i], str_of(f[i].preset), 0, &at, err);
    }
    HONE_ASSERT(!status);
    j->file = path ? arena_copy(a, path_name(path), strlen(path_name(path))) : "command line";
    if (path && !given) status = file_read(&content, a, path, JOB_MAX_BYTES, HONE_EUSAGE, err);
    if (path && !status) status = read_text(j, content, strict, err);
    if (!status) status = read_overrides(j, overrides, n_overrides, strict, err);
    if (j->task == TASK_CONTINUE_ALIAS) j->task = TASK_CONTINUE;
    if (!status && path) status = job_check_task(j, err);
    if (!status && path) status = check_problem(j, err);
    if (!status) status = check_together(j, err);
    if (status) {
        arena_free(a);
        return status;
    }
    *out = j;
    return HONE_OK;
}

hone_status job_load(job **out, const char *path, const job_override *overrides, int n_overrides, int strict,
                     hone_err *err) {
    return load(out, path, NULL, overrides, n_overrides, strict, err);
}

hone_status job_parse(job **out, const char *name, str content, hone_err *err) {
    return load(out, name, &content, NULL, 0, 1, err);
}

void job_free(job *j) {
    if (j) arena_free(j->a);
}
