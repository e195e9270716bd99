/* config.c - config.json, key by key. A wrong type is refused rather than converted: "768" is not 768. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/file.h"
#include "base/host.h"
#include "model/family.h"
#include "model/weights.h"

#define MAX_NOTES 16

typedef struct {
    model_config *c;
    const json *root;
    str text;
    const char *notes[MAX_NOTES];
    hone_err *err;
} reading;

/* "PATH: line L column C (KEY): ..." */
static hone_status refuse_value(const reading *r, const json *at, const char *key, const char *expected) {
    char seen[80], shown[60];
    int line, column;
    json_place(r->text.p, r->text.n, at->offset, &line, &column);
    switch (at->kind) {
    case JSON_STRING:
        snprintf(seen, sizeof seen, "\"%s\" is text",
                 text_escape(shown, sizeof shown, at->string.p, at->string.n));
        break;
    case JSON_NUMBER:
        snprintf(seen, sizeof seen, at->is_int ? "%.0f" : "%.9g", at->number);
        break;
    case JSON_BOOL:
        snprintf(seen, sizeof seen, "%s", at->boolean ? "true" : "false");
        break;
    default:
        snprintf(seen, sizeof seen, "%s", json_kind_name(at->kind));
    }
    return hone_fail(r->err, HONE_EUSAGE, "%s: line %d column %d (%s): %s, expected %s", r->c->path, line,
                     column, key, seen, expected);
}

static const json *get(const reading *r, const char *key) {
    const json *value = key ? json_get(r->root, key) : NULL;
    return value && value->kind == JSON_NULL ? NULL
                                             : value; /* null and absent are the same to transformers */
}

static void group_digits(char out[32], int64_t x) {
    char plain[24];
    const int n = snprintf(plain, sizeof plain, "%lld", (long long)x);
    int to = 0;
    for (int i = 0; i < n; i++) {
        out[to++] = plain[i];
        if ((n - 1 - i) % 3 == 0 && i < n - 1 && plain[i] != '-') out[to++] = ',';
    }
    out[to] = 0;
}

/* An integer of low .. high; preset -1: it must be there. */
static hone_status read_int(const reading *r, const char *key, int low, int high, int preset, int *out) {
    const json *value = get(r, key);
    char expected[80], a[32], b[32];
    group_digits(a, low);
    group_digits(b, high);
    snprintf(expected, sizeof expected, "integer %s to %s", a, b);
    if (!value && preset < 0)
        return hone_fail(r->err, HONE_EUSAGE, "%s: %s is missing, expected %s", r->c->path, key, expected);
    if (value &&
        (value->kind != JSON_NUMBER || !value->is_int || value->integer < low || value->integer > high))
        return refuse_value(r, value, key, expected);
    *out = value ? (int)value->integer : preset;
    return HONE_OK;
}

static hone_status read_real(const reading *r, const char *key, double low, double high, int open_high,
                             double preset, double *out) {
    const json *value = get(r, key);
    char expected[80];
    if (value && (value->kind != JSON_NUMBER || !(value->number >= low) ||
                  !(open_high ? value->number < high : value->number <= high))) {
        snprintf(expected, sizeof expected, "a number from %g to %s%g", low, open_high ? "below " : "", high);
        return refuse_value(r, value, key, expected);
    }
    *out = value ? value->number : preset;
    return HONE_OK;
}

static const struct {
    const char *name;
    hone_act act;
} acts[] = {
    {"gelu", HONE_ACT_GELU}, {"gelu_new", HONE_ACT_GELU_TANH}, {"gelu_pytorch_tanh", HONE_ACT_GELU_TANH},
    {"relu", HONE_ACT_RELU}, {"silu", HONE_ACT_SILU},          {"swish", HONE_ACT_SILU},
    {"tanh", HONE_ACT_TANH}};

int config_act_find(const char *name) {
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++)
        if (!strcmp(acts[i].name, name)) return (int)acts[i].act;
    return -1;
}

static hone_status read_act(const reading *r) {
    const json *value = get(r, r->c->family->key_act);
    if (!value) {
        r->c->act = r->c->family->act_preset;
        return HONE_OK;
    }
    const int act = value->kind == JSON_STRING ? config_act_find(value->string.p) : -1;
    if (act < 0)
        return refuse_value(r, value, r->c->family->key_act,
                            "gelu, gelu_new, gelu_pytorch_tanh, relu, silu, swish or tanh");
    r->c->act = (hone_act)act;
    return HONE_OK;
}

