/* cmd_generate.c - hone generate: texts behind prompts, as rows, or as they come on a terminal. */
#include <math.h>
#include <string.h>

#include "base/err.h"
#include "base/file.h"
#include "base/host.h"
#include "cli/cmd.h"
#include "data/columns.h"
#include "model/architecture.h"
#include "train/generate.h"

const option generate_flags[] = {
    {"prompt", 0, "TEXT: a text to go on with; may be given several times."},
    {"prompts", 0, "FILE: the same as the word FILE: one prompt a row (lines, CSV, JSONL with \"text\"; -: standard input)."},
    {"stop", 0, "TEXT: a text ends before it; may be given several times."},
    {"stop_strings", 0, "TEXT: the same as --stop."},
    {"stream", 1, "Write the text itself, prompt first, as it comes; on a terminal that is what happens without --json."},
#define XX(kind, name, least, most, preset, help) {#name, GENERATION_##kind == GENERATION_BOOL, help},
    GENERATION_MAP(XX)
#undef XX
};
const int n_generate_flags = sizeof generate_flags / sizeof *generate_flags;

#define TEXTS_MAX 256 /* of --prompt, --stop */

typedef struct {
    const args *args;
    arena *a;
    job *job;
    pool *pool;
    session *s;
    generation g;
    str *text; /* of the prompts */
    prompt *prompt;
    int64_t n;
    rows *file;
    int is_stream, is_open; /* open: a text is being shown */
    text out;
} command_state;

/* ---- prompts ---- */

static hone_status take_texts(command_state *c, hone_err *err) {
    const char *value[TEXTS_MAX];
    const int n = args_values(c->args, "prompt", value, TEXTS_MAX);
    if (n > TEXTS_MAX) return hone_fail(err, HONE_EUSAGE, "--prompt: %d times, expected at most %d", n, TEXTS_MAX);
    c->text = ARENA_ARRAY(c->a, (size_t)n + 1, str);
    for (int i = 0; i < n; i++) c->text[i] = str_of(value[i]);
    c->n = n;
    return HONE_OK;
}

/* Columns of a row, with text_column_delimiter between. */
static str text_of_row(const command_state *c, const columns *which, int64_t i) {
    text t = {0};
    for (int k = 0; k < which->n_text; k++) {
        const str cell = c->file->cell[i * c->file->n_columns + which->text[k]];
        if (k) text_str(&t, c->job->text_column_delimiter);
        if (cell.n) text_add(&t, cell.p, cell.n);
    }
    const str s = {arena_copy(c->a, t.n ? t.p : "", t.n), t.n};
    text_free(&t);
    return s;
}

static hone_status take_rows(command_state *c, const char *path, hone_err *err) {
    const job *j = c->job;
    const rows_options o = {.header = (int)j->header, .quoting = (int)j->quoting};
    columns which;
    HONE_TRY(rows_read(&c->file, path, &o, err));
    HONE_TRY(columns_choose(&which, c->file, j->text_column_names.p, j->text_column_names.n, NULL, LABEL_NOT_WANTED, err));
    c->n = c->file->n_rows;
    c->text = ARENA_ARRAY(c->a, (size_t)c->n + 1, str);
    for (int64_t i = 0; i < c->n; i++) c->text[i] = text_of_row(c, &which, i);
    return HONE_OK;
}

static hone_status take_prompts(command_state *c, hone_err *err) {
    const args *a = c->args;
    const char *option_path = args_value(a, "prompts"), *path = a->n_words > 1 ? a->word[1] : option_path;
    if (!path + !args_value(a, "prompt") != 1 || (a->n_words > 1 && option_path)) {
        hone_fail(err, HONE_EUSAGE, "prompts: expected either --prompt TEXT or one FILE");
        return hone_hint(err, "hone generate MODEL --prompt \"Once upon a time\"");
    }
    HONE_TRY(path ? take_rows(c, path, err) : take_texts(c, err));
    c->prompt = ARENA_ARRAY(c->a, (size_t)c->n + 1, prompt);
    for (int64_t i = 0; i < c->n; i++) {
        const char *where = path ? arena_print(c->a, "%s: line %d", strcmp(path, "-") ? path : "standard input", c->file->line[i])
                                 : arena_print(c->a, "--prompt %lld", (long long)i + 1);
        HONE_TRY(prompt_encode(&c->prompt[i], c->a, c->s, &c->g, c->text[i], where, err));
    }
    return HONE_OK;
}

/* ---- settings ---- */

static hone_status take_stops(command_state *c, hone_err *err) {
    static const char *const names[] = {"stop", "stop_strings"};
    str *stop = ARENA_ARRAY(c->a, 2 * TEXTS_MAX, str);
    for (int k = 0; k < 2; k++) {
        const char *value[TEXTS_MAX];
        const int n = args_values(c->args, names[k], value, TEXTS_MAX);
        if (n > TEXTS_MAX) return hone_fail(err, HONE_EUSAGE, "--%s: %d times, expected at most %d", names[k], n, TEXTS_MAX);
        for (int i = 0; i < n; i++) {
            if (!*value[i]) return hone_fail(err, HONE_EUSAGE, "--%s: empty, expected a text", names[k]);
            stop[c->g.n_stops++] = str_of(value[i]);
        }
    }
    c->g.stop = stop;
    return HONE_OK;
}

