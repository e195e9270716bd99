/* config.h - config.json of a model folder: what the model is, in hone's words.
 *
 * Every key that changes what is computed is read with its type and range checked (bad-inputs F31 to F34); the whole
 * tree is kept so that the folder handed back says what the one that came in said. */
#ifndef MODEL_CONFIG_H
#define MODEL_CONFIG_H
#include "base/json.h"
#include "hone/op.h"

typedef struct family family;

typedef struct {
    arena *a;
    const json *tree;          /* the file; NULL for a config made in memory */
    const family *family;
    const char *architecture;  /* "BertForSequenceClassification", as written; may be NULL */
    int vocab, width, layers, heads, inner, positions, types; /* V D L H F S T; types 0: none */
    int head_width;            /* K = D / H */
    hone_act act;
    double eps, init_range;
    double p_hidden, p_attention, p_head; /* dropouts; p_head: classifier_dropout or what the family takes instead */
    int pad_id;
    int n_labels;              /* from id2label or num_labels; 2 where nothing is said, as transformers */
    str *label;                /* id2label; NULL: none given */
    const char *problem_type;  /* or NULL */
} model_config;

/* FOLDER/config.json, or the file itself if PATH is no folder. */
hone_status config_load(model_config **out, const char *path, hone_err *err);
void config_free(model_config *c);
#endif
