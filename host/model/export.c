/* export.c - config.json rewritten, weights streamed, the rest put beside them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/vec.h"
#include "model/architecture.h"
#include "model/export.h"
#include "model/family.h"
#include "model/json_print.h"
#include "model/tokenizer_files.h"
#include "model/weights.h"

/* Where neither the config nor anybody says: the release whose config.json this one is like. */
#define TRANSFORMERS_VERSION "4.57.1"

/* A member of config.json to be: its key and its printed value. */
typedef struct {
    const char *key, *value;
} member;

typedef struct {
    arena *a;
    const export_model *m;
    VEC(member) member;
    hone_err *err;
} writing;

static int find_member(const writing *w, const char *key) {
    for (size_t i = 0; i < w->member.n; i++)
        if (!strcmp(w->member.p[i].key, key)) return (int)i;
    return -1;
}

/* Set or replace; takes the printed text over. */
static void set(writing *w, const char *key, text *value) {
    const member m = {key, arena_copy(w->a, value->p ? value->p : "", value->n)};
    const int at = find_member(w, key);
    if (at < 0) vec_push(&w->member, m);
    else w->member.p[at] = m;
    text_free(value);
}

static void set_text(writing *w, const char *key, const char *value) {
    text t = {0};
    text_json(&t, value, strlen(value));
    set(w, key, &t);
}

static void set_plain(writing *w, const char *key, const char *value) {
    text t = {0};
    text_str(&t, value);
    set(w, key, &t);
}

static void set_int(writing *w, const char *key, int value) {
    text t = {0};
    text_printf(&t, "%d", value);
    set(w, key, &t);
}

static void set_real(writing *w, const char *key, double value) {
    text t = {0};
    if (!key) return;
    json_print_real(&t, value);
    set(w, key, &t);
}

static const char *class_of(const export_model *m) {
    return m->architecture ? m->architecture : m->config->family->classes.architecture;
}

/* Keys of the source that are not carried over: names of code, what hone says itself under another name, and
 * the labels of a head that is not there. */
