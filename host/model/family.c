/* family.c - the families. Names and shapes: transformers' modeling_bert.py, modeling_distilbert.py,
 * modeling_roberta.py, modeling_gpt2.py. */
#include <string.h>

#include "base/err.h"
#include "model/family.h"

static const char *const bert_architectures[] = {"BertForSequenceClassification",
                                                 "BertModel",
                                                 "BertForMaskedLM",
                                                 "BertForPreTraining",
                                                 "BertForNextSentencePrediction",
                                                 "BertForTokenClassification",
                                                 "BertForQuestionAnswering",
                                                 "BertForMultipleChoice",
                                                 NULL};
static const char *const bert_ignored[] = {"embeddings.position_ids",
                                           "embeddings.token_type_ids",
                                           "cls.",
                                           "qa_outputs.",
                                           "classifier.",
                                           "pooler.",
                                           NULL};

static const char *const distilbert_architectures[] = {"DistilBertForSequenceClassification",
                                                       "DistilBertModel",
                                                       "DistilBertForMaskedLM",
                                                       "DistilBertForTokenClassification",
                                                       "DistilBertForQuestionAnswering",
                                                       "DistilBertForMultipleChoice",
                                                       NULL};
static const char *const distilbert_ignored[] = {"embeddings.position_ids",
                                                 "vocab_transform.",
                                                 "vocab_layer_norm.",
                                                 "vocab_projector.",
                                                 "qa_outputs.",
                                                 "pre_classifier.",
                                                 "classifier.",
                                                 NULL};

static const char *const roberta_architectures[] = {"RobertaForSequenceClassification",
                                                    "RobertaModel",
                                                    "RobertaForMaskedLM",
                                                    "RobertaForTokenClassification",
                                                    "RobertaForQuestionAnswering",
                                                    "RobertaForMultipleChoice",
                                                    NULL};
static const char *const roberta_ignored[] = {"embeddings.position_ids",
                                              "embeddings.token_type_ids",
                                              "lm_head.",
                                              "qa_outputs.",
                                              "classifier.",
                                              "pooler.",
                                              NULL};

static const char *const gpt2_architectures[] = {"GPT2ForSequenceClassification",
                                                 "GPT2Model",
                                                 "GPT2LMHeadModel",
                                                 "GPT2DoubleHeadsModel",
                                                 "GPT2ForTokenClassification",
                                                 "GPT2ForQuestionAnswering",
                                                 NULL};
static const char *const gpt2_ignored[] = {"h.{i}.attn.bias",
                                           "h.{i}.attn.masked_bias",
                                           "lm_head.",
                                           "multiple_choice_head.",
                                           "qa_outputs.",
                                           "classifier.",
                                           "score.",
                                           NULL};

