#include <string.h>

#include "data/reader.h"
#include "base/err.h"
#include "base/file.h"
#include "base/host.h"

static int ends_with(str s, const char *ending) {
    const size_t n = strlen(ending);
    if (s.n < n) return 0;
    for (size_t i = 0; i < n; i++) {
        const char c = s.p[s.n - n + i];
        if ((c >= 'A' && c <= 'Z' ? c + 32 : c) != ending[i]) return 0;
    }
    return 1;
}

static const char *skip_blanks(const char *p, const char *end) {
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r')) p++;
    return p;
}

/* "{" and then a key, or "[" and then an object: prose does not begin like that. */
static rows_format guess_json(const char *p, const char *end) {
    p = skip_blanks(p, end);
    if (p >= end || (*p != '{' && *p != '[')) return ROWS_LINES;
    const char *next = skip_blanks(p + 1, end);
    if (next >= end) return ROWS_LINES;
    if (*p == '{') return *next == '"' ? ROWS_JSONL : ROWS_LINES;
    return *next == '{' ? ROWS_JSON : ROWS_LINES;
}

/* Whether the first lines (twenty at most) all have the same number of tabs, and not none. */
static int looks_like_tsv(const char *p, const char *end) {
    int64_t tabs = -1;
    int n = 0;
    for (; p < end && n < 20; n++) {
        const char *eol = memchr(p, '\n', (size_t)(end - p)), *to = eol ? eol : end;
        int64_t here = 0;
        for (const char *t = p; (t = memchr(t, '\t', (size_t)(to - t))) != NULL; t++) here++;
        if (!here || (tabs >= 0 && here != tabs)) return 0;
        tabs = here;
        p = eol ? eol + 1 : end;
    }
    return n > 0;
}

