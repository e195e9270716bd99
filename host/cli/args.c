/* args.c - the parser of command lines. */
#include <stdio.h>
#include <string.h>

#include "cli/args.h"
#include "base/err.h"
#include "base/host.h"

static int find_option(const option *o, int n, const char *name, size_t len) {
    for (int i = 0; i < n; i++)
        if (strlen(o[i].name) == len && !memcmp(o[i].name, name, len)) return i;
    return -1;
}

static int is_boolean_word(const char *s) {
    return !strcmp(s, "true") || !strcmp(s, "false") || !strcmp(s, "True") || !strcmp(s, "False") ||
           !strcmp(s, "0") || !strcmp(s, "1");
}

static hone_status unknown_option(const args *a, const char *name, int fields, hone_err *err) {
    const char *names[256];
    char safe[96];
    int n = 0, n_fields;
    const field *f = job_fields(&n_fields);
    for (int i = 0; i < a->n_options; i++) names[n++] = a->option[i].name;
    for (int i = 0; fields && i < n_fields && n < 250; i++) names[n++] = f[i].name;
    const char *near = nearest_word(name, names, n);
    text_escape(safe, sizeof safe, name, strlen(name));
    if (near) return hone_fail(err, HONE_EUSAGE, "--%s: unknown option; did you mean --%s?", safe, near);
    hone_fail(err, HONE_EUSAGE, "--%s: unknown option", safe);
    return hone_hint(err, "--help lists them");
}

static hone_status common_option(args *a, const char *name, size_t len, const char *value, const char *next,
                                 int *used, int *done, hone_err *err) {
    *done = 1;
    *used = 0;
    if (len == 4 && !memcmp(name, "json", 4)) return a->json = 1, HONE_OK;
    if (len == 5 && !memcmp(name, "quiet", 5)) return a->quiet = 1, HONE_OK;
    if (len == 4 && !memcmp(name, "help", 4)) return a->help = 1, HONE_OK;
    const int threads = len == 7 && !memcmp(name, "threads", 7),
              device = len == 6 && !memcmp(name, "device", 6);
    if (!threads && !device) return *done = 0, HONE_OK;
    if (!value) value = next, *used = 1;
    if (!value) return hone_fail(err, HONE_EUSAGE, "--%.*s: expected a value", (int)len, name);
    if (device) return a->device = value, HONE_OK;
    int64_t n;
    if (!str_to_int64(str_of(value), &n) || n < 0 || n > 4096)
        return hone_fail(err, HONE_EUSAGE, "--threads: \"%.64s\", expected an integer in [0, 4096]", value);
    a->threads = (int)n;
    return HONE_OK;
}

static hone_status add_option(args *a, const char *word, const char *next, int fields, int *used,
                              hone_err *err) {
    const char *name = word + 2, *equals = strchr(name, '='), *value = equals ? equals + 1 : NULL;
    const size_t len = equals ? (size_t)(equals - name) : strlen(name);
    int done;
    *used = 0;
    const int o = find_option(a->option, a->n_options, name, len);
    if (o >= 0) {
        if (!a->option[o].bare && !value) value = next, *used = 1;
        if (!a->option[o].bare && !value)
            return hone_fail(err, HONE_EUSAGE, "--%s: expected a value", a->option[o].name);
        a->value[o] = value ? value : "true";
        return HONE_OK;
    }
    HONE_TRY(common_option(a, name, len, value, next, used, &done, err));
    if (done) return HONE_OK;
    static char names[ARGS_MAX_OVERRIDES][64];
    if (a->n_overrides == ARGS_MAX_OVERRIDES || len >= sizeof names[0])
        return hone_fail(err, HONE_EUSAGE, "command line: more than %d options", ARGS_MAX_OVERRIDES);
    char *copy = names[a->n_overrides];
    memcpy(copy, name, len);
    copy[len] = 0;
    const int row = field_find(copy);
    int n;
    if (!fields || row < 0) return unknown_option(a, copy, fields, err);
    const field *f = &job_fields(&n)[row];
    const int flag = f->later || f->kind == FIELD_BOOL || (f->kind == FIELD_INT && f->choices[0]) ||
                     !strcmp(f->name, "resume_from_checkpoint");
    if (!value && next && !(flag && !is_boolean_word(next) && f->kind == FIELD_BOOL) &&
        strncmp(next, "--", 2))
        value = next, *used = 1;
    if (!value && !flag) return hone_fail(err, HONE_EUSAGE, "--%s: expected a value", copy);
    a->override[a->n_overrides++] = (job_override){copy, value};
    return HONE_OK;
}