static const family families[] = {
    {
        .model_type = "bert",
        .prefix = "bert.",
        .norm = NORM_AFTER,
        .positions = POSITIONS_LEARNED,
        .module =
            {
                [ROLE_WORD] = "embeddings.word_embeddings",
                [ROLE_POSITION] = "embeddings.position_embeddings",
                [ROLE_TYPE] = "embeddings.token_type_embeddings",
                [ROLE_EMBED_NORM] = "embeddings.LayerNorm",
                [ROLE_Q] = "encoder.layer.{i}.attention.self.query",
                [ROLE_K] = "encoder.layer.{i}.attention.self.key",
                [ROLE_V] = "encoder.layer.{i}.attention.self.value",
                [ROLE_O] = "encoder.layer.{i}.attention.output.dense",
                [ROLE_NORM1] = "encoder.layer.{i}.attention.output.LayerNorm",
                [ROLE_UP] = "encoder.layer.{i}.intermediate.dense",
                [ROLE_DOWN] = "encoder.layer.{i}.output.dense",
                [ROLE_NORM2] = "encoder.layer.{i}.output.LayerNorm",
                [ROLE_POOLER] = "pooler.dense",
                [ROLE_CLASSIFIER] = "classifier",
                [ROLE_TOKEN_CLASSIFIER] = "classifier",
                [ROLE_SPANS] = "qa_outputs",
                [ROLE_MLM_DENSE] = "cls.predictions.transform.dense",
                [ROLE_MLM_NORM] = "cls.predictions.transform.LayerNorm",
                [ROLE_MLM_BIAS] = "cls.predictions",
                [ROLE_NSP] = "cls.seq_relationship",
            },
        .in_body = {[ROLE_WORD] = 1,
                    [ROLE_POSITION] = 1,
                    [ROLE_TYPE] = 1,
                    [ROLE_EMBED_NORM] = 1,
                    [ROLE_Q] = 1,
                    [ROLE_K] = 1,
                    [ROLE_V] = 1,
                    [ROLE_O] = 1,
                    [ROLE_NORM1] = 1,
                    [ROLE_UP] = 1,
                    [ROLE_DOWN] = 1,
                    [ROLE_NORM2] = 1,
                    [ROLE_POOLER] = 1},
        .classes = {.architecture = "BertForSequenceClassification", .act = HONE_ACT_TANH},
        .key_width = "hidden_size",
        .key_layers = "num_hidden_layers",
        .key_heads = "num_attention_heads",
        .key_inner = "intermediate_size",
        .key_positions = "max_position_embeddings",
        .key_act = "hidden_act",
        .act_preset = HONE_ACT_GELU,
        .key_p_hidden = "hidden_dropout_prob",
        .key_p_attention = "attention_probs_dropout_prob",
        .key_p_head = "classifier_dropout",
        .key_eps = "layer_norm_eps",
        .key_types = "type_vocab_size",
        .architectures = bert_architectures,
        .p_head_preset = -1,
        .eps_preset = 1e-12,
        .ignored = bert_ignored,
        .tokenizer_class = "BertTokenizer",
    },
    {
        .model_type = "distilbert",
        .prefix = "distilbert.",
        .norm = NORM_AFTER,
        .positions = POSITIONS_LEARNED,
        .module =
            {
                [ROLE_WORD] = "embeddings.word_embeddings",
                [ROLE_POSITION] = "embeddings.position_embeddings",
                [ROLE_EMBED_NORM] = "embeddings.LayerNorm",
                [ROLE_Q] = "transformer.layer.{i}.attention.q_lin",
                [ROLE_K] = "transformer.layer.{i}.attention.k_lin",
                [ROLE_V] = "transformer.layer.{i}.attention.v_lin",
                [ROLE_O] = "transformer.layer.{i}.attention.out_lin",
                [ROLE_NORM1] = "transformer.layer.{i}.sa_layer_norm",
                [ROLE_UP] = "transformer.layer.{i}.ffn.lin1",
                [ROLE_DOWN] = "transformer.layer.{i}.ffn.lin2",
                [ROLE_NORM2] = "transformer.layer.{i}.output_layer_norm",
                [ROLE_POOLER] = "pre_classifier",
                [ROLE_CLASSIFIER] = "classifier",
                [ROLE_TOKEN_CLASSIFIER] = "classifier",
                [ROLE_SPANS] = "qa_outputs",
                [ROLE_MLM_DENSE] = "vocab_transform",
                [ROLE_MLM_NORM] = "vocab_layer_norm",
                [ROLE_MLM_BIAS] = "vocab_projector",
            },
        .in_body = {[ROLE_WORD] = 1,
                    [ROLE_POSITION] = 1,
                    [ROLE_EMBED_NORM] = 1,
                    [ROLE_Q] = 1,
                    [ROLE_K] = 1,
                    [ROLE_V] = 1,
                    [ROLE_O] = 1,
                    [ROLE_NORM1] = 1,
                    [ROLE_UP] = 1,
                    [ROLE_DOWN] = 1,
                    [ROLE_NORM2] = 1},
        .classes = {.architecture = "DistilBertForSequenceClassification", .act = HONE_ACT_RELU},
        .key_width = "dim",
        .key_layers = "n_layers",
        .key_heads = "n_heads",
        .key_inner = "hidden_dim",
        .key_positions = "max_position_embeddings",
        .key_act = "activation",
        .act_preset = HONE_ACT_GELU,
        .key_p_hidden = "dropout",
        .key_p_attention = "attention_dropout",
        .key_p_head = "seq_classif_dropout",
        .key_p_spans = "qa_dropout",
        .fixed_eps = 1e-12,
        .architectures = distilbert_architectures,
        .p_head_preset = 0.2,
        .p_head_of_first = 1,
        .p_spans_preset = 0.1,
        .ignored = distilbert_ignored,
        .tokenizer_class = "DistilBertTokenizer",
    },
    {
        .model_type = "roberta",
        .prefix = "roberta.",
        .norm = NORM_AFTER,
        .positions = POSITIONS_LEARNED,
        .positions_after_pad = 1,
        .module =
            {
                [ROLE_WORD] = "embeddings.word_embeddings",
                [ROLE_POSITION] = "embeddings.position_embeddings",
                [ROLE_TYPE] = "embeddings.token_type_embeddings",
                [ROLE_EMBED_NORM] = "embeddings.LayerNorm",
                [ROLE_Q] = "encoder.layer.{i}.attention.self.query",
                [ROLE_K] = "encoder.layer.{i}.attention.self.key",
                [ROLE_V] = "encoder.layer.{i}.attention.self.value",
                [ROLE_O] = "encoder.layer.{i}.attention.output.dense",
                [ROLE_NORM1] = "encoder.layer.{i}.attention.output.LayerNorm",
                [ROLE_UP] = "encoder.layer.{i}.intermediate.dense",
                [ROLE_DOWN] = "encoder.layer.{i}.output.dense",
                [ROLE_NORM2] = "encoder.layer.{i}.output.LayerNorm",
                [ROLE_POOLER] = "classifier.dense",
                [ROLE_CLASSIFIER] = "classifier.out_proj",
                [ROLE_TOKEN_CLASSIFIER] = "classifier",
                [ROLE_SPANS] = "qa_outputs",
                [ROLE_MLM_DENSE] = "lm_head.dense",
                [ROLE_MLM_NORM] = "lm_head.layer_norm",
                [ROLE_MLM_BIAS] = "lm_head",
            },
        .in_body = {[ROLE_WORD] = 1,
                    [ROLE_POSITION] = 1,
                    [ROLE_TYPE] = 1,
                    [ROLE_EMBED_NORM] = 1,
                    [ROLE_Q] = 1,
                    [ROLE_K] = 1,
                    [ROLE_V] = 1,
                    [ROLE_O] = 1,
                    [ROLE_NORM1] = 1,
                    [ROLE_UP] = 1,
                    [ROLE_DOWN] = 1,
                    [ROLE_NORM2] = 1},
        .classes = {.architecture = "RobertaForSequenceClassification",
                    .act = HONE_ACT_TANH,
                    .dropout_before_dense = 1},
        .key_width = "hidden_size",
        .key_layers = "num_hidden_layers",
        .key_heads = "num_attention_heads",
        .key_inner = "intermediate_size",
        .key_positions = "max_position_embeddings",
        .key_act = "hidden_act",
        .act_preset = HONE_ACT_GELU,
        .key_p_hidden = "hidden_dropout_prob",
        .key_p_attention = "attention_probs_dropout_prob",
        .key_p_head = "classifier_dropout",
        .key_eps = "layer_norm_eps",
        .key_types = "type_vocab_size",
        .architectures = roberta_architectures,
        .p_head_preset = -1,
        .eps_preset = 1e-12,
        .pad_preset = 1,
        .ignored = roberta_ignored,
        .tokenizer_class = "RobertaTokenizer",
    },
    {
        .model_type = "gpt2",
        .prefix = "transformer.",
        .norm = NORM_BEFORE,
        .positions = POSITIONS_LEARNED,
        .causal = 1,
        .transposed = 1,
        .scaled_init = 1,
        .module =
            {
                [ROLE_WORD] = "wte",
                [ROLE_POSITION] = "wpe",
                [ROLE_QKV] = "h.{i}.attn.c_attn",
                [ROLE_O] = "h.{i}.attn.c_proj",
                [ROLE_NORM1] = "h.{i}.ln_1",
                [ROLE_UP] = "h.{i}.mlp.c_fc",
                [ROLE_DOWN] = "h.{i}.mlp.c_proj",
                [ROLE_NORM2] = "h.{i}.ln_2",
                [ROLE_FINAL_NORM] = "ln_f",
                [ROLE_CLASSIFIER] = "score",
                [ROLE_TOKEN_CLASSIFIER] = "classifier",
            },
        .in_body = {[ROLE_WORD] = 1,
                    [ROLE_POSITION] = 1,
                    [ROLE_QKV] = 1,
                    [ROLE_O] = 1,
                    [ROLE_NORM1] = 1,
                    [ROLE_UP] = 1,
                    [ROLE_DOWN] = 1,
                    [ROLE_NORM2] = 1,
                    [ROLE_FINAL_NORM] = 1},
        .classes = {.architecture = "GPT2ForSequenceClassification", .no_bias = 1},
        .key_width = "n_embd",
        .key_layers = "n_layer",
        .key_heads = "n_head",
        .key_inner = "n_inner",
        .key_positions = "n_positions",
        .key_act = "activation_function",
        .act_preset = HONE_ACT_GELU_TANH,
        .inner_preset = 4,
        .key_p_hidden = "resid_pdrop",
        .key_p_attention = "attn_pdrop",
        .key_p_embed = "embd_pdrop",
        .key_eps = "layer_norm_epsilon",
        .architectures = gpt2_architectures,
        .eps_preset = 1e-5,
        .pad_preset = -1,
        .ignored = gpt2_ignored,
        .tokenizer_class = "GPT2Tokenizer",
    },
};
#define N_FAMILIES ((int)(sizeof families / sizeof *families))

