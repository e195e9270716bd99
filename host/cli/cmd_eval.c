/* cmd_eval.c - hone eval and hone predict: a finished model over a file. */
#include <string.h>

#include "cli/cmd.h"
#include "cli/rows_out.h"
#include "base/err.h"
#include "base/host.h"
#include "model/architecture.h"
#include "train/eval.h"
#include "train/inputs.h"
#include "train/predict.h"

const option eval_flags[] = {{"brief", 1, "In text: the figures only, without the tables."}};
const int n_eval_flags = sizeof eval_flags / sizeof *eval_flags;
const option predict_flags[] = {
    {"output", 0, "FILE: write the rows there instead of to stdout."},
    {"logits", 1, "Add the logits in label-id order."},
    {"top", 0, "K: add the K most probable labels."},
};
const int n_predict_flags = sizeof predict_flags / sizeof *predict_flags;

typedef struct {
    job *job;
    pool *pool;
    session *s;
    dataset *d;
} opened;

static void close_all(opened *o) {
    dataset_free(o->d);
    session_close(o->s);
    pool_free(o->pool);
    job_free(o->job);
}

/* What nobody says is what the folder's head is for. */
static hone_status take_task(job *j, const char *folder, hone_err *err) {
    model_config *c;
    if (j->given[field_find("task")]) return HONE_OK;
    HONE_TRY(config_load(&c, folder, err));
    static const struct {
        head_kind head;
        task_kind task;
    } tasks[] = {{HEAD_WORDS, TASK_FILL_MASK}, {HEAD_PRETRAINING, TASK_PRETRAIN}, {HEAD_NEXT, TASK_CONTINUE},
                 {HEAD_TOKENS, TASK_TOKENS},   {HEAD_SPANS, TASK_QUESTIONS}};
    for (size_t i = 0; i < sizeof tasks / sizeof *tasks; i++)
        if (architecture_is_of(c->architecture, tasks[i].head)) j->task = tasks[i].task;
    config_free(c);
    return HONE_OK;
}

/* The model, the file as a data set, and a run for its batches. */
static hone_status open_all(opened *o, const args *a, int labelled, int64_t max_samples_of(const job *),
                            hone_err *err) {
    HONE_TRY(job_of_args(&o->job, a, NULL, err));
    o->pool = pool_new((int)o->job->threads);
    HONE_TRY(take_task(o->job, a->word[0], err));
    HONE_TRY(job_check_task(o->job, err));
    HONE_TRY(session_open(&o->s, o->job, a->word[0], NULL, o->pool, err));
    if (session_guesses_words(o->s) && !labelled) {
        hone_fail(err, HONE_EUSAGE, "%s: its task is %s, which predicts no labels", a->word[0], job_task(o->job));
        return hone_hint(err, "hone eval says how well it guesses %s",
                         o->job->task == TASK_CONTINUE ? "the next words" : "words under masks");
    }
    HONE_TRY(inputs_read(&o->d, o->s, a->word[1], max_samples_of(o->job), labelled ? 2 : 0, err));
    const eval_batches b = eval_batches_of(o->job, o->d, EVAL_TOKENS);
    const session_limits limits = {.tokens_max = b.tokens, .seqs_max = b.samples};
    return session_start(o->s, &limits, err);
}

static int64_t eval_samples(const job *j) { return j->max_eval_samples; }
static int64_t predict_samples(const job *j) { return j->max_predict_samples; }

static hone_status print_eval(opened *o, const args *a, hone_err *err) {
    metrics m;
    double seconds;
    text out = {0};
    arena *memory = arena_new("metrics");
    metrics_begin(&m, memory, o->s, o->d);
    const hone_status status = evaluate_metrics(o->s, o->d, eval_batches_in(o->s), &m, &seconds, err);
    if (!status && a->json) {
        eval_summary_json(&m, seconds, &out);
        text_str(&out, "\n");
    } else if (!status) eval_summary_people(&m, args_value(a, "brief") ? NULL : &o->s->labels, seconds, &out);
    stdout_add(out.p, out.n);
    text_free(&out);
    arena_free(memory);
    return status;
}

hone_status cmd_eval(const args *a, hone_err *err) {
    opened o = {0};
    HONE_TRY(args_words(a, 2, 2, "hone eval MODEL FILE", err));
    hone_status status = open_all(&o, a, 1, eval_samples, err);
    if (!status) status = print_eval(&o, a, err);
    close_all(&o);
    return status;
}

static hone_status print_predictions(opened *o, const args *a, hone_err *err) {
    int64_t top;
    HONE_TRY(args_integer(a, "top", 0, 1 << 20, 0, &top, err));
    const char *path = args_value(a, "output");
    if (o->s->head == HEAD_SPANS && args_value(a, "logits"))
        return hone_fail(err, HONE_EUSAGE, "--logits: not for task question-answering, expected --top K");
    const predict_options how = {.logits = args_value(a, "logits") != NULL, .top = (int)top};
    rows_out to = {0};
    text out = {0};
    HONE_TRY(rows_out_begin(&to, path, err));
    hone_status status = predict_rows(o->s, o->d, &how, &out, rows_out_add, &to, err);
    status = rows_out_end(&to, status, err);
    text_free(&out);
    return status;
}

hone_status cmd_predict(const args *a, hone_err *err) {
    opened o = {0};
    HONE_TRY(args_words(a, 2, 2, "hone predict MODEL FILE|-", err));
    hone_status status = open_all(&o, a, 0, predict_samples, err);
    if (!status) status = print_predictions(&o, a, err);
    close_all(&o);
    return status;
}
