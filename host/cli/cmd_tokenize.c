/* cmd_tokenize.c - text to ids, or ids to text, a line at a time. */
#include <string.h>

#include "cli/cmd.h"
#include "base/err.h"
#include "base/file.h"
#include "text/tokenizer.h"

const option tokenize_flags[] = {
    {"pair", 1, "Each line holds two texts with a tab between (with --json-strings: an array of two)."},
    {"json-strings", 1, "Each line is a JSON string, so that a text may hold newlines."},
    {"decode", 1, "Each line is a JSON array of ids (or an object with \"ids\"); the text comes out."},
    {"max_seq_length", 0, "N: cut to N tokens; 0, the default: no truncation."},
    {"truncation", 0, "NAME: longest_first (default), only_first, only_second."},
    {"offsets", 1, "Add \"offsets\": of each token the bytes [from, to) of its text; [0, 0] for special tokens."},
    {"no-special", 1, "Leave out [CLS] and [SEP]."},
    {"skip-special", 1, "With --decode: leave special tokens out of the text."},
};
const int n_tokenize_flags = sizeof tokenize_flags / sizeof *tokenize_flags;

typedef struct {
    const tokenizer *tok;
    encode_options encode;
    int pair, strings, decode, skip, offsets;
    const char *file;
    int64_t line;
    encoding e;
} job_line;

static hone_status refuse(const job_line *j, const char *what, hone_err *err) {
    return hone_fail(err, HONE_EDATA, "%s: line %lld: %s", j->file, (long long)j->line, what);
}

static hone_status encode_line(job_line *j, str first, str second, text *out, hone_err *err) {
    size_t bad;
    if (!utf8_valid(first.p, first.n, &bad) || !utf8_valid(second.p, second.n, &bad)) {
        return hone_fail(err, HONE_EDATA, "%s: line %lld byte %zu: invalid UTF-8", j->file,
                         (long long)j->line, bad + 1);
    }
    if (memchr(first.p, 0, first.n) || (second.n && memchr(second.p, 0, second.n)))
        return refuse(j, "U+0000, expected text without it", err);
    HONE_TRY(tokenizer_encode(j->tok, first, second, &j->encode, &j->e, err));
    text_str(out, "{\"ids\":[");
    for (int i = 0; i < j->e.n; i++) text_printf(out, i ? ",%d" : "%d", j->e.id[i]);
    text_str(out, "],\"type_ids\":[");
    for (int i = 0; i < j->e.n; i++) text_printf(out, i ? ",%d" : "%d", j->e.type[i]);
    text_str(out, "]");
    if (j->offsets) text_str(out, ",\"offsets\":[");
    for (int i = 0; i < j->e.n && j->offsets; i++)
        text_printf(out, i ? ",[%d,%d]" : "[%d,%d]", j->e.from[i], j->e.to[i]);
    text_str(out, j->offsets ? "]}\n" : "}\n");
    return HONE_OK;
}

static hone_status parse_line(const job_line *j, arena *a, str line, const json **v, hone_err *err) {
    hone_err why = {0};
    if (json_parse(v, a, j->file, line.p, line.n, HONE_EDATA, &why) == HONE_OK) return HONE_OK;
    const char *what = strstr(why.text, "column");
    return hone_fail(err, HONE_EDATA, "%s: line %lld %.600s", j->file, (long long)j->line,
                     what ? what : why.text);
}

static hone_status decode_line(job_line *j, arena *a, str line, text *out, hone_err *err) {
    const json *v;
    HONE_TRY(parse_line(j, a, line, &v, err));
    if (v->kind == JSON_OBJECT) v = json_get(v, "ids");
    if (!v || v->kind != JSON_ARRAY)
        return refuse(j, "expected an array of ids, or an object with \"ids\"", err);
    int32_t *ids = ARENA_ARRAY(a, v->n + 1, int32_t);
    int n = 0;
    for (const json *e = v->child; e; e = e->next) {
        if (!e->is_int || e->integer < 0 || e->integer >= tokenizer_size(j->tok))
            return refuse(j, "an id that the tokenizer does not have", err);
        ids[n++] = (int32_t)e->integer;
    }
    text t = {0};
    tokenizer_decode(j->tok, ids, n, j->skip, &t);
    if (j->strings) text_json(out, t.n ? t.p : "", t.n);
    else text_add(out, t.p, t.n);
    text_str(out, "\n");
    text_free(&t);
    return HONE_OK;
}

