#include "sample.h"

#include "base/arena.h"
#include "base/host.h"
#include "model/family.h"
#include "test.h"

static int or_else(int x, int preset) { return x ? x : preset; }

static const double class_weight[] = {0.5, 1.5, 1, 2, 0.25, 1, 1, 3};

model_config *sample_config(const sample *s) {
    char file[2000];
    const int is_gpt = s->family && !strcmp(s->family, "gpt2"),
              is_bert = !is_gpt && (!s->family || strcmp(s->family, "distilbert"));
    const char *bert =
        "{\"model_type\": \"bert\", \"vocab_size\": %d, \"hidden_size\": %d, \"num_hidden_layers\": %d, "
        "\"num_attention_heads\": %d, \"intermediate_size\": %d, \"hidden_act\": \"gelu\", "
        "\"max_position_embeddings\": %d, \"hidden_dropout_prob\": %g, "
        "\"attention_probs_dropout_prob\": %g, \"classifier_dropout\": %g, \"type_vocab_size\": 2, "
        "\"initializer_range\": 0.02, \"layer_norm_eps\": 1e-12, \"pad_token_id\": 0}";
    const char *distilbert =
        "{\"model_type\": \"distilbert\", \"vocab_size\": %d, \"dim\": %d, \"n_layers\": %d, "
        "\"n_heads\": %d, \"hidden_dim\": %d, \"activation\": \"gelu\", "
        "\"max_position_embeddings\": %d, \"dropout\": %g, \"attention_dropout\": %g, "
        "\"seq_classif_dropout\": %g, \"initializer_range\": 0.02, \"pad_token_id\": 0}";
    const char *gpt =
        "{\"model_type\": \"gpt2\", \"vocab_size\": %d, \"n_embd\": %d, \"n_layer\": %d, \"n_head\": %d, "
        "\"n_inner\": %d, \"n_positions\": %d, \"resid_pdrop\": %g, \"attn_pdrop\": %g, \"embd_pdrop\": %g}";
    snprintf(file, sizeof file, is_gpt ? gpt : is_bert ? bert : distilbert, or_else(s->vocab, 23), or_else(s->width, 8),
             or_else(s->layers, 2), or_else(s->heads, 2), or_else(s->inner, 12),
             or_else(s->positions, LENGTH_MAX), s->p, s->p, s->p);
    model_config *c = NULL;
    CHECK_OK(config_parse(&c, "config.json", file, strlen(file), err));
    if (s->family && (!strcmp(s->family, "before") || !strcmp(s->family, "gated"))) {
        family *f = arena_alloc(c->a, sizeof *f);
        *f = *c->family;
        f->norm = NORM_BEFORE;
        f->module[ROLE_FINAL_NORM] = "encoder.LayerNorm";
        f->module[ROLE_GATE] = "encoder.layer.{i}.gate.dense";
        f->in_body[ROLE_FINAL_NORM] = f->in_body[ROLE_GATE] = 1;
        f->gated = !strcmp(s->family, "gated");
        c->family = f;
        c->act = HONE_ACT_SILU;
    }
    return c;
}

const hone_device_v1 *sample_device(void) {
    hone_err err = {.text = ""};
    const hone_device_v1 *d = device_load("ref", &err);
    if (!d) test_fail(__FILE__, __LINE__, "%s", err.text);
    return d;
}

static int can_plain_norms(const hone_query *q, char *why, size_t why_bytes) {
    const hone_tensor *in = q->in, *out = q->out;
    if (q->op == HONE_OP_NORM_FWD)
        return !in[1].n_dims && !in[2].n_dims && !in[3].n_dims && !out[3].n_dims && !(q->attr.p > 0 || q->attr.p_out > 0);
    if (q->op == HONE_OP_NORM_BWD)
        return !in[5].n_dims && !in[6].n_dims && !out[3].n_dims && !out[4].n_dims && !(q->attr.p > 0 || q->attr.p_out > 0);
    return sample_device()->can(q, why, why_bytes);
}

plan_options sample_options(const sample *s, const model_config *config) {
    int slots = 1;
    for (int64_t a = s->accumulation; a > 1; a /= 2) slots++;
    plan_options o = {.config = config,
                      .head = {.kind = s->kind,
                               .n_outputs = s->kind == HEAD_REGRESSION ? 1 : or_else(s->outputs, 5),
                               .pool_first = s->pool_first,
                               .words_max = s->kind == HEAD_WORDS || s->kind == HEAD_PRETRAINING || s->kind == HEAD_TOKENS
                                                ? or_else(s->tokens, 48) / 2
                                                : 0,
                               .smoothing = s->smoothing,
                               .class_weight = s->weighted ? class_weight : NULL},
                      .dtype = s->dtype,
                      .tokens_max = or_else(s->tokens, 48),
                      .seqs_max = or_else(s->seqs, 6),
                      .slots = slots,
                      .freeze = s->freeze ? &s->freeze : NULL,
                      .n_freeze = s->freeze != NULL,
                      .beta1 = 0.9,
                      .beta2 = 0.999,
                      .epsilon = 1e-8,
                      .training = !s->eval_only && !s->cached,
                      .cached = s->cached,
                      .moves = s->moves,
                      .chunk_rows = s->chunk_rows,
                      .no_narrow = s->no_narrow,
                      .no_pack = s->no_pack,
                      .no_fuse = s->no_fuse,
                      .recompute = s->recompute,
                      .budget_bytes = s->budget,
                      .device = sample_device()};
    static hone_device_v1 plain; /* outlives the plan */
    plain = *o.device;
    plain.can = can_plain_norms;
    if (s->plain_norms) o.device = &plain;
    return o;
}

hone_plan *sample_plan(const sample *s) {
    model_config *config = sample_config(s);
    const plan_options o = sample_options(s, config);
    hone_plan *plan = NULL;
    CHECK_OK(plan_build(&plan, &o, err));
    config_free(config); /* a plan borrows nothing of it */
    return plan;
}

player *sample_player(const hone_plan *plan, int own) {
    player *p = player_open(plan, own);
    player_begin(p, 5);
    return p;
}

batch sample_batch(const sample *s, int n, int longest) {
    batch b;
    batch_make(&b, n, longest, or_else(s->vocab, 23), or_else(s->outputs, 5), 100, 1.0 / n);
    b.looks_at_last = s->family && !strcmp(s->family, "gpt2");
    return b;
}
