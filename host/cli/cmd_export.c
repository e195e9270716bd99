/* cmd_export.c - hone export: write a model folder out of a run or checkpoint, or judge one; hone inspect:
 * what lies there. */
#include <stdio.h>
#include <string.h>

#include "cli/cmd.h"
#include "base/err.h"
#include "base/file.h"
#include "base/host.h"
#include "base/mem.h"
#include "base/table.h"
#include "model/architecture.h"
#include "model/check.h"
#include "model/export.h"
#include "model/family.h"
#include "model/inspect.h"
#include "run/checkpoint.h"
#include "train/probe.h"

const option export_flags[] = {
    {"check", 1, "Judge the folder by the rules that transformers loads by; write nothing."}};
const int n_export_flags = sizeof export_flags / sizeof *export_flags;

static hone_status judge(const char *folder, int as_json, hone_err *err) {
    check *c = check_folder(folder);
    char found[200];
    hone_err why = {0};
    const int same = probe_replay(folder, found, &why) == HONE_OK;
    check_add(c, 9, same, same ? found : why.text);
    text out = {0};
    if (as_json) {
        text_printf(&out, "{\"passed\":%d,\"failed\":%d,\"findings\":[", c->n - c->n_failed, c->n_failed);
        for (int i = 0; i < c->n; i++) {
            text_printf(&out, "%s{\"item\":%d,\"passed\":%s,\"text\":", i ? "," : "", c->finding[i].item,
                        c->finding[i].passed ? "true" : "false");
            text_json(&out, c->finding[i].text, strlen(c->finding[i].text));
            text_str(&out, "}");
        }
        text_str(&out, "]}\n");
    } else check_print(c, &out);
    stdout_add(out.p, out.n);
    text_free(&out);
    const int failed = c->n_failed, n = c->n;
    check_free(c);
    return failed ? hone_fail(err, HONE_EDAMAGED, "%s: %d of %d checks failed", folder, failed, n) : HONE_OK;
}

/* The stored numbers of the model's parameters, as the writer asks for them. */
typedef struct {
    const params *params;
} source;

static hone_status get_stored(void *from, int i, float *to, hone_err *err) {
    const params *p = ((const source *)from)->params;
    return params_read(p, i, 0, params_source(p, i)->n, to, err);
}

/* What the source says about itself, and the probe of its run, are kept. */
static hone_status copy_file(const char *from, const char *to, const char *name, hone_err *err) {
    arena *a = arena_new("copy");
    const char *path = path_join(a, from, name);
    str s;
    hone_status status = HONE_OK;
    if (file_is_regular(path)) {
        status = file_read(&s, a, path, (size_t)16 << 20, HONE_EDAMAGED, err);
        if (!status) status = file_write(path_join(a, to, name), s.p, s.n, err);
    }
    arena_free(a);
    return status;
}

static hone_status write_copy(const char *from, const char *to, hone_err *err) {
    inspection *x;
    params *p = NULL;
    if (file_exists(to))
        return hone_fail(err, HONE_EUSAGE, "%s: is there already, expected a new folder", to);
    HONE_TRY(inspect_folder(&x, from, 0, err));
    hone_status status = x->problem ? hone_fail(err, HONE_EDAMAGED, "%s: %s", from, x->problem) : HONE_OK;
    if (!status && x->made_new[0]) {
        status =
            hone_fail(err, HONE_EUSAGE, "%s: has no %s, expected a model with its head", from, x->made_new);
        hone_hint(err, "train it first");
    }
    param_want *want = mem_new(sizeof *want * (size_t)(x->n_tensors + 1), "parameters");
    int n = 0;
    for (int i = 0; i < x->n_tensors && !status; i++) {
        const stored_tensor *t = x->tensor[i].tensor;
        int other = !stored_type_is_float(t->type) || t->n_dims < 1 || t->n_dims > 3;
        for (int k = 0; k < x->n_ignored && !other; k++) other = !strcmp(x->ignored[k], t->name);
        for (int k = 0; k < x->n_unexpected && !other; k++) other = !strcmp(x->unexpected[k], t->name);
        if (other) continue;
        want[n] = (param_want){.name = t->name, .n_dims = t->n_dims};
        for (int d = 0; d < t->n_dims; d++) want[n].dim[d] = t->dim[d];
        n++;
    }
    const params_options o = {.quiet = 1};
    if (!status) status = params_open(&p, x->config, from, want, n, &o, err);
    if (!status) {
        const card plain = {.title = path_name(to),
                            .task = architecture_task(x->class),
                            .model_type = x->config->family->model_type,
                            .label = x->config->label,
                            .n_labels = x->config->label ? x->config->n_labels : 0};
        const export_model m = {.card = &plain,
                                .architecture = x->class,
                                .end_id = -1,
                                .config = x->config,
                                .label = x->config->label,
                                .n_labels = x->config->n_labels,
                                .param = want,
                                .n_params = n,
                                .get = get_stored,
                                .from = &(source){p},
                                .tokenizer_folder = from};
        status = export_write(&m, to, NULL, err);
        if (!status) status = copy_file(from, to, "README.md", err);
        if (!status) status = copy_file(from, to, "probe.json", err);
    }
    params_close(p);
    mem_free(want);
    inspect_free(x);
    return status;
}

hone_status cmd_export(const args *a, hone_err *err) {
    if (args_value(a, "check")) {
        HONE_TRY(args_words(a, 1, 1, "hone export --check MODEL", err));
        return judge(a->word[0], a->json, err);
    }
    HONE_TRY(args_words(a, 2, 2, "hone export RUN|CHECKPOINT|MODEL OUT", err));
    HONE_TRY(write_copy(a->word[0], a->word[1], err));
    text out = {0};
    text_str(&out, a->json ? "{\"output_dir\":" : "wrote ");
    text_json(&out, a->word[1], strlen(a->word[1]));
    text_str(&out, a->json ? "}\n" : "\n");
    stdout_add(out.p, out.n);
    text_free(&out);
    return HONE_OK;
}
