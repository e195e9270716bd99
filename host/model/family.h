/* family.h - one row a model family: a transformer is data. A new family is a row of family.c, not new code.
 *
 * Roles are hone's names of a model's parts; a row gives each role the module path that the folder uses, with
 * {i} for the layer. ".weight" and ".bias" follow. */
#ifndef MODEL_FAMILY_H
#define MODEL_FAMILY_H
#include "model/config.h"

typedef enum { NORM_AFTER, NORM_BEFORE } norm_place;
typedef enum { POSITIONS_LEARNED, POSITIONS_ROTARY, POSITIONS_RELATIVE } position_kind;

/* clang-format off */
#define ROLE_MAP(XX)                                                                                         \
    XX(ROLE_WORD, "word") XX(ROLE_POSITION, "position") XX(ROLE_TYPE, "type")                                \
    XX(ROLE_EMBED_NORM, "embed_norm")                                                                        \
    XX(ROLE_Q, "q") XX(ROLE_K, "k") XX(ROLE_V, "v") XX(ROLE_QKV, "qkv") XX(ROLE_O, "o") XX(ROLE_NORM1, "norm1") \
    XX(ROLE_UP, "up") XX(ROLE_GATE, "gate") XX(ROLE_DOWN, "down") XX(ROLE_NORM2, "norm2")                    \
    XX(ROLE_FINAL_NORM, "final_norm") XX(ROLE_POOLER, "pooler") XX(ROLE_CLASSIFIER, "classifier")            \
    XX(ROLE_MLM_DENSE, "mlm_dense") XX(ROLE_MLM_NORM, "mlm_norm") XX(ROLE_MLM_BIAS, "mlm_bias")              \
    XX(ROLE_NSP, "nsp") XX(ROLE_TOKEN_CLASSIFIER, "token_classifier") XX(ROLE_SPANS, "spans")
/* clang-format on */
typedef enum {
#define XX(name, text) name,
    ROLE_MAP(XX)
#undef XX
        N_ROLES
} role;

/* What stands behind the body. CLASSES, REGRESSION, MARKS (any number of the classes): of the first row (causal families: the
 * last); WORDS: guesses words under masks; PRETRAINING: these, and whether the second of two texts follows the first; NEXT: each
 * token's next one; TOKENS: a class of each word, at its first row; SPANS: where an answer begins and ends, of all rows; EMBED:
 * the mean of the rows, or the first, as it is. */
typedef enum {
    HEAD_CLASSES,
    HEAD_REGRESSION,
    HEAD_MARKS,
    HEAD_WORDS,
    HEAD_PRETRAINING,
    HEAD_NEXT,
    HEAD_TOKENS,
    HEAD_SPANS,
    HEAD_EMBED,
    N_HEADS
} head_kind;

/* A classification head: gather the first row (causal families: the last), [dropout], dense (role POOLER, where there is
 * one), act, dropout, linear (role CLASSIFIER). That of every token is dropout and role TOKEN_CLASSIFIER alone, that of answers
 * role SPANS. */
typedef struct {
    const char *architecture; /* BertForSequenceClassification */
    hone_act act;             /* tanh; relu for DistilBERT */
    int dropout_before_dense; /* RoBERTa */
    int no_bias;              /* GPT-2: CLASSIFIER is a weight alone */
} class_head;

struct family {
    const char *model_type; /* "bert" */
    const char *prefix;     /* "bert.": of the body in a folder with a head */
    norm_place norm;
    position_kind positions;
    int positions_after_pad; /* RoBERTa: the first row of a sequence has position pad_token_id + 1 */
    int gated, rope;
    int causal;         /* a token sees those before it and itself; a word's output is the next one */
    int transposed;     /* GPT-2's Conv1D: products of a block are stored [in, out]; QKV is one, columns q, k, v */
    int scaled_init;    /* O and DOWN begin with deviations smaller by sqrt(2 layers): GPT-2, section 2.3 */
    /* Body roles without the prefix; head roles (POOLER of DistilBERT, CLASSIFIER, MLM_*) whole; NULL: has
     * none. */
    const char *module[N_ROLES];
    /* 1: the module stands behind the prefix (BERT's pooler does, DistilBERT's pre_classifier does not). */
    uint8_t in_body[N_ROLES];
    class_head classes;
    /* Keys of config.json by meaning: hone's word -> the family's key; see config.c. */
    const char *key_width, *key_layers, *key_heads, *key_inner, *key_positions, *key_act, *key_p_hidden,
        *key_p_attention, *key_p_embed, *key_p_head, *key_p_spans, *key_eps, *key_types;
    double fixed_eps;                 /* DistilBERT: 1e-12, no key */
    const char *const *architectures; /* that load as this family; ends with NULL */
    double p_head_preset;             /* where key_p_head is absent or null; -1: the hidden dropout */
    int p_head_of_first;              /* key_p_head is of the first row's head alone; that of words has the hidden dropout */
    double p_spans_preset;            /* where key_p_spans is absent; families without that key drop nothing there */
    hone_act act_preset;              /* where key_act is absent */
    int inner_preset;                 /* where key_inner is absent or null: so many widths; 0: it must be there */
    double eps_preset;                /* where key_eps is absent */
    int pad_preset;                   /* where pad_token_id is absent; -1: then there is none */
    /* Beginnings of tensor names (prefix aside) that are no part of what is trained: heads of other tasks,
     * buffers, copies of tied weights; {i} stands for a number; NULL ends. */
    const char *const *ignored;
    const char *tokenizer_class; /* BertTokenizer */
};
/* Is the weight of this role stored [in, out]? */
int family_transposes(const family *f, role r);
/* Is the tensor part of a head or the pooler: what a folder may lack, to be made new? name as family_tensor
 * gives it. */
int family_is_head(const family *f, const char *name);
const family *family_find(const char *model_type); /* NULL: unknown */
const char *const *family_names(int *n);
/* "bert.encoder.layer.3.attention.self.query.weight": role's tensor as the folder with a head names it. */
const char *family_tensor(arena *a, const family *f, role r, int layer, const char *leaf);
#endif
