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
                   uint32_t out[8]) {
    const int i = find_code(codes, n, code);
    if (i < 0) return out[0] = code, 1;
    const int many = at[i + 1] - at[i];
    memcpy(out, to + at[i], sizeof *to * (size_t)many);
    return many;
}

int unicode_strip(uint32_t code, uint32_t out[8]) {
    if (code >= 0xac00 &&
        code < 0xac00 + 11172) { /* Hangul syllables decompose by arithmetic (Unicode, section 3.12) */
        const uint32_t i = code - 0xac00, t = i % 28;
        out[0] = 0x1100 + i / 588;
        out[1] = 0x1161 + i % 588 / 28;
        out[2] = 0x11a7 + t;
        return t ? 3 : 2;
    }
    return look_up(unicode_strip_code, unicode_strip_at, unicode_strip_to, unicode_n_strip, code, out);
}

int unicode_lower(uint32_t code, uint32_t out[8]) {
    return look_up(unicode_lower_code, unicode_lower_at, unicode_lower_to, unicode_n_lower, code, out);
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
