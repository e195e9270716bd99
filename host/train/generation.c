/* generation.c - reading settings by one table, from a file and from words. */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/file.h"
#include "base/host.h"
#include "model/json_print.h"
#include "train/generation.h"

static const struct {
    const char *name;
    generation_kind kind;
    double least, most, preset;
    size_t at;
} fields[] = {
#define XX(kind, name, least, most, preset, help) {#name, GENERATION_##kind, least, most, preset, offsetof(generation, name)},
    GENERATION_MAP(XX)
#undef XX
};

const char *generation_name(int i) { return fields[i].name; }

static double *value_of(generation *g, int i) { return (double *)(void *)((char *)g + fields[i].at); }

static int early_of(const char *word) {
    return !strcmp(word, "false") ? EARLY_NO : !strcmp(word, "true") ? EARLY_YES : !strcmp(word, "never") ? EARLY_NEVER : -1;
}

static hone_status refuse(const char *where, int i, const char *value, hone_err *err) {
    static const char *const expected[] = {"true or false", "an integer", "a number", "true, false or \"never\""};
    const generation_kind kind = fields[i].kind;
    if (kind == GENERATION_BOOL || kind == GENERATION_EARLY)
        return hone_fail(err, HONE_EUSAGE, "%s%s: %.64s, expected %s", where, fields[i].name, value, expected[kind]);
    return hone_fail(err, HONE_EUSAGE, "%s%s: %.64s, expected %s in [%.9g, %.9g]", where, fields[i].name, value, expected[kind],
                     fields[i].least, fields[i].most);
}

static int fits(int i, double x) { return x >= fields[i].least && x <= fields[i].most; }

static hone_status take_word(generation *g, int i, const char *word, hone_err *err) {
    double *to = value_of(g, i);
    int64_t n;
    int ok = 0;
    if (fields[i].kind == GENERATION_INT) ok = str_to_int64(str_of(word), &n), *to = ok ? (double)n : 0;
    if (fields[i].kind == GENERATION_REAL) ok = str_to_double(str_of(word), to);
    if (fields[i].kind == GENERATION_BOOL || fields[i].kind == GENERATION_EARLY) *to = early_of(word), ok = *to >= 0;
    return ok && fits(i, *to) ? HONE_OK : refuse("--", i, word, err);
}

static hone_status take_json(generation *g, int i, const json *v, const char *where, hone_err *err) {
    double *to = value_of(g, i);
    if (v->kind == JSON_NULL) return HONE_OK;
    if (fields[i].kind == GENERATION_INT && v->is_int) *to = (double)v->integer;
    else if (fields[i].kind == GENERATION_REAL && v->kind == JSON_NUMBER) *to = v->number;
    else if (v->kind == JSON_BOOL && fields[i].kind == GENERATION_BOOL) *to = v->boolean;
    else if (v->kind == JSON_BOOL && fields[i].kind == GENERATION_EARLY) *to = v->boolean ? EARLY_YES : EARLY_NO;
    else if (v->kind == JSON_STRING && fields[i].kind == GENERATION_EARLY && early_of(v->string.p) == EARLY_NEVER) *to = EARLY_NEVER;
    else return refuse(where, i, json_kind_name(v->kind), err);
    return fits(i, *to) ? HONE_OK : refuse(where, i, "a value out of range", err);
}

/* ---- tokens ---- */

static hone_status take_id(int32_t *out, const json *v, const char *path, const char *key, int vocab, hone_err *err) {
    if (v->is_int && v->integer >= 0 && v->integer < vocab) return *out = (int32_t)v->integer, HONE_OK;
    return hone_fail(err, HONE_EUSAGE, "%s%s: expected the id of a token, 0 to %d", path, key, vocab - 1);
}

