/* json_scan.c - RFC 8259 to the letter. */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/json.h"
#include "base/json_scan.h"

typedef struct {
    const char *name, *p;
    size_t n, i; /* i: the byte being looked at */
    json_offsets *at;
    hone_status kind;
    hone_err *err;
} scan;

/* Refuse what stands at an offset. */
static hone_status refuse(scan *s, size_t offset, const char *what, const char *expected) {
    int line, column;
    json_place(s->p, s->n, offset, &line, &column);
    return hone_fail(s->err, s->kind, "%s: line %d column %d: %s; expected %s", s->name, line, column, what,
                     expected);
}

/* Words that other languages write, so that the message says what to write instead. */
static hone_status refuse_word(scan *s, const char *expected) {
    static const struct {
        const char *word, *instead;
    } known[] = {{"True", "true"},      {"False", "false"},       {"None", "null"},
                 {"NaN", "a number"},   {"Infinity", "a number"}, {"-Infinity", "a number"},
                 {"undefined", "null"}, {"nan", "a number"},      {"inf", "a number"},
                 {"TRUE", "true"},      {"FALSE", "false"},       {"NULL", "null"}};
    const size_t left = s->n - s->i;
    char what[80];
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
        const size_t length = strlen(known[k].word);
        if (left < length || memcmp(s->p + s->i, known[k].word, length)) continue;
        snprintf(what, sizeof what, "found %s", known[k].word);
        return refuse(s, s->i, what, known[k].instead);
    }
    if (left >= 1 && (s->p[s->i] == '#' || (left >= 2 && s->p[s->i] == '/' && strchr("/*", s->p[s->i + 1]))))
        return refuse(s, s->i, "a comment", "none: JSON has no comments");
    if (left >= 1 && s->p[s->i] == '\'') return refuse(s, s->i, "a single quote", "double quotes");
    if (left == 0) return refuse(s, s->i, "the text ends too early", expected);
    uint32_t code;
    const int length = utf8_decode(s->p + s->i, left, &code);
    char shown[24];
    snprintf(what, sizeof what, "found '%s'",
             text_escape(shown, sizeof shown, s->p + s->i, length ? (size_t)length : 1));
    return refuse(s, s->i, what, expected);
}

static void skip_space(scan *s) {
    while (s->i < s->n &&
           (s->p[s->i] == ' ' || s->p[s->i] == '\n' || s->p[s->i] == '\r' || s->p[s->i] == '\t'))
        s->i++;
}

static int peek(const scan *s) { return s->i < s->n ? (unsigned char)s->p[s->i] : -1; }

static int is_digit(int c) { return c >= '0' && c <= '9'; }

/* Four hexadecimal digits at i, or -1. */
static int32_t read_hex(const scan *s, size_t i) {
    int32_t code = 0;
    if (s->n - i < 4 || i > s->n) return -1;
    for (int k = 0; k < 4; k++) {
        const int c = s->p[i + (size_t)k], lower = c | 0x20;
        if (!is_digit(c) && (lower < 'a' || lower > 'f')) return -1;
        code = code << 4 | (is_digit(c) ? c - '0' : lower - 'a' + 10);
    }
    return code;
}

/* At a backslash. */
static hone_status scan_escape(scan *s) {
    const size_t start = s->i++;
    const int c = peek(s);
    if (c < 0) return refuse(s, start, "the text ends inside an escape", "a character after \\");
    if (c != 'u') {
        if (!c || !strchr("\"\\/bfnrt", c))
            return refuse(s, start, "an unknown escape", "one of \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX");
        s->i++;
        return HONE_OK;
    }
    const int32_t code = read_hex(s, s->i + 1);
    if (code < 0) return refuse(s, start, "a broken escape", "\\u and four hexadecimal digits");
    if (code == 0) return refuse(s, start, "the character U+0000", "text without NUL");
    s->i += 5;
    if (code < 0xd800 || code > 0xdfff) return HONE_OK;
    const int pair = code < 0xdc00 && s->n - s->i >= 6 && s->p[s->i] == '\\' && s->p[s->i + 1] == 'u';
    const int32_t low = pair ? read_hex(s, s->i + 2) : -1;
    if (low < 0xdc00 || low > 0xdfff)
        return refuse(s, start, "half a surrogate pair", "both halves, high one first");
    s->i += 6;
    return HONE_OK;
}

/* At the opening quote; ends behind the closing one. */
static hone_status scan_string(scan *s) {
    const size_t start = s->i++;
    vec_push(s->at, start);
    while (s->i < s->n) {
        const unsigned char c = (unsigned char)s->p[s->i];
        if (c == '"') {
            s->i++;
            return HONE_OK;
        }
        if (c == '\\') HONE_TRY(scan_escape(s));
        else if (c < 0x20) {
            char what[48];
            snprintf(what, sizeof what, "control byte \\x%02x inside text", c);
            return refuse(s, s->i, what,
                          c == '\n'   ? "\\n, or a closing quote before it"
                          : c == '\t' ? "\\t"
                                      : "an escape such as \\u001f");
        } else s->i++;
    }
    return refuse(s, start, "text that never ends", "a closing double quote");
}

