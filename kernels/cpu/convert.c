/* convert.c - any floating type to any other, rounded to nearest, ties to even. fp32 and bf16, which every
 * step needs, go a vector at a time; the others element by element. Plain version: kernels/ref/convert.inc.
 */
#include "ops.h"

#include <math.h>

#define COPY_ELEMENTS 65536 /* of an item */

static float f16_value(uint16_t bits) {
    const int exponent = bits >> 10 & 31, fraction = bits & 1023;
    float x = exponent ? ldexpf((float)(1024 + fraction), exponent - 25) : ldexpf((float)fraction, -24);
    if (exponent == 31) x = fraction ? NAN : INFINITY;
    return bits & 0x8000 ? -x : x;
}

/* x as an fp32 whose last bit is set if anything was cut off: rounding it once more, to a narrower type,
 * gives what rounding x itself would give. */
static float round_to_odd(double x) {
    float narrow = (float)x;
    uint32_t bits;
    if (isnan(x) || isinf(x) || (double)narrow == x) return narrow;
    memcpy(&bits, &narrow, sizeof bits);
    if (fabs((double)narrow) > fabs(x)) bits--; /* now cut off, not rounded */
    bits |= 1;
    memcpy(&narrow, &bits, sizeof bits);
    return narrow;
}

static uint16_t bf16_bits(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if (isnan(x)) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static uint16_t f16_bits(float x) {
    const uint16_t sign = signbit(x) ? 0x8000 : 0;
    if (isnan(x)) return sign | 0x7e00;
    const double size = fabs((double)x);
    if (size >= 65520) return sign | 0x7c00; /* half way to 2^16, and ties go up */
    if (size < 0x1p-14) return sign | (uint16_t)nearbyint(size * 0x1p24);
    const int exponent = ilogb(size);
    const long fraction = lrint(ldexp(size, 10 - exponent)); /* 1024 .. 2048 */
    return sign | (uint16_t)((exponent + 14) * 1024 + fraction);
}

static double read_any(const hone_tensor *t, int64_t i) {
    switch (t->dtype) {
    case HONE_F64:
        return ((const double *)t->p)[i];
    case HONE_F32:
        return (double)((const float *)t->p)[i];
    case HONE_BF16:
        return (double)ld_n(t->p, i, 1, 1)[0];
    default:
        return (double)f16_value(((const uint16_t *)t->p)[i]);
    }
}

static void write_any(const hone_tensor *t, int64_t i, double x) {
    switch (t->dtype) {
    case HONE_F64:
        ((double *)t->p)[i] = x;
        break;
    case HONE_F32:
        ((float *)t->p)[i] = (float)x;
        break;
    case HONE_BF16:
        ((uint16_t *)t->p)[i] = bf16_bits(round_to_odd(x));
        break;
    default:
        ((uint16_t *)t->p)[i] = f16_bits(round_to_odd(x));
        break;
    }
}

static int is_vector_type(const hone_tensor *t) { return t->dtype == HONE_F32 || t->dtype == HONE_BF16; }

static void copy_chunk(void *arg, int64_t item, int thread) {
    const hone_call *c = arg;
    const hone_tensor *x = &c->in[0], *y = &c->out[0];
    const int64_t first = item * COPY_ELEMENTS, end = least(first + COPY_ELEMENTS, x->dim[0]);
    const int from_bf = is_bf(x), to_bf = is_bf(y);
    (void)thread;
    if (is_vector_type(x) && x->dtype == y->dtype) {
        memcpy(cell(y, 0, first), cell(x, 0, first), (size_t)((end - first) * element_bytes(x)));
    } else if (is_vector_type(x) && is_vector_type(y)) {
        for (int64_t i = first; i < end; i += VW) {
            const vf v = ld_n(x->p, i, end - i, from_bf);
            if (to_bf)
                vu_store16_n((uint16_t *)y->p + i, vf_narrow(v), least(end - i, VW)); /* denormals, too */
            else st_n(y->p, i, v, end - i, 0);
        }
    } else {
        for (int64_t i = first; i < end; i++) write_any(y, i, read_any(x, i));
    }
}

hone_status ISA(copy)(hone_queue *q, const hone_call *c) {
    deal(q, blocks_of(c->in[0].dim[0], COPY_ELEMENTS), copy_chunk, (void *)(uintptr_t)c);
    return HONE_OK;
}
