/* cmd_fill.c - hone fill-mask: words for the masks of texts, from a file or the command line. */
#include <string.h>

#include "cli/cmd.h"
#include "base/err.h"
#include "base/file.h"
#include "base/host.h"
#include "train/fill.h"

const option fill_flags[] = {
    {"top", 0, "K: how many words for each mask (5)."},
    {"prompt", 0, "TEXT: this instead of a file; the words as a list, with --json as a row."},
};
const int n_fill_flags = sizeof fill_flags / sizeof *fill_flags;

typedef struct {
    job *job;
    pool *pool;
    session *s;
    dataset *d, prompt; /* d is one that was opened, or the prompt */
    arena *a;
} opened;

static void close_all(opened *o) {
    if (o->d != &o->prompt) dataset_free(o->d);
    session_close(o->s);
    pool_free(o->pool);
    job_free(o->job);
    arena_free(o->a);
}

/* A prompt is a file of one line. */
static hone_status read_prompt(opened *o, const char *prompt, const dataset_options *how, hone_err *err) {
    size_t bad;
    encoding e = {0};
    const str s = str_of(prompt);
    if (!utf8_valid(s.p, s.n, &bad))
        return hone_fail(err, HONE_EDATA, "--prompt: byte %zu: invalid UTF-8", bad + 1);
    const hone_status status = tokenizer_encode(o->s->tok, s, (str){0}, &how->encode, &e, err);
    if (!status) {
        int64_t *at = ARENA_ARRAY(o->a, 2, int64_t);
        int32_t *id = ARENA_ARRAY(o->a, (size_t)e.n + 1, int32_t), *label = ARENA_ARRAY(o->a, 2, int32_t);
        uint8_t *type = ARENA_ARRAY(o->a, (size_t)e.n + 1, uint8_t);
        memcpy(id, e.id, sizeof *id * (size_t)e.n);
        memcpy(type, e.type, (size_t)e.n);
        at[1] = e.n, label[0] = -1, label[1] = 1; /* the line */
        o->prompt = (dataset){.n = 1,
                              .n_tokens = e.n,
                              .at = at,
                              .id = id,
                              .type = type,
                              .label = label,
                              .line = label + 1,
                              .max_length = e.n};
        o->d = &o->prompt;
    }
    encoding_free(&e);
    return status;
}

static hone_status open_all(opened *o, const args *a, const char *prompt, const char *file, hone_err *err) {
    HONE_TRY(job_of_args(&o->job, a, NULL, err));
    o->job->task = TASK_FILL_MASK;
    o->job->line_by_line = 1;
    o->a = arena_new("fill-mask");
    o->pool = pool_new((int)o->job->threads);
    HONE_TRY(session_open(&o->s, o->job, a->word[0], NULL, o->pool, err));
    dataset_options d = session_dataset_options(o->s, o->job->max_predict_samples);
    if (!o->job->given[field_find("max_seq_length")]) d.encode.max_length = o->s->config->longest;
    if (prompt) HONE_TRY(read_prompt(o, prompt, &d, err));
    else {
        if (!strcmp(file, "-")) d.cache_folder = NULL;
        HONE_TRY(dataset_open(&o->d, file, &d, o->s->tok, NULL, 1, o->pool, err));
    }
    session_limits limits;
    HONE_TRY(fill_limits(&limits, o->s, o->d,
                         prompt              ? "--prompt"
                         : strcmp(file, "-") ? file
                                             : "standard input",
                         err));
    return session_start(o->s, &limits, err);
}

static void print(void *arg, text *out) {
    (void)arg;
    stdout_add(out->p, out->n);
    text_clear(out);
}

static hone_status fill(opened *o, const args *a, const char *prompt, hone_err *err) {
    int64_t top;
    text out = {0};
    HONE_TRY(args_integer(a, "top", 1, o->s->config->vocab, 5, &top, err));
    const fill_options how = {.top = (int)top, .people = prompt && !a->json};
    const hone_status status = fill_rows(o->s, o->d, &how, &out, print, NULL, err);
    text_free(&out);
    return status;
}

hone_status cmd_fill(const args *a, hone_err *err) {
    opened o = {0};
    const char *prompt = args_value(a, "prompt");
    HONE_TRY(args_words(a, 1, prompt ? 1 : 2,
                        "hone fill-mask MODEL [FILE|-], or --prompt TEXT instead of a file", err));
    hone_status status = open_all(&o, a, prompt, a->n_words > 1 ? a->word[1] : "-", err);
    if (!status) status = fill(&o, a, prompt, err);
    close_all(&o);
    return status;
}