static hone_status read_sizes(const reading *r) {
    model_config *c = r->c;
    const family *f = c->family;
    HONE_TRY(read_int(r, "vocab_size", 1, 1 << 24, -1, &c->vocab));
    HONE_TRY(read_int(r, f->key_width, 1, 65536, -1, &c->width));
    HONE_TRY(read_int(r, f->key_layers, 1, 1024, -1, &c->layers));
    HONE_TRY(read_int(r, f->key_heads, 1, 65536, -1, &c->heads));
    HONE_TRY(read_int(r, f->key_inner, 1, 1 << 20, f->inner_preset ? f->inner_preset * c->width : -1, &c->inner));
    HONE_TRY(read_int(r, f->key_positions, 1, 1 << 20, -1, &c->positions));
    if (f->key_types) HONE_TRY(read_int(r, f->key_types, 1, 65536, -1, &c->types));
    if (c->width % c->heads)
        return hone_fail(r->err, HONE_EUSAGE, "%s: %s %d is no multiple of %s %d", c->path, f->key_width,
                         c->width, f->key_heads, c->heads);
    c->head_width = c->width / c->heads;
    return HONE_OK;
}

static hone_status read_reals(const reading *r) {
    model_config *c = r->c;
    const family *f = c->family;
    HONE_TRY(read_real(r, f->key_p_hidden, 0, 1, 1, 0.1, &c->p_hidden));
    HONE_TRY(read_real(r, f->key_p_attention, 0, 1, 1, 0.1, &c->p_attention));
    HONE_TRY(read_real(r, f->key_p_embed, 0, 1, 1, f->key_p_embed ? 0.1 : c->p_hidden, &c->p_embed));
    HONE_TRY(read_real(r, f->key_p_head, 0, 1, 1, f->p_head_preset < 0 ? c->p_hidden : f->p_head_preset,
                       &c->p_head));
    c->p_words = f->p_head_of_first ? c->p_hidden : c->p_head;
    if (f->key_p_spans) HONE_TRY(read_real(r, f->key_p_spans, 0, 1, 1, f->p_spans_preset, &c->p_spans));
    HONE_TRY(read_real(r, "initializer_range", 0, 100, 0, 0.02, &c->init_range));
    HONE_TRY(read_real(r, f->key_eps, 0, 1, 0, f->key_eps ? f->eps_preset : f->fixed_eps, &c->eps));
    return HONE_OK;
}

/* Where positions begin behind the padding's, that many rows of their table are never a token's. */
static hone_status read_pad(const reading *r) {
    model_config *c = r->c;
    const family *f = c->family;
    const json *pad = json_get(r->root, "pad_token_id");
    c->pad_id = pad ? -1 : f->pad_preset;
    if (get(r, "pad_token_id")) HONE_TRY(read_int(r, "pad_token_id", -1, c->vocab - 1, 0, &c->pad_id));
    if (f->positions_after_pad) {
        if (c->pad_id < 0)
            return refuse_value(r, pad, "pad_token_id", "an id: positions are counted from the one after it");
        c->first_position = c->pad_id + 1;
    }
    c->longest = c->positions - c->first_position;
    if (c->longest < 1)
        return hone_fail(r->err, HONE_EUSAGE,
                         "%s: %s is %d, expected more than %d (pad_token_id + 1)",
                         c->path, f->key_positions, c->positions, c->first_position);
    return HONE_OK;
}

/* Keys that would change what is computed in ways that no part of hone does. */
static hone_status refuse_unsupported(const reading *r) {
    static const char *const must_be_false[] = {"is_decoder", "add_cross_attention", "is_encoder_decoder",
                                                "scale_attn_by_inverse_layer_idx"};
    const json *value = get(r, "position_embedding_type");
    if (value && !(value->kind == JSON_STRING && str_is(value->string, "absolute")))
        return refuse_value(r, value, "position_embedding_type", "absolute");
    for (size_t i = 0; i < sizeof must_be_false / sizeof *must_be_false; i++) {
        value = get(r, must_be_false[i]);
        if (value && !(value->kind == JSON_BOOL && !value->boolean))
            return refuse_value(r, value, must_be_false[i], "false");
    }
    value = get(r, "scale_attn_weights");
    if (value && !(value->kind == JSON_BOOL && value->boolean))
        return refuse_value(r, value, "scale_attn_weights", "true");
    value = get(r, "pruned_heads");
    if (value && value->n) return refuse_value(r, value, "pruned_heads", "none");
    value = get(r, "quantization_config");
    if (value) return refuse_value(r, value, "quantization_config", "weights that are not quantised");
    return HONE_OK;
}

