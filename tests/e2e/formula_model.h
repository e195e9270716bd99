/* formula_model.h - the tiny models of scripts/golden/regression.py, mlm.py and gpt2.py: the fixture's vocabulary and config.json
 * without dropout, weights by a formula. */
#ifndef FORMULA_MODEL_H
#define FORMULA_MODEL_H
#include "base/arena.h"

/* key: of the fixture's config.json (a BERT's) as another family calls them; ends with NULL. */
typedef struct {
    const char *model_type, *architecture, *golden;
    int n_weights;
    const char *key[8][2];
} formula_kind;
#define FORMULA_BERT {{NULL, NULL}}
#define FORMULA_ROBERTA {{"_embeddings\": 48", "_embeddings\": 50"}} /* places begin behind the pad */
#define FORMULA_DISTILBERT                                                                                   \
    {                                                                                                        \
        {"hidden_size", "dim"}, {"num_hidden_layers", "n_layers"}, {"num_attention_heads", "n_heads"},       \
            {"intermediate_size", "hidden_dim"}, {"hidden_act", "activation"},                               \
            {"hidden_dropout_prob", "dropout"}, {"attention_probs_dropout_prob", "attention_dropout"}        \
    }

/* The folder `name` in the test's folder; more: members of config.json (", \"x\": 1"). */
const char *formula_model(arena *a, const char *name, const formula_kind *k, const char *more);
/* Weights by the formula for a folder with a config.json. */
void formula_weights(arena *a, const char *folder, const char *architecture, int n_labels);
#endif
