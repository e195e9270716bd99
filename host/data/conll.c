/* conll.c - a line a word becomes a row a sentence, whose cells are lists as JSON would have them. */
#include <string.h>

#include "data/reader.h"
#include "base/err.h"
#include "base/mem.h"

#define COLUMNS_MAX 64
#define LINES_LOOKED_AT 400

typedef struct {
    const char *p, *end; /* what is not read yet */
    int64_t line;        /* of what stands at p, from 1 */
    int tabs;            /* columns stand apart by tabs, else by blanks */
    int n;               /* columns of every line */
} conll;

static int starts(str s, const char *with) {
    const size_t n = strlen(with);
    return s.n >= n && !memcmp(s.p, with, n);
}

static str next_line(conll *c) {
    const char *eol = memchr(c->p, '\n', (size_t)(c->end - c->p)), *to = eol ? eol : c->end;
    str line = {c->p, (size_t)(to - c->p)};
    c->p = eol ? eol + 1 : c->end;
    c->line++;
    if (line.n && line.p[line.n - 1] == '\r') line.n--;
    return line;
}

static int is_blank(str s) {
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != ' ' && s.p[i] != '\t') return 0;
    return 1;
}

/* Fields of a line; more than COLUMNS_MAX count as one more than that. */
static int cut(str line, int tabs, str *field) {
    int n = 0;
    for (size_t i = 0; i <= line.n;) {
        if (!tabs)
            while (i < line.n && (line.p[i] == ' ' || line.p[i] == '\t')) i++;
        if (!tabs && i == line.n) break;
        const size_t from = i;
        while (i < line.n && line.p[i] != '\t' && (tabs || line.p[i] != ' ')) i++;
        if (n == COLUMNS_MAX) return n + 1;
        field[n++] = (str){line.p + from, i - from};
        i++;
    }
    return n;
}

/* Tabs in the first line that is neither blank nor a comment say what columns are cut at, and how many there are. */
static int find_columns(conll *c) {
    conll look = *c;
    str field[COLUMNS_MAX];
    while (look.p < look.end) {
        const str line = next_line(&look);
        if (is_blank(line) || line.p[0] == '#' || starts(line, "-DOCSTART-")) continue;
        c->tabs = memchr(line.p, '\t', line.n) != NULL;
        return c->n = cut(line, c->tabs, field);
    }
    return 0;
}

static int is_comment(const conll *c, str line) {
    str field[COLUMNS_MAX];
    return line.n && line.p[0] == '#' && cut(line, c->tabs, field) != c->n;
}

int conll_looks_so(const char *p, const char *end) {
    conll c = {.p = p, .end = end};
    str field[COLUMNS_MAX];
    int blank = 0;
    if (find_columns(&c) < 2) return 0;
    for (int i = 0; c.p < c.end && i < LINES_LOOKED_AT; i++) {
        const str line = next_line(&c);
        if (is_blank(line)) blank = 1;
        else if (!is_comment(&c, line) && !starts(line, "-DOCSTART-") && cut(line, c.tabs, field) != c.n)
            return 0;
    }
    return blank;
}

/* "3-4" and "3.1" of CoNLL-U: no words of the sentence. */
static int is_extra(str id) {
    int apart = 0;
    for (size_t i = 0; i < id.n; i++) {
        if ((id.p[i] == '-' || id.p[i] == '.') && i) apart = 1;
        else if (id.p[i] < '0' || id.p[i] > '9') return 0;
    }
    return apart;
}

static hone_status name_columns(conll *c, rows *r, str named, hone_err *err) {
    static const char *const universal[] = {"id",    "form", "lemma",  "upos", "xpos",
                                            "feats", "head", "deprel", "deps", "misc"};
    str field[COLUMNS_MAX];
    r->n_columns = c->n;
    r->column = ARENA_ARRAY(r->a, (size_t)c->n, str);
    const int n = named.n ? cut(named, 0, field) : 0;
    if (n && n != c->n)
        return hone_fail(err, HONE_EDATA, "%s: global.columns names %d columns, lines have %d", r->name, n,
                         c->n);
    for (int i = 0; i < c->n; i++)
        r->column[i] = n ? field[i] : c->n == 10 ? str_of(universal[i]) : str_of(arena_print(r->a, "%d", i));
    return HONE_OK;
}

/* What follows "# global.columns =" in a comment, else empty. */
static str names_in(str line) {
    static const char mark[] = "# global.columns =";
    return starts(line, mark) ? (str){line.p + sizeof mark - 1, line.n - sizeof mark + 1} : (str){0};
}

/* The sentence that was gathered, one list a column; nothing where there is none. */
static hone_status close_sentence(reader *in, text *list, int64_t *first_line, hone_err *err) {
    rows *r = in->r;
    if (!*first_line) return HONE_OK;
    if (*first_line >= INT32_MAX)
        return hone_fail(err, HONE_EDATA, "%s: more than %d lines", r->name, INT32_MAX);
    size_t bytes = 0;
    for (int i = 0; i < r->n_columns; i++) {
        text_str(&list[i], "]");
        HONE_TRY(reader_check_field(in, list[i].n, *first_line, err));
        bytes += list[i].n;
        vec_push(&in->store->cell, ((str){arena_copy(in->store->texts, list[i].p, list[i].n), list[i].n}));
        vec_push(&in->store->number, (uint8_t)CELL_NESTED);
        text_clear(&list[i]);
    }
    vec_push(&in->store->line, (int32_t)*first_line);
    r->n_rows++;
    *first_line = 0;
    return reader_check_row(in, bytes, in->store->line.p[r->n_rows - 1], err);
}

static hone_status read_lines(reader *in, conll *c, text *list, hone_err *err) {
    str field[COLUMNS_MAX];
    int64_t first = 0;
    const int universal = str_is(in->r->column[0], "id");
    while (c->p < c->end) {
        const int64_t number = c->line;
        const str line = next_line(c);
        if (is_blank(line) || starts(line, "-DOCSTART-")) {
            HONE_TRY(close_sentence(in, list, &first, err));
            continue;
        }
        if (is_comment(c, line)) continue;
        const int n = cut(line, c->tabs, field);
        if (n != c->n)
            return hone_fail(err, HONE_EDATA, "%s: line %lld: %d column%s, the lines before have %d",
                             in->r->name, (long long)number, n, n == 1 ? "" : "s", c->n);
        if (universal && is_extra(field[0])) continue;
        for (int i = 0; i < n; i++) {
            text_str(&list[i], first ? "," : "[");
            text_json(&list[i], field[i].p, field[i].n);
        }
        if (!first) first = number;
    }
    return close_sentence(in, list, &first, err);
}

hone_status conll_read(reader *in, hone_err *err) {
    conll c = {.p = in->p, .end = in->end, .line = 1};
    text list[COLUMNS_MAX] = {{0}};
    in->p = in->end;
    if (!find_columns(&c)) return HONE_OK; /* no rows: said by the caller */
    if (c.n > COLUMNS_MAX)
        return hone_fail(err, HONE_EDATA, "%s: more than %d columns", in->r->name, COLUMNS_MAX);
    conll head = c;
    HONE_TRY(name_columns(&c, in->r, names_in(next_line(&head)), err));
    const hone_status status = read_lines(in, &c, list, err);
    for (int i = 0; i < COLUMNS_MAX; i++) text_free(&list[i]);
    return status;
}