/* id2label: {"0": "...", "1": "..."}: every id from 0 once. */
static hone_status read_labels(const reading *r, const json *map) {
    model_config *c = r->c;
    if (map->kind != JSON_OBJECT || !map->n || map->n > CONFIG_MAX_LABELS)
        return refuse_value(r, map, "id2label", "an object of 1 to 65,536 labels");
    c->n_labels = (int)map->n;
    c->label = ARENA_ARRAY(c->a, map->n, str);
    for (const json *item = map->child; item; item = item->next) {
        int64_t id;
        char shown[60], place[80];
        snprintf(place, sizeof place, "id2label.%s",
                 text_escape(shown, sizeof shown, item->key.p, item->key.n));
        if (!str_to_int64(item->key, &id) || id < 0 || id >= c->n_labels ||
            (item->key.n > 1 && !(item->key.p[0] >= '1')))
            return refuse_value(r, item, place, "ids 0, 1, 2 ... without a gap");
        if (item->kind != JSON_STRING) return refuse_value(r, item, place, "text");
        if (c->label[id].p) return refuse_value(r, item, place, "each id once");
        c->label[id] = item->string;
    }
    return HONE_OK;
}

static hone_status read_classes(const reading *r) {
    static const char *const types[] = {"single_label_classification", "multi_label_classification",
                                        "regression"};
    model_config *c = r->c;
    const json *map = get(r, "id2label"), *type = get(r, "problem_type"), *count = get(r, "num_labels");
    int n;
    HONE_TRY(read_int(r, "num_labels", 1, CONFIG_MAX_LABELS, 2, &n));
    c->n_labels = n;
    if (map) HONE_TRY(read_labels(r, map));
    if (map && count && n != c->n_labels) {
        char expected[60];
        snprintf(expected, sizeof expected, "%d, as many as id2label has", c->n_labels);
        return refuse_value(r, count, "num_labels", expected);
    }
    for (size_t i = 0; type && type->kind == JSON_STRING && i < 3; i++)
        if (str_is(type->string, types[i])) c->problem_type = types[i];
    if (type && !c->problem_type)
        return refuse_value(r, type, "problem_type",
                            "single_label_classification, multi_label_classification or regression");
    return HONE_OK;
}

static hone_status read_architecture(const reading *r) {
    const json *list = get(r, "architectures");
    if (!list) return HONE_OK;
    if (list->kind != JSON_ARRAY || (list->n && list->child->kind != JSON_STRING))
        return refuse_value(r, list, "architectures", "a list of class names");
    if (list->n) r->c->architecture = list->child->string.p;
    return HONE_OK;
}

float config_init_std(const model_config *c, int r) {
    const int scaled = c->family->scaled_init && (r == ROLE_O || r == ROLE_DOWN);
    return (float)(scaled ? c->init_range / sqrt(2.0 * c->layers) : c->init_range);
}

int config_names_code(const char *key) {
    static const char *const names[] = {"auto_map",
                                        "custom_pipelines",
                                        "custom_generate",
                                        "attn_implementation",
                                        "experts_implementation",
                                        "trust_remote_code"};
    static const char *const beginnings[] = {"_attn_", "_experts_", "_commit_hash"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(key, names[i])) return 1;
    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++)
        if (!strncmp(key, beginnings[i], strlen(beginnings[i]))) return 1;
    return 0;
}