static hone_status take_settings(command_state *c, hone_err *err) {
    const char *value[N_GENERATION];
    for (int i = 0; i < N_GENERATION; i++) value[i] = args_value(c->args, generation_name(i));
    HONE_TRY(generation_load(&c->g, c->a, c->args->word[0], c->s->config, c->s->tok, c->job->generation, value, err));
    c->g.seed = (uint64_t)c->job->seed;
    return take_stops(c, err);
}

/* A model of another task has no head that says what comes next. */
static hone_status check_model(const char *folder, hone_err *err) {
    model_config *m;
    HONE_TRY(config_load(&m, folder, err));
    hone_status status = HONE_OK;
    if (!m->family->causal || (m->architecture && architecture_has_labels(m->architecture))) {
        hone_fail(err, HONE_EUSAGE, "%s: %s does not go on with texts, expected a causal language model", folder,
                  m->architecture ? m->architecture : m->family->model_type);
        status = hone_hint(err, "GPT2LMHeadModel is one; task: text-generation trains it");
    }
    config_free(m);
    return status;
}

/* ---- out ---- */

static void write_row(command_state *c, const continuation *w) {
    text *t = &c->out;
    text_printf(t, "{\"index\":%lld", (long long)w->prompt);
    if (c->g.num_return_sequences > 1) text_printf(t, ",\"sequence\":%d", w->number);
    text_str(t, ",\"text\":");
    text_json(t, w->text.p, w->text.n);
    text_str(t, ",\"ids\":[");
    for (int i = 0; i < w->n; i++) text_printf(t, i ? ",%d" : "%d", w->id[i]);
    text_printf(t, "],\"finish\":\"%s\",\"logprob\":", w->finish);
    text_double(t, w->logprob);
    if (!isnan(w->score)) {
        text_str(t, ",\"score\":");
        text_double(t, w->score);
    }
    text_str(t, "}\n");
}

/* For eyes: nothing that would steer a terminal (C0 but line breaks and tabs, DEL, C1). */
static void add_shown(text *t, str s) {
    for (size_t i = 0; i < s.n; i++) {
        const uint8_t b = (uint8_t)s.p[i], next = i + 1 < s.n ? (uint8_t)s.p[i + 1] : 0;
        const int is_c1 = b == 0xc2 && next >= 0x80 && next < 0xa0;
        if ((b < 0x20 && b != '\n' && b != '\t') || b == 0x7f || is_c1) text_str(t, "\xef\xbf\xbd");
        else text_add(t, s.p + i, 1);
        i += is_c1;
    }
}

static hone_status say(command_state *c, hone_err *err) {
    stdout_add(c->out.p, c->out.n);
    text_clear(&c->out);
    return stdout_flush(err);
}

/* The prompt stands before the first piece of each of its texts, which may have none. */
static void open_shown(command_state *c, int64_t i) {
    if (c->is_open) return;
    c->is_open = 1;
    add_shown(&c->out, c->text[i]);
}

static hone_status write_piece(void *arg, int64_t i, int number, str piece, hone_err *err) {
    command_state *c = arg;
    (void)number;
    open_shown(c, i);
    add_shown(&c->out, piece);
    return say(c, err);
}

static hone_status write_done(void *arg, const continuation *w, hone_err *err) {
    command_state *c = arg;
    if (c->is_stream) {
        open_shown(c, w->prompt);
        c->is_open = 0;
        text_str(&c->out, "\n");
    } else write_row(c, w);
    return say(c, err);
}

static hone_status run_all(command_state *c, hone_err *err) {
    const args *a = c->args;
    HONE_TRY(job_of_args(&c->job, a, NULL, err));
    HONE_TRY(check_model(a->word[0], err));
    c->job->task = TASK_CONTINUE;
    c->pool = pool_new((int)c->job->threads);
    HONE_TRY(session_open(&c->s, c->job, a->word[0], NULL, c->pool, err));
    HONE_TRY(take_settings(c, err));
    HONE_TRY(take_prompts(c, err));
    c->is_stream = !a->json && (args_value(a, "stream") || stdout_is_terminal());
    const generate_sink to = {c->is_stream ? write_piece : NULL, write_done, c};
    return generate(c->s, &c->g, c->prompt, c->n, &to, err);
}

hone_status cmd_generate(const args *a, hone_err *err) {
    HONE_TRY(args_words(a, 1, 2, "hone generate MODEL [FILE|-] [--prompt TEXT ...]", err));
    command_state c = {.args = a, .a = arena_new("generate command")};
    const hone_status status = run_all(&c, err);
    rows_free(c.file);
    session_close(c.s);
    pool_free(c.pool);
    job_free(c.job);
    text_free(&c.out);
    arena_free(c.a);
    return status;
}
