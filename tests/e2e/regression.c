/* regression.c - predicting a number, beside torch (scripts/golden/regression.py): the same tiny models and
 * targets are made here, so that nothing but the fixture is needed. */
#include <stdlib.h>

#include "command.h"
#include "golden.h"
#include "model/architecture.h"
#include "model/params.h"
#include "parity_check.h"

static int by_name(const void *a, const void *b) {
    return strcmp(((const param_want *)a)->name, ((const param_want *)b)->name);
}

static float formula(uint64_t i, uint64_t k, int one) {
    const uint64_t x = (i * 2654435761u + k * 40503u + 12345u) & 0xffffffffu;
    return (float)((one ? 1.0 : 0.0) + ((double)x / 4294967296.0 - 0.5) * 0.2);
}

static int is_norm(const char *name) {
    return strstr(name, "LayerNorm.weight") || strstr(name, "layer_norm.weight");
}

static void write_weights(arena *a, const char *folder, param_want *want, int n) {
    tensor_form *form = ARENA_ARRAY(a, (size_t)n, tensor_form);
    safetensors_writer *w;
    qsort(want, (size_t)n, sizeof *want, by_name);
    for (int k = 0; k < n; k++)
        form[k] = (tensor_form){want[k].name, STORED_F32, want[k].n_dims, {want[k].dim[0], want[k].dim[1]}};
    CHECK_OK(safetensors_begin(&w, path_join(a, folder, "model.safetensors"), form, n, NULL, 0, err));
    for (int k; (k = safetensors_next(w)) >= 0;) {
        const int64_t elements = param_elements(&want[k]);
        float *x = ARENA_ARRAY(a, (size_t)elements, float);
        for (int64_t i = 0; i < elements; i++)
            x[i] = formula((uint64_t)i, (uint64_t)k, is_norm(want[k].name));
        CHECK_OK(safetensors_add(w, x, (size_t)elements * sizeof *x, err));
    }
    CHECK_OK(safetensors_end(w, NULL, err));
}

/* Keys of the fixture's config.json (a BERT's) as another family calls them. */
typedef struct {
    const char *model_type, *architecture, *golden;
    int n_weights;
    const char *key[8][2];
} kind;

static const char *replace(arena *a, const char *in, const char *old, const char *by) {
    text t = {0};
    for (const char *at; (at = strstr(in, old)) != NULL; in = at + strlen(old))
        text_printf(&t, "%.*s%s", (int)(at - in), in, by);
    text_str(&t, in);
    const char *out = arena_copy(a, t.p, t.n);
    text_free(&t);
    return out;
}

/* The fixture's config and vocabulary, without dropout and for one number. */
static const char *make_model(arena *a, const kind *k) {
    const char *folder = here(a, "regressor");
    copy_folder(a, test_fixture("e2e/model"), folder);
    const char *config = file_text(a, path_join(a, folder, "config.json"));
    config = replace(a, config, "dropout_prob\": 0.1", "dropout_prob\": 0.0");
    config = replace(a, config, "\"bert\"", arena_print(a, "\"%s\"", k->model_type));
    config = replace(a, config, "BertForSequenceClassification", k->architecture);
    for (int i = 0; k->key[i][0]; i++) config = replace(a, config, k->key[i][0], k->key[i][1]);
    put_file(a, "regressor/config.json",
             arena_print(a,
                         "%.*s, \"seq_classif_dropout\": 0.0, \"id2label\": {\"0\": \"LABEL_0\"}, "
                         "\"problem_type\": \"regression\"}\n",
                         (int)(strrchr(config, '}') - config), config));
    model_config *c;
    int n;
    CHECK_OK(config_load(&c, folder, err));
    param_want *want = architecture_params(a, c, k->architecture, 1, &n);
    write_weights(a, folder, want, n);
    config_free(c);
    return folder;
}

/* Texts of a fixture with (bytes mod 17) / 8 - 1 as the number to predict; at most so many rows. */
static const char *make_data(arena *a, const char *name, const char *fixture, int rows) {
    text t = {0};
    const char *p = strchr(file_text(a, test_fixture(fixture)), '\n') + 1;
    text_str(&t, "text,target\n");
    for (const char *end; rows-- && (end = strchr(p, '\n')); p = end + 1) {
        const size_t n = strcspn(p, ",");
        CHECK(*p != '"');
        text_printf(&t, "%.*s,%.4f\n", (int)n, p, (double)(n % 17) / 8 - 1);
    }
    const char *path = put_file(a, name, t.p);
    text_free(&t);
    return path;
}

static void ten_steps(const kind *k) {
    arena *a = command_begin();
    const json *golden = golden_open(a, k->golden), *values = member(golden, "values");
    const char *model = make_model(a, k), *out = here(a, "out"),
               *train = make_data(a, "train.csv", "e2e/train.csv", -1),
               *texts = make_data(a, "texts.csv", "e2e/validation.csv", (int)values->n);
    const json *summary = command_json(a,
                                       "train --model_name_or_path \"%s\" --train_file \"%s\" "
                                       "--text_column_names text --label_column_name target "
                                       "--do_regression --output_dir \"%s\" --max_steps 10 "
                                       "--per_device_train_batch_size 8 --train_sampling_strategy "
                                       "sequential --learning_rate 1e-4 --warmup_ratio 0.2 --weight_decay "
                                       "0.01 --max_seq_length 48 --save_strategy no "
                                       "--logging_steps 1 --json --quiet \"%s\"",
                                       model, train, out, put_file(a, "job.json", "{}"));
    CHECK_INT(number_of(summary, "global_step"), 10);
    parity_steps(a, out, golden);
    CHECK_INT(parity_weights(a, model, out, golden), k->n_weights);
    const said s = command_expect(a, 0, "predict \"%s\" \"%s\" --text_column_names text", out, texts);
    str rows = {s.out, s.n_out};
    const json *row, *want = values->child;
    double worst = 0;
    for (; parity_next_row(a, &rows, &row); want = want->next) {
        CHECK(want);
        const double d = number_of(row, "value") - want->number;
        worst = d > worst ? d : -d > worst ? -d : worst;
    }
    CHECK(!want);
    printf("largest difference of %d predicted numbers from torch: %.3g\n", (int)values->n, worst);
    CHECK_NEAR(worst, 0, 5e-6);
    arena_free(a);
}

TEST(ten_steps_of_a_regression_equal_torch) {
    ten_steps(&(kind){"bert", "BertForSequenceClassification", "regression.json", 39, {{NULL, NULL}}});
}

TEST(ten_steps_of_roberta_equal_torch) {
    ten_steps(&(kind){"roberta",
                      "RobertaForSequenceClassification",
                      "regression-roberta.json",
                      39,
                      {{"_embeddings\": 48", "_embeddings\": 50"}}});
}

TEST(ten_steps_of_distilbert_equal_torch) {
    ten_steps(&(kind){"distilbert",
                      "DistilBertForSequenceClassification",
                      "regression-distilbert.json",
                      38,
                      {{"hidden_size", "dim"},
                       {"num_hidden_layers", "n_layers"},
                       {"num_attention_heads", "n_heads"},
                       {"intermediate_size", "hidden_dim"},
                       {"hidden_act", "activation"},
                       {"hidden_dropout_prob", "dropout"},
                       {"attention_probs_dropout_prob", "attention_dropout"}}});
}
