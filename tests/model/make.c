#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "make.h"

const char *make_path(const char *folder, const char *name) {
    static char path[16][1024];
    static int turn;
    char *out = path[turn++ % 16];
    snprintf(out, sizeof path[0], "%s/%s", folder, name);
    return out;
}

const char *make_file(const char *folder, const char *name, const void *p, size_t n) {
    const char *path = make_path(folder, name);
    FILE *f = fopen(path, "wb");
    CHECK(f);
    CHECK(fwrite(p, 1, n, f) == n);
    CHECK(!fclose(f));
    return path;
}

const char *make_text(const char *folder, const char *name, const char *content) {
    return make_file(folder, name, content, strlen(content));
}

const char *make_safetensors(const char *folder, const char *name, const char *header, size_t n_data) {
    const size_t n = strlen(header);
    unsigned char *p = malloc(8 + n + n_data);
    CHECK(p);
    for (int i = 0; i < 8; i++) p[i] = (unsigned char)((unsigned long long)n >> 8 * i);
    memcpy(p + 8, header, n);
    for (size_t i = 0; i < n_data; i++) p[8 + n + i] = (unsigned char)i;
    const char *path = make_file(folder, name, p, 8 + n + n_data);
    free(p);
    return path;
}

void check_refused(const char *file, int line, hone_status status, hone_status want, const hone_err *err,
                   const char *ending) {
    if (status == HONE_OK) test_fail(file, line, "not refused, expected \"%s\"", ending);
    if (status != want || err->status != want)
        test_fail(file, line, "status %d, expected %d: %s", (int)status, (int)want, err->text);
    const size_t n = strlen(err->text), m = strlen(ending);
    if (n < m || strcmp(err->text + n - m, ending))
        test_fail(file, line, "\"%s\", expected \"...%s\"", err->text, ending);
}

const char tiny_bert[] =
    "{\"model_type\": \"bert\", \"architectures\": [\"BertModel\"], \"vocab_size\": 20, \"hidden_size\": 8,\n"
    " \"num_hidden_layers\": 2, \"num_attention_heads\": 2, \"intermediate_size\": 16, \"hidden_act\": "
    "\"gelu\",\n"
    " \"hidden_dropout_prob\": 0, \"attention_probs_dropout_prob\": 0.1, \"max_position_embeddings\": 12,\n"
    " \"type_vocab_size\": 2, \"initializer_range\": 0.02, \"layer_norm_eps\": 1e-12, \"pad_token_id\": 0,\n"
    " \"some_extra\": {\"a\": [1, 2.5, null, true, \"x\\n\"]}, \"transformers_version\": \"4.8.2\"}\n";
const char tiny_distilbert[] =
    "{\"model_type\": \"distilbert\", \"architectures\": [\"DistilBertForMaskedLM\"], \"vocab_size\": 20, "
    "\"dim\": 8,\n"
    " \"n_layers\": 2, \"n_heads\": 2, \"hidden_dim\": 16, \"activation\": \"gelu\", \"dropout\": 0.1,\n"
    " \"attention_dropout\": 0.1, \"max_position_embeddings\": 12, \"seq_classif_dropout\": 0.25, "
    "\"qa_dropout\": 0.1,\n"
    " \"sinusoidal_pos_embds\": false, \"tie_weights_\": true, \"initializer_range\": 0.02, "
    "\"pad_token_id\": 0}\n";

const char tiny_roberta[] =
    "{\"model_type\": \"roberta\", \"vocab_size\": 20, \"hidden_size\": 8, \"num_hidden_layers\": 2,\n"
    " \"num_attention_heads\": 2, \"intermediate_size\": 16, \"hidden_act\": \"gelu\", "
    "\"hidden_dropout_prob\": 0.1,\n"
    " \"attention_probs_dropout_prob\": 0.1, \"max_position_embeddings\": 12, \"type_vocab_size\": 1,\n"
    " \"initializer_range\": 0.02, \"layer_norm_eps\": 1e-5, \"pad_token_id\": 0}\n";

const char tiny_gpt2[] =
    "{\"model_type\": \"gpt2\", \"vocab_size\": 20, \"n_embd\": 8, \"n_layer\": 2, \"n_head\": 2, \"n_inner\": null,\n"
    " \"n_positions\": 12, \"n_ctx\": 12, \"activation_function\": \"gelu_new\", \"resid_pdrop\": 0.1, \"embd_pdrop\": 0.2,\n"
    " \"attn_pdrop\": 0.3, \"layer_norm_epsilon\": 1e-05, \"initializer_range\": 0.02, \"bos_token_id\": 3, "
    "\"eos_token_id\": 3,\n"
    " \"summary_first_dropout\": 0, \"task_specific_params\": {\"text-generation\": {\"max_length\": 50}}}\n";

model_config *make_config(const char *content) {
    model_config *c;
    CHECK_OK(config_parse(&c, "config.json", content, strlen(content), err));
    return c;
}

