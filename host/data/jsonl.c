#include <math.h>
#include <stdio.h>
#include <string.h>

#include "data/reader.h"
#include "data/index.h"
#include "data/scan.h"
#include "base/err.h"

/* A table needs flat objects only, read once from front to back, millions of them: so this scans straight
 * into cells instead of building trees with base/json.h, and is as strict. */

#define NESTING 64

/* The keys seen in any block. */
struct keys {
    str_index column;  /* their names */
    VEC(int64_t) seen; /* [columns] the object that had the key last, objects counted from 1 */
    int64_t n_objects;
    int64_t stride; /* cells a row has room for */
    int are_all;    /* there are no others */
};

typedef struct {
    reader *in;
    struct keys *keys;
    const char *p, *end; /* end: of the line in JSONL, else of the file */
    const char *line_start;
    int64_t line;
} scanner;

static hone_status refuse(const scanner *s, const char *at, const char *what, hone_err *err) {
    return hone_fail(err, HONE_EDATA, "%s: line %lld column %lld: %s", s->in->r->name, (long long)s->line,
                     (long long)(at - s->line_start) + 1, what);
}

static void skip_space(scanner *s) {
    for (; s->p < s->end; s->p++) {
        if (*s->p == '\n') s->line++, s->line_start = s->p + 1;
        else if (*s->p != ' ' && *s->p != '\t' && *s->p != '\r') return;
    }
}

static int hex4(const char *p, uint32_t *code) {
    *code = 0;
    for (int i = 0; i < 4; i++) {
        const int c = (unsigned char)p[i], low = c | 0x20;
        if (c >= '0' && c <= '9') *code = *code << 4 | (uint32_t)(c - '0');
        else if (low >= 'a' && low <= 'f') *code = *code << 4 | (uint32_t)(low - 'a' + 10);
        else return 0; /* also at the NUL after the end */
    }
    return 1;
}

/* \uXXXX, or two of them that make one character; p stands behind the u. Surrogates alone are no text. */
static hone_status read_unicode(scanner *s, char **out, hone_err *err) {
    const char *at = s->p - 2;
    uint32_t code, low;
    if (!hex4(s->p, &code)) return refuse(s, at, "broken \\u escape; expected four hexadecimal digits", err);
    s->p += 4;
    if (code >= 0xd800 && code < 0xdc00 && s->p[0] == '\\' && s->p[1] == 'u' && hex4(s->p + 2, &low) &&
        low >= 0xdc00 && low < 0xe000) {
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        s->p += 6;
    }
    if (code == 0) return refuse(s, at, "\\u0000 in text; expected text without NUL", err);
    const int n = utf8_encode(code, *out);
    if (!n) return refuse(s, at, "half of a surrogate pair; expected a whole character", err);
    *out += n;
    return HONE_OK;
}

/* The rest of a string that has escapes: from is its first byte, p stands on the first backslash. */
static hone_status read_escaped(scanner *s, const char *from, const char *close, str *out, hone_err *err) {
    static const char from_letter[] = "\"\\/bfnrt", to_byte[] = "\"\\/\b\f\n\r\t";
    char *text_start = arena_alloc(s->in->store->texts, (size_t)(close - from) + 1), *w = text_start;
    memcpy(w, from, (size_t)(s->p - from));
    w += s->p - from;
    while (s->p < close) {
        if (*s->p != '\\') {
            *w++ = *s->p++;
            continue;
        }
        const char *letter = s->p[1] ? strchr(from_letter, s->p[1]) : NULL;
        if (!letter && s->p[1] != 'u')
            return refuse(s, s->p, "unknown escape; expected one of \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u",
                          err);
        s->p += 2;
        if (letter) *w++ = to_byte[letter - from_letter];
        else HONE_TRY(read_unicode(s, &w, err));
    }
    *out = (str){text_start, (size_t)(w - text_start)};
    return HONE_OK;
}

