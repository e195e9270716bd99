/* str.c - slices, UTF-8, and numbers read without a locale. */
#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

str str_of(const char *s) { return s ? (str){s, strlen(s)} : (str){"", 0}; }

int str_eq(str a, str b) { return a.n == b.n && (a.n == 0 || !memcmp(a.p, b.p, a.n)); }

int str_is(str a, const char *s) { return str_eq(a, str_of(s)); }

int str_compare(str a, str b) {
    const size_t n = a.n < b.n ? a.n : b.n;
    const int order = n ? memcmp(a.p, b.p, n) : 0;
    return order ? order : (a.n > b.n) - (a.n < b.n);
}

int str_matches(const char *pattern, const char *name) {
    if (!*pattern) return !*name;
    if (*pattern == '*') return str_matches(pattern + 1, name) || (*name && str_matches(pattern, name + 1));
    return *name && (*pattern == '?' || *pattern == *name) && str_matches(pattern + 1, name + 1);
}

/* Table 3-7 of the Unicode standard: no overlong form, no surrogate, nothing beyond U+10FFFF. */
int utf8_decode(const char *p, size_t n, uint32_t *code) {
    const unsigned char *s = (const unsigned char *)p;
    if (n == 0) return 0;
    if (s[0] < 0x80) return *code = s[0], 1;
    if (s[0] < 0xc2 || s[0] > 0xf4) return 0;
    const int length = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    if (n < (size_t)length) return 0;
    uint32_t c = s[0] & (0x7fu >> length);
    for (int i = 1; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80) return 0;
        c = c << 6 | (s[i] & 0x3f);
    }
    if (c < (length == 3   ? 0x800u
             : length == 4 ? 0x10000u
                           : 0x80u) ||
        c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return 0;
    *code = c;
    return length;
}

int utf8_encode(uint32_t code, char out[4]) {
    if (code < 0x80) return out[0] = (char)code, 1;
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code >= 0xd800 && code < 0xe000) return 0;
    if (code < 0x10000) {
        out[0] = (char)(0xe0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3f));
        out[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    if (code > 0x10ffff) return 0;
    out[0] = (char)(0xf0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3f));
    out[2] = (char)(0x80 | (code >> 6 & 0x3f));
    out[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

int utf8_valid(const char *p, size_t n, size_t *bad) {
    for (size_t i = 0; i < n;) {
        uint64_t eight;
        while (n - i >= 8 && (memcpy(&eight, p + i, 8), !(eight & 0x8080808080808080u)))
            i += 8; /* ASCII at a stride */
        if (i == n) break;
        uint32_t code;
        const int length = utf8_decode(p + i, n - i, &code);
        if (!length) {
            if (bad) *bad = i;
            return 0;
        }
        i += (size_t)length;
    }
    return 1;
}

int str_to_int64(str s, int64_t *out) {
    const int negative = s.n > 0 && s.p[0] == '-';
    size_t i = (size_t)(negative || (s.n > 0 && s.p[0] == '+'));
    if (i >= s.n) return 0;
    int64_t value = 0; /* held negative: its range is the larger one */
    for (; i < s.n; i++) {
        const int digit = s.p[i] - '0';
        if (digit < 0 || digit > 9) return 0;
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_sub_overflow(value, digit, &value))
            return 0;
    }
    if (!negative && value == INT64_MIN) return 0;
    *out = negative ? value : -value;
    return 1;
}

/* The C locale's strtod on a copy, whatever the program's locale is. */
static int convert_double(const char *digits, size_t n, double *out) {
    char buffer[128], *end;
    if (n >= sizeof buffer) return 0;
    memcpy(buffer, digits, n);
    buffer[n] = 0;
    char *point = memchr(buffer, '.', n);
    const char *local = localeconv()->decimal_point;
    if (point && local[0] != '.') {
        if (local[1]) return 0; /* a point of several bytes exists in no locale of ours */
        *point = local[0];
    }
    const double value = strtod(buffer, &end);
    if (end != buffer + n || !(value - value == 0)) return 0;
    *out = value;
    return 1;
}

int str_to_double(str s, double *out) {
    size_t i = (size_t)(s.n > 0 && (s.p[0] == '-' || s.p[0] == '+')), digits = 0;
    for (; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++) digits++;
    if (i < s.n && s.p[i] == '.')
        for (i++; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++) digits++;
    if (!digits) return 0;
    if (i < s.n && (s.p[i] == 'e' || s.p[i] == 'E')) {
        i++;
        if (i < s.n && (s.p[i] == '-' || s.p[i] == '+')) i++;
        const size_t first = i;
        while (i < s.n && s.p[i] >= '0' && s.p[i] <= '9') i++;
        if (i == first) return 0;
    }
    return i == s.n && convert_double(s.p, s.n, out);
}
