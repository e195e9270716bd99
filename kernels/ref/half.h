/* half.h - the 2-byte floating types as bits: bf16 is the upper half of an fp32, f16 is IEEE 754 binary16. */
#ifndef REF_HALF_H
#define REF_HALF_H
#include <math.h>
#include <stdint.h>
#include <string.h>

static inline double bf16_value(uint16_t bits) {
    const uint32_t wide = (uint32_t)bits << 16;
    float x;
    memcpy(&x, &wide, sizeof x);
    return x;
}

static inline double f16_value(uint16_t bits) {
    const int exponent = bits >> 10 & 31, fraction = bits & 1023;
    double x = exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, exponent - 25);
    if (exponent == 31) x = fraction ? NAN : INFINITY;
    return bits & 0x8000 ? -x : x;
}

/* x rounded once, from fp64, to a format of `digits` significant bits whose smallest step is 2^bottom. */
static inline double round_to(double x, int digits, int bottom) {
    int exponent;
    frexp(x, &exponent);
    const int step = exponent - digits > bottom ? exponent - digits : bottom;
    return ldexp(nearbyint(ldexp(x, -step)), step); /* exact but for nearbyint, which takes ties to even */
}

static inline uint16_t bf16_bits(double x) {
    if (isnan(x)) return signbit(x) ? 0xffc0 : 0x7fc0;
    const float narrow = isinf(x) ? (float)x : (float)round_to(x, 8, -133);
    uint32_t bits;
    memcpy(&bits, &narrow, sizeof bits);
    return (uint16_t)(bits >> 16);
}

static inline uint16_t f16_bits(double x) {
    const uint16_t sign = signbit(x) ? 0x8000 : 0;
    if (isnan(x)) return sign | 0x7e00;
    const double r = isinf(x) ? INFINITY : round_to(fabs(x), 11, -24);
    if (r >= 65536) return sign | 0x7c00;
    if (r < 0x1p-14) return sign | (uint16_t)ldexp(r, 24);
    int exponent;
    const double fraction = frexp(r, &exponent); /* in [0.5, 1) */
    return sign | (uint16_t)((exponent + 14) << 10) | (uint16_t)(ldexp(fraction, 11) - 1024);
}
#endif
