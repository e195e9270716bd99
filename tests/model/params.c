#include <math.h>
#include <unistd.h>
#include <sys/stat.h>

#include "make.h"
#include "model/architecture.h"

typedef struct {
    arena *a;
    const param_want *want;
    int n;
    float *values[200];
    int got;
    const char
        *cut; /* the file is cut to so many bytes as soon as the first part is taken; NULL: it is not */
    int64_t cut_bytes;
} taken;

static hone_status take(void *to, int i, int64_t first, int64_t n, const float *values, hone_err *err) {
    taken *t = to;
    (void)err;
    if (!t->a) t->a = arena_new("taken");
    if (first == 0) {
        CHECK_INT(i, t->got++);
        t->values[i] = ARENA_ARRAY(t->a, (size_t)param_elements(&t->want[i]), float);
    }
    CHECK_INT(i, t->got - 1);
    memcpy(t->values[i] + first, values, (size_t)n * sizeof(float));
    if (t->cut) CHECK(!truncate(t->cut, (off_t)t->cut_bytes));
    return HONE_OK;
}

static const params_options plain = {.seed = 42, .quiet = 1};

static const char *bare_and_old(const char *name) {
    static char out[200][120];
    static int turn;
    char *to = out[turn++ % 200];
    snprintf(to, 120, "%s", strncmp(name, "bert.", 5) ? name : name + 5);
    char *at = strstr(to, "LayerNorm.weight");
    if (at) strcpy(at, "LayerNorm.gamma");
    at = strstr(to, "LayerNorm.bias");
    if (at) strcpy(at, "LayerNorm.beta");
    return to;
}

static const char *prefixed_and_old(const char *name) {
    static char out[200][120];
    static int turn;
    char *to = out[turn++ % 200];
    snprintf(to, 120, "%s%s", strncmp(name, "bert.", 5) && strncmp(name, "classifier", 10) ? "bert." : "",
             bare_and_old(name));
    if (strncmp(to, "classifier", 10) && strncmp(to, "bert.", 5)) {
        snprintf(to, 120, "bert.%s", bare_and_old(name));
    }
    return to;
}

static const char *without_head(const char *name) {
    return strstr(name, "pooler") || strstr(name, "classifier") ? NULL : name;
}

static void check_values(const taken *t) {
    for (int i = 0; i < t->n; i++) {
        float want[1000];
        const int64_t n = param_elements(&t->want[i]);
        make_values(want, n, i);
        if (memcmp(want, t->values[i], (size_t)n * 4))
            test_fail(__FILE__, __LINE__, "%s differs", t->want[i].name);
    }
}

static void load_and_check(const char *config, stored_type type, renamer *rename) {
    const char *folder = test_folder();
    model_config *c = make_config(config);
    taken t = {0};
    params *p;
    t.want = make_wants(c->a, c, 3, &t.n);
    make_weights(folder, t.want, t.n, type, rename);
    CHECK_OK(params_open(&p, c, folder, t.want, t.n, &plain, err));
    CHECK_INT(params_n_new(p), 0);
    CHECK_OK(params_fill(p, take, &t, err));
    CHECK_INT(t.got, t.n);
    check_values(&t);
    params_close(p);
    arena_free(t.a);
    config_free(c);
}

TEST(params_load_under_every_name_a_bert_folder_uses) {
    load_and_check(tiny_bert, STORED_F32, NULL);
    load_and_check(tiny_bert, STORED_F32, bare_and_old);
    load_and_check(tiny_bert, STORED_F32, prefixed_and_old);
}

TEST(params_load_from_every_floating_type) {
    load_and_check(tiny_bert, STORED_F16, NULL);
    load_and_check(tiny_bert, STORED_BF16, NULL);
    load_and_check(tiny_bert, STORED_F64, bare_and_old);
}

TEST(params_of_distilbert_load) {
    load_and_check(tiny_distilbert, STORED_F32, NULL);
    load_and_check(tiny_distilbert, STORED_BF16, NULL);
}

static const char *without_prefix(const char *name) {
    return strncmp(name, "transformer.", 12) ? name : name + 12;
}

