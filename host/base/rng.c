/* rng.c - Philox4x32-7 (Salmon et al., SC 2011) and what is drawn from it. */
#include <math.h>

#include "base/err.h"
#include "base/rng.h"
#include "hone/device.h"

void philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3], k0 = key[0], k1 = key[1];
    for (int round = 0; round < HONE_PHILOX_ROUNDS; round++) {
        const uint64_t a = (uint64_t)0xD2511F53u * c0, b = (uint64_t)0xCD9E8D57u * c2;
        const uint32_t n0 = (uint32_t)(b >> 32) ^ c1 ^ k0, n2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)b;
        c3 = (uint32_t)a;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

/* The stream takes the upper 16 bits of b's half of the counter and the draw's number the 8 below them, so b
 * may be up to 2^40. */
static void draw(uint32_t out[4], uint64_t seed, rng_stream stream, uint64_t a, uint64_t b, uint32_t number) {
    HONE_ASSERT(b < (uint64_t)1 << 40 && number < 256);
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    const uint32_t counter[4] = {(uint32_t)a, (uint32_t)(a >> 32), (uint32_t)b,
                                 (uint32_t)(b >> 32) | number << 8 | (uint32_t)stream << 16};
    philox(counter, key, out);
}

uint64_t rng_bits(uint64_t seed, rng_stream stream, uint64_t a, uint64_t b) {
    uint32_t out[4];
    draw(out, seed, stream, a, b, 0);
    return (uint64_t)out[1] << 32 | out[0];
}

double rng_uniform(uint64_t seed, rng_stream stream, uint64_t a, uint64_t b) {
    return (double)(rng_bits(seed, stream, a, b) >> 11) * 0x1p-53;
}

/* Multiply and take the upper half; the few low products that would favour some values are drawn again
 * (Lemire, "Fast random integer generation in an interval", 2019). */
uint64_t rng_below(uint64_t seed, rng_stream stream, uint64_t a, uint64_t b, uint64_t n) {
    HONE_ASSERT(n > 0);
    const uint64_t unfair = -n % n;
    unsigned __int128 product = 0;
    for (uint32_t number = 0; number < 256; number++) {
        uint32_t out[4];
        draw(out, seed, stream, a, b, number);
        product = (unsigned __int128)((uint64_t)out[1] << 32 | out[0]) * n;
        if ((uint64_t)product >= unfair) break;
    }
    return (uint64_t)(product >> 64);
}

double rng_normal(uint64_t seed, rng_stream stream, uint64_t a, uint64_t b) {
    uint32_t out[4];
    draw(out, seed, stream, a, b, 0);
    const uint64_t x = (uint64_t)out[1] << 32 | out[0], y = (uint64_t)out[3] << 32 | out[2];
    const double u = (double)((x >> 11) + 1) * 0x1p-53, v = (double)(y >> 11) * 0x1p-53; /* u in (0, 1] */
    return sqrt(-2 * log(u)) * cos(2 * 3.14159265358979323846 * v);
}