const family *family_find(const char *model_type) {
    for (int i = 0; i < N_FAMILIES; i++)
        if (!strcmp(families[i].model_type, model_type)) return &families[i];
    return NULL;
}

const char *const *family_names(int *n) {
    static const char *const names[] = {"bert", "distilbert", "roberta", "gpt2"};
    _Static_assert(sizeof names / sizeof *names == sizeof families / sizeof *families, "a name for each row");
    *n = N_FAMILIES;
    return names;
}

const char *family_tensor(arena *a, const family *f, role r, int layer, const char *leaf) {
    const char *module = f->module[r], *prefix = f->in_body[r] ? f->prefix : "";
    HONE_ASSERT(module);
    const char *mark = strstr(module, "{i}");
    if (!mark) return arena_print(a, "%s%s.%s", prefix, module, leaf);
    return arena_print(a, "%s%.*s%d%s.%s", prefix, (int)(mark - module), module, layer, mark + 3, leaf);
}

int family_transposes(const family *f, role r) {
    return f->transposed && (r == ROLE_QKV || r == ROLE_O || r == ROLE_UP || r == ROLE_DOWN);
}

int family_is_head(const family *f, const char *name) {
    static const role heads[] = {ROLE_POOLER,   ROLE_CLASSIFIER, ROLE_MLM_DENSE,       ROLE_MLM_NORM,
                                 ROLE_MLM_BIAS, ROLE_NSP,        ROLE_TOKEN_CLASSIFIER, ROLE_SPANS};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        const char *module = f->module[heads[i]], *at = name;
        if (!module) continue;
        if (f->in_body[heads[i]]) {
            if (strncmp(at, f->prefix, strlen(f->prefix))) continue;
            at += strlen(f->prefix);
        }
        const size_t n = strlen(module);
        if (!strncmp(at, module, n) && at[n] == '.') return 1;
    }
    return 0;
}