int config_key_is_real(const char *key) {
    static const char *const keys[] = {"hidden_dropout_prob", "attention_probs_dropout_prob",
                                       "classifier_dropout",  "layer_norm_eps",
                                       "initializer_range",   "dropout",
                                       "attention_dropout",   "qa_dropout",
                                       "seq_classif_dropout", "resid_pdrop",
                                       "embd_pdrop",          "attn_pdrop",
                                       "layer_norm_epsilon",  "summary_first_dropout"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (!strcmp(key, keys[i])) return 1;
    return 0;
}

static void add_note(reading *r, const char *note) {
    if (r->c->n_notes < MAX_NOTES) r->notes[r->c->n_notes++] = note;
}

static void take_notes(reading *r) {
    model_config *c = r->c;
    text keys = {0};
    int n = 0;
    for (const json *item = r->root->child; item; item = item->next) {
        char shown[60];
        if (!config_names_code(item->key.p)) continue;
        if (n++ < 3)
            text_printf(&keys, "%s%s", n > 1 ? ", " : "",
                        text_escape(shown, sizeof shown, item->key.p, item->key.n));
    }
    if (n)
        add_note(r, arena_print(c->a, "ignored %d key%s that name%s code: %s", n, n > 1 ? "s" : "",
                                n > 1 ? "" : "s", keys.p));
    text_free(&keys);
    const json *map = get(r, "label2id");
    for (int i = 0; map && c->label && i < c->n_labels; i++) {
        const json *id = json_get_str(map, c->label[i]);
        if (id && id->is_int && id->integer == i) continue;
        add_note(r, "label2id does not say what id2label says; id2label is used");
        break;
    }
    c->note = ARENA_ARRAY(c->a, (size_t)c->n_notes, const char *);
    if (c->n_notes) memcpy((void *)c->note, r->notes, (size_t)c->n_notes * sizeof *c->note);
}

static hone_status read_family(const reading *r) {
    const json *type = get(r, "model_type");
    int n;
    const char *const *names = family_names(&n);
    char list[200] = "";
    for (int i = 0; i < n; i++)
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "", names[i]);
    if (!type)
        return hone_fail(r->err, HONE_EUSAGE, "%s: model_type is missing, expected one of: %s", r->c->path, list);
    if (type->kind != JSON_STRING) return refuse_value(r, type, "model_type", "text");
    r->c->family = family_find(type->string.p);
    if (r->c->family) return HONE_OK;
    const char *near = nearest_word(type->string.p, names, n);
    char shown[60];
    int line, column;
    json_place(r->text.p, r->text.n, type->offset, &line, &column);
    return hone_fail(r->err, HONE_EUSAGE,
                     "%s: line %d column %d (model_type): \"%s\" unknown;%s%s%s supported: %s", r->c->path,
                     line, column, text_escape(shown, sizeof shown, type->string.p, type->string.n),
                     near ? " nearest: \"" : "", near ? near : "", near ? "\";" : "", list);
}

static hone_status read_config(reading *r) {
    if (r->root->kind != JSON_OBJECT)
        return hone_fail(r->err, HONE_EUSAGE, "%s: %s, expected an object", r->c->path,
                         json_kind_name(r->root->kind));
    HONE_TRY(read_family(r));
    HONE_TRY(read_sizes(r));
    HONE_TRY(read_reals(r));
    HONE_TRY(read_pad(r));
    HONE_TRY(read_act(r));
    HONE_TRY(refuse_unsupported(r));
    HONE_TRY(read_architecture(r));
    HONE_TRY(read_classes(r));
    take_notes(r);
    return HONE_OK;
}

/* Takes over the arena; s lives in it. */
static hone_status config_make(model_config **out, arena *a, const char *name, str s, hone_err *err) {
    model_config *c = ARENA_NEW(a, model_config);
    reading r = {.c = c, .text = s, .err = err};
    c->a = a;
    c->path = arena_copy(a, name, strlen(name));
    hone_status status = s.n ? json_parse(&r.root, a, name, s.p, s.n, HONE_EUSAGE, err)
                             : hone_fail(err, HONE_EUSAGE, "%s: the file is empty, expected an object", name);
    c->tree = r.root;
    if (!status) status = read_config(&r);
    if (status) {
        arena_free(a);
        return status;
    }
    *out = c;
    return HONE_OK;
}

hone_status config_parse(model_config **out, const char *name, const char *p, size_t n, hone_err *err) {
    arena *a = arena_new("config");
    return config_make(out, a, name, (str){arena_copy(a, p, n), n}, err);
}

static hone_status read_file(str *s, const char **name, arena *a, const char *path, hone_err *err) {
    *name = path;
    if (file_is_folder(path)) {
        HONE_TRY(model_file(name, a, path, "config.json", err));
        if (!*name) return hone_fail(err, HONE_EUSAGE, "%s: no config.json; expected a model folder", path);
    } else if (!file_exists(path))
        return hone_fail(err, HONE_EUSAGE, "%s: not there; expected a model folder or a config.json", path);
    const int64_t bytes = file_bytes(*name);
    if (bytes > (int64_t)CONFIG_MAX_BYTES)
        return hone_fail(err, HONE_EUSAGE, "%s: %lld bytes, the limit is 16 MiB", *name, (long long)bytes);
    return file_read(s, a, *name, CONFIG_MAX_BYTES, HONE_EUSAGE, err);
}

hone_status config_load(model_config **out, const char *path, hone_err *err) {
    arena *a = arena_new("config");
    str s = {0};
    const char *name;
    const hone_status status = read_file(&s, &name, a, path, err);
    if (status) {
        arena_free(a);
        return status;
    }
    HONE_TRY(config_make(out, a, name, s, err));
    for (int i = 0; i < (*out)->n_notes; i++) log_note("%s: %s", name, (*out)->note[i]);
    return HONE_OK;
}

void config_free(model_config *c) {
    if (c) arena_free(c->a);
}