/* The hub's own file: no prefix, and buffers of every layer. */
TEST(params_of_gpt2_load_from_old_files_and_are_turned) {
    const char *folder = test_folder();
    model_config *c = make_config(tiny_gpt2);
    taken t = {0};
    params *p;
    int n_ignored, n_unexpected;
    param_want *want = architecture_params(c->a, c, "GPT2LMHeadModel", 0, &t.n),
               *all = ARENA_ARRAY(c->a, (size_t)t.n + 4, param_want);
    static const char *const buffers[] = {"h.0.attn.bias", "h.1.attn.bias", "h.1.attn.masked_bias", "h.x.attn.bias"};
    memcpy(all, want, sizeof *all * (size_t)t.n);
    for (int i = 0; i < 4; i++) all[t.n + i] = (param_want){.name = buffers[i], .n_dims = 1, .dim = {4}};
    make_weights(folder, all, t.n + 4, STORED_F32, without_prefix);
    t.want = want;
    CHECK_OK(params_open(&p, c, folder, want, t.n, &plain, err));
    CHECK_INT(params_n_new(p), 0);
    params_ignored(p, &n_ignored);
    CHECK_INT(n_ignored, 3);
    CHECK_STR(params_unexpected(p, &n_unexpected)[0], "h.x.attn.bias");
    CHECK_INT(n_unexpected, 1);
    CHECK_OK(params_fill(p, take, &t, err));
    for (int i = 0; i < t.n; i++) {
        float stored[1000];
        const int64_t rows = want[i].dim[0], columns = want[i].n_dims > 1 ? want[i].dim[1] : 1;
        make_values(stored, rows * columns, i);
        for (int64_t r = 0; r < rows; r++)
            for (int64_t k = 0; k < columns; k++)
                CHECK(t.values[i][r * columns + k] == stored[want[i].transposed ? k * rows + r : r * columns + k]);
    }
    params_close(p);
    arena_free(t.a);
    config_free(c);
}

/* Radford et al. 2019, section 2.3: what is added to the residual stream begins smaller by sqrt(2 layers); no bias of score. */
TEST(params_of_gpt2_that_are_new_begin_as_transformers_makes_them) {
    model_config *c = make_config(tiny_gpt2);
    int n;
    const param_want *want = architecture_params(c->a, c, "GPT2ForSequenceClassification", 3, &n);
    CHECK_STR(want[n - 1].name, "score.weight");
    CHECK_INT(c->inner, 32);
    CHECK_INT(c->pad_id, -1);
    CHECK(c->p_hidden == 0.1 && c->p_embed == 0.2 && c->p_attention == 0.3 && c->act == HONE_ACT_GELU_TANH);
    for (int i = 0; i < n; i++) {
        const int small = strstr(want[i].name, "c_proj.weight") != NULL;
        CHECK_INT(want[i].transposed, strstr(want[i].name, ".c_") && strstr(want[i].name, ".weight"));
        if (want[i].init == HONE_INIT_NORMAL) CHECK_NEAR(want[i].init_std, small ? 0.01 : 0.02, 1e-9);
    }
    config_free(c);
}

TEST(params_a_missing_head_and_pooler_are_made_new_from_the_seed) {
    const char *folder = test_folder();
    model_config *c = make_config(tiny_bert);
    taken t = {0}, again = {0}, other = {0};
    params *p;
    t.want = again.want = other.want = make_wants(c->a, c, 3, &t.n);
    make_weights(folder, t.want, t.n, STORED_F32, without_head);
    CHECK_OK(params_open(&p, c, folder, t.want, t.n, &plain, err));
    CHECK_INT(params_n_new(p), 4);
    CHECK_STR(params_new_names(p),
              "bert.pooler.dense.weight, bert.pooler.dense.bias, classifier.weight, classifier.bias");
    CHECK(params_is_new(p, t.n - 1) && !params_is_new(p, 0));
    CHECK_OK(params_fill(p, take, &t, err));
    CHECK_OK(params_fill(p, take, &again, err));
    params_close(p);
    params_options options = plain;
    options.seed = 43;
    CHECK_OK(params_open(&p, c, folder, t.want, t.n, &options, err));
    CHECK_OK(params_fill(p, take, &other, err));
    params_close(p);
    const int weight = t.n - 2;
    const float *x = t.values[weight];
    double sum = 0, square = 0;
    for (int k = 0; k < 24; k++) sum += x[k], square += x[k] * x[k];
    CHECK(!memcmp(x, again.values[weight], 96) && memcmp(x, other.values[weight], 96));
    CHECK_NEAR(sum / 24, 0, 0.02);
    CHECK_NEAR(sqrt(square / 24), 0.02, 0.01);
    for (int k = 0; k < 3; k++) CHECK(t.values[weight + 1][k] == 0);
    arena_free(t.a);
    arena_free(again.a);
    arena_free(other.a);
    config_free(c);
}

