/* spec.c - one transformer, described by data. */
#include <string.h>

#include "model/spec.h"
#include "base/err.h"

/* x[n] = word[id[n]] + position[pos[n]] + type[type[n]], then norm (where the family has one) and dropout. */
static hone_v embed(graph *g, int tok) {
    const model_config *c = g->config;
    const int64_t dims[2] = {0, c->width};
    g->layer = -1;
    hone_step s = {.op = HONE_OP_EMBED_FWD};
    s.in[0] = graph_companion(g, tok, HONE_FILL_ID, 0);
    s.in[1] = graph_param(g, ROLE_WORD, "weight", c->vocab, c->width);
    s.in[2] = graph_companion(g, tok, HONE_FILL_POS, 0);
    s.in[3] = graph_param(g, ROLE_POSITION, "weight", c->positions, c->width);
    if (c->types) {
        s.in[4] = graph_companion(g, tok, HONE_FILL_TYPE, 0);
        s.in[5] = graph_param(g, ROLE_TYPE, "weight", c->types, c->width);
    }
    const hone_v e = s.out[0] = graph_value(g, "embed", HONE_ACTIVATION, g->dtype, 2, dims, 0, tok);
    graph_emit(g, &s);
    const hone_v normed = c->family->module[ROLE_EMBED_NORM] ? g_norm(g, e, ROLE_EMBED_NORM, "embed.norm") : e;
    return g_dropout(g, normed, c->p_embed, "x");
}

/* Queries, keys and values: three products, or columns of one. */
static void attended(graph *g, hone_v h, hone_v of[3]) {
    static const role roles[3] = {ROLE_Q, ROLE_K, ROLE_V};
    static const char *const names[3] = {"q", "k", "v"};
    const int64_t D = g->config->width;
    const int packed = g->config->family->module[ROLE_QKV] != NULL;
    const hone_v qkv = packed ? g_linear(g, h, ROLE_QKV, 3 * D, "qkv") : 0;
    for (int i = 0; i < 3; i++)
        of[i] = !packed ? g_linear(g, h, roles[i], D, names[i])
                : qkv   ? graph_view(g, graph_name(g, names[i]), qkv, i * D, D, 0)
                        : 0;
}

/* x = norm(x + attention(x)), x = norm(x + ffn(x)); norms before the branches where the family says so. */
static hone_v block(graph *g, hone_v x) {
    const model_config *c = g->config;
    const int before = c->family->norm == NORM_BEFORE;
    hone_v h = before ? g_norm(g, x, ROLE_NORM1, "norm1") : x;
    hone_v qkv[3];
    attended(g, h, qkv);
    if (g->cache) qkv[1] = g_keep(g, qkv[1], "k.cache"), qkv[2] = g_keep(g, qkv[2], "v.cache");
    const hone_v o = g_attend(g, qkv[0], qkv[1], qkv[2], c->family->causal ? HONE_MASK_CAUSAL : HONE_MASK_FULL,
                              c->p_attention, "attention");
    x = g_add(g, g_dropout(g, g_linear(g, o, ROLE_O, c->width, "o"), c->p_hidden, "o.drop"), x, "sum1");
    if (!before) x = g_norm(g, x, ROLE_NORM1, "norm1");
    h = before ? g_norm(g, x, ROLE_NORM2, "norm2") : x;
    const hone_v up = g_linear(g, h, ROLE_UP, c->inner, "up"),
                 gate = c->family->gated ? g_linear(g, h, ROLE_GATE, c->inner, "gate") : 0;
    const hone_v down = g_linear(g, g_act(g, up, gate, c->act, "act"), ROLE_DOWN, c->width, "down");
    x = g_add(g, g_dropout(g, down, c->p_hidden, "down.drop"), x, "sum2");
    return before ? x : g_norm(g, x, ROLE_NORM2, "norm2");
}

/* Rows through a dense layer and the family's activation. */
static hone_v pool(graph *g, hone_v rows) {
    const model_config *c = g->config;
    return g_act(g, g_linear(g, rows, ROLE_POOLER, c->width, "pooler"), 0, c->family->classes.act, "pooled");
}

/* The first row of each sequence (causal families: the last) through a dense layer, where there is one, dropout and the
 * classifier. */
static hone_v classify(graph *g, hone_v x, int seq, int n_outputs) {
    const model_config *c = g->config;
    g->layer = c->layers;
    hone_v h = g_gather(g, x, seq, "cls");
    if (c->family->classes.dropout_before_dense) h = g_dropout(g, h, c->p_head, "cls.drop");
    if (c->family->module[ROLE_POOLER]) h = pool(g, h);
    return g_linear(g, g_dropout(g, h, c->p_head, "pooled.drop"), ROLE_CLASSIFIER, n_outputs, "logits");
}

/* Does the second text of each sequence follow the first? transformers' BertForPreTraining has no dropout here. */
static hone_v follows(graph *g, hone_v x, int seq) {
    g->layer = g->config->layers;
    return g_linear(g, pool(g, g_gather(g, x, seq, "cls")), ROLE_NSP, 2, "logits");
}

