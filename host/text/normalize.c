/* normalize.c - one pass, with a short way for ASCII. */
#include "text/normalize.h"
#include "text/unicode.h"
#include "base/mem.h"

#define WIDEST 24 /* characters that one character can become: a decomposition, each lower-cased, and two spaces */

static void make_room(characters *c, size_t more) {
    if (c->n + more <= c->cap) return;
    size_t cap = c->cap ? c->cap : 256;
    while (cap < c->n + more) cap *= 2;
    c->code = mem_grow(c->code, c->cap * sizeof *c->code, cap * sizeof *c->code, "characters");
    c->from = mem_grow(c->from, c->cap * sizeof *c->from, cap * sizeof *c->from, "characters");
    c->to = mem_grow(c->to, c->cap * sizeof *c->to, cap * sizeof *c->to, "characters");
    c->cap = cap;
}

void characters_free(characters *c) {
    mem_free(c->code);
    mem_free(c->from);
    mem_free(c->to);
    *c = (characters){0};
}

static void put(characters *c, uint32_t code, size_t from, size_t to) {
    c->code[c->n] = code;
    c->from[c->n] = (int32_t)from;
    c->to[c->n++] = (int32_t)to;
}

/* A mark goes before the marks of higher class that stand behind the same starter. */
static void put_mark(characters *c, size_t starter_end, uint32_t code, int combining, size_t from, size_t to) {
    size_t i = c->n++;
    for (; i > starter_end && unicode_combining(c->code[i - 1]) > combining; i--) {
        c->code[i] = c->code[i - 1];
        c->from[i] = c->from[i - 1];
        c->to[i] = c->to[i - 1];
    }
    c->code[i] = code;
    c->from[i] = (int32_t)from;
    c->to[i] = (int32_t)to;
}

static void put_lower(characters *c, size_t first) {
    const size_t end = c->n;
    uint32_t out[8];
    size_t extra = 0;
    for (size_t i = first; i < end; i++) extra += unicode_class(c->code[i]) & UNICODE_LOWER ? 7 : 0;
    if (!extra) return;
    make_room(c, extra + (end - first));
    for (size_t i = first; i < end; i++) { /* behind the end, then moved to the front */
        const int n = unicode_class(c->code[i]) & UNICODE_LOWER ? unicode_lower(c->code[i], out) : (out[0] = c->code[i], 1);
        for (int k = 0; k < n; k++) put(c, out[k], (size_t)c->from[i], (size_t)c->to[i]);
    }
    const size_t n = c->n - end;
    for (size_t i = 0; i < n; i++) c->code[first + i] = c->code[end + i], c->from[first + i] = c->from[end + i], c->to[first + i] = c->to[end + i];
    c->n = first + n;
}

/* What one character becomes, but for lower-casing. *starter: end of the last starter in the output. */
static void put_character(characters *c, const normalize_options *o, uint32_t code, size_t from, size_t to, size_t *starter) {
    unsigned k = unicode_class(code);
    uint32_t out[8];
    if (o->clean_text) {
        if (k & UNICODE_DROP) return;
        if (k & UNICODE_SPACE) code = ' ', k = unicode_class(' ');
    }
    const int spaced = o->chinese_chars && (k & UNICODE_CJK);
    if (spaced) put(c, ' ', from, to), *starter = c->n;
    if (!o->strip_accents) {
        put(c, code, from, to);
    } else {
        const int n = k & UNICODE_STRIP ? unicode_strip(code, out) : (out[0] = code, 1);
        if (!n && !(k & UNICODE_MARK)) *starter = c->n; /* a starter that is taken away still parts the marks around it */
        for (int i = 0; i < n; i++) {
            const int combining = unicode_combining(out[i]);
            if (combining) put_mark(c, *starter, out[i], combining, from, to);
            else put(c, out[i], from, to), *starter = c->n;
        }
    }
    if (spaced) put(c, ' ', from, to), *starter = c->n;
}

void normalize_text(characters *out, const normalize_options *o, str s, size_t at) {
    static const normalize_options as_it_is = {0};
    const size_t first = out->n;
    size_t starter = out->n;
    int other_than_ascii = 0;
    if (!o) o = &as_it_is;
    make_room(out, s.n + WIDEST);
    for (size_t i = 0; i < s.n;) {
        const unsigned char b = (unsigned char)s.p[i];
        if (b < 128) {
            const unsigned k = unicode_class_of[unicode_block[0]][b];
            uint32_t code = b;
            const size_t from = at + i++;
            if (o->clean_text && (k & (UNICODE_DROP | UNICODE_SPACE))) {
                if (k & UNICODE_DROP) continue;
                code = ' ';
            }
            if (o->lowercase && code >= 'A' && code <= 'Z') code += 'a' - 'A';
            make_room(out, 1);
            put(out, code, from, from + 1);
            starter = out->n;
            continue;
        }
        uint32_t code;
        const int n = utf8_decode(s.p + i, s.n - i, &code);
        if (!n) { /* callers have checked UTF-8; a stray byte is dropped as U+FFFD would be */
            i++;
            continue;
        }
        make_room(out, WIDEST);
        put_character(out, o, code, at + i, at + i + (size_t)n, &starter);
        other_than_ascii = 1;
        i += (size_t)n;
    }
    if (o->lowercase && other_than_ascii) put_lower(out, first);
}