TEST(params_without_a_folder_are_all_new) {
    model_config *c = make_config(tiny_bert);
    taken t = {0};
    params *p;
    t.want = make_wants(c->a, c, 3, &t.n);
    CHECK_OK(params_open(&p, c, NULL, t.want, t.n, &plain, err));
    CHECK_INT(params_n_new(p), t.n);
    CHECK_OK(params_fill(p, take, &t, err));
    for (int i = 0; i < t.n; i++) {
        if (t.want[i].init == HONE_INIT_ONE) CHECK(t.values[i][0] == 1);
        if (t.want[i].init == HONE_INIT_ZERO) CHECK(t.values[i][0] == 0);
        const float last = t.values[i][param_elements(&t.want[i]) - 1]; /* the first row is that of padding */
        if (t.want[i].init == HONE_INIT_NORMAL) CHECK(last != 0 && fabsf(last) < 0.2f);
    }
    params_close(p);
    arena_free(t.a);
    config_free(c);
}

TEST(params_new_word_embeddings_have_a_zero_row_for_padding) {
    model_config *c = make_config(tiny_bert);
    for (int pad = -1; pad < 3; pad++) {
        params *p;
        int n;
        c->pad_id = pad;
        param_want *want = make_wants(c->a, c, 2, &n);
        taken t = {.want = want, .n = n};
        CHECK_OK(params_open(&p, c, NULL, want, n, &plain, err));
        CHECK_OK(params_fill(p, take, &t, err));
        CHECK_STR(want[0].name, "bert.embeddings.word_embeddings.weight");
        for (int64_t row = 0; row < want[0].dim[0]; row++)
            for (int64_t k = 0; k < want[0].dim[1]; k++)
                CHECK((t.values[0][row * want[0].dim[1] + k] == 0) == (row == pad));
        CHECK(t.values[1][0] != 0); /* positions have no padding */
        params_close(p);
        arena_free(t.a);
    }
    config_free(c);
}

TEST(params_new_values_are_normal) {
    static float x[200000];
    double sum = 0, square = 0, fourth = 0;
    const param_want w = {.name = "w", .init = HONE_INIT_NORMAL, .init_std = 2};
    param_init(x, 0, 70000, &w, 1);
    param_init(x + 70000, 70000, 130000, &w, 1);
    for (int i = 0; i < 200000; i++)
        sum += x[i], square += x[i] * x[i], fourth += (double)x[i] * x[i] * x[i] * x[i];
    CHECK_NEAR(sum / 200000, 0, 0.03);
    CHECK_NEAR(square / 200000, 4, 0.08);
    CHECK_NEAR(fourth / 200000, 48, 3);
}

static const char *without_two(const char *name) {
    return strstr(name, "layer.1.output.dense.weight") || strstr(name, "layer.1.output.LayerNorm.bias")
               ? NULL
               : name;
}
static const char *misnamed(const char *name) {
    return strstr(name, "pooler.dense.bias") ? "pooler.dense.offset" : name;
}
static const char *with_strangers(const char *name) { return name; }

static hone_status open_only(const char *folder, const model_config *c, const param_want *want, int n,
                             const params_options *o, hone_err *err) {
    params *p;
    const hone_status status = params_open(&p, c, folder, want, n, o, err);
    if (!status) params_close(p);
    return status;
}

TEST(params_missing_from_the_body_are_counted_and_the_first_is_named) {
    const char *folder = test_folder();
    model_config *c = make_config(tiny_bert);
    int n;
    param_want *want = make_wants(c->a, c, 3, &n);
    make_weights(folder, want, n, STORED_F32, without_two);
    char expected[200];
    snprintf(expected, sizeof expected,
             ": missing 2 of %d tensors: bert.encoder.layer.1.output.dense.weight ...", n);
    CHECK_REFUSED(open_only(folder, c, want, n, &plain, err), HONE_EDAMAGED, expected);
    config_free(c);
}

