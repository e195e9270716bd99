/* normalize.c - one pass, with a short way for ASCII. */
#include "text/normalize.h"
#include "text/unicode.h"
#include "base/mem.h"

#define WIDEST                                                                                               \
    24 /* characters that one character can become: a decomposition, each lower-cased, and two spaces */

void characters_reserve(characters *c, size_t more) {
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
    characters_put(c, code, (int32_t)from, (int32_t)to);
}

/* Marks behind a starter wait in [run, n) until the next starter, those that stripping takes away among them.
 */
#define FURTHER (1u << 30) /* not the first of the characters that its source became */
#define REMOVED (1u << 31)
#define CODE 0x1fffffu

/* Put the waiting marks in canonical order (stable, by counting: a long run costs no more a mark than a short
 * one), and take the removed ones away. The library hands sources out after ordering: the k-th first
 * character gets the k-th source, a further one that of the character before it. */
static void sort_run(characters *c, size_t run) {
    const size_t n = c->n - run;
    size_t at[256] = {0}, n_sources = 0, given = 0, kept = run;
    characters_reserve(c, n);
    uint32_t *in = c->code + run, *sorted = c->code + c->n;
    int32_t *from = c->from + c->n, *to = c->to + c->n;
    for (size_t i = 0; i < n; i++) {
        at[unicode_combining(in[i] & CODE) + 1]++;
        if (in[i] & FURTHER) continue;
        from[n_sources] = c->from[run + i];
        to[n_sources++] = c->to[run + i];
    }
    for (int k = 1; k < 256; k++) at[k] += at[k - 1];
    for (size_t i = 0; i < n; i++) sorted[at[unicode_combining(in[i] & CODE)]++] = in[i];
    int32_t last_from = run ? c->from[run - 1] : c->from[0], last_to = run ? c->to[run - 1] : c->to[0];
    for (size_t i = 0; i < n; i++) {
        if (!(sorted[i] & FURTHER)) last_from = from[given], last_to = to[given], given++;
        if (sorted[i] & REMOVED) continue;
        c->code[kept] = sorted[i] & CODE;
        c->from[kept] = last_from;
        c->to[kept++] = last_to;
    }
    c->n = kept;
}

static void end_run(characters *c, size_t run) {
    if (c->n > run) sort_run(c, run); /* mostly there are no marks */
}

static void put_lower(characters *c, size_t first) {
    const size_t end = c->n;
    uint32_t out[8];
    size_t extra = 0;
    for (size_t i = first; i < end; i++) extra += unicode_class(c->code[i]) & UNICODE_LOWER ? 7 : 0;
    if (!extra) return;
    characters_reserve(c, extra + (end - first));
    for (size_t i = first; i < end; i++) { /* behind the end, then moved to the front */
        const int n = unicode_class(c->code[i]) & UNICODE_LOWER ? unicode_lower(c->code[i], out)
                                                                : (out[0] = c->code[i], 1);
        for (int k = 0; k < n; k++) put(c, out[k], (size_t)c->from[i], (size_t)c->to[i]);
    }
    const size_t n = c->n - end;
    for (size_t i = 0; i < n; i++)
        c->code[first + i] = c->code[end + i], c->from[first + i] = c->from[end + i],
                        c->to[first + i] = c->to[end + i];
    c->n = first + n;
}

static void put_starter(characters *c, uint32_t code, size_t from, size_t to, size_t *run) {
    end_run(c, *run);
    characters_reserve(c, 1);
    put(c, code, from, to);
    *run = c->n;
}

/* A character decomposed. What stripping takes away still counts where marks are put in order. */
static void put_stripped(characters *c, uint32_t code, unsigned k, size_t from, size_t to, size_t *run) {
    uint32_t out[8];
    const int n = k & UNICODE_STRIP ? unicode_strip(code, out) : (out[0] = code, 1);
    characters_reserve(c, 8);
    if (!n && (k & UNICODE_MARK)) put(c, code | REMOVED, from, to);
    if (!n && !(k & UNICODE_MARK)) end_run(c, *run), *run = c->n;
    for (int i = 0; i < n; i++) {
        if (unicode_combining(out[i])) put(c, out[i] | (i ? FURTHER : 0), from, to);
        else put_starter(c, out[i], from, to, run);
    }
}

/* What one character becomes, but for lower-casing. *run: end of the last starter in the output. */
static void put_character(characters *c, const normalize_options *o, uint32_t code, size_t from, size_t to,
                          size_t *run) {
    unsigned k = unicode_class(code);
    if (o->clean_text) {
        if (k & UNICODE_DROP) return;
        if (k & UNICODE_SPACE) code = ' ', k = unicode_class(' ');
    }
    const int spaced = o->chinese_chars && (k & UNICODE_CJK);
    if (spaced) put_starter(c, ' ', from, to, run);
    if (o->strip_accents) put_stripped(c, code, k, from, to, run);
    else put(c, code, from, to), *run = c->n;
    if (spaced) put_starter(c, ' ', from, to, run);
}

void normalize_text(characters *out, const normalize_options *o, str s, size_t at) {
    static const normalize_options as_it_is = {0};
    const size_t first = out->n;
    size_t run = out->n;
    int other_than_ascii = 0;
    if (!o) o = &as_it_is;
    characters_reserve(out, s.n + WIDEST);
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
            if (run != out->n) end_run(out, run);
            if (out->n == out->cap) characters_reserve(out, 1);
            put(out, code, from, from + 1);
            run = out->n;
            continue;
        }
        uint32_t code;
        const int n = utf8_decode(s.p + i, s.n - i, &code);
        if (!n) { /* callers have checked UTF-8; a stray byte is dropped as U+FFFD would be */
            i++;
            continue;
        }
        characters_reserve(out, WIDEST);
        put_character(out, o, code, at + i, at + i + (size_t)n, &run);
        other_than_ascii = 1;
        i += (size_t)n;
    }
    end_run(out, run);
    if (o->lowercase && other_than_ascii) put_lower(out, first);
}
