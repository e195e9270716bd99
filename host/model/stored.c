/* stored.c - element types of files, and their numbers as fp32. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "model/safetensors.h"

const char *stored_type_name(stored_type type) {
    static const char *const names[] = {
#define XX(name, text, bytes) text,
        STORED_TYPE_MAP(XX)
#undef XX
    };
    HONE_ASSERT((unsigned)type < N_STORED_TYPES);
    return names[type];
}

size_t stored_type_bytes(stored_type type) {
    static const size_t sizes[] = {
#define XX(name, text, bytes) bytes,
        STORED_TYPE_MAP(XX)
#undef XX
    };
    HONE_ASSERT((unsigned)type < N_STORED_TYPES);
    return sizes[type];
}

int stored_type_is_float(stored_type type) {
    return type == STORED_F16 || type == STORED_BF16 || type == STORED_F32 || type == STORED_F64;
}

static float bits_to_float(uint32_t bits) {
    float x;
    memcpy(&x, &bits, 4);
    return x;
}

/* IEEE 754 half: subnormals are a multiple of 2^-24, exact in fp32. */
static float half_to_float(uint16_t h) {
    const uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, mantissa = h & 1023;
    if (exponent == 31) return bits_to_float(sign | 0x7f800000 | mantissa << 13);
    if (exponent) return bits_to_float(sign | (exponent + 112) << 23 | mantissa << 13);
    const float x = (float)mantissa * 0x1p-24f;
    return sign ? -x : x;
}

/* One loop a type; p may have any alignment. */
#define EACH(type, expression)                                                                               \
    for (int64_t i = 0; i < n; i++) {                                                                        \
        type x;                                                                                              \
        memcpy(&x, p + (size_t)i * sizeof x, sizeof x);                                                      \
        to[i] = (expression);                                                                                \
    }                                                                                                        \
    break

void stored_to_float(float *to, const void *from, stored_type type, int64_t n) {
    const char *p = from;
    if (n == 0) return;
    switch (type) {
    case STORED_F32:
        memcpy(to, p, (size_t)n * 4);
        break;
    case STORED_BF16:
        EACH(uint16_t, bits_to_float((uint32_t)x << 16));
    case STORED_F16:
        EACH(uint16_t, half_to_float(x));
    case STORED_F64:
        EACH(double, (float)x);
    case STORED_I64:
        EACH(int64_t, (float)x);
    case STORED_U64:
        EACH(uint64_t, (float)x);
    case STORED_I32:
        EACH(int32_t, (float)x);
    case STORED_U32:
        EACH(uint32_t, (float)x);
    case STORED_I16:
        EACH(int16_t, (float)x);
    case STORED_U16:
        EACH(uint16_t, (float)x);
    case STORED_I8:
        EACH(int8_t, (float)x);
    case STORED_U8:
        EACH(uint8_t, (float)x);
    case STORED_BOOL:
        EACH(uint8_t, x ? 1.0f : 0.0f);
    default:
        HONE_ASSERT(!"a stored type");
    }
}

char *stored_form(char *out, size_t out_bytes, const stored_tensor *t) {
    size_t used = (size_t)snprintf(out, out_bytes, "%s [", stored_type_name(t->type));
    for (int d = 0; d < t->n_dims && used < out_bytes; d++)
        used += (size_t)snprintf(out + used, out_bytes - used, d ? ",%lld" : "%lld", (long long)t->dim[d]);
    if (used < out_bytes) snprintf(out + used, out_bytes - used, "]");
    return out;
}
