#include <stdlib.h>
#include <sys/stat.h>

#include "folder.h"
#include "model/architecture.h"

hone_status formula_values(void *want, int i, float *to, hone_err *err) {
    (void)err;
    make_values(to, param_elements((const param_want *)want + i), i);
    return HONE_OK;
}

str slurp(arena *a, const char *folder, const char *name) {
    str s;
    CHECK_OK(file_read(&s, a, make_path(folder, name), 1 << 24, HONE_EDATA, err));
    return s;
}

static const card_data data[] = {{"train", "/somewhere/train|x.csv", 1350},
                                 {"validation", "validation.csv", -1}};
static const card_row settings[] = {
    {"learning_rate", "5e-05"}, {"seed", "42"}, {"train_file", "<b>|x\n# y</b>"}};
static const card_metric metrics[] = {{"accuracy", 0.918}, {"f1", 1}};

const char *make_export(const char *config, const char *name, const char *architecture, const str *label,
                        int n_labels) {
    const char *keep = getenv("HONE_EXPORTS"), *source = make_path(test_folder(), "source");
    const char *folder = make_path(keep && *keep ? keep : test_folder(), name);
    model_config *c = make_config(config);
    arena *a = c->a;
    mkdir(source, 0777);
    const str vocab = slurp(a, test_fixture("model"), "vocab.txt");
    make_file(source, "vocab.txt", vocab.p, vocab.n);
    int n;
    param_want *want = architecture_params(a, c, architecture, n_labels, &n);
    CHECK(want);
    const card readme = {.title = "tiny: a \"test\"",
                         .base_model = "bert-base-uncased",
                         .model_type = c->family->model_type,
                         .data = data,
                         .n_data = 2,
                         .label = label,
                         .n_labels = n_labels,
                         .setting = settings,
                         .n_settings = 3,
                         .metric = metrics,
                         .n_metrics = 2,
                         .metric_set = "validation",
                         .metric_file = "validation.csv",
                         .example = "my \"card\" has\nnot arrived"};
    const export_model m = {.config = c,
                            .architecture = architecture,
                            .label = label,
                            .n_labels = n_labels,
                            .param = want,
                            .n_params = n,
                            .get = formula_values,
                            .from = want,
                            .tokenizer_folder = source,
                            .card = &readme};
    CHECK_OK(export_write(&m, folder, NULL, err));
    config_free(c);
    return folder;
}