/* A string; p stands on its opening quote. */
static hone_status read_string(scanner *s, str *out, hone_err *err) {
    const char *from = s->p + 1, *q = from, *first_escape = NULL;
    for (; (q = scan_json(q, s->end)) < s->end && *q != '"'; q++) {
        if ((unsigned char)*q < 0x20) {
            char what[80];
            snprintf(what, sizeof what, "control byte 0x%02x in a string; expected an escape",
                     (unsigned char)*q);
            return refuse(s, q, what, err);
        }
        if (*q == '\\') {
            if (!first_escape) first_escape = q;
            if (++q >= s->end) break;
        }
    }
    if (q >= s->end) return refuse(s, s->p, "string is not closed", err);
    HONE_TRY(reader_check_field(s->in, (size_t)(q - from), s->line, err));
    *out = (str){from, (size_t)(q - from)};
    if (first_escape) {
        s->p = first_escape;
        HONE_TRY(read_escaped(s, from, q, out, err));
    }
    s->p = q + 1;
    return HONE_OK;
}

/* A number as Python's repr prints it: shortest digits that give it back, point from 1e-4 up to below 1e16.
 */
static str print_number(arena *a, double x) {
    char digits[40];
    double back = 0;
    for (int precision = 0; precision < 17; precision++) {
        snprintf(digits, sizeof digits, "%.*e", precision, x);
        if (str_to_double(str_of(digits), &back) && back == x) break;
    }
    char *e = strchr(digits, 'e');
    int64_t exponent = 0;
    str_to_int64(str_of(e[1] == '+' ? e + 2 : e + 1), &exponent);
    if (exponent < -4 || exponent >= 16) {
        *e = 0;
        return str_of(arena_print(a, "%se%c%02d", digits, exponent < 0 ? '-' : '+',
                                  (int)(exponent < 0 ? -exponent : exponent)));
    }
    const int n_digits = (int)(e - digits) - (digits[0] == '-') - (strchr(digits, '.') != NULL);
    const int decimals = n_digits - 1 - (int)exponent;
    return str_of(arena_print(a, "%.*f", decimals > 1 ? decimals : 1, x));
}

static const char *skip_digits(const char *p) {
    while (*p >= '0' && *p <= '9') p++;
    return p;
}

static hone_status read_number(scanner *s, str *out, hone_err *err) {
    const char *from = s->p, *p = from + (*from == '-'), *whole = p;
    p = skip_digits(p);
    if (p == whole || (*whole == '0' && p > whole + 1))
        return refuse(s, from, "not a JSON value; expected text, a number, true, false or null", err);
    int is_int = 1;
    if (*p == '.') {
        const char *fraction = p + 1;
        p = skip_digits(fraction);
        if (p == fraction) return refuse(s, from, "number has no digits after its point", err);
        is_int = 0;
    }
    if (*p == 'e' || *p == 'E') {
        const char *power = p + 1 + (p[1] == '+' || p[1] == '-');
        p = skip_digits(power);
        if (p == power) return refuse(s, from, "number has no digits in its exponent", err);
        is_int = 0;
    }
    *out = (str){from, (size_t)(p - from)};
    HONE_TRY(reader_check_field(s->in, out->n, s->line, err));
    double x;
    if (!is_int) {
        if (!str_to_double(*out, &x) || !isfinite(x))
            return refuse(s, from, "number is not finite in 64 bits", err);
        *out = print_number(s->in->store->texts, x);
    } else if (str_is(*out, "-0")) *out = STR("0");
    s->p = p;
    return HONE_OK;
}

/* An array or object is kept as it stands; only its brackets and strings are looked at, with a bound on
 * depth. */
static hone_status skip_nested(scanner *s, str *out, hone_err *err) {
    const char *from = s->p;
    char open[NESTING];
    int depth = 0;
    do {
        skip_space(s);
        if (s->p >= s->end)
            return refuse(s, from < s->line_start ? s->line_start : from, "nested value is not closed", err);
        const char c = *s->p;
        str ignored;
        if (c == '"') {
            HONE_TRY(read_string(s, &ignored, err));
            continue;
        }
        if (c == '{' || c == '[') {
            if (depth == NESTING) return refuse(s, s->p, "nesting deeper than 64", err);
            open[depth++] = c;
        } else if (c == '}' || c == ']') {
            if (open[--depth] != (c == '}' ? '{' : '['))
                return refuse(s, s->p, "bracket closes another kind", err);
        }
        s->p++;
    } while (depth);
    *out = (str){from, (size_t)(s->p - from)};
    return reader_check_field(s->in, out->n, s->line, err);
}

