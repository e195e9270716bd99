#include <string.h>

#include "data/reader.h"
#include "data/index.h"
#include "data/scan.h"
#include "base/err.h"

typedef struct {
    reader *in;
    const char *p, *end;
    const char *line_start; /* of the physical line that p is in */
    int64_t line;
    char delimiter, eol;
    int quoting;
    scan_places places; /* of delimiters and ends of rows */
} csv;

/* AFTER_WINDOW: the row may go on where the window ends. */
typedef enum { AFTER_FIELD, AFTER_ROW, AFTER_WINDOW } field_end;

static void next_line(csv *c) {
    c->line++;
    c->line_start = c->p;
}

/* Undouble the quotes of [from, to) into the block's texts. */
static str undouble(csv *c, const char *from, const char *to) {
    char *out = arena_alloc(c->in->store->texts, (size_t)(to - from) + 1), *w = out;
    while (from < to) {
        const char *q = memchr(from, '"', (size_t)(to - from));
        const size_t n = (size_t)((q ? q + 1 : to) - from);
        memcpy(w, from, n);
        w += n;
        from += n + (q != NULL);
    }
    return (str){out, (size_t)(w - out)};
}

/* p is behind a field: step over what ends it. */
static field_end step_over_end(csv *c) {
    if (c->p == c->end) return AFTER_WINDOW;
    const char stop = *c->p++;
    if (stop == c->delimiter) return AFTER_FIELD;
    next_line(c);
    return AFTER_ROW;
}

/* A field in quotes; p stands on the first one. */
static hone_status read_quoted(csv *c, str *cell, field_end *after, hone_err *err) {
    const int64_t line = c->line;
    const char *from = c->p + 1, *q = from;
    int doubled = 0;
    for (;; q += 2, doubled = 1) {
        q = q < c->end ? memchr(q, '"', (size_t)(c->end - q)) : NULL;
        if (!q && c->in->more) {
            *after = AFTER_WINDOW;
            c->p = c->end;
            return reader_check_field(c->in, (size_t)(c->end - from), line, err);
        }
        if (!q) {
            hone_fail(err, HONE_EDATA, "%s: line %lld opened a quote never closed by end of file",
                      c->in->r->name, (long long)line);
            hone_hint(err, "double a quote that is text (\"\"), or turn quoting off for this file");
            return HONE_EDATA;
        }
        if (q[1] != '"') break; /* the byte after the end is a NUL */
    }
    HONE_TRY(reader_check_field(c->in, (size_t)(q - from), line, err));
    for (const char *n = from; (n = memchr(n, c->eol, (size_t)(q - n))) != NULL;) c->p = ++n, next_line(c);
    *cell = doubled ? undouble(c, from, q) : (str){from, (size_t)(q - from)};
    c->p = q + 1;
    if (c->p < c->end && *c->p == '\r' && c->eol == '\n' && (c->p + 1 == c->end || c->p[1] == '\n')) c->p++;
    if (c->p < c->end && *c->p != c->delimiter && *c->p != c->eol) {
        hone_fail(err, HONE_EDATA,
                  "%s: line %lld byte %lld: text after a closing quote; expected %s or the end of the row",
                  c->in->r->name, (long long)c->line, (long long)(c->p - c->line_start) + 1,
                  c->delimiter == '\t' ? "a tab" : "the delimiter");
        hone_hint(err, "double a quote that is text (\"\"), or turn quoting off for this file");
        return HONE_EDATA;
    }
    *after = step_over_end(c);
    return HONE_OK;
}

static hone_status read_field(csv *c, str *cell, field_end *after, hone_err *err) {
    if (c->quoting && c->p < c->end && *c->p == '"') return read_quoted(c, cell, after, err);
    const char *from = c->p, *to = scan_either(&c->places, from, c->end, c->delimiter, c->eol);
    HONE_TRY(reader_check_field(c->in, (size_t)(to - from), c->line, err));
    c->p = to;
    if (c->eol == '\n' && to > from && to[-1] == '\r' && (to == c->end || *to == '\n')) to--;
    *cell = (str){from, (size_t)(to - from)};
    *after = step_over_end(c);
    return HONE_OK;
}

/* Lines with nothing on them are no rows. */
static void skip_blank_lines(csv *c) {
    while (c->p < c->end) {
        const int crlf = c->p[0] == '\r' && c->p[1] == '\n';
        if (!crlf && *c->p != c->eol) return;
        c->p += 1 + crlf;
        next_line(c);
    }
}

