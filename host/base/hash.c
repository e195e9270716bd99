/* hash.c - a fast 64-bit hash for tables, and CRC-32C. SHA-256 is in sha256.c. */
#include <string.h>

#include "base/hash.h"

static uint64_t mix(uint64_t a, uint64_t b) {
    const unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t read8(const unsigned char *p) {
    uint64_t x;
    memcpy(&x, p, 8);
    return x;
}

/* 0 to 8 bytes as one number; which bytes count twice does not matter, since n is mixed in. */
static uint64_t read_tail(const unsigned char *p, size_t n) {
    uint32_t low, high;
    if (n >= 4) {
        memcpy(&low, p, 4);
        memcpy(&high, p + n - 4, 4);
        return (uint64_t)high << 32 | low;
    }
    return n ? (uint64_t)p[0] << 16 | (uint64_t)p[n / 2] << 8 | p[n - 1] : 0;
}

/* Folded 64 x 64 -> 128 bit products, 16 bytes a round: the idea of wyhash (Wang Yi, public domain). */
uint64_t hash64(const void *data, size_t n, uint64_t seed) {
    static const uint64_t k0 = 0xa0761d6478bd642fu, k1 = 0xe7037ed1a0b428dbu, k2 = 0x8ebc6af09c88c6e3u;
    const unsigned char *p = data;
    uint64_t h = seed ^ mix(seed ^ k0, k1);
    size_t left = n;
    for (; left > 16; left -= 16, p += 16) h = mix(read8(p) ^ k1, read8(p + 8) ^ h);
    const uint64_t a = left > 8 ? read8(p) : read_tail(p, left), b = left > 8 ? read8(p + left - 8) : 0;
    return mix(k2 ^ n, mix(a ^ k1, b ^ h));
}

/* The remainder of one byte, bit by bit: event files are small, and x86 has an instruction for it anyway. */
static uint32_t crc_byte(uint32_t crc) {
    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (0x82f63b78u & (0u - (crc & 1)));
    return crc;
}

static uint32_t crc_by_bits(uint32_t crc, const unsigned char *p, size_t n) {
    for (; n > 0; n--, p++) crc = crc >> 8 ^ crc_byte((crc ^ *p) & 0xff);
    return crc;
}

#if defined(__x86_64__)
#include <nmmintrin.h>
__attribute__((target("sse4.2"))) static uint32_t crc_by_instruction(uint32_t crc, const unsigned char *p,
                                                                     size_t n) {
    uint64_t wide = crc;
    for (; n >= 8; n -= 8, p += 8) wide = _mm_crc32_u64(wide, read8(p));
    crc = (uint32_t)wide;
    for (; n > 0; n--, p++) crc = _mm_crc32_u8(crc, *p);
    return crc;
}

uint32_t crc32c(uint32_t crc, const void *p, size_t n) {
    return ~(__builtin_cpu_supports("sse4.2") ? crc_by_instruction(~crc, p, n) : crc_by_bits(~crc, p, n));
}
#else
uint32_t crc32c(uint32_t crc, const void *p, size_t n) { return ~crc_by_bits(~crc, p, n); }
#endif
