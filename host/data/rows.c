#include <string.h>

#include "data/reader.h"
#include "base/err.h"
#include "base/host.h"

#define GUESSED_FROM ((size_t)64 << 10) /* bytes of a file whose name does not tell its format */
#define ROWS_FIRST 1000                 /* of the first block at least, unless they fill FIRST_BYTES: columns are guessed from them */
#define ROWS_CELLS 65536                /* about so many in a block: they stay in the processor's cache */
#define FIRST_BYTES ((size_t)16 << 20)

/* What a table owns. */
typedef struct {
    reader in;
    rows_store store;
    source *source;
    hone_status (*read)(reader *in, hone_err *err);
    int is_whole;   /* one block is all of the file */
    int is_starved; /* the reader went through the window to its end */
    int is_read;    /* of what is read at once: it is, and n_all rows are in store */
    int64_t n_all;
} table;

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

hone_status reader_refuse_field(const reader *in, int64_t line, hone_err *err) {
    return refuse_size(in, "field", in->o.max_field_bytes, line, err);
}

hone_status reader_check_row(const reader *in, size_t n, int64_t line, hone_err *err) {
    if (n > in->o.max_row_bytes) return refuse_size(in, "row", in->o.max_row_bytes, line, err);
    return sig_check(err);
}

hone_status reader_refuse_change(const reader *in, hone_err *err) {
    return hone_fail(err, HONE_EDATA, "%s: changed while it was read", in->r->name);
}

static hone_status see_more(table *t, hone_err *err) {
    return source_more(t->source, &t->in.p, &t->in.end, &t->in.more, err);
}

static int is_read_at_once(const table *t) {
    return t->is_whole || t->in.r->format == ROWS_JSON || t->in.r->format == ROWS_CONLL;
}

/* By name, or by whole lines of the file's beginning. */
static hone_status find_format(table *t, const rows_options *o, const char *path, hone_err *err) {
    rows *r = t->in.r;
    r->format = o ? o->format : ROWS_AUTO;
    if (r->format != ROWS_AUTO) return HONE_OK;
    while (t->in.more && (size_t)(t->in.end - t->in.p) < GUESSED_FROM) HONE_TRY(see_more(t, err));
    const char *last = t->in.more ? memrchr(t->in.p, '\n', (size_t)(t->in.end - t->in.p)) : NULL;
    r->format = guess_format(str_of(path), t->in.p, last ? last + 1 : t->in.end, o && o->words);
    return HONE_OK;
}

static void drop_block(table *t) {
    t->store.cell.n = t->store.line.n = t->store.number.n = 0;
    arena_free(t->store.texts);
    t->store.texts = arena_new("texts of rows");
    t->in.r->n_rows = 0;
}

/* Columns of what names them at the file's beginning. */
static hone_status begin(table *t, hone_err *err) {
    const rows_format format = t->in.r->format;
    if (format == ROWS_LINES && !t->in.r->n_columns) lines_begin(&t->in);
    for (int begun = format != ROWS_CSV && format != ROWS_TSV; !begun;) {
        drop_block(t);
        HONE_TRY(csv_begin(&t->in, &begun, err));
        if (!begun) HONE_TRY(see_more(t, err));
    }
    return HONE_OK;
}

static hone_status restart(table *t, hone_err *err) {
    t->in.p = t->in.end = NULL;
    t->in.line = 1;
    t->is_starved = 0;
    t->in.r->first = t->in.r->n_rows = 0;
    HONE_TRY(source_rewind(t->source, err));
    return see_more(t, err);
}

hone_status rows_rewind(rows *r, hone_err *err) {
    table *t = r->owner;
    r->first = r->n_rows = 0;
    if (t->is_read) return HONE_OK;
    HONE_TRY(restart(t, err));
    return begin(t, err);
}

/* Once the file's end was read: is it the file of the pass before? */
static hone_status note_hash(table *t, hone_err *err) {
    char hash[65];
    rows *r = t->in.r;
    if (t->in.more) return HONE_OK;
    source_hash_so_far(t->source, hash);
    if (*r->sha256 && strcmp(hash, r->sha256)) return reader_refuse_change(&t->in, err);
    memcpy(r->sha256, hash, sizeof hash);
    return HONE_OK;
}

static void show(table *t, int64_t from) {
    rows *r = t->in.r;
    r->cell = t->store.cell.p ? t->store.cell.p + from * r->n_columns : NULL;
    r->line = t->store.line.p ? t->store.line.p + from : NULL;
    r->number = t->store.number.p ? t->store.number.p + from * r->n_columns : NULL;
}

static hone_status read_at_once(table *t, hone_err *err) {
    HONE_TRY(source_all(t->source, &t->in.p, &t->in.end, err));
    t->in.more = 0;
    t->in.rows_max = INT64_MAX;
    HONE_TRY(begin(t, err));
    drop_block(t);
    HONE_TRY(t->read(&t->in, err));
    if (t->in.keys) jsonl_close_columns(&t->in);
    t->n_all = t->in.r->n_rows;
    t->is_read = 1;
    return note_hash(t, err);
}