/* The rows of masked words through a dense layer, activation and norm. */
static hone_v transform_words(graph *g, hone_v x, int word) {
    const model_config *c = g->config;
    g->layer = c->layers;
    hone_v h = g_gather(g, x, word, "words");
    h = g_act(g, g_linear(g, h, ROLE_MLM_DENSE, c->width, "transform"), 0, c->act, "transform.act");
    return g_norm(g, h, ROLE_MLM_NORM, "transform.norm");
}

/* What words are compared with is the table of words itself (tied weights). */
static void guess_words(graph *g, hone_v x, model_values *m) {
    g_word_loss(g, transform_words(g, x, m->word), ROLE_MLM_BIAS, m->scale, &m->row_loss, &m->best);
}

static hone_v show_words(graph *g, const head_spec *h, hone_v x, int word) {
    if (h->kind != HEAD_NEXT) return g_word_logits(g, transform_words(g, x, word), ROLE_MLM_BIAS, "logits");
    g->layer = g->config->layers;
    return g_word_logits(g, g_gather(g, x, word, "words"), N_ROLES, "logits");
}

/* CONST [C]f of the weights of the classes. */
static hone_v class_weights(graph *g, const head_spec *h) {
    const int64_t n = h->n_outputs;
    const hone_v v = graph_value(g, "class.weight", HONE_CONST, graph_float(g), 1, &n, -1, 0);
    if (g->dtype == HONE_F64) {
        g->value[v].data =
            memcpy(arena_array(g->a, (size_t)n, sizeof(double)), h->class_weight, sizeof(double) * (size_t)n);
    } else {
        float *w = ARENA_ARRAY(g->a, (size_t)n, float);
        for (int64_t i = 0; i < n; i++) w[i] = (float)h->class_weight[i];
        g->value[v].data = w;
    }
    return v;
}

typedef struct {
    hone_op op;
    hone_fill label;
    int weight, scale, gx; /* operands; weight 0: none */
} head_loss;

/* The loss of every row of a space, and in training the gradient of the logits at once. */
static hone_v lose(graph *g, const head_spec *h, int space, model_values *m, hone_v scale, const char *name) {
    static const head_loss classes = {HONE_OP_XENT, HONE_FILL_LABEL, 2, 3, 2}, marks = {HONE_OP_BCE, HONE_FILL_TARGET, 2, 3, 1},
                           number = {HONE_OP_MSE, HONE_FILL_TARGET, 0, 2, 1};
    const int64_t rows[1] = {0}, wide[2] = {0, graph_width(g, m->logits)};
    const head_loss *k = h->kind == HEAD_MARKS ? &marks : h->kind == HEAD_REGRESSION ? &number : &classes;
    hone_step s = {.op = k->op, .attr.loss.smoothing = h->smoothing};
    s.in[0] = m->logits;
    s.in[1] = graph_companion(g, space, k->label, 0);
    if (k->weight && h->class_weight) s.in[k->weight] = class_weights(g, h);
    s.in[k->scale] = scale;
    s.out[0] = graph_value(g, name, HONE_ACTIVATION, graph_float(g), 1, rows, 0, space);
    if (g->training)
        m->gx = s.out[k->gx] = graph_value(g, "dlogits", HONE_ACTIVATION, g->dtype, 2, wide, 0, space);
    graph_emit(g, &s);
    return s.out[0];
}

/* The first row of each word through dropout and its own classifier. */
static void label_words(graph *g, hone_v x, const head_spec *h, model_values *m) {
    g->layer = g->config->layers;
    x = g_dropout(g, g_gather(g, x, m->word, "words"), g->config->p_words, "words.drop");
    m->logits = g_linear(g, x, ROLE_TOKEN_CLASSIFIER, h->n_outputs, "logits");
    m->row_loss = lose(g, h, m->word, m, m->scale, "row.loss");
}

/* Two scores of every row: that an answer begins here, and that it ends here. */
static void find_answers(graph *g, hone_v x, model_values *m) {
    const int64_t rows[1] = {0}, two[2] = {0, 2};
    g->layer = g->config->layers;
    m->logits = g_linear(g, g_dropout(g, x, g->config->p_spans, "spans.drop"), ROLE_SPANS, 2, "logits");
    hone_step s = {.op = HONE_OP_SPAN_XENT};
    s.in[0] = m->logits;
    s.in[1] = graph_companion(g, m->tok, HONE_FILL_AT, 0);
    s.in[2] = graph_companion(g, m->seq, HONE_FILL_SPAN, 0);
    s.in[3] = m->scale;
    m->row_loss = s.out[0] = graph_value(g, "row.loss", HONE_ACTIVATION, graph_float(g), 1, rows, 0, m->seq);
    if (g->training) m->gx = s.out[2] = graph_value(g, "dlogits", HONE_ACTIVATION, g->dtype, 2, two, 0, m->tok);
    graph_emit(g, &s);
}

/* A vector a sequence, and nothing to be lost. */
static void embed_sequences(graph *g, hone_v x, const head_spec *h, model_values *m) {
    g->layer = g->config->layers;
    m->logits = h->pool_first ? g_gather(g, x, m->seq, "first") : g_pool(g, x, "mean");
}

