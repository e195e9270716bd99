/* card_check.c - is the front matter YAML that any reader takes the same way? Only block mappings and lists
 * of plain or double-quoted scalars are accepted: what the card writes, and what most cards hold. */
#include <string.h>

#include "model/card.h"

#define MAX_DEPTH 16

typedef struct {
    int indent[MAX_DEPTH], depth; /* columns at which open blocks stand */
    int opens;                    /* the last line ended in "key:": a deeper block may follow */
    const char *what;
} blocks;

/* A scalar or flow collection that ends on this line. */
static int check_scalar(blocks *b, const char *p, size_t n) {
    while (n && p[n - 1] == ' ') n--;
    if (n == 0) return 1;
    if (p[0] == '"') {
        size_t i = 1;
        while (i < n && p[i] != '"') {
            if (p[i] == '\\' && (i + 1 >= n || !strchr("0abtnvfre \"/\\N_LPxuU", p[i + 1])))
                return b->what = "an escape that YAML does not know", 0;
            i += p[i] == '\\' ? 2 : 1;
        }
        if (i >= n) return b->what = "a string that does not end", 0;
        return i + 1 == n ? 1 : (b->what = "text after a closed string", 0);
    }
    if (p[0] == '[') return p[n - 1] == ']' ? 1 : (b->what = "a list that does not end on its line", 0);
    if (p[0] == '{') return p[n - 1] == '}' ? 1 : (b->what = "a mapping that does not end on its line", 0);
    if (p[0] == '\'') return n > 1 && p[n - 1] == '\'' ? 1 : (b->what = "a string that does not end", 0);
    if (strchr("&*!|>%@`#,]}", p[0])) return b->what = "a plain text may not begin so", 0;
    for (size_t i = 0; i + 1 < n; i++)
        if ((p[i] == ':' && p[i + 1] == ' ') || (p[i] == ' ' && p[i + 1] == '#'))
            return b->what = "\": \" or \" #\" in a text without quotes", 0;
    return p[n - 1] != ':' || (b->what = "a text without quotes ends in ':'", 0);
}

/* Open or close blocks so that one stands at this column. */
static int check_indent(blocks *b, int column) {
    while (b->depth > 0 && b->indent[b->depth - 1] > column) b->depth--;
    if (b->depth && b->indent[b->depth - 1] == column) return 1;
    if (b->depth && !b->opens) return b->what = "indented, but nothing was opened", 0;
    if (b->depth == MAX_DEPTH) return b->what = "nested too deeply", 0;
    b->indent[b->depth++] = column;
    return 1;
}

/* Bytes of the key in front of ": " or a ':' at the end; 0: the line is no mapping. */
static size_t key_length(const char *p, size_t n) {
    if (n && p[0] == '"') return 0;
    for (size_t i = 0; i < n; i++)
        if (p[i] == ':' && (i + 1 == n || p[i + 1] == ' ')) return i;
    return 0;
}

static int check_entry(blocks *b, const char *p, size_t n, int column) {
    while (n >= 2 && p[0] == '-' && p[1] == ' ') { /* "- - key: value" opens a block a dash */
        if (!check_indent(b, column)) return 0;
        b->opens = 1;
        size_t skip = 2;
        while (skip < n && p[skip] == ' ') skip++;
        p += skip, n -= skip, column += (int)skip;
        if (!key_length(p, n)) {
            b->opens = 0;
            return check_scalar(b, p, n);
        }
    }
    const size_t key = key_length(p, n);
    if (!key) return b->what = "expected \"key: value\" or \"- item\"", 0;
    for (size_t i = 0; i < key; i++)
        if (strchr("\"'{}[],&*#?|<>=!%@`\\", p[i]))
            return b->what = "a key with characters that need quotes", 0;
    if (!check_indent(b, column)) return 0;
    size_t at = key + 1;
    while (at < n && p[at] == ' ') at++;
    b->opens = at == n;
    return check_scalar(b, p + at, n - at);
}

static int check_line(blocks *b, const char *p, size_t n) {
    size_t at = 0;
    if (memchr(p, '\t', n)) return b->what = "a tab", 0;
    while (at < n && p[at] == ' ') at++;
    if (at == n || p[at] == '#') return 1;
    /* A list may stand at the column of the key that opened it. */
    return check_entry(b, p + at, n - at, (int)at);
}

int card_check(const char *p, size_t n, int *line, const char **what) {
    blocks b = {.opens = 1};
    size_t at = 0;
    size_t bad;
    *line = 1;
    *what = "";
    if (!utf8_valid(p, n, &bad)) return *what = "not UTF-8", 0;
    for (;; ++*line) {
        const char *end = at < n ? memchr(p + at, '\n', n - at) : NULL;
        size_t length = end ? (size_t)(end - p) - at : n - at;
        if (length && p[at + length - 1] == '\r') length--;
        const int rule = length == 3 && !memcmp(p + at, "---", 3);
        if (*line == 1 && !rule) return *what = "expected --- as the first line", 0;
        if (*line > 1 && rule) return 1;
        if (*line > 1 && !check_line(&b, p + at, length)) return *what = b.what, 0;
        if (!end) return *what = "the front matter does not end with ---", 0;
        at = (size_t)(end - p) + 1;
    }
}