hone_status args_parse(args *out, int argc, char **argv, const option *options, int n_options, int fields,
                       hone_err *err) {
    *out = (args){.line = argv, .option = options, .n_options = n_options};
    HONE_ASSERT(n_options <= (int)(sizeof out->value / sizeof *out->value));
    int only_words = 0;
    for (int i = 0; i < argc; i++) {
        const char *w = argv[i];
        if (!only_words && !strcmp(w, "--")) {
            only_words = 1;
        } else if (!only_words && !strcmp(w, "-h")) {
            out->help = 1;
        } else if (!only_words && !strncmp(w, "--", 2)) {
            int used;
            HONE_TRY(add_option(out, w, i + 1 < argc ? argv[i + 1] : NULL, fields, &used, err));
            i += used;
        } else {
            if (out->n_words == ARGS_MAX_WORDS)
                return hone_fail(err, HONE_EUSAGE, "command line: more than %d words", ARGS_MAX_WORDS);
            out->word[out->n_words++] = w;
        }
    }
    return HONE_OK;
}

const char *args_value(const args *a, const char *name) {
    const int o = find_option(a->option, a->n_options, name, strlen(name));
    HONE_ASSERT(o >= 0);
    return a->value[o];
}

int args_values(const args *a, const char *name, const char **out, int most) {
    const size_t len = strlen(name);
    int n = 0;
    for (char *const *w = a->line; *w && strcmp(*w, "--"); w++) {
        if (strncmp(*w, "--", 2) || strncmp(*w + 2, name, len)) continue;
        const char *value = (*w)[2 + len] == '=' ? *w + 3 + len : (*w)[2 + len] ? NULL : *++w;
        if (value && n < most) out[n] = value;
        n += value != NULL;
    }
    return n;
}

hone_status args_integer(const args *a, const char *name, int64_t low, int64_t high, int64_t otherwise,
                         int64_t *out, hone_err *err) {
    const char *v = args_value(a, name);
    *out = otherwise;
    if (!v || (str_to_int64(str_of(v), out) && *out >= low && *out <= high)) return HONE_OK;
    return hone_fail(err, HONE_EUSAGE, "--%s: \"%.64s\", expected an integer in [%lld, %lld]", name, v,
                     (long long)low, (long long)high);
}

hone_status args_words(const args *a, int low, int high, const char *usage, hone_err *err) {
    if (a->n_words >= low && a->n_words <= high) return HONE_OK;
    return hone_fail(err, HONE_EUSAGE, "command line: %d words, expected: %s", a->n_words, usage);
}

hone_status job_of_args(job **out, const args *a, const char *path, hone_err *err) {
    const int strict = find_option(a->option, a->n_options, "strict", 6);
    const int lenient = strict >= 0 && a->value[strict] && !strcmp(a->value[strict], "false");
    HONE_TRY(job_load(out, path, a->override, a->n_overrides, !lenient, err));
    job *j = *out;
    if (a->threads) j->threads = a->threads;
    if (a->device) j->device = a->device;
    const int quiet = a->quiet || j->log_level == LOG_LEVEL_WARNING || j->log_level == LOG_LEVEL_ERROR;
    log_set(quiet ? LOG_WARN : j->log_level == LOG_LEVEL_DEBUG ? LOG_DEBUG : LOG_INFO);
    return HONE_OK;
}
