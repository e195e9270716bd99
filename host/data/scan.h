/* scan.h - find one of two bytes quickly: what a CSV reader does most of its time. */
#ifndef DATA_SCAN_H
#define DATA_SCAN_H
#include <stdint.h>
#include <string.h>

typedef uint8_t scan_block __attribute__((vector_size(16)));

/* First place in [p, end) that holds a or b; end where there is none. Sixteen bytes at a time; a hit is found
 * by the lowest set byte, so this is for little-endian machines. */
static inline const char *scan_either(const char *p, const char *end, char a, char b) {
    const scan_block all_a = (scan_block){0} + (uint8_t)a, all_b = (scan_block){0} + (uint8_t)b;
    for (; end - p >= 16; p += 16) {
        scan_block x;
        memcpy(&x, p, sizeof x);
        const scan_block hit = (scan_block)((x == all_a) | (x == all_b));
        uint64_t half[2];
        memcpy(half, &hit, sizeof half);
        if (half[0]) return p + (__builtin_ctzll(half[0]) >> 3);
        if (half[1]) return p + 8 + (__builtin_ctzll(half[1]) >> 3);
    }
    while (p < end && *p != a && *p != b) p++;
    return p;
}
#endif
