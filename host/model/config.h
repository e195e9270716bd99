/* config.h - config.json of a model folder: what the model is, in hone's words.
 *
 * Every key that changes what is computed is read with its type and range checked (bad-inputs F31 to F34);
 * the whole tree is kept so that the folder handed back says what the one that came in said. */
#ifndef MODEL_CONFIG_H
#define MODEL_CONFIG_H
#include "base/json.h"
#include "hone/op.h"

typedef struct family family;

typedef struct {
    arena *a;
    const json *tree; /* the file; NULL for a config made in memory */
    const family *family;
    const char *architecture; /* "BertForSequenceClassification", as written; may be NULL */
    int vocab, width, layers, heads, inner, positions, types; /* V D L H F S T; types 0: none */
    int head_width;                                           /* K = D / H */
    int first_position; /* of a sequence: 0, RoBERTa's pad_id + 1 */
    int longest;        /* tokens of a sequence at most: S - first_position */
    hone_act act;
    double eps, init_range;
    double p_hidden, p_attention; /* dropouts */
    double p_embed;               /* of the embeddings: p_hidden, or a key of its own */
    double p_head;                /* classifier_dropout or what the family takes instead */
    double p_words, p_spans;      /* before the classes of words, and before spans */
    int pad_id; /* -1: none */
    int n_labels;             /* from id2label or num_labels; 2 where nothing is said, as transformers */
    str *label;               /* id2label; NULL: none given */
    const char *problem_type; /* or NULL */
    const char *path;         /* of the file, for messages; NULL for a config made in memory */
    const char *const *note;  /* what was read but is not used, one sentence each */
    int n_notes;
} model_config;

#define CONFIG_MAX_BYTES ((size_t)16 << 20)
#define CONFIG_MAX_LABELS 65536

/* FOLDER/config.json, or the file itself if PATH is no folder. What is wrong is HONE_EUSAGE with line, column
 * and key; a link that leads out of the folder is HONE_EDAMAGED. Sizes have no defaults: a config that does
 * not say them is refused; everything else reads as transformers would where it is absent. Nothing in the
 * file is ever executed: keys that name code become a note. */
hone_status config_load(model_config **out, const char *path, hone_err *err);
void config_free(model_config *c); /* NULL is fine */

/* The same from text in memory; name is the file's name in messages. */
hone_status config_parse(model_config **out, const char *name, const char *content, size_t n, hone_err *err);

/* Does this key of config.json name code (auto_map, attention implementations, ...)? Such keys are read by
 * nobody and not handed back. */
int config_names_code(const char *key);
/* Is the key a float to transformers? Version 5 refuses an integer there: 0 must be written 0.0. */
int config_key_is_real(const char *key);
/* Deviation of a role's new weights. */
float config_init_std(const model_config *c, int role);
/* The activation of a name in config.json, -1: none of ours. */
int config_act_find(const char *name);
#endif