static void add_want(arena *a, param_want *want, int *n, const model_config *c, role r, int layer,
                     const char *leaf, int64_t rows, int64_t columns) {
    const hone_init init = strstr(c->family->module[r], "orm")
                               ? (leaf[0] == 'w' ? HONE_INIT_ONE : HONE_INIT_ZERO)
                           : leaf[0] == 'w' ? HONE_INIT_NORMAL
                                            : HONE_INIT_ZERO;
    want[(*n)++] = (param_want){.name = family_tensor(a, c->family, r, layer, leaf),
                                .n_dims = columns ? 2 : 1,
                                .dim = {rows, columns},
                                .init = init,
                                .init_std = 0.02f};
}

param_want *make_wants(arena *a, const model_config *c, int n_labels, int *n) {
    const int64_t D = c->width, F = c->inner;
    const struct {
        role r;
        int64_t rows, columns;
    } block[] = {{ROLE_Q, D, D},     {ROLE_K, D, D},  {ROLE_V, D, D},    {ROLE_O, D, D},
                 {ROLE_NORM1, D, 0}, {ROLE_UP, F, D}, {ROLE_DOWN, D, F}, {ROLE_NORM2, D, 0}};
    param_want *want = ARENA_ARRAY(a, 200, param_want);
    *n = 0;
    add_want(a, want, n, c, ROLE_WORD, -1, "weight", c->vocab, D);
    add_want(a, want, n, c, ROLE_POSITION, -1, "weight", c->positions, D);
    if (c->types) add_want(a, want, n, c, ROLE_TYPE, -1, "weight", c->types, D);
    for (int b = 0; b < 2; b++) add_want(a, want, n, c, ROLE_EMBED_NORM, -1, b ? "bias" : "weight", D, 0);
    for (int l = 0; l < c->layers; l++)
        for (int k = 0; k < 8; k++)
            for (int b = 0; b < 2; b++)
                add_want(a, want, n, c, block[k].r, l, b ? "bias" : "weight", block[k].rows,
                         b ? 0 : block[k].columns);
    for (int b = 0; b < 2; b++) add_want(a, want, n, c, ROLE_POOLER, -1, b ? "bias" : "weight", D, b ? 0 : D);
    for (int b = 0; b < 2 && n_labels; b++)
        add_want(a, want, n, c, ROLE_CLASSIFIER, -1, b ? "bias" : "weight", n_labels, b ? 0 : D);
    return want;
}

/* Multiples of 1/64 of small size: exact in fp16 and bf16 too. */
void make_values(float *to, int64_t n, int i) {
    for (int64_t k = 0; k < n; k++) to[k] = (float)((k * 37 + i * 11) % 127 - 63) / 64.0f;
}

/* Of a value that is exact in fp16 and no subnormal there. */
static uint16_t to_half(float x) {
    int exponent;
    const double m = frexp(fabs((double)x), &exponent); /* |x| = m 2^exponent, m in [0.5, 1) */
    if (x == 0) return 0;
    return (uint16_t)((x < 0 ? 0x8000 : 0) | (exponent + 14) << 10 | ((int)(m * 2048) & 1023));
}

static void put_value(unsigned char *to, stored_type type, float x) {
    uint32_t bits;
    uint16_t half;
    const double wide = (double)x;
    memcpy(&bits, &x, 4);
    if (type == STORED_F32) memcpy(to, &x, 4);
    if (type == STORED_F64) memcpy(to, &wide, 8);
    if (type == STORED_BF16) half = (uint16_t)(bits >> 16), memcpy(to, &half, 2);
    if (type == STORED_F16) half = to_half(x), memcpy(to, &half, 2);
}

void make_weights(const char *folder, const param_want *want, int n, stored_type type, renamer *rename) {
    tensor_form form[200];
    int from[200], n_forms = 0;
    safetensors_writer *w;
    for (int i = 0; i < n; i++) {
        const char *name = rename ? rename(want[i].name) : want[i].name;
        if (!name) continue;
        from[n_forms] = i;
        form[n_forms++] = (tensor_form){.name = name,
                                        .type = type,
                                        .n_dims = want[i].n_dims,
                                        .dim = {want[i].dim[0], want[i].dim[1], want[i].dim[2]}};
        for (int d = 0; d < want[i].n_dims; d++) form[n_forms - 1].dim[d] = param_stored_dim(&want[i], d);
    }
    CHECK_OK(safetensors_begin(&w, make_path(folder, "model.safetensors"), form, n_forms, NULL, 0, err));
    for (int k; (k = safetensors_next(w)) >= 0;) {
        const int64_t elements = param_elements(&want[from[k]]);
        const size_t size = stored_type_bytes(type);
        float values[1000];
        unsigned char bytes[8000];
        CHECK(elements <= 1000);
        make_values(values, elements, from[k]);
        for (int64_t e = 0; e < elements; e++) put_value(bytes + (size_t)e * size, type, values[e]);
        CHECK_OK(safetensors_add(w, bytes, (size_t)elements * size, err));
    }
    CHECK_OK(safetensors_end(w, NULL, err));
}