static int take_word(scanner *s, const char *word) {
    const size_t n = strlen(word);
    if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n)) return 0;
    s->p += n;
    return 1;
}

static hone_status read_value(scanner *s, str *out, uint8_t *kind, hone_err *err) {
    *kind = CELL_TEXT;
    *out = (str){0};
    if (s->p >= s->end) return refuse(s, s->p, "expected a value", err);
    if (*s->p == '"') return read_string(s, out, err);
    if (*s->p == '{' || *s->p == '[') {
        *kind = CELL_NESTED;
        return skip_nested(s, out, err);
    }
    if (take_word(s, "null")) return HONE_OK;
    *kind = CELL_NUMBER;
    if (take_word(s, "true")) return *out = STR("True"), HONE_OK;
    if (take_word(s, "false")) return *out = STR("False"), HONE_OK;
    const char *at = s->p;
    if (take_word(s, "NaN") || take_word(s, "Infinity") || take_word(s, "-Infinity"))
        return refuse(s, at, "NaN and Infinity are not JSON; expected a finite number or null", err);
    return read_number(s, out, err);
}

/* Room for another column: rows are laid out anew, twice as wide, so that this happens rarely. */
static void widen(scanner *s) {
    rows_store *t = s->in->store;
    const int64_t n_rows = s->in->r->n_rows + 1, old = s->keys->stride, wide = 2 * old;
    vec_reserve(&t->cell, (size_t)(n_rows * wide));
    vec_reserve(&t->number, (size_t)(n_rows * wide));
    for (int64_t i = n_rows - 1; i >= 0; i--)
        for (int64_t c = wide - 1; c >= 0; c--) {
            t->cell.p[i * wide + c] = c < old ? t->cell.p[i * old + c] : (str){0};
            t->number.p[i * wide + c] = c < old ? t->number.p[i * old + c] : CELL_TEXT;
        }
    t->cell.n = t->number.n = (size_t)(n_rows * wide);
    s->keys->stride = wide;
}

static hone_status add_key(scanner *s, str key, const char *at, hone_err *err) {
    struct keys *k = s->keys;
    if (k->are_all) return reader_refuse_change(s->in, err);
    if (k->column.n >= ROWS_COLUMNS) return refuse(s, at, "more than 4096 different keys", err);
    str_index_add(&k->column, (str){arena_copy(s->in->r->a, key.p, key.n), key.n}, NULL);
    vec_push(&k->seen, 0);
    if (k->column.n > k->stride) widen(s);
    return HONE_OK;
}

/* Number of the column of a key, new or known; the k-th key of a row is most often the k-th column. */
static hone_status find_column(scanner *s, str key, const char *at, int64_t k, int64_t *column,
                               hone_err *err) {
    struct keys *all = s->keys;
    *column = k < all->column.n && str_eq(all->column.key[k], key) ? k : str_index_find(&all->column, key);
    if (*column < 0) {
        *column = all->column.n;
        HONE_TRY(add_key(s, key, at, err));
    }
    if (all->seen.p[*column] == all->n_objects) {
        char shown[80], what[128];
        snprintf(what, sizeof what, "key \"%s\" given twice", text_escape(shown, sizeof shown, key.p, key.n));
        return refuse(s, at, what, err);
    }
    all->seen.p[*column] = all->n_objects;
    return HONE_OK;
}

