/* convert.c - bit patterns of IEEE 754 half and of bfloat16 (the upper half of a float). */
#include <math.h>
#include <string.h>

#include "run/convert.h"
#include "base/err.h"

static uint16_t bf16_of(float x) {
    uint32_t u;
    memcpy(&u, &x, 4);
    if (isnan(x)) return (uint16_t)(u >> 16 | 64);
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

static float bf16_to(uint16_t h) {
    const uint32_t u = (uint32_t)h << 16;
    float x;
    memcpy(&x, &u, 4);
    return x;
}

static uint16_t f16_of(float x) {
    const uint16_t sign = signbit(x) ? 0x8000 : 0;
    const double a = fabs((double)x);
    if (isnan(x)) return sign | 0x7e00;
    if (a >= 65520) return sign | 0x7c00;
    if (a < 0x1p-14)
        return (uint16_t)(sign | (uint16_t)nearbyint(a * 0x1p24)); /* 1024 carries into the exponent */
    int e;
    const double m = frexp(a, &e); /* a = m 2^e, m in [0.5, 1) */
    return (uint16_t)(sign + (uint16_t)(((e + 14) << 10) + (int)nearbyint(m * 2048) - 1024));
}

static float f16_to(uint16_t h) {
    const int e = h >> 10 & 31, m = h & 1023;
    const double a = e == 31 ? (m ? (double)NAN : (double)INFINITY)
                     : e     ? ldexp(1024 + m, e - 25)
                             : ldexp(m, -24);
    return (float)(h & 0x8000 ? -a : a);
}

void convert_from_float(void *to, hone_dtype dtype, const float *from, size_t n) {
    switch (dtype) {
    case HONE_F32:
        memcpy(to, from, n * 4);
        return;
    case HONE_F64:
        for (size_t i = 0; i < n; i++) ((double *)to)[i] = (double)from[i];
        return;
    case HONE_BF16:
        for (size_t i = 0; i < n; i++) ((uint16_t *)to)[i] = bf16_of(from[i]);
        return;
    case HONE_F16:
        for (size_t i = 0; i < n; i++) ((uint16_t *)to)[i] = f16_of(from[i]);
        return;
    default:
        HONE_ASSERT(!"a floating type");
    }
}

double convert_element(const void *p, hone_dtype dtype, size_t i) {
    switch (dtype) {
    case HONE_F32:
        return (double)((const float *)p)[i];
    case HONE_F64:
        return ((const double *)p)[i];
    case HONE_BF16:
        return (double)bf16_to(((const uint16_t *)p)[i]);
    case HONE_F16:
        return (double)f16_to(((const uint16_t *)p)[i]);
    default:
        HONE_ASSERT(!"a floating type");
    }
}

void convert_to_float(float *to, const void *from, hone_dtype dtype, size_t n) {
    for (size_t i = 0; i < n; i++) to[i] = (float)convert_element(from, dtype, i);
}