/* By name, or where some line is blank and the others all have as many columns, and not one. */
static int is_conll(str name, const char *p, const char *end) {
    static const char *const endings[] = {".conll", ".conllu", ".conllup", ".iob", ".iob2", ".bio"},
                             *const others[] = {".csv", ".json", ".jsonl", ".ndjson"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (ends_with(name, endings[i])) return 1;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (ends_with(name, others[i])) return 0;
    return conll_looks_so(p, end);
}

static rows_format guess_format(str name, const char *p, const char *end, int words) {
    if (ends_with(name, ".gz")) name.n -= 3;
    if (words && is_conll(name, p, end)) return ROWS_CONLL;
    if (ends_with(name, ".csv")) return ROWS_CSV;
    if (ends_with(name, ".tsv")) return ROWS_TSV;
    if (ends_with(name, ".jsonl") || ends_with(name, ".ndjson")) return ROWS_JSONL;
    if (ends_with(name, ".json")) {
        p = skip_blanks(p, end);
        return p < end && *p == '{' ? ROWS_JSONL : ROWS_JSON;
    }
    const rows_format json = guess_json(p, end);
    if (json != ROWS_LINES) return json;
    return looks_like_tsv(p, end) ? ROWS_TSV : ROWS_LINES;
}

static rows_options resolve(const rows_options *o, rows_format format) {
    rows_options r = o ? *o : (rows_options){.header = -1, .quoting = -1};
    r.format = format;
    if (r.header < 0) r.header = 1;
    if (!r.delimiter) r.delimiter = format == ROWS_TSV ? '\t' : ',';
    if (r.quoting < 0) r.quoting = format == ROWS_CSV;
    if (!r.max_field_bytes) r.max_field_bytes = ROWS_FIELD_BYTES;
    if (!r.max_row_bytes) r.max_row_bytes = ROWS_ROW_BYTES;
    return r;
}

/* "16 MiB" where it is whole mebibytes. */
static hone_status refuse_size(const reader *in, const char *what, size_t bound, int64_t line,
                               hone_err *err) {
    const size_t mib = (size_t)1 << 20;
    const int whole = bound >= mib && bound % mib == 0;
    return hone_fail(err, HONE_EDATA, "%s: line %lld: %s above %zu %s (`max_%s_bytes`)", in->r->name,
                     (long long)line, what, whole ? bound / mib : bound, whole ? "MiB" : "bytes", what);
}

hone_status reader_check_field(const reader *in, size_t n, int64_t line, hone_err *err) {
    return n <= in->o.max_field_bytes ? HONE_OK : refuse_size(in, "field", in->o.max_field_bytes, line, err);
}

hone_status reader_check_row(const reader *in, size_t n, int64_t line, hone_err *err) {
    if (n > in->o.max_row_bytes) return refuse_size(in, "row", in->o.max_row_bytes, line, err);
    return sig_check(err);
}

static rows_format format_of(const rows_options *o, const char *path, str bytes) {
    return o && o->format != ROWS_AUTO ? o->format : guess_format(str_of(path), bytes.p, bytes.p + bytes.n, o && o->words);
}

/* A large file of plain lines stays where it is; of other formats the readers want a NUL behind it. */
static hone_status map_lines(rows *r, rows_store *store, const char *path, const rows_options *o, str *bytes, hone_err *err) {
    const size_t least = o && o->mapped_bytes ? o->mapped_bytes : ROWS_MAPPED_BYTES;
    if (!file_is_regular(path) || file_bytes(path) < (int64_t)least) return HONE_OK;
    HONE_TRY(file_map(&store->view, path, HONE_EDATA, err));
    *bytes = (str){store->view.p, store->view.n};
    const int is_packed = bytes->n >= 2 && !memcmp(bytes->p, "\x1f\x8b", 2);
    r->is_mapped = bytes->n && !is_packed && format_of(o, path, *bytes) == ROWS_LINES;
    if (r->is_mapped) return source_check(bytes, r->sha256, r->name, err);
    file_unmap(&store->view);
    store->view = (file_view){0};
    return HONE_OK;
}

static hone_status read_into(rows *r, rows_store *store, const char *path, const rows_options *o,
                             hone_err *err) {
    str bytes = {0};
    const size_t bound = o && o->max_unpacked_bytes ? o->max_unpacked_bytes : ROWS_UNPACKED_BYTES;
    HONE_TRY(map_lines(r, store, path, o, &bytes, err));
    if (!r->is_mapped) HONE_TRY(source_read(&bytes, &store->unpacked, r->sha256, r->a, path, r->name, bound, err));
    const char *end = bytes.p + bytes.n;
    const rows_format format = format_of(o, path, bytes);
    r->format = format;
    r->words = o && o->words;
    reader in = {.r = r, .store = store, .o = resolve(o, format), .p = bytes.p, .end = end};
    if (format == ROWS_CSV || format == ROWS_TSV) HONE_TRY(csv_read(&in, err));
    else if (format == ROWS_LINES) HONE_TRY(lines_read(&in, err));
    else if (format == ROWS_CONLL) HONE_TRY(conll_read(&in, err));
    else HONE_TRY(jsonl_read(&in, err));
    if (!r->n_rows) return hone_fail(err, HONE_EDATA, "%s: no rows", r->name);
    r->cell = store->cell.p;
    r->line = store->line.p;
    r->number = store->number.p;
    return HONE_OK;
}

hone_status rows_read(rows **out, const char *path, const rows_options *o, hone_err *err) {
    arena *a = arena_new("rows");
    rows *r = ARENA_NEW(a, rows);
    rows_store *store = ARENA_NEW(a, rows_store);
    char shown[400];
    text_escape(shown, sizeof shown, path, strlen(path));
    r->a = a;
    r->owner = store;
    r->name = strcmp(path, "-") ? arena_copy(a, shown, strlen(shown)) : "standard input";
    const hone_status status = read_into(r, store, path, o, err);
    if (status != HONE_OK) {
        rows_free(r);
        r = NULL;
    }
    *out = r;
    return status;
}

void rows_free(rows *r) {
    if (!r) return;
    rows_store *store = r->owner;
    vec_free(&store->cell);
    vec_free(&store->line);
    vec_free(&store->number);
    mem_free(store->unpacked);
    file_unmap(&store->view);
    arena_free(r->a);
}

int rows_column(const rows *r, str name) {
    for (int i = 0; i < r->n_columns; i++)
        if (str_eq(r->column[i], name)) return i;
    int64_t number;
    return str_to_int64(name, &number) && number >= 0 && number < r->n_columns ? (int)number : -1;
}
