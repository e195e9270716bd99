/* scan.h - find bytes of a kind quickly: what readers of data files do most of their time. */
#ifndef DATA_SCAN_H
#define DATA_SCAN_H
#include <stdint.h>
#include <string.h>

typedef uint8_t scan_block __attribute__((vector_size(16)));

/* Where in the 64 bytes from `at` on a wanted byte stands, a bit each. A row of short fields asks for many places in the same
 * 64 bytes. */
typedef struct {
    const char *at; /* NULL: none are looked at yet */
    uint64_t hits;
} scan_places;

/* A bit for each of 16 bytes that are 0 or 255; little-endian machines. Of eight bytes one bit each is kept, and the product
 * gathers them in its highest byte. */
static inline uint64_t scan_bits(scan_block hit) {
    uint64_t half[2];
    memcpy(half, &hit, sizeof half);
    const uint64_t diagonal = 0x8040201008040201u, ones = 0x0101010101010101u;
    return ((half[0] & diagonal) * ones >> 56) | ((half[1] & diagonal) * ones >> 56) << 8;
}

/* The bytes of [p, p + 64) that are a or b. */
static inline uint64_t scan_64(const char *p, char a, char b) {
    const scan_block all_a = (scan_block){0} + (uint8_t)a, all_b = (scan_block){0} + (uint8_t)b;
    scan_block hit[4], any = {0};
    for (int i = 0; i < 4; i++) {
        scan_block x;
        memcpy(&x, p + 16 * i, sizeof x);
        hit[i] = (scan_block)((x == all_a) | (x == all_b));
        any |= hit[i];
    }
    uint64_t half[2], bits = 0;
    memcpy(half, &any, sizeof half);
    if (!(half[0] | half[1])) return 0;
    for (int i = 0; i < 4; i++) bits |= scan_bits(hit[i]) << (16 * i);
    return bits;
}

/* First place in [p, end) that holds a or b; end where there is none. s remembers what it saw for the next call, which asks
 * for the same bytes from a later place on. */
static inline const char *scan_either(scan_places *s, const char *p, const char *end, char a, char b) {
    const size_t in = (size_t)(p - s->at);
    if (s->at && in < 64 && s->hits >> in) return p + __builtin_ctzll(s->hits >> in);
    if (s->at && in < 64) p = s->at + 64;
    for (; end - p >= 64; p += 64) {
        s->at = p;
        s->hits = scan_64(p, a, b);
        if (s->hits) return p + __builtin_ctzll(s->hits);
    }
    while (p < end && *p != a && *p != b) p++;
    return p;
}

/* First place in [p, end) that holds a quote, a backslash or a control byte: what ends the plain part of a JSON string. */
static inline const char *scan_json(const char *p, const char *end) {
    for (; end - p >= 16; p += 16) {
        scan_block x;
        memcpy(&x, p, sizeof x);
        const scan_block hit = (scan_block)((x == (uint8_t)'"') | (x == (uint8_t)'\\') | (x < 0x20));
        uint64_t half[2];
        memcpy(half, &hit, sizeof half);
        if (half[0]) return p + (__builtin_ctzll(half[0]) >> 3);
        if (half[1]) return p + 8 + (__builtin_ctzll(half[1]) >> 3);
    }
    while (p < end && *p != '"' && *p != '\\' && (unsigned char)*p >= 0x20) p++;
    return p;
}
#endif
