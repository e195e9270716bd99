/* cmd_embed.c - hone embed: texts to vectors. */
#include <string.h>

#include "cli/cmd.h"
#include "cli/rows_out.h"
#include "base/err.h"
#include "base/host.h"
#include "train/embed.h"
#include "train/eval.h"
#include "train/inputs.h"

const option embed_flags[] = {
    {"output", 0,
     "FILE: write there instead of to stdout; a name that ends in .npy has numpy's format, [texts, width] "
     "float32."},
    {"pooling", 0,
     "mean|cls: the mean of a text's tokens, or the first; by default what the folder's modules.json says, "
     "else mean."},
    {"normalize", 1,
     "Make each vector's length 1 (--normalize=false: do not); by default what modules.json says, else not."},
};
const int n_embed_flags = sizeof embed_flags / sizeof *embed_flags;

typedef struct {
    job *job;
    pool *pool;
    session *s;
    dataset *d;
    embed_rules rules;
} opened;

/* The folder's rules, and over them the command line's. */
static hone_status read_rules(opened *o, const args *a, hone_err *err) {
    const char *pooling = args_value(a, "pooling"), *normalize = args_value(a, "normalize");
    HONE_TRY(embed_rules_read(&o->rules, a->word[0], err));
    if (pooling && strcmp(pooling, "mean") && strcmp(pooling, "cls"))
        return hone_fail(err, HONE_EUSAGE, "--pooling: \"%.64s\", expected mean or cls", pooling);
    if (pooling) o->rules.first = !strcmp(pooling, "cls");
    if (normalize && strcmp(normalize, "true") && strcmp(normalize, "false"))
        return hone_fail(err, HONE_EUSAGE, "--normalize: \"%.64s\", expected true or false", normalize);
    if (normalize) o->rules.normalize = !strcmp(normalize, "true");
    return HONE_OK;
}

/* What nobody says about sizes: as long as the model allows. */
static void take_sizes(opened *o) {
    job *j = o->job;
    if (!j->given[field_find("max_seq_length")])
        j->max_seq_length = o->rules.max_length ? o->rules.max_length : INT32_MAX;
}

static hone_status open_all(opened *o, const args *a, hone_err *err) {
    HONE_TRY(job_of_args(&o->job, a, NULL, err));
    HONE_TRY(read_rules(o, a, err));
    take_sizes(o);
    o->pool = pool_new((int)o->job->threads);
    HONE_TRY(session_open(&o->s, o->job, a->word[0], NULL, o->pool, err));
    session_set_head(o->s, HEAD_EMBED, (labels){0});
    o->s->pool_first = o->rules.first;
    HONE_TRY(inputs_read(&o->d, o->s, a->word[1], o->job->max_predict_samples, 0, err));
    const eval_batches b = eval_batches_of(o->job, o->d, EVAL_TOKENS);
    const session_limits limits = {.tokens_max = b.tokens, .seqs_max = b.samples};
    return session_start(o->s, &limits, err);
}

static embed_format format_of(const char *path) {
    const size_t n = path ? strlen(path) : 0;
    return n > 4 && !strcmp(path + n - 4, ".npy") ? EMBED_NPY : EMBED_JSONL;
}

static hone_status write_all(opened *o, const args *a, hone_err *err) {
    const char *path = args_value(a, "output");
    rows_out to = {0};
    text out = {0};
    HONE_TRY(rows_out_begin(&to, path, err));
    hone_status status =
        embed_rows(o->s, o->d, o->rules.normalize, format_of(path), &out, rows_out_add, &to, err);
    status = rows_out_end(&to, status, err);
    text_free(&out);
    return status;
}

hone_status cmd_embed(const args *a, hone_err *err) {
    opened o = {0};
    HONE_TRY(args_words(a, 2, 2, "hone embed MODEL FILE|-", err));
    hone_status status = open_all(&o, a, err);
    if (!status) status = write_all(&o, a, err);
    dataset_free(o.d);
    session_close(o.s);
    pool_free(o.pool);
    job_free(o.job);
    return status;
}