TEST(params_half_a_head_is_made_new_as_a_whole) {
    const char *folder = test_folder();
    model_config *c = make_config(tiny_bert);
    params *p;
    int n, unused;
    param_want *want = make_wants(c->a, c, 3, &n);
    make_weights(folder, want, n, STORED_F32, misnamed);
    CHECK_OK(params_open(&p, c, folder, want, n, &plain, err));
    CHECK_STR(params_new_names(p), "bert.pooler.dense.weight, bert.pooler.dense.bias");
    CHECK_STR(params_ignored(p, &unused)[0], "pooler.dense.offset");
    CHECK_INT(unused, 1);
    params_close(p);
    config_free(c);
}

TEST(params_that_begin_anew_are_those_of_the_pattern) {
    static const char *const top[] = {"*pooler*", "*layer.1.output.dense.weight"}, *const none[] = {"*adapter*"};
    const char *folder = test_folder();
    model_config *c = make_config(tiny_bert);
    params *p;
    int n, unexpected;
    param_want *want = make_wants(c->a, c, 3, &n);
    make_weights(folder, want, n, STORED_F32, NULL);
    params_options options = plain;
    options.reinit = top, options.n_reinit = 2, options.strict = 1;
    CHECK_OK(params_open(&p, c, folder, want, n, &options, err));
    CHECK_STR(params_new_names(p), "bert.encoder.layer.1.output.dense.weight, bert.encoder.layer.1.output.dense.bias, "
                                   "bert.pooler.dense.weight, bert.pooler.dense.bias");
    params_unexpected(p, &unexpected);
    CHECK_INT(unexpected, 0);
    params_close(p);
    options.reinit = none, options.n_reinit = 1;
    CHECK_REFUSED(open_only(folder, c, want, n, &options, err), HONE_EUSAGE, "reinit: \"*adapter*\" matches none of 41 parameters, expected a pattern like \"*pooler*\"");
    config_free(c);
}

TEST(params_of_another_shape_are_refused_and_a_head_of_another_size_says_what_to_do) {
    const char *folder = test_folder();
    model_config *c = make_config(tiny_bert);
    params *p;
    int n, n2;
    param_want *want = make_wants(c->a, c, 2, &n), *seven = make_wants(c->a, c, 7, &n2);
    make_weights(folder, want, n, STORED_F32, NULL);
    hone_err why = {0};
    CHECK_INT(open_only(folder, c, seven, n2, &plain, &why), HONE_EUSAGE);
    CHECK(strstr(why.text, ": head has 2 labels, data has 7 (\"classifier.weight\" is [2,8])"));
    CHECK_STR(why.hint, "ignore_mismatched_sizes: true starts a new head");
    params_options options = plain;
    options.ignore_sizes = 1;
    CHECK_OK(params_open(&p, c, folder, seven, n2, &options, err));
    CHECK_STR(params_new_names(p), "classifier.weight, classifier.bias");
    params_close(p);
    want[0].dim[0] = 21;
    CHECK_REFUSED(open_only(folder, c, want, n, &options, err), HONE_EDAMAGED,
                  ": \"bert.embeddings.word_embeddings.weight\" is [20,8], config.json says [21,8]");
    config_free(c);
}

TEST(params_unexpected_tensors_are_listed_and_refused_when_strict) {
    const char *folder = test_folder();
    model_config *c = make_config(tiny_bert);
    params *p;
    int n, n_ignored, n_unexpected;
    param_want *want = make_wants(c->a, c, 2, &n);
    static const char *const extra[] = {"cls.predictions.bias",
                                        "cls.predictions.decoder.weight",
                                        "embeddings.position_ids",
                                        "bert.encoder.layer.2.output.dense.weight",
                                        "adapter.x",
                                        "qa_outputs.weight",
                                        "y\n",
                                        "z"};
    for (int i = 0; i < 8; i++) want[n + i] = (param_want){.name = extra[i], .n_dims = 1, .dim = {4}};
    make_weights(folder, want, n + 8, STORED_F32, with_strangers);
    CHECK_OK(params_open(&p, c, folder, want, n, &plain, err));
    const char *const *unexpected = params_unexpected(p, &n_unexpected);
    params_ignored(p, &n_ignored);
    CHECK_INT(n_ignored, 4);
    CHECK_INT(n_unexpected, 4);
    CHECK_STR(unexpected[0], "adapter.x");
    params_close(p);
    params_options options = plain;
    options.strict = 1;
    CHECK_REFUSED(open_only(folder, c, want, n, &options, err), HONE_EDAMAGED,
                  ": 4 unexpected tensors: \"adapter.x\", \"bert.encoder.layer.2.output.dense.weight\", "
                  "\"y\\x0a\" ...");
    config_free(c);
}

