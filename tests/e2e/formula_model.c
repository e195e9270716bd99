/* formula_model.c - a config.json rewritten, tensors by the formula. */
#include <stdlib.h>

#include "formula_model.h"
#include "command.h"
#include "golden.h"
#include "model/architecture.h"
#include "model/params.h"

static int by_name(const void *a, const void *b) {
    return strcmp(((const param_want *)a)->name, ((const param_want *)b)->name);
}

static float formula(uint64_t i, uint64_t k, int one) {
    const uint64_t x = (i * 2654435761u + k * 40503u + 12345u) & 0xffffffffu;
    return (float)((one ? 1.0 : 0.0) + ((double)x / 4294967296.0 - 0.5) * 0.2);
}

static int is_norm(const char *name) {
    const char *ln = strstr(name, "ln_");
    return strstr(name, "LayerNorm.weight") || strstr(name, "layer_norm.weight") || (ln && strstr(ln, ".weight"));
}

static void write_weights(arena *a, const char *folder, param_want *want, int n) {
    tensor_form *form = ARENA_ARRAY(a, (size_t)n, tensor_form);
    safetensors_writer *w;
    qsort(want, (size_t)n, sizeof *want, by_name);
    for (int k = 0; k < n; k++)
        form[k] = (tensor_form){want[k].name,
                                STORED_F32,
                                want[k].n_dims,
                                {param_stored_dim(&want[k], 0), param_stored_dim(&want[k], 1)}};
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

void formula_weights(arena *a, const char *folder, const char *architecture, int n_labels) {
    model_config *c;
    int n;
    CHECK_OK(config_load(&c, folder, err));
    param_want *want = architecture_params(a, c, architecture, n_labels, &n);
    write_weights(a, folder, want, n);
    config_free(c);
}

static const char *replace(arena *a, const char *in, const char *old, const char *by) {
    text t = {0};
    for (const char *at; (at = strstr(in, old)) != NULL; in = at + strlen(old))
        text_printf(&t, "%.*s%s", (int)(at - in), in, by);
    text_str(&t, in);
    const char *out = arena_copy(a, t.p, t.n);
    text_free(&t);
    return out;
}

const char *formula_model(arena *a, const char *name, const formula_kind *k, const char *more) {
    const char *folder = here(a, name);
    copy_folder(a, test_fixture("e2e/model"), folder);
    const char *config = file_text(a, path_join(a, folder, "config.json"));
    config = replace(a, config, "dropout_prob\": 0.1", "dropout_prob\": 0.0");
    config = replace(a, config, "\"bert\"", arena_print(a, "\"%s\"", k->model_type));
    config = replace(a, config, "BertForSequenceClassification", k->architecture);
    for (int i = 0; k->key[i][0]; i++) config = replace(a, config, k->key[i][0], k->key[i][1]);
    put_file(a, arena_print(a, "%s/config.json", name),
             arena_print(a, "%.*s, \"seq_classif_dropout\": 0.0, \"qa_dropout\": 0.0%s}\n", (int)(strrchr(config, '}') - config),
                         config, more));
    model_config *c;
    CHECK_OK(config_load(&c, folder, err));
    formula_weights(a, folder, k->architecture, c->n_labels);
    config_free(c);
    return folder;
}