static int find_space(const graph *g, const char *name) {
    for (int i = 1; i <= g->n_spaces; i++)
        if (!strcmp(g->space[i].name, name)) return i;
    return 0;
}

/* The weight of a row in the mean; space: that of the rows of a second loss, 0: of the first. */
static hone_v scale_of(graph *g, const char *name, int space) {
    for (int v = 1; v <= g->n_values; v++)
        if (g->value[v].fill == HONE_FILL_SCALE && g->value[v].fill_space == space) return v;
    const int64_t one = 1;
    const hone_v v = graph_value(g, name, HONE_INPUT, graph_float(g), 1, &one, -1, 0);
    g->value[v].fill = HONE_FILL_SCALE;
    g->value[v].fill_space = space;
    return v;
}

/* Both heads read a few rows of each sequence; these are gathered together, so that the last layer makes no others (narrow.c). */
static void pretrain(graph *g, const head_spec *h, hone_v x, model_values *m) {
    g->layer = g->config->layers;
    x = g_gather(g, x, g->space[m->word].parent, "read");
    guess_words(g, x, m);
    m->logits = follows(g, x, m->seq);
    if (!g->training || g->status) return; /* evaluation makes losses of logits as it makes figures of them */
    m->sequence_scale = scale_of(g, "sequence.scale", m->seq);
    m->sequence_loss = lose(g, h, m->seq, m, m->sequence_scale, "sequence.loss");
}

static hone_v body(graph *g, int tok) {
    hone_v x = embed(g, tok);
    for (g->layer = 0; g->layer < g->config->layers; g->layer++) x = block(g, x);
    return g->config->family->norm == NORM_BEFORE ? g_norm(g, x, ROLE_FINAL_NORM, "final") : x;
}

void spec_write(graph *g, const head_spec *h, int64_t tokens_max, int64_t seqs_max, model_values *out) {
    memset(out, 0, sizeof *out);
    out->seq = find_space(g, "seq");
    out->tok = find_space(g, "tok");
    if (!out->seq) {
        out->seq = graph_space(g, "seq", seqs_max, 0, 0);
        out->tok = graph_space(g, "tok", tokens_max, out->seq, 0);
        const int read = h->kind == HEAD_PRETRAINING && !h->word_logits
                             ? graph_space(g, "read", h->words_max + seqs_max, out->seq, out->tok)
                             : out->tok;
        g->space[out->seq].parent = read;
        if (h->kind == HEAD_WORDS || h->kind == HEAD_PRETRAINING || h->kind == HEAD_TOKENS || h->word_logits)
            graph_space(g, "word", h->words_max, out->seq, read);
    }
    out->word = find_space(g, "word");
    const hone_v x = body(g, out->tok);
    out->scale = scale_of(g, "scale", 0);
    if (h->word_logits) {
        out->logits = show_words(g, h, x, out->word);
        return;
    }
    if (h->kind == HEAD_NEXT) {
        g_word_loss(g, x, N_ROLES, out->scale, &out->row_loss, &out->best);
        return;
    }
    g->targets = h->n_outputs;
    switch (h->kind) {
    case HEAD_WORDS:
        guess_words(g, x, out);
        break;
    case HEAD_TOKENS:
        label_words(g, x, h, out);
        break;
    case HEAD_SPANS:
        find_answers(g, x, out);
        break;
    case HEAD_EMBED:
        embed_sequences(g, x, h, out);
        break;
    case HEAD_PRETRAINING:
        pretrain(g, h, x, out);
        break;
    default:
        out->logits = classify(g, x, out->seq, h->n_outputs);
        out->row_loss = lose(g, h, out->seq, out, out->scale, "row.loss");
    }
}

hone_v spec_write_decoder(graph *g, int64_t tokens_max, int64_t seqs_max, int64_t cached) {
    const int seq = graph_space(g, "seq", seqs_max, 0, 0), tok = graph_space(g, "tok", tokens_max, seq, 0);
    g->space[seq].parent = tok;
    g->cache = graph_space(g, "cache", seqs_max * cached, seq, 0);
    const hone_v logits = g_word_logits(g, g_gather(g, body(g, tok), seq, "last"), N_ROLES, "logits");
    if (logits) g->value[logits].cls = HONE_RESULT;
    return logits;
}

void spec_write_moves(graph *g, int64_t rows_max) {
    const int move = graph_space(g, "move", rows_max, 0, 0), n = g->n_values;
    for (int v = 1; v <= n; v++) {
        if (g->value[v].cls != HONE_STATE || g->value[v].base || !g->value[v].fill_space) continue;
        hone_step s = {.op = HONE_OP_SCATTER};
        g->space[move].parent = g->value[v].fill_space;
        s.in[0] = g_gather(g, v, move, arena_print(g->a, "%s.moved", g->value[v].name));
        s.in[1] = graph_companion(g, move, HONE_FILL_SLOT, 0);
        s.in[2] = s.out[0] = v;
        graph_emit(g, &s);
    }
}