TEST(params_that_are_not_finite_are_counted) {
    const char *folder = test_folder();
    model_config *c = make_config(tiny_bert);
    int n;
    param_want *want = make_wants(c->a, c, 2, &n);
    make_weights(folder, want, n, STORED_F32, NULL);
    const char *path = make_path(folder, "model.safetensors");
    safetensors *s;
    CHECK_OK(safetensors_open(&s, path, err));
    const stored_tensor *t = safetensors_find(s, "bert.pooler.dense.weight");
    const long at = (long)(s->data_at + t->begin) + 17 * 4;
    safetensors_close(s);
    const uint32_t bad[3] = {0x7fc00000, 0x7f800000, 0xff800000};
    FILE *f = fopen(path, "r+b");
    CHECK(f && !fseek(f, at, SEEK_SET) && fwrite(bad, 4, 3, f) == 3 && !fclose(f));
    taken t1 = {.want = want, .n = n}, t2 = t1;
    params *p;
    params_options options = plain;
    CHECK_OK(params_open(&p, c, folder, want, n, &options, err));
    CHECK_OK(params_fill(p, take, &t1, err));
    params_close(p);
    options.strict = 1;
    CHECK_OK(params_open(&p, c, folder, want, n, &options, err));
    CHECK_REFUSED(params_fill(p, take, &t2, err), HONE_ENOTFINITE,
                  ": 3 non-finite values, first in \"bert.pooler.dense.weight\" at index 17");
    params_close(p);
    arena_free(t1.a);
    arena_free(t2.a);
    config_free(c);
}

TEST(params_a_file_cut_short_during_the_load_is_noticed) {
    const char *folder = test_folder();
    model_config *c = make_config(tiny_bert);
    params *p;
    int n;
    param_want *want = make_wants(c->a, c, 2, &n);
    make_weights(folder, want, n, STORED_F32, NULL);
    taken t = {.want = want, .n = n};
    CHECK_OK(params_open(&p, c, folder, want, n, &plain, err));
    CHECK(!truncate(make_path(folder, "model.safetensors"), 100));
    hone_err err = {0};
    CHECK_INT(params_fill(p, take, &t, &err), HONE_EDAMAGED);
    CHECK(strstr(err.text, ": changed during load (size "));
    CHECK_INT(t.got, 0);
    params_close(p);
    config_free(c);
}

/* At every byte: while a tensor is copied too, where a mapped file would end the process with a signal. */
TEST(params_a_file_cut_short_while_its_tensors_are_read_is_an_error) {
    const char *folder = test_folder();
    model_config *c = make_config(tiny_bert);
    params *p;
    int n;
    param_want *want = make_wants(c->a, c, 2, &n);
    const char *path = make_path(folder, "model.safetensors");
    for (int64_t bytes = 0, all = 1; bytes < all; bytes += 4096) {
        make_weights(folder, want, n, STORED_F32, NULL);
        all = file_bytes(path);
        taken t = {.want = want, .n = n, .cut = path, .cut_bytes = bytes};
        CHECK_OK(params_open(&p, c, folder, want, n, &plain, err));
        hone_err err = {0};
        CHECK_INT(params_fill(p, take, &t, &err), HONE_EDAMAGED);
        CHECK(strstr(err.text, "model.safetensors: changed during load (size "));
        params_close(p);
        arena_free(t.a);
    }
    config_free(c);
}

TEST(params_of_minilm_are_all_there_but_the_classifier) {
    const char *folder = test_model_or_skip();
    model_config *c;
    params *p;
    int n, unused;
    CHECK_OK(config_load(&c, folder, err));
    param_want *want = make_wants(c->a, c, 77, &n);
    CHECK_OK(params_open(&p, c, folder, want, n, &plain, err));
    CHECK_STR(params_new_names(p), "classifier.weight, classifier.bias");
    params_unexpected(p, &unused);
    CHECK_INT(unused, 0);
    const char *const *ignored = params_ignored(p, &unused);
    CHECK_INT(unused, 1);
    CHECK_STR(ignored[0], "embeddings.position_ids");
    CHECK_INT(param_elements(&want[0]), 30522 * 384);
    params_close(p);
    config_free(c);
}