static hone_status strings_of_line(const job_line *j, arena *a, str line, str both[2], hone_err *err) {
    const json *v;
    HONE_TRY(parse_line(j, a, line, &v, err));
    if (!j->pair) {
        if (v->kind != JSON_STRING) return refuse(j, "expected a JSON string", err);
        both[0] = v->string;
        return HONE_OK;
    }
    if (v->kind != JSON_ARRAY || v->n != 2 || v->child->kind != JSON_STRING ||
        v->child->next->kind != JSON_STRING)
        return refuse(j, "expected an array of two JSON strings", err);
    both[0] = v->child->string;
    both[1] = v->child->next->string;
    return HONE_OK;
}

static hone_status do_line(job_line *j, str line, text *out, hone_err *err) {
    arena *a = arena_new("line");
    str both[2] = {line, {0}};
    hone_status status = HONE_OK;
    if (j->decode) {
        status = decode_line(j, a, line, out, err);
    } else {
        if (j->strings) {
            status = strings_of_line(j, a, line, both, err);
        } else if (j->pair) {
            const char *tab = memchr(line.p, '\t', line.n);
            if (!tab) status = refuse(j, "no tab, expected two texts with a tab between", err);
            else both[0].n = (size_t)(tab - line.p), both[1] = (str){tab + 1, line.n - both[0].n - 1};
        }
        if (!status) status = encode_line(j, both[0], both[1], out, err);
    }
    arena_free(a);
    return status;
}

hone_status cmd_tokenize(const args *a, hone_err *err) {
    int64_t max_length;
    HONE_TRY(args_words(a, 1, 2, "hone tokenize MODEL [FILE|-]", err));
    HONE_TRY(args_integer(a, "max_seq_length", 0, 1 << 20, 0, &max_length, err));
    const char *strategy = args_value(a, "truncation");
    job_line j = {
        .file = a->n_words > 1 ? a->word[1] : "-",
        .pair = args_value(a, "pair") != NULL,
        .strings = args_value(a, "json-strings") != NULL,
        .decode = args_value(a, "decode") != NULL,
        .offsets = args_value(a, "offsets") != NULL,
        .skip = args_value(a, "skip-special") != NULL,
        .encode = {.max_length = (int)max_length, .no_special = args_value(a, "no-special") != NULL}};
    if (strategy && !strcmp(strategy, "only_first")) j.encode.strategy = TRUNCATE_ONLY_FIRST;
    else if (strategy && !strcmp(strategy, "only_second")) j.encode.strategy = TRUNCATE_ONLY_SECOND;
    else if (strategy && strcmp(strategy, "longest_first"))
        return hone_fail(err, HONE_EUSAGE,
                         "--truncation: \"%.64s\", expected longest_first, only_first or only_second",
                         strategy);
    tokenizer *tok = NULL;
    arena *file = arena_new("input");
    text out = {0};
    str in = {0};
    hone_status status = tokenizer_load(&tok, a->word[0], err);
    j.tok = tok;
    if (!status) status = file_read(&in, file, j.file, (size_t)1 << 32, HONE_EDATA, err);
    if (!strcmp(j.file, "-")) j.file = "standard input";
    for (size_t from = 0; from < in.n && !status;) {
        const char *end = memchr(in.p + from, '\n', in.n - from);
        const size_t to = end ? (size_t)(end - in.p) : in.n;
        j.line++;
        status = do_line(&j, (str){in.p + from, to - from - (to > from && in.p[to - 1] == '\r')}, &out, err);
        from = to + 1;
        if (out.n > (size_t)1 << 16 || from >= in.n) {
            stdout_add(out.p, out.n);
            text_clear(&out);
        }
    }
    stdout_add(out.p, out.n);
    text_free(&out);
    encoding_free(&j.e);
    arena_free(file);
    tokenizer_free(tok);
    return status;
}
