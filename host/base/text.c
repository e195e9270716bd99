/* text.c - a text that grows. */
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

/* Room for n more bytes and a NUL. */
static void reserve(text *t, size_t n) {
    size_t need;
    HONE_ASSERT(size_add(t->n, n, &need) && size_add(need, 1, &need));
    if (need <= t->cap) return;
    size_t cap = t->cap <= SIZE_MAX / 2 ? t->cap * 2 : need;
    if (cap < need) cap = need;
    if (cap < 64) cap = 64;
    t->p = mem_grow(t->p, t->cap, cap, "text");
    t->cap = cap;
}

void text_add(text *t, const char *p, size_t n) {
    reserve(t, n);
    if (n) memcpy(t->p + t->n, p, n);
    t->n += n;
    t->p[t->n] = 0;
}

void text_str(text *t, const char *s) { text_add(t, s, strlen(s)); }

void text_printf(text *t, const char *fmt, ...) {
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    reserve(t, 120);
    const size_t room = t->cap - t->n;
    const int n = vsnprintf(t->p + t->n, room, fmt, args);
    HONE_ASSERT(n >= 0);
    if ((size_t)n >= room) {
        reserve(t, (size_t)n);
        vsnprintf(t->p + t->n, (size_t)n + 1, fmt, again);
    }
    t->n += (size_t)n;
    va_end(again);
    va_end(args);
}

void text_json(text *t, const char *p, size_t n) {
    text_add(t, "\"", 1);
    for (size_t i = 0; i < n;) {
        const unsigned char c = (unsigned char)p[i];
        if (c == '"' || c == '\\') text_add(t, (char[]){'\\', (char)c}, 2), i++;
        else if (c == '\n') text_add(t, "\\n", 2), i++;
        else if (c == '\r') text_add(t, "\\r", 2), i++;
        else if (c == '\t') text_add(t, "\\t", 2), i++;
        else if (c < 0x20 || c == 0x7f) text_printf(t, "\\u%04x", c), i++;
        else {
            uint32_t code;
            const int length = utf8_decode(p + i, n - i, &code);
            if (length) text_add(t, p + i, (size_t)length), i += (size_t)length;
            else text_add(t, "\xef\xbf\xbd", 3), i++;
        }
    }
    text_add(t, "\"", 1);
}

void text_double(text *t, double x) {
    char buffer[40];
    HONE_ASSERT(x - x == 0);
    snprintf(buffer, sizeof buffer, "%.9g", x);
    char *point = strstr(buffer, localeconv()->decimal_point);
    if (point) *point = '.';
    text_str(t, buffer);
}

void text_clear(text *t) {
    t->n = 0;
    if (t->p) t->p[0] = 0;
}

void text_free(text *t) {
    mem_free(t->p);
    *t = (text){0};
}