static hone_status take_ends(generation *g, arena *a, const json *v, const char *path, int vocab, hone_err *err) {
    const int is_list = v->kind == JSON_ARRAY, n = is_list ? (int)v->n : 1;
    int32_t *end = ARENA_ARRAY(a, (size_t)n + 1, int32_t);
    const json *x = is_list ? v->child : v;
    for (int i = 0; i < n; i++, x = x->next) HONE_TRY(take_id(&end[i], x, path, "eos_token_id", vocab, err));
    g->end = end;
    g->n_ends = n;
    return HONE_OK;
}

static hone_status take_tokens(generation *g, arena *a, const json *tree, const char *path, int vocab, hone_err *err) {
    const json *end = json_get(tree, "eos_token_id"), *begin = json_get(tree, "bos_token_id");
    if (end && end->kind != JSON_NULL) HONE_TRY(take_ends(g, a, end, path, vocab, err));
    return begin && begin->kind != JSON_NULL ? take_id(&g->begin, begin, path, "bos_token_id", vocab, err) : HONE_OK;
}

/* ---- generation_config.json ---- */

/* What says nothing of the text, or is read by take_tokens. */
static int is_silent(const char *key) {
    static const char *const keys[] = {"bos_token_id",  "eos_token_id",          "pad_token_id",     "decoder_start_token_id",
                                       "_from_model_config", "transformers_version", "output_attentions", "output_hidden_states",
                                       "output_scores", "output_logits",         "return_dict_in_generate", "cache_implementation"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (!strcmp(keys[i], key)) return 1;
    return 0;
}

/* What transformers takes where nothing is said. */
static int is_preset(const json *v) {
    if (v->kind == JSON_NULL || (v->kind == JSON_BOOL && !v->boolean)) return 1;
    if (v->kind == JSON_NUMBER) return v->number == 0 || v->number == 1;
    return (v->kind == JSON_ARRAY || v->kind == JSON_OBJECT) && !v->n;
}

static int find(const char *name) {
    int i = 0;
    while (i < N_GENERATION && strcmp(fields[i].name, name)) i++;
    return i;
}

static hone_status take_file(generation *g, arena *a, const char *path, int vocab, hone_err *err) {
    const json *tree;
    str file;
    HONE_TRY(file_read(&file, a, path, CONFIG_MAX_BYTES, HONE_EUSAGE, err));
    HONE_TRY(json_parse(&tree, a, path, file.p, file.n, HONE_EUSAGE, err));
    if (tree->kind != JSON_OBJECT) return hone_fail(err, HONE_EUSAGE, "%s: %s, expected an object", path, json_kind_name(tree->kind));
    const char *where = arena_print(a, "%s: ", path);
    for (const json *v = tree->child; v; v = v->next) {
        char safe[96];
        const int i = find(v->key.p);
        if (i < N_GENERATION) HONE_TRY(take_json(g, i, v, where, err));
        else if (!is_silent(v->key.p) && !is_preset(v))
            log_warn("%s%s is not played: left out", where, text_escape(safe, sizeof safe, v->key.p, v->key.n));
    }
    return take_tokens(g, a, tree, where, vocab, err);
}

/* ---- a job's object ---- */

static hone_status take_object(generation *g, const json *object, const char *where, hone_err *err) {
    const char *names[N_GENERATION];
    char safe[96];
    for (int i = 0; i < N_GENERATION; i++) names[i] = fields[i].name;
    for (const json *v = object->child; v; v = v->next) {
        const int i = find(v->key.p);
        if (i < N_GENERATION) {
            HONE_TRY(take_json(g, i, v, where, err));
            continue;
        }
        const char *near = nearest_word(v->key.p, names, N_GENERATION);
        text_escape(safe, sizeof safe, v->key.p, v->key.n);
        if (near) return hone_fail(err, HONE_EUSAGE, "%s%s: unknown name; did you mean \"%s\"?", where, safe, near);
        hone_fail(err, HONE_EUSAGE, "%s%s: unknown name", where, safe);
        return hone_hint(err, "hone generate --help lists them");
    }
    return HONE_OK;
}

hone_status generation_read(text *out, const json *object, const char *where, hone_err *err) {
    generation g;
    char said[300];
    const char *comma = "{";
    snprintf(said, sizeof said, "%s: ", where);
    HONE_TRY(take_object(&g, object, said, err));
    for (const json *v = object->child; v; v = v->next) {
        if (v->kind == JSON_NULL) continue; /* as transformers: not given */
        text_printf(out, "%s\"%s\": ", comma, v->key.p);
        json_print(out, v, 0, 0);
        comma = ", ";
    }
    text_str(out, *comma == '{' ? "{}" : "}");
    return HONE_OK;
}

void generation_print_schema(text *out) {
    static const char *const types[] = {"\"type\": [\"boolean\", \"null\"]", "\"type\": [\"integer\", \"null\"]",
                                        "\"type\": [\"number\", \"null\"]", "\"enum\": [true, false, \"never\", null]"};
    text_str(out, "\"type\": [\"object\", \"null\"], \"additionalProperties\": false, \"properties\": {");
    for (int i = 0; i < N_GENERATION; i++) {
        text_printf(out, "%s\"%s\": {%s", i ? ", " : "", fields[i].name, types[fields[i].kind]);
        if (fields[i].kind == GENERATION_INT || fields[i].kind == GENERATION_REAL)
            text_printf(out, ", \"minimum\": %.9g, \"maximum\": %.9g", fields[i].least, fields[i].most);
        text_str(out, "}");
    }
    text_str(out, "}");
}

/* ---- all together ---- */

static hone_status check(const generation *g, const model_config *c, hone_err *err) {
    const int n = (int)g->num_beams, wide = beams_wide(n, g->n_ends);
    if (g->num_return_sequences > g->num_beams && (n > 1 || g->do_sample == 0)) {
        hone_fail(err, HONE_EUSAGE, n > 1 ? "num_return_sequences: %.0f, expected at most num_beams, %d"
                                          : "num_return_sequences: %.0f without do_sample, but num_beams is %d: all texts would be one",
                  g->num_return_sequences, n);
        return hone_hint(err, "give num_beams as many, or draw (do_sample) without beams");
    }
    if (n > 1 && (wide > c->vocab || n + wide > BEAMS_WIDE))
        return hone_fail(err, HONE_EUSAGE, "num_beams: %d with %d ends of text, expected fewer: the vocabulary has %d tokens",
                         n, g->n_ends, c->vocab);
    return HONE_OK;
}

hone_status generation_load(generation *g, arena *a, const char *folder, const model_config *c, const tokenizer *t,
                            const char *object, const char *const *value, hone_err *err) {
    const char *path = folder ? path_join(a, folder, "generation_config.json") : NULL;
    const json *tree;
    const tokenizer_roles r = tokenizer_special(t);
    *g = (generation){.begin = r.bos >= 0 ? r.bos : r.eos};
    for (int i = 0; i < N_GENERATION; i++) *value_of(g, i) = fields[i].preset;
    if (r.eos >= 0) {
        int32_t *end = ARENA_NEW(a, int32_t);
        *end = r.eos;
        g->end = end, g->n_ends = 1;
    }
    if (c->tree) HONE_TRY(take_tokens(g, a, c->tree, arena_print(a, "%s: ", c->path), c->vocab, err));
    if (path && file_is_regular(path)) HONE_TRY(take_file(g, a, path, c->vocab, err));
    if (object) {
        HONE_TRY(json_parse(&tree, a, "generation", object, strlen(object), HONE_EUSAGE, err));
        HONE_TRY(take_object(g, tree, "generation: ", err));
        if (json_get(tree, "max_length") && !json_get(tree, "max_new_tokens")) g->max_new_tokens = -1;
    }
    for (int i = 0; value && i < N_GENERATION; i++)
        if (value[i]) HONE_TRY(take_word(g, i, value[i], err));
    if (value && value[GENERATION_max_length] && !value[GENERATION_max_new_tokens]) g->max_new_tokens = -1;
    if (g->max_new_tokens < 0 && g->max_length < 0) g->max_new_tokens = 20;
    return check(g, c, err);
}