/* A block of what was read at once. */
static void next_slice(table *t) {
    rows *r = t->in.r;
    const int64_t left = t->n_all - r->first, most = t->is_whole ? INT64_MAX : ROWS_CELLS / (r->n_columns + 1) + 1;
    r->n_rows = left < most ? left : most;
    r->is_last = r->n_rows == left;
    show(t, r->first);
}

/* A block of the window; what does not hold enough rows grows and is read again. */
static hone_status next_of_window(table *t, hone_err *err) {
    rows *r = t->in.r;
    const int64_t by_cells = ROWS_CELLS / (r->n_columns + 1);
    t->in.rows_max = by_cells < ROWS_FIRST ? ROWS_FIRST : by_cells;
    if (t->is_starved && t->in.more) HONE_TRY(see_more(t, err));
    for (;;) {
        const size_t seen = (size_t)(t->in.end - t->in.p);
        const int64_t least = r->first || seen >= FIRST_BYTES ? 1 : ROWS_FIRST, line = t->in.line;
        drop_block(t);
        HONE_TRY(t->read(&t->in, err));
        if (r->n_rows >= least || !t->in.more) break;
        t->in.p = t->in.end - seen, t->in.line = line;
        HONE_TRY(see_more(t, err));
    }
    t->is_starved = r->n_rows < t->in.rows_max;
    r->is_last = t->in.p == t->in.end;
    show(t, 0);
    return note_hash(t, err);
}

hone_status rows_next(rows *r, hone_err *err) {
    table *t = r->owner;
    r->first += r->n_rows;
    if (t->is_read) next_slice(t);
    else HONE_TRY(next_of_window(t, err));
    return r->n_rows || r->first ? HONE_OK : hone_fail(err, HONE_EDATA, "%s: no rows", r->name);
}

/* Keys may come with any object of a stream: a pass through it finds them. */
static hone_status find_keys(table *t, hone_err *err) {
    do HONE_TRY(rows_next(t->in.r, err));
    while (t->in.r->n_rows);
    jsonl_close_columns(&t->in);
    return rows_rewind(t->in.r, err);
}

static hone_status open_into(table *t, const char *path, const rows_options *o, hone_err *err) {
    rows *r = t->in.r;
    const size_t bound = o && o->max_unpacked_bytes ? o->max_unpacked_bytes : ROWS_UNPACKED_BYTES;
    HONE_TRY(source_open(&t->source, path, r->name, bound, o ? o->window_bytes : 0, err));
    HONE_TRY(restart(t, err));
    HONE_TRY(find_format(t, o, path, err));
    t->in.o = resolve(o, r->format);
    t->read = r->format == ROWS_LINES ? lines_read : r->format == ROWS_CONLL ? conll_read : csv_read;
    if (r->format == ROWS_JSON || r->format == ROWS_JSONL) t->read = jsonl_read, jsonl_begin(&t->in);
    if (is_read_at_once(t)) HONE_TRY(read_at_once(t, err));
    else return r->format == ROWS_JSONL ? find_keys(t, err) : begin(t, err);
    HONE_TRY(rows_rewind(r, err));
    return t->is_whole || !t->n_all ? rows_next(r, err) : HONE_OK;
}

static hone_status open_rows(rows **out, const char *path, const rows_options *o, int is_whole, hone_err *err) {
    arena *a = arena_new("rows");
    rows *r = ARENA_NEW(a, rows);
    table *t = ARENA_NEW(a, table);
    char shown[400];
    text_escape(shown, sizeof shown, path, strlen(path));
    t->in.r = r;
    t->in.store = &t->store;
    t->is_whole = is_whole;
    r->a = a;
    r->owner = t;
    r->words = o && o->words;
    r->name = strcmp(path, "-") ? arena_copy(a, shown, strlen(shown)) : "standard input";
    const hone_status status = open_into(t, path, o, err);
    if (status != HONE_OK) {
        rows_free(r);
        r = NULL;
    }
    *out = r;
    return status;
}

hone_status rows_open(rows **out, const char *path, const rows_options *o, hone_err *err) {
    return open_rows(out, path, o, 0, err);
}

hone_status rows_read(rows **out, const char *path, const rows_options *o, hone_err *err) {
    return open_rows(out, path, o, 1, err);
}

void rows_free(rows *r) {
    if (!r) return;
    table *t = r->owner;
    vec_free(&t->store.cell);
    vec_free(&t->store.line);
    vec_free(&t->store.number);
    arena_free(t->store.texts);
    jsonl_end(&t->in);
    source_close(t->source);
    arena_free(r->a);
}

int rows_column(const rows *r, str name) {
    for (int i = 0; i < r->n_columns; i++)
        if (str_eq(r->column[i], name)) return i;
    int64_t number;
    return str_to_int64(name, &number) && number >= 0 && number < r->n_columns ? (int)number : -1;
}
