/* cmd_validate.c - hone validate: everything a job would read, read and reported. */
#include "cli/cmd.h"
#include "base/file.h"
#include "base/host.h"
#include "data/audit.h"
#include "train/inputs.h"

const option validate_flags[] = {
    {"strict", 0, "BOOL: false makes unknown job fields warnings (default true)."}};
const int n_validate_flags = sizeof validate_flags / sizeof *validate_flags;

typedef struct {
    const char *role, *path;
    int64_t max_samples;
    int label_optional;
    audit *found;
} data_file;

static hone_status audit_all(session *s, data_file *f, int n, hone_err *err) {
    const job *j = s->job;
    const dataset_options train = session_dataset_options(s, j->max_train_samples);
    for (int i = 0; i < n; i++) {
        const dataset_options o = session_dataset_options(s, f[i].max_samples);
        if (!f[i].path) continue;
        HONE_TRY(audit_file(&f[i].found, s->a, f[i].path, &o, s->tok, &s->labels, f[i].label_optional,
                            s->pool, err));
        if (i && f[0].path) HONE_TRY(audit_compare(f[i].found, s->a, f[i].path, f[0].path, &o, &train, err));
    }
    return HONE_OK;
}

static void print_all(const data_file *f, int n, int as_json, text *out) {
    int n_warnings = 0, first = 1;
    text warnings = {0};
    if (as_json) text_str(out, "{");
    for (int i = 0; i < n; i++) {
        if (!f[i].found) continue;
        if (as_json) {
            text_printf(out, "%s\"%s\":", first ? "" : ",", f[i].role);
            audit_json(f[i].found, out);
        } else {
            text_printf(out, "%s== %s\n", first ? "" : "\n", f[i].role);
            audit_print(f[i].found, out);
        }
        first = 0;
        n_warnings += audit_warnings(f[i].found, &warnings);
    }
    if (as_json) text_printf(out, "%s\"warnings\":%d}\n", first ? "" : ",", n_warnings);
    else if (n_warnings) text_printf(out, "\n%.*s", (int)warnings.n, warnings.p);
    text_free(&warnings);
}

hone_status cmd_validate(const args *a, hone_err *err) {
    job *j;
    session *s = NULL;
    text out = {0};
    HONE_TRY(args_words(a, 1, 1, "hone validate JOB.json", err));
    HONE_TRY(job_of_args(&j, a, a->word[0], err));
    pool *p = pool_new((int)j->threads);
    data_file files[] = {{"train", j->train_file, j->max_train_samples, 0, NULL},
                         {"validation", j->validation_file, j->max_eval_samples, 0, NULL},
                         {"test", j->test_file, j->max_predict_samples, 1, NULL}};
    hone_status status = session_open(&s, j, j->model_name_or_path, j->tokenizer_name, p, err);
    if (!status && s->head == HEAD_SPANS)
        status = hone_fail(err, HONE_EUSAGE, "task: question-answering, expected a task of texts and labels; hone train checks questions as it reads them");
    if (!status) status = inputs_labels(s, err);
    if (!status) status = audit_all(s, files, 3, err);
    if (!status) print_all(files, 3, a->json, &out);
    stdout_add(out.p, out.n);
    text_free(&out);
    session_close(s);
    pool_free(p);
    job_free(j);
    return status;
}
