/* architecture.c - the tables of huggingface's model classes, from a family's row. */
#include <string.h>

#include "base/err.h"
#include "model/architecture.h"

/* What a class has besides the body. */
static const struct {
    const char *suffix;
    int pooler, classifier, mlm, nsp, spans;
} kinds[] = {
    {"ForSequenceClassification", 2, 1, 0, 0, 0}, /* pooler 2: also where it is a layer of the head */
    {"ForTokenClassification", 0, 1, 0, 0, 0},    {"ForMaskedLM", 0, 0, 1, 0, 0},
    {"ForPreTraining", 1, 0, 1, 1, 0},            {"ForNextSentencePrediction", 1, 0, 0, 1, 0},
    {"ForQuestionAnswering", 0, 0, 0, 0, 1},      {"LMHeadModel", 0, 0, 0, 0, 0},
    {"Model", 1, 0, 0, 0, 0},
};
#define N_KINDS (sizeof kinds / sizeof *kinds)

static int ends_with(const char *name, const char *suffix) {
    const size_t n = strlen(name), m = strlen(suffix);
    return n >= m && !strcmp(name + n - m, suffix);
}

static const char *const suffix_of[N_HEADS] = {
    [HEAD_CLASSES] = "ForSequenceClassification", [HEAD_REGRESSION] = "ForSequenceClassification",
    [HEAD_MARKS] = "ForSequenceClassification",   [HEAD_WORDS] = "ForMaskedLM",
    [HEAD_TOKENS] = "ForTokenClassification",     [HEAD_SPANS] = "ForQuestionAnswering",
    [HEAD_PRETRAINING] = "ForPreTraining",        [HEAD_NEXT] = "LMHeadModel",
    [HEAD_EMBED] = "Model",
};

int architecture_is_of(const char *architecture, head_kind head) {
    if (head == HEAD_EMBED && architecture_is_of(architecture, HEAD_NEXT)) return 0;
    return architecture && ends_with(architecture, suffix_of[head]);
}

int architecture_is_bare(const char *architecture) { return architecture_is_of(architecture, HEAD_EMBED); }

const char *architecture_of(const family *f, head_kind head) {
    for (int i = 0; f->architectures[i]; i++)
        if (architecture_is_of(f->architectures[i], head)) return f->architectures[i];
    return NULL;
}

const char *architecture_task(const char *architecture) {
    return architecture_is_of(architecture, HEAD_WORDS) || architecture_is_of(architecture, HEAD_PRETRAINING) ? "fill-mask"
           : architecture_is_of(architecture, HEAD_NEXT)                                                      ? "text-generation"
           : architecture_is_of(architecture, HEAD_TOKENS) ? "token-classification"
           : architecture_is_of(architecture, HEAD_SPANS)  ? "question-answering"
                                                           : "text-classification";
}

int architecture_has_labels(const char *architecture) {
    for (size_t k = 0; k < N_KINDS; k++)
        if (kinds[k].classifier && ends_with(architecture, kinds[k].suffix)) return 1;
    return 0;
}

role architecture_classifier(const char *architecture) {
    return architecture_is_of(architecture, HEAD_TOKENS) ? ROLE_TOKEN_CLASSIFIER : ROLE_CLASSIFIER;
}

typedef struct {
    arena *a;
    const model_config *c;
    param_want *want;
    int n;
    size_t skip; /* bytes of the prefix that a bare model does not write */
} listing;

static void add(listing *l, role r, int layer, const char *leaf, int64_t rows, int64_t columns,
                hone_init init) {
    const family *f = l->c->family;
    const char *name = family_tensor(l->a, f, r, layer, leaf);
    l->want[l->n++] = (param_want){.name = name + (f->in_body[r] ? l->skip : 0),
                                   .n_dims = columns ? 2 : 1,
                                   .dim = {rows, columns},
                                   .transposed = columns && family_transposes(f, r),
                                   .init = init,
                                   .init_std = config_init_std(l->c, r)};
}

static void add_linear(listing *l, role r, int layer, int64_t rows, int64_t columns) {
    if (!l->c->family->module[r]) return;
    add(l, r, layer, "weight", rows, columns, HONE_INIT_NORMAL);
    if (r == ROLE_CLASSIFIER && l->c->family->classes.no_bias) return;
    add(l, r, layer, "bias", rows, 0, HONE_INIT_ZERO);
}

static void add_norm(listing *l, role r, int layer) {
    if (!l->c->family->module[r]) return;
    add(l, r, layer, "weight", l->c->width, 0, HONE_INIT_ONE);
    add(l, r, layer, "bias", l->c->width, 0, HONE_INIT_ZERO);
}

static void add_body(listing *l) {
    const model_config *c = l->c;
    const int64_t D = c->width;
    add(l, ROLE_WORD, -1, "weight", c->vocab, D, HONE_INIT_NORMAL);
    add(l, ROLE_POSITION, -1, "weight", c->positions, D, HONE_INIT_NORMAL);
    if (c->types) add(l, ROLE_TYPE, -1, "weight", c->types, D, HONE_INIT_NORMAL);
    add_norm(l, ROLE_EMBED_NORM, -1);
    for (int i = 0; i < c->layers; i++) {
        add_linear(l, ROLE_Q, i, D, D);
        add_linear(l, ROLE_K, i, D, D);
        add_linear(l, ROLE_V, i, D, D);
        add_linear(l, ROLE_QKV, i, 3 * D, D);
        add_linear(l, ROLE_O, i, D, D);
        add_norm(l, ROLE_NORM1, i);
        add_linear(l, ROLE_UP, i, c->inner, D);
        add_linear(l, ROLE_DOWN, i, D, c->inner);
        add_norm(l, ROLE_NORM2, i);
    }
    add_norm(l, ROLE_FINAL_NORM, -1);
}

param_want *architecture_params(arena *a, const model_config *c, const char *architecture, int n_labels,
                                int *n) {
    const family *f = c->family;
    size_t k = 0;
    int known = 0;
    for (int i = 0; f->architectures[i]; i++) known |= !strcmp(f->architectures[i], architecture);
    while (k < N_KINDS && !ends_with(architecture, kinds[k].suffix)) k++;
    if (!known || k == N_KINDS || (kinds[k].nsp && !f->module[ROLE_NSP])) return NULL;
    listing l = {.a = a, .c = c, .want = ARENA_ARRAY(a, 32 + 16 * (size_t)c->layers, param_want)};
    if (architecture_is_bare(architecture)) l.skip = strlen(f->prefix);
    add_body(&l);
    if (kinds[k].pooler == 2 || (kinds[k].pooler && f->in_body[ROLE_POOLER]))
        add_linear(&l, ROLE_POOLER, -1, c->width, c->width);
    if (kinds[k].classifier) add_linear(&l, architecture_classifier(architecture), -1, n_labels, c->width);
    if (kinds[k].mlm) {
        add_linear(&l, ROLE_MLM_DENSE, -1, c->width, c->width);
        add_norm(&l, ROLE_MLM_NORM, -1);
        add(&l, ROLE_MLM_BIAS, -1, "bias", c->vocab, 0, HONE_INIT_ZERO);
    }
    if (kinds[k].nsp) add_linear(&l, ROLE_NSP, -1, 2, c->width);
    if (kinds[k].spans) add_linear(&l, ROLE_SPANS, -1, 2, c->width);
    *n = l.n;
    return l.want;
}