/* One object into a new row. */
static hone_status read_object(scanner *s, hone_err *err) {
    rows_store *t = s->in->store;
    const char *from = s->p;
    const int64_t line = s->line;
    skip_space(s);
    if (s->p >= s->end || *s->p != '{')
        return hone_fail(err, HONE_EDATA, "%s: line %lld: expected an object", s->in->r->name,
                         (long long)s->line);
    if (line >= INT32_MAX)
        return hone_fail(err, HONE_EDATA, "%s: more than %d lines", s->in->r->name, INT32_MAX);
    const int64_t base = s->in->r->n_rows;
    s->keys->n_objects++;
    for (int64_t c = 0; c < s->keys->stride; c++) {
        vec_push(&t->cell, (str){0});
        vec_push(&t->number, CELL_TEXT);
    }
    vec_push(&t->line, (int32_t)s->line);
    s->p++;
    skip_space(s);
    for (int64_t k = 0; s->p < s->end && *s->p != '}'; k++) {
        if (k) {
            if (*s->p != ',') return refuse(s, s->p, "expected ',' or '}'", err);
            s->p++;
            skip_space(s);
        }
        const char *at = s->p;
        str key, value;
        uint8_t kind;
        int64_t column;
        if (s->p >= s->end || *s->p != '"') return refuse(s, s->p, "expected a key in double quotes", err);
        HONE_TRY(read_string(s, &key, err));
        HONE_TRY(find_column(s, key, at, k, &column, err));
        skip_space(s);
        if (s->p >= s->end || *s->p != ':') return refuse(s, s->p, "expected ':'", err);
        s->p++;
        skip_space(s);
        HONE_TRY(read_value(s, &value, &kind, err));
        t->cell.p[base * s->keys->stride + column] = value;
        t->number.p[base * s->keys->stride + column] = kind;
        skip_space(s);
    }
    if (s->p >= s->end) return refuse(s, s->p, "object is not closed; expected ',' or '}'", err);
    s->p++;
    s->in->r->n_rows++;
    return reader_check_row(s->in, (size_t)(s->p - from), line, err);
}

static hone_status read_lines(scanner *s, hone_err *err) {
    reader *in = s->in;
    while (in->p < in->end && in->r->n_rows < in->rows_max) {
        const char *eol = memchr(in->p, '\n', (size_t)(in->end - in->p));
        if (!eol && in->more) return reader_check_row(in, (size_t)(in->end - in->p), in->line, err);
        s->end = eol ? eol : in->end;
        s->line_start = s->p = in->p;
        s->line = in->line;
        skip_space(s);
        if (s->p < s->end) {
            HONE_TRY(read_object(s, err));
            skip_space(s);
            if (s->p < s->end)
                return refuse(s, s->p, "something after the object; expected one object a line", err);
        }
        in->p = eol ? eol + 1 : in->end;
        in->line++;
    }
    return HONE_OK;
}

static hone_status read_array(scanner *s, hone_err *err) {
    skip_space(s);
    if (s->p >= s->end) return HONE_OK;
    if (*s->p != '[') return refuse(s, s->p, "expected an array of objects", err);
    s->p++;
    skip_space(s);
    if (s->p < s->end && *s->p == ']') s->p++;
    else
        for (;;) {
            HONE_TRY(read_object(s, err));
            skip_space(s);
            const char c = s->p < s->end ? *s->p : 0;
            if (c != ',' && c != ']') return refuse(s, s->p, "expected ',' or ']'", err);
            s->p++;
            if (c == ']') break;
            skip_space(s);
        }
    skip_space(s);
    return s->p < s->end ? refuse(s, s->p, "something after the array; expected the end of the file", err)
                         : HONE_OK;
}

/* Close the gaps between rows that are wider than the columns found. */
static void pack_rows(reader *in) {
    rows_store *t = in->store;
    const int64_t stride = in->keys->stride, n = in->keys->column.n;
    for (int64_t i = 0; i < in->r->n_rows; i++)
        for (int64_t c = 0; c < n; c++) {
            t->cell.p[i * n + c] = t->cell.p[i * stride + c];
            t->number.p[i * n + c] = t->number.p[i * stride + c];
        }
}

void jsonl_begin(reader *in) {
    in->keys = mem_new(sizeof *in->keys, "keys of objects");
    in->keys->stride = 4;
}

void jsonl_close_columns(reader *in) {
    rows *r = in->r;
    struct keys *k = in->keys;
    pack_rows(in);
    k->are_all = 1;
    k->stride = r->n_columns = (int)k->column.n;
    r->column = ARENA_ARRAY(r->a, (size_t)k->column.n + 1, str);
    for (int64_t c = 0; c < k->column.n; c++) r->column[c] = k->column.key[c];
}

void jsonl_end(reader *in) {
    if (!in->keys) return;
    str_index_free(&in->keys->column);
    vec_free(&in->keys->seen);
    mem_free(in->keys);
}

hone_status jsonl_read(reader *in, hone_err *err) {
    scanner s = {.in = in, .keys = in->keys, .p = in->p, .end = in->end, .line_start = in->p, .line = in->line};
    if (in->r->format != ROWS_JSON) return read_lines(&s, err);
    HONE_TRY(read_array(&s, err));
    in->p = in->end;
    return HONE_OK;
}
