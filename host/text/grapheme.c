/* grapheme.c - one cluster at a time, from its first character on. */
#include "text/grapheme.h"
#include "text/unicode.h"

#define JOINER 0x200d

enum { NOT_HANGUL, L, V, T, LV, LVT };

static int hangul_of(uint32_t c) {
    if ((c >= 0x1100 && c <= 0x115f) || (c >= 0xa960 && c <= 0xa97c)) return L;
    if ((c >= 0x1160 && c <= 0x11a7) || (c >= 0xd7b0 && c <= 0xd7c6)) return V;
    if ((c >= 0x11a8 && c <= 0x11ff) || (c >= 0xd7cb && c <= 0xd7fb)) return T;
    if (c >= 0xac00 && c < 0xac00 + 11172) return (c - 0xac00) % 28 ? LVT : LV;
    return NOT_HANGUL;
}

static int joins_hangul(int a, int b) {
    if (a == L) return b == L || b == V || b == LV || b == LVT;
    if (a == LV || a == V) return b == V || b == T;
    return (a == LVT || a == T) && b == T;
}

static int is_flag(uint32_t c) { return c >= 0x1f1e6 && c <= 0x1f1ff; }

size_t grapheme_end(const uint32_t *code, size_t at, size_t n) {
    int picture = 0, flags = 0; /* a picture and what extends it so far; flag letters so far */
    size_t i = at;
    for (;; i++) {
        const uint32_t a = code[i];
        const unsigned k = unicode_class(a);
        if (i + 1 == n) return n;
        const uint32_t b = code[i + 1];
        const unsigned next = unicode_class(b);
        flags = is_flag(a) ? flags + 1 : 0;
        if (k & UNICODE_PICTURE) picture = 1;
        else if (!(k & UNICODE_EXTENDS)) picture = 0;
        if (a == '\r' && b == '\n') continue;
        if ((k | next) & UNICODE_CONTROL) return i + 1;
        if (next & UNICODE_EXTENDS || k & UNICODE_PREPENDS) continue;
        if (joins_hangul(hangul_of(a), hangul_of(b))) continue;
        if (picture && a == JOINER && next & UNICODE_PICTURE) continue;
        if (flags == 1 && is_flag(b)) continue;
        return i + 1;
    }
}