/* One row into store.cell; *n its fields, or 0 where it may go on behind the window: then p stands where it began. */
static hone_status read_row(csv *c, int *n, hone_err *err) {
    rows_store *t = c->in->store;
    const char *start = c->p;
    const int64_t line = c->line;
    const size_t n_cells = t->cell.n;
    field_end after = AFTER_FIELD;
    for (*n = 0; after == AFTER_FIELD; ++*n) {
        if (*n == ROWS_COLUMNS)
            return hone_fail(err, HONE_EDATA, "%s: line %lld: more than %d columns", c->in->r->name,
                             (long long)line, ROWS_COLUMNS);
        str cell;
        HONE_TRY(read_field(c, &cell, &after, err));
        vec_push(&t->cell, cell);
    }
    HONE_TRY(reader_check_row(c->in, (size_t)(c->p - start), line, err));
    if (c->p < c->end || !c->in->more) return HONE_OK;
    *n = 0;
    t->cell.n = n_cells;
    c->p = start, c->line = line;
    return HONE_OK;
}

static csv begin(reader *in) {
    return (csv){.in = in, .p = in->p, .end = in->end, .line_start = in->p, .line = in->line,
                 .delimiter = in->o.delimiter, .eol = in->eol, .quoting = in->o.quoting};
}

static hone_status name_columns(reader *in, int n, hone_err *err) {
    rows *r = in->r;
    r->n_columns = n;
    r->column = ARENA_ARRAY(r->a, (size_t)n, str);
    str_index seen = {0};
    hone_status status = HONE_OK;
    for (int i = 0; i < n && status == HONE_OK; i++) {
        const str head = in->o.header ? in->store->cell.p[i] : (str){0};
        str name = {arena_copy(r->a, head.p, head.n), head.n};
        if (!in->o.header) name = str_of(arena_print(r->a, "%d", i));
        if (!name.n) name = str_of(arena_print(r->a, "Unnamed: %d", i));
        int twice;
        const int64_t first = str_index_add(&seen, name, &twice);
        r->column[i] = name;
        char shown[80];
        if (twice)
            status = hone_fail(
                err, HONE_EDATA, "%s: line 1: columns %lld and %d both \"%s\"; expected each name once",
                r->name, (long long)first + 1, i + 1, text_escape(shown, sizeof shown, name.p, name.n));
    }
    str_index_free(&seen);
    return status;
}

hone_status csv_begin(reader *in, int *begun, hone_err *err) {
    const size_t seen = (size_t)(in->end - in->p);
    int n;
    *begun = 0;
    if (seen && memchr(in->p, '\n', seen)) in->eol = '\n';
    else if (in->more && seen <= in->o.max_row_bytes) return HONE_OK;
    else in->eol = seen ? '\r' : '\n';
    csv c = begin(in);
    skip_blank_lines(&c);
    *begun = c.p < c.end || !in->more;
    if (c.p == c.end) return HONE_OK;
    HONE_TRY(read_row(&c, &n, err));
    *begun = n > 0;
    if (!n) return HONE_OK;
    const int known = in->r->n_columns;
    if (known && n != known) return reader_refuse_change(in, err);
    if (!known) HONE_TRY(name_columns(in, n, err));
    if (in->o.header) in->p = c.p, in->line = c.line;
    return HONE_OK;
}

hone_status csv_read(reader *in, hone_err *err) {
    csv c = begin(in);
    rows *r = in->r;
    for (skip_blank_lines(&c); c.p < c.end && r->n_rows < in->rows_max; skip_blank_lines(&c)) {
        int n;
        if (c.line >= INT32_MAX)
            return hone_fail(err, HONE_EDATA, "%s: more than %d lines", r->name, INT32_MAX);
        const int32_t line = (int32_t)c.line;
        HONE_TRY(read_row(&c, &n, err));
        if (!n) break;
        if (n != r->n_columns) {
            hone_fail(err, HONE_EDATA, "%s: line %d: %d field%s, %s has %d", r->name, (int)line, n,
                      n == 1 ? "" : "s", in->o.header ? "header" : "first row", r->n_columns);
            if (n > r->n_columns && c.quoting)
                hone_hint(err, "put a field that holds the delimiter in double quotes");
            return HONE_EDATA;
        }
        vec_push(&in->store->line, line);
        r->n_rows++;
    }
    in->p = c.p, in->line = c.line;
    return HONE_OK;
}