static int is_dropped(const export_model *m, const char *key) {
    static const char *const keys[] = {"_name_or_path", "num_labels", "gradient_checkpointing"},
                             *const of_labels[] = {"id2label", "label2id", "problem_type"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (!strcmp(key, keys[i])) return 1;
    for (size_t i = 0; i < sizeof of_labels / sizeof *of_labels; i++)
        if (!strcmp(key, of_labels[i])) return !architecture_has_labels(class_of(m));
    return config_names_code(key);
}

static void take_source(writing *w) {
    if (!w->m->config->tree) return;
    for (const json *item = w->m->config->tree->child; item; item = item->next) {
        text t = {0};
        if (is_dropped(w->m, item->key.p)) continue;
        json_print(&t, item, 1, config_key_is_real(item->key.p));
        set(w, item->key.p, &t);
    }
}

static const char *act_name(hone_act act) {
    switch (act) {
    case HONE_ACT_GELU_TANH:
        return "gelu_new";
    case HONE_ACT_RELU:
        return "relu";
    case HONE_ACT_SILU:
        return "silu";
    case HONE_ACT_TANH:
        return "tanh";
    default:
        return "gelu";
    }
}

/* What a source without a file, or with less in it, leaves open. */
static void fill_in(writing *w) {
    const model_config *c = w->m->config;
    const family *f = c->family;
    const struct {
        const char *key;
        int value;
    } sizes[] = {{"vocab_size", c->vocab},
                 {f->key_width, c->width},
                 {f->key_layers, c->layers},
                 {f->key_heads, c->heads},
                 {f->key_inner, c->inner},
                 {f->key_types, c->types},
                 {f->key_positions, c->positions}};
    const struct {
        const char *key;
        double value;
    } reals[] = {{f->key_p_hidden, c->p_hidden},
                 {f->key_p_attention, c->p_attention},
                 {f->key_p_embed, c->p_embed},
                 {f->key_eps, c->eps},
                 {"initializer_range", c->init_range}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (sizes[i].key && find_member(w, sizes[i].key) < 0) set_int(w, sizes[i].key, sizes[i].value);
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++)
        if (reals[i].key && find_member(w, reals[i].key) < 0) set_real(w, reals[i].key, reals[i].value);
    if (f->key_p_head && find_member(w, f->key_p_head) < 0) {
        if (f->p_head_preset < 0 && c->p_head == c->p_hidden) set_plain(w, f->key_p_head, "null");
        else set_real(w, f->key_p_head, c->p_head);
    }
    if (find_member(w, f->key_act) < 0) set_text(w, f->key_act, act_name(c->act));
    if (find_member(w, "pad_token_id") < 0)
        c->pad_id < 0 ? set_plain(w, "pad_token_id", "null") : set_int(w, "pad_token_id", c->pad_id);
    for (int i = 0; f->causal && w->m->end_id >= 0 && i < 2; i++) {
        const char *key = i ? "eos_token_id" : "bos_token_id";
        if (find_member(w, key) < 0) set_int(w, key, w->m->end_id);
    }
    if (find_member(w, "transformers_version") < 0) set_text(w, "transformers_version", TRANSFORMERS_VERSION);
    if (find_member(w, "tie_word_embeddings") < 0) set_plain(w, "tie_word_embeddings", "true");
}

/* Labels as they will be called; none twice, because label2id could not hold both. */
static hone_status name_labels(const writing *w, const str **label, int *n) {
    const export_model *m = w->m;
    const model_config *c = m->config;
    int twice, first;
    *label = m->label ? m->label : c->label;
    *n = m->n_labels ? m->n_labels : c->n_labels;
    HONE_ASSERT(!*label || m->label || *n == c->n_labels);
    if (!*label) {
        str *made = ARENA_ARRAY(w->a, (size_t)*n, str);
        for (int i = 0; i < *n; i++) made[i] = str_of(arena_print(w->a, "LABEL_%d", i));
        *label = made;
    }
    const char **name = ARENA_ARRAY(w->a, (size_t)*n, const char *);
    for (int i = 0; i < *n; i++) name[i] = arena_copy(w->a, (*label)[i].p, (*label)[i].n);
    names_index(w->a, name, *n, &twice, &first);
    if (twice < 0) return HONE_OK;
    char shown[120];
    return hone_fail(w->err, HONE_EUSAGE, "label %d and label %d are both \"%s\"; expected each label once",
                     first, twice, text_escape(shown, sizeof shown, name[twice], strlen(name[twice])));
}

static void set_labels(writing *w, const str *label, int n) {
    text of = {0}, id = {0};
    text_str(&of, "{");
    text_str(&id, "{");
    for (int i = 0; i < n; i++) {
        text_printf(&of, "%s\n    \"%d\": ", i ? "," : "", i);
        text_json(&of, label[i].p, label[i].n);
        text_str(&id, i ? ",\n    " : "\n    ");
        text_json(&id, label[i].p, label[i].n);
        text_printf(&id, ": %d", i);
    }
    text_str(&of, "\n  }");
    text_str(&id, "\n  }");
    set(w, "id2label", &of);
    set(w, "label2id", &id);
}

static hone_status set_classes(writing *w) {
    const export_model *m = w->m;
    const str *label;
    int n;
    HONE_TRY(name_labels(w, &label, &n));
    set_labels(w, label, n);
    set_text(w, "problem_type",
             m->problem_type ? m->problem_type
             : n == 1        ? "regression"
                             : "single_label_classification");
    return HONE_OK;
}

static hone_status set_own(writing *w) {
    const char *architecture = class_of(w->m);
    text list = {0};
    text_str(&list, "[\n    ");
    text_json(&list, architecture, strlen(architecture));
    text_str(&list, "\n  ]");
    set(w, "architectures", &list);
    set_text(w, "model_type", w->m->config->family->model_type);
    set_text(w, "dtype", "float32");
    set_text(w, "torch_dtype", "float32"); /* transformers before 4.56 */
    return architecture_has_labels(architecture) ? set_classes(w) : HONE_OK;
}

static int compare_members(const void *a, const void *b) {
    return strcmp(((const member *)a)->key, ((const member *)b)->key);
}

/* keys NULL: all members. */
static void print_members(const writing *w, const char *const *keys, text *out) {
    int n = 0;
    text_str(out, "{");
    for (size_t i = 0; i < w->member.n; i++) {
        int wanted = !keys;
        for (int k = 0; keys && keys[k]; k++) wanted |= !strcmp(keys[k], w->member.p[i].key);
        if (!wanted) continue;
        text_str(out, n++ ? ",\n  " : "\n  ");
        text_json(out, w->member.p[i].key, strlen(w->member.p[i].key));
        text_printf(out, ": %s", w->member.p[i].value);
    }
    text_str(out, "\n}\n");
}

static hone_status print_config(const export_model *m, const char *const *keys, text *out, hone_err *err) {
    writing w = {.a = arena_new("config.json"), .m = m, .err = err};
    take_source(&w);
    fill_in(&w);
    const hone_status status = set_own(&w);
    if (!status) {
        qsort(w.member.p, w.member.n, sizeof *w.member.p, compare_members);
        print_members(&w, keys, out);
    }
    vec_free(&w.member);
    arena_free(w.a);
    return status;
}

hone_status export_config(const export_model *m, text *out, hone_err *err) { return print_config(m, NULL, out, err); }

/* ---- weights
 * -------------------------------------------------------------------------------------------------*/
static hone_status stream_weights(safetensors_writer *w, const export_model *m, hone_err *err) {
    int64_t largest = 1;
    hone_status status = HONE_OK;
    for (int i = 0; i < m->n_params; i++)
        if (param_elements(&m->param[i]) > largest) largest = param_elements(&m->param[i]);
    float *values = mem_new(2 * (size_t)largest * sizeof *values, "a parameter being written"),
          *turned = values + largest;
    for (int i; !status && (i = safetensors_next(w)) >= 0;) {
        const param_want *p = &m->param[i];
        status = m->get(m->from, i, values, err);
        if (p->transposed) param_transpose(turned, values, p->dim[0], p->dim[1]);
        if (!status)
            status = safetensors_add(w, p->transposed ? turned : values,
                                     (size_t)param_elements(p) * sizeof *values, err);
    }
    mem_free(values);
    return status;
}

static hone_status begin_weights(safetensors_writer **w, arena *a, const export_model *m, const char *folder,
                                 hone_err *err) {
    tensor_form *form = ARENA_ARRAY(a, (size_t)m->n_params, tensor_form);
    for (int i = 0; i < m->n_params; i++) {
        form[i] = (tensor_form){.name = m->param[i].name, .type = STORED_F32, .n_dims = m->param[i].n_dims};
        for (int d = 0; d < m->param[i].n_dims; d++) form[i].dim[d] = param_stored_dim(&m->param[i], d);
    }
    return safetensors_begin(w, path_join(a, folder, "model.safetensors"), form, m->n_params, NULL, 0, err);
}

#define GENERATION "generation_config.json"

/* Members of the object in *made that `over` has too become its own. What would speak against them goes: another length, and that a
 * model's config is the source. */
static hone_status replace_members(arena *a, const char *path, text *made, const char *over, hone_err *err) {
    const json *old, *new;
    HONE_TRY(json_parse(&old, a, path, made->p, made->n, HONE_EDAMAGED, err));
    HONE_TRY(json_parse(&new, a, "generation", over, strlen(over), HONE_EUSAGE, err));
    const json *from[] = {old, new};
    text out = {0};
    for (int k = 0; k < 2; k++)
        for (const json *v = from[k]->kind == JSON_OBJECT ? from[k]->child : NULL; v; v = v->next) {
            const int other_length = str_is(v->key, "max_new_tokens") && json_get(new, "max_length");
            if (!k && (json_get_str(new, v->key) || other_length || str_is(v->key, "_from_model_config"))) continue;
            text_str(&out, out.n ? ",\n  " : "{\n  ");
            text_json(&out, v->key.p, v->key.n);
            text_str(&out, ": ");
            json_print(&out, v, 1, 0);
        }
    text_str(&out, out.n ? "\n}\n" : "{}\n");
    text_clear(made);
    text_add(made, out.p, out.n);
    text_free(&out);
    return HONE_OK;
}

static hone_status write_generation(arena *a, const export_model *m, const char *folder, hone_err *err) {
    static const char *const keys[] = {"bos_token_id", "eos_token_id", "pad_token_id", "transformers_version", NULL};
    const char *given = NULL, *to = path_join(a, folder, GENERATION);
    str s;
    if (m->tokenizer_folder) HONE_TRY(model_file(&given, a, m->tokenizer_folder, GENERATION, err));
    text made = {0};
    hone_status status = HONE_OK;
    if (!given) status = print_config(m, keys, &made, err);
    else if (!(status = file_read(&s, a, given, CONFIG_MAX_BYTES, HONE_EDAMAGED, err))) text_add(&made, s.p, s.n);
    if (!status && m->generation) status = replace_members(a, given ? given : to, &made, m->generation, err);
    if (!status) status = file_write(to, made.p, made.n, err);
    text_free(&made);
    return status;
}

static hone_status write_small_files(arena *a, const export_model *m, const text *config, const char *folder,
                                     hone_err *err) {
    if (m->tokenizer_folder) HONE_TRY(tokenizer_files_write(m->config, m->tokenizer_folder, folder, err));
    if (architecture_is_of(class_of(m), HEAD_NEXT)) HONE_TRY(write_generation(a, m, folder, err));
    if (m->card) {
        text readme = {0};
        card_print(m->card, &readme);
        const hone_status status = file_write(path_join(a, folder, "README.md"), readme.p, readme.n, err);
        text_free(&readme);
        HONE_TRY(status);
    }
    return file_write(path_join(a, folder, "config.json"), config->p, config->n, err);
}

hone_status export_write(const export_model *m, const char *folder, char sha256_hex[65], hone_err *err) {
    arena *a = arena_new("export");
    safetensors_writer *w = NULL;
    text config = {0};
    hone_status status = export_config(m, &config, err);
    if (!status) status = folder_make(folder, err);
    if (!status) status = begin_weights(&w, a, m, folder, err);
    if (!status) status = stream_weights(w, m, err);
    if (!status) status = write_small_files(a, m, &config, folder, err);
    if (!status) {
        status = safetensors_end(w, sha256_hex, err);
        w = NULL;
    }
    safetensors_abort(w);
    text_free(&config);
    arena_free(a);
    return status;
}
