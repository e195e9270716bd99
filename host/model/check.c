/* check.c - the list, item by item. An item that cannot be judged because an earlier one failed says so, as
 * failed. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/vec.h"
#include "model/architecture.h"
#include "model/card.h"
#include "model/check.h"
#include "model/check_tokenizer.h"
#include "model/config.h"
#include "model/weights.h"

typedef struct {
    arena *a;
    const char *folder;
    model_config *config; /* NULL: not readable */
    weights *w;           /* NULL: not readable */
    VEC(finding) found;
} judging;

static void note(judging *j, int item, int passed, const char *fmt, ...) HONE_PRINTF(4, 5);
static void note(judging *j, int item, int passed, const char *fmt, ...) {
    char line[1200];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    vec_push(&j->found, (finding){item, passed, arena_copy(j->a, line, strlen(line))});
}

static const char *show(char out[120], const char *name) { return text_escape(out, 120, name, strlen(name)); }

/* ---- 1: tensors
 * ----------------------------------------------------------------------------------------------*/
static void judge_tensors(judging *j) {
    char shown[120], form[200], should[200];
    int n, missing = 0, other = 0, extra = 0;
    const char *first_missing = "", *first_extra = "";
    const char *architecture = j->config->architecture;
    const param_want *want =
        architecture ? architecture_params(j->a, j->config, architecture, j->config->n_labels, &n) : NULL;
    if (!want) {
        note(j, 1, 0, "architecture \"%s\" is none whose tensors are known",
             architecture ? show(shown, architecture) : "");
        return;
    }
    uint8_t *used = arena_alloc(j->a, (size_t)j->w->n);
    for (int i = 0; i < n; i++) {
        const int at = weights_find(j->w, want[i].name);
        if (at < 0) {
            if (!missing++) first_missing = want[i].name;
            continue;
        }
        const stored_tensor *t = j->w->tensor[at];
        int same = t->n_dims == want[i].n_dims;
        int64_t dim[3];
        for (int d = 0; d < want[i].n_dims; d++) dim[d] = param_stored_dim(&want[i], d);
        for (int d = 0; same && d < t->n_dims; d++) same = t->dim[d] == dim[d];
        used[at] = 1;
        if (same || other++) continue;
        const stored_tensor implied = {.type = t->type, .n_dims = want[i].n_dims, .dim = dim};
        note(j, 1, 0, "\"%s\" is %s, config.json implies %s", want[i].name, stored_form(form, sizeof form, t),
             stored_form(should, sizeof should, &implied));
    }
    for (int i = 0; i < j->w->n; i++)
        if (!used[i] && !extra++) first_extra = j->w->tensor[i]->name;
    if (missing)
        note(j, 1, 0, "missing %d of %d tensors: %s%s", missing, n, first_missing, missing > 1 ? " ..." : "");
    if (extra)
        note(j, 1, 0, "%d tensors that %s has not: \"%s\"%s", extra, architecture, show(shown, first_extra),
             extra > 1 ? " ..." : "");
    if (other > 1) note(j, 1, 0, "%d tensors have another shape", other);
    if (!missing && !extra && !other)
        note(j, 1, 1, "all %d tensors of %s, shapes as config.json implies", n, architecture);
}

/* ---- 2: header
 * -----------------------------------------------------------------------------------------------*/
static void judge_header(judging *j) {
    for (int f = 0; f < j->w->n_files; f++) {
        const safetensors *s = j->w->file[f];
        const char *format = NULL;
        for (int i = 0; i < s->n_metadata; i++)
            if (str_is(s->metadata[i].key, "format")) format = s->metadata[i].value.p;
        if (!format || strcmp(format, "pt"))
            note(j, 2, 0, "%s: no \"format\": \"pt\" in its metadata: several releases refuse it",
                 path_name(s->path));
        else if (s->head[8] != '{' || s->data_at % 8)
            note(j, 2, 0, "%s: its data do not start on 8 bytes, or its header not with '{'",
                 path_name(s->path));
        else note(j, 2, 1, "%s: header of %zu bytes, format pt", path_name(s->path), s->header_bytes);
    }
}

/* ---- 3: types of config.json
 * ---------------------------------------------------------------------------------*/
