/* unicode.c - looking things up in the tables. */
#include <string.h>

#include "text/unicode.h"

static int find_code(const uint32_t *codes, int n, uint32_t code) {
    int low = 0, high = n - 1;
    while (low <= high) {
        const int mid = (low + high) / 2;
        if (codes[mid] == code) return mid;
        if (codes[mid] < code) low = mid + 1;
        else high = mid - 1;
    }
    return -1;
}

static int look_up(const uint32_t *codes, const uint16_t *at, const uint32_t *to, int n, uint32_t code,
                   uint32_t *out) {
    const int i = find_code(codes, n, code);
    if (i < 0) return out[0] = code, 1;
    const int many = at[i + 1] - at[i];
    memcpy(out, to + at[i], sizeof *to * (size_t)many);
    return many;
}

/* Hangul syllables decompose and compose by arithmetic (Unicode, section 3.12). */
#define HANGUL 0xac00
#define N_HANGUL 11172

static int is_hangul(uint32_t code) { return code >= HANGUL && code < HANGUL + N_HANGUL; }

static int split_hangul(uint32_t code, uint32_t *out) {
    const uint32_t i = code - HANGUL, t = i % 28;
    out[0] = 0x1100 + i / 588;
    out[1] = 0x1161 + i % 588 / 28;
    out[2] = 0x11a7 + t;
    return t ? 3 : 2;
}

int unicode_strip(uint32_t code, uint32_t out[8]) {
    if (is_hangul(code)) return split_hangul(code, out);
    return look_up(unicode_strip_code, unicode_strip_at, unicode_strip_to, unicode_n_strip, code, out);
}

int unicode_lower(uint32_t code, uint32_t out[8]) {
    return look_up(unicode_lower_code, unicode_lower_at, unicode_lower_to, unicode_n_lower, code, out);
}

int unicode_decompose(uint32_t code, int compat, uint32_t out[UNICODE_WIDEST]) {
    if (code < 0xa0) return out[0] = code, 1;
    if (is_hangul(code)) return split_hangul(code, out);
    if (compat && find_code(unicode_compat_code, unicode_n_compat, code) >= 0)
        return look_up(unicode_compat_code, unicode_compat_at, unicode_compat_to, unicode_n_compat, code,
                       out);
    return look_up(unicode_decompose_code, unicode_decompose_at, unicode_decompose_to, unicode_n_decompose,
                   code, out);
}

uint32_t unicode_compose(uint32_t first, uint32_t second) {
    if (first - 0x1100 < 19 && second - 0x1161 < 21)
        return HANGUL + (first - 0x1100) * 588 + (second - 0x1161) * 28;
    if (is_hangul(first) && (first - HANGUL) % 28 == 0 && second - 0x11a8 < 27)
        return first + second - 0x11a7;
    int low = 0, high = unicode_n_pair - 1;
    while (low <= high) {
        const int mid = (low + high) / 2;
        const uint32_t *pair = unicode_pair[mid];
        if (pair[0] == first && pair[1] == second) return pair[2];
        if (pair[0] < first || (pair[0] == first && pair[1] < second)) low = mid + 1;
        else high = mid - 1;
    }
    return 0;
}

int unicode_combining(uint32_t code) {
    if (!(unicode_class(code) & UNICODE_MARK)) return 0;
    const int i = find_code(unicode_mark_code, unicode_n_mark, code);
    return i < 0 ? 0 : (int)unicode_mark_to[i];
}

int unicode_is_word(uint32_t code) {
    int low = 0, high = unicode_n_word - 1;
    while (low <= high) {
        const int mid = (low + high) / 2;
        if (code < unicode_word_range[mid][0]) high = mid - 1;
        else if (code > unicode_word_range[mid][1]) low = mid + 1;
        else return 1;
    }
    return 0;
}