static hone_status scan_number(scan *s) {
    const size_t start = s->i;
    int exponent = 0;
    vec_push(s->at, start);
    if (peek(s) == '-') s->i++;
    if (s->n - s->i >= 8 && !memcmp(s->p + s->i, "Infinity", 8))
        return s->i = start, refuse_word(s, "a number");
    if (!is_digit(peek(s))) return refuse(s, start, "a sign without a number", "digits after -");
    if (peek(s) == '0' && s->i + 1 < s->n && is_digit(s->p[s->i + 1]))
        return refuse(s, start, "a number with a leading zero", "no zero before other digits");
    while (is_digit(peek(s))) s->i++;
    if (peek(s) == '.') {
        s->i++;
        if (!is_digit(peek(s)))
            return refuse(s, start, "a number that ends with its point", "digits after the point");
        while (is_digit(peek(s))) s->i++;
    }
    if (peek(s) == 'e' || peek(s) == 'E') {
        exponent = 1;
        s->i++;
        if (peek(s) == '-' || peek(s) == '+') s->i++;
        if (!is_digit(peek(s))) return refuse(s, start, "a number without its exponent", "digits after e");
        while (is_digit(peek(s))) s->i++;
    }
    double value;
    const str digits = {s->p + start, s->i - start};
    if (digits.n > JSON_MAX_NUMBER)
        return refuse(s, start, "a number of more than 63 characters", "a shorter one");
    if (exponent && !str_to_double(digits, &value))
        return refuse(s, start, "a number too large for a double", "at most 1.79e308");
    return HONE_OK;
}

static hone_status scan_value(scan *s, int depth);

/* After an item of an object or array: a comma, or its end. *more says which. */
static hone_status scan_comma(scan *s, char end, int *more) {
    skip_space(s);
    *more = 0;
    if (peek(s) == end) {
        s->i++;
        return HONE_OK;
    }
    if (peek(s) != ',') return refuse_word(s, end == '}' ? "',' or '}'" : "',' or ']'");
    const size_t comma = s->i++;
    skip_space(s);
    if (peek(s) == '}' || peek(s) == ']')
        return refuse(s, comma, "trailing comma", end == '}' ? "no comma before '}'" : "no comma before ']'");
    *more = 1;
    return HONE_OK;
}

static hone_status scan_object(scan *s, int depth) {
    int more = 1;
    s->i++;
    skip_space(s);
    if (peek(s) == '}') {
        s->i++;
        return HONE_OK;
    }
    while (more) {
        if (peek(s) != '"') return refuse_word(s, "a key in double quotes");
        HONE_TRY(scan_string(s));
        skip_space(s);
        if (peek(s) != ':') return refuse_word(s, "':' after the key");
        s->i++;
        HONE_TRY(scan_value(s, depth));
        HONE_TRY(scan_comma(s, '}', &more));
    }
    return HONE_OK;
}

static hone_status scan_array(scan *s, int depth) {
    int more = 1;
    s->i++;
    skip_space(s);
    if (peek(s) == ']') {
        s->i++;
        return HONE_OK;
    }
    while (more) {
        HONE_TRY(scan_value(s, depth));
        HONE_TRY(scan_comma(s, ']', &more));
    }
    return HONE_OK;
}

static hone_status scan_value(scan *s, int depth) {
    skip_space(s);
    const int c = peek(s);
    if (c == '"') return scan_string(s);
    if (c == '-' || is_digit(c)) return scan_number(s);
    if (c == '{' || c == '[') {
        if (depth == JSON_MAX_DEPTH) return refuse(s, s->i, "nested deeper than 64", "at most 64 levels");
        vec_push(s->at, s->i);
        return c == '{' ? scan_object(s, depth + 1) : scan_array(s, depth + 1);
    }
    const char *word = c == 't' ? "true" : c == 'f' ? "false" : c == 'n' ? "null" : NULL;
    const size_t length = word ? strlen(word) : 0;
    if (!word || s->n - s->i < length || memcmp(s->p + s->i, word, length)) return refuse_word(s, "a value");
    vec_push(s->at, s->i);
    s->i += length;
    return HONE_OK;
}

hone_status json_scan(json_offsets *at, const char *name, const char *p, size_t n, hone_status kind,
                      hone_err *err) {
    scan s = {.name = name, .p = p, .n = n, .at = at, .kind = kind, .err = err};
    size_t bad;
    if (n >= 3 && !memcmp(p, "\xef\xbb\xbf", 3))
        return refuse(&s, 0, "a byte order mark", "UTF-8 without one");
    if (!utf8_valid(p, n, &bad)) {
        char what[40];
        snprintf(what, sizeof what, "invalid UTF-8 (byte %02x)", (unsigned char)p[bad]);
        return refuse(&s, bad, what, "UTF-8");
    }
    HONE_TRY(scan_value(&s, 0));
    skip_space(&s);
    if (s.i < n) return refuse(&s, s.i, "more text after the end", "nothing after the first value");
    return HONE_OK;
}