static int is_boolean_key(const char *key) {
    static const char *const keys[] = {"tie_word_embeddings",  "use_cache",          "is_decoder",
                                       "add_cross_attention",  "is_encoder_decoder", "output_attentions",
                                       "output_hidden_states", "return_dict",        "sinusoidal_pos_embds",
                                       "tie_weights_"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (!strcmp(key, keys[i])) return 1;
    return 0;
}

static int judge_value(judging *j, const json *item) {
    char shown[120];
    const char *key = item->key.p, *wrong = NULL;
    const int null = item->kind == JSON_NULL, number = item->kind == JSON_NUMBER;
    if (config_key_is_real(key) && !null && (!number || item->is_int))
        wrong = "a float with a point or an exponent";
    else if (is_boolean_key(key) && !null && item->kind != JSON_BOOL) wrong = "true or false";
    else if (!strcmp(key, "architectures") && (item->kind != JSON_ARRAY || item->n != 1))
        wrong = "a list of one class";
    if (wrong) note(j, 3, 0, "%s: expected %s", show(shown, key), wrong);
    return !wrong;
}

static int judge_required(judging *j, const char *key) {
    const json *value = json_get(j->config->tree, key);
    if (value && value->kind == JSON_STRING) return 1;
    note(j, 3, 0, "%s: expected text", key);
    return 0;
}

static void judge_config(judging *j) {
    const json *tree = j->config->tree, *dtype = json_get(tree, "dtype"),
               *old = json_get(tree, "torch_dtype");
    int good = 1;
    for (const json *item = tree->child; item; item = item->next) good &= judge_value(j, item);
    if (j->config->label) good &= judge_required(j, "problem_type");
    if (judge_required(j, "dtype") & judge_required(j, "torch_dtype")) {
        if (!str_eq(dtype->string, old->string)) note(j, 3, good = 0, "dtype and torch_dtype differ");
    } else good = 0;
    if (good) note(j, 3, 1, "config.json: %zu values of the types that transformers checks", tree->n);
}

/* ---- 4: labels
 * -----------------------------------------------------------------------------------------------*/
static void judge_labels(judging *j) {
    const model_config *c = j->config;
    const char *head = family_tensor(j->a, c->family, architecture_classifier(c->architecture), -1, "weight");
    const int at = j->w ? weights_find(j->w, head) : -1;
    const json *map = json_get(c->tree, "label2id");
    if (at < 0) {
        note(j, 4, j->w && !c->label,
             !j->w      ? "not judged: the weights cannot be read"
             : c->label ? "labels, but no %s"
                        : "no labels, no %s",
             head);
        return;
    }
    const stored_tensor *t = j->w->tensor[at];
    if (!c->label)
        note(j, 4, c->n_labels == 2 && t->n_dims == 2 && t->dim[0] == 2,
             "no id2label: the head of 2 rows gets LABEL_0 and LABEL_1");
    else if (t->n_dims != 2 || t->dim[0] != c->n_labels)
        note(j, 4, 0, "%d labels, the head has %lld rows", c->n_labels,
             t->n_dims ? (long long)t->dim[0] : 0LL);
    else if (!map || c->n_notes || map->n != (size_t)c->n_labels)
        note(j, 4, 0, "label2id is not the reverse of id2label");
    else note(j, 4, 1, "%d labels, as many rows of the head", c->n_labels);
}

/* ---- 6, 8: numbers
 * -------------------------------------------------------------------------------------------*/
static void judge_types(judging *j) {
    int other = 0;
    const stored_tensor *first = NULL;
    char shown[120];
    for (int i = 0; i < j->w->n; i++)
        if (j->w->tensor[i]->type != STORED_F32 && !other++) first = j->w->tensor[i];
    if (other)
        note(j, 6, 0, "%d tensors are not float32, first \"%s\" (%s)", other, show(shown, first->name),
             stored_type_name(first->type));
    else note(j, 6, 1, "float32");
}

static hone_status count_not_finite(int64_t *bad, int64_t *first, const safetensors *s,
                                    const stored_tensor *t, hone_err *err) {
    enum { BLOCK = 16384 };
    float x[BLOCK];
    *bad = *first = 0;
    for (int64_t at = 0; at < t->n; at += BLOCK) {
        const int64_t n = t->n - at < BLOCK ? t->n - at : BLOCK;
        HONE_TRY(safetensors_floats(s, t, at, n, x, err));
        for (int64_t i = 0; i < n; i++)
            if (!isfinite(x[i]) && !(*bad)++) *first = at + i;
    }
    return HONE_OK;
}

static void judge_finite(judging *j) {
    int64_t bad = 0, place = 0;
    const char *name = "";
    char shown[120];
    for (int i = 0; i < j->w->n; i++) {
        int64_t at, here;
        hone_err err = {0};
        if (!stored_type_is_float(j->w->tensor[i]->type)) continue;
        if (count_not_finite(&here, &at, j->w->of[i], j->w->tensor[i], &err)) {
            note(j, 8, 0, "%s", err.text);
            return;
        }
        if (here && !bad) name = j->w->tensor[i]->name, place = at;
        bad += here;
    }
    if (bad)
        note(j, 8, 0, "%lld non-finite values, first in \"%s\" at index %lld", (long long)bad,
             show(shown, name), (long long)place);
    else note(j, 8, 1, "all values are finite");
}

/* ---- 5, 7
 * ----------------------------------------------------------------------------------------------------*/
static void judge_tokenizer(judging *j) {
    hone_err err = {0};
    int highest = -1;
    if (check_tokenizer(j->folder, j->config, &highest, &err)) note(j, 5, 0, "%s", err.text);
    else note(j, 5, 1, "tokenizer: highest id %d of %d, special tokens agree", highest, j->config->vocab);
}

static void judge_card(judging *j) {
    const char *path;
    hone_err err = {0};
    int line;
    const char *what;
    str s;
    if (model_file(&path, j->a, j->folder, "README.md", &err) || !path) {
        note(j, 7, 0, "%s", path || err.text[0] ? err.text : "no README.md");
        return;
    }
    if (file_read(&s, j->a, path, (size_t)16 << 20, HONE_EDAMAGED, &err)) note(j, 7, 0, "%s", err.text);
    else if (!card_check(s.p, s.n, &line, &what)) note(j, 7, 0, "README.md: line %d: %s", line, what);
    else note(j, 7, 1, "README.md: front matter reads as YAML");
}

static void judge_weights(judging *j, const char *why) {
    static const int items[] = {2, 6, 8};
    if (!j->w) {
        for (int i = 0; i < 3; i++)
            note(j, items[i], 0, "%s", i ? "not judged: the weights cannot be read" : why);
        return;
    }
    judge_header(j);
    judge_types(j);
    judge_finite(j);
}

static void judge_all(judging *j) {
    hone_err config_err = {0}, weights_err = {0};
    if (config_load(&j->config, j->folder, &config_err)) j->config = NULL;
    if (weights_open(&j->w, j->folder, &weights_err)) j->w = NULL;
    judge_weights(j, weights_err.text);
    if (j->config) {
        judge_config(j);
        judge_labels(j);
        judge_tokenizer(j);
    } else
        for (int item = 3; item <= 5; item++)
            note(j, item, 0, "%s", item == 3 ? config_err.text : "not judged: config.json cannot be read");
    if (j->config && j->w) judge_tensors(j);
    else note(j, 1, 0, "not judged: %s cannot be read", j->w ? "config.json" : "the weights");
    judge_card(j);
}

static int compare_findings(const void *a, const void *b) {
    const finding *x = a, *y = b;
    return x->item != y->item ? x->item - y->item : strcmp(x->text, y->text);
}

check *check_folder(const char *folder) {
    judging j = {.a = arena_new("check"), .folder = folder};
    check *c = ARENA_NEW(j.a, check);
    judge_all(&j);
    c->a = j.a;
    c->n = (int)j.found.n;
    c->finding = ARENA_ARRAY(j.a, j.found.n, finding);
    memcpy(c->finding, j.found.p, j.found.n * sizeof *c->finding);
    qsort(c->finding, j.found.n, sizeof *c->finding, compare_findings);
    for (int i = 0; i < c->n; i++) c->n_failed += !c->finding[i].passed;
    vec_free(&j.found);
    weights_close(j.w);
    config_free(j.config);
    return c;
}

void check_add(check *c, int item, int passed, const char *what) {
    finding *all = ARENA_ARRAY(c->a, (size_t)c->n + 1, finding);
    memcpy(all, c->finding, (size_t)c->n * sizeof *all);
    all[c->n++] = (finding){item, passed, arena_copy(c->a, what, strlen(what))};
    qsort(all, (size_t)c->n, sizeof *all, compare_findings);
    c->finding = all;
    c->n_failed += !passed;
}

void check_free(check *c) {
    if (c) arena_free(c->a);
}

void check_print(const check *c, text *out) {
    static const char *const names[] = {"tensors",   "header", "config", "labels", "tokenizer",
                                        "precision", "card",   "values", "probe"};
    for (int i = 0; i < c->n; i++)
        text_printf(out, "%-6s %d %-10s %s\n", c->finding[i].passed ? "ok" : "FAILED", c->finding[i].item,
                    names[c->finding[i].item - 1], c->finding[i].text);
    text_printf(out, "%d findings, %d failed\n", c->n, c->n_failed);
}
