/* smooth.h - activations and their slopes, a vector at a time. Relative errors are a few 1e-7, tails
 * included. */
#ifndef CPU_SMOOTH_H
#define CPU_SMOOTH_H
#include "vec.h"
#include "hone/op.h"

/* 1 / (1 + e^-x) */
INLINE vf vf_sigmoid(vf x) { return 1.0f / (1.0f + vf_exp(-x)); }

/* tanh: a polynomial near 0 (Cephes' tanhf), where 1 - 2 / (e^2x + 1) would cancel. */
INLINE vf vf_tanh(vf x) {
    const vf size = vf_abs(x), z = x * x;
    vf y = vf_fma(vf_set(-5.70498872745e-3f), z, vf_set(2.06390887954e-2f));
    y = vf_fma(y, z, vf_set(-5.37397155531e-2f));
    y = vf_fma(y, z, vf_set(1.33314422036e-1f));
    y = vf_fma(y, z, vf_set(-3.33332819422e-1f));
    const vf small = vf_fma(y * z, x, x);
    const vf large = 1.0f - 2.0f / (vf_exp(size + size) + 1.0f);
    const vf signed_large = (vf)((vu)large | ((vu)x & 0x80000000u));
    return vf_select(vf_lt(size, vf_set(0.625f)), small, signed_large);
}

/* The normal distribution up to x, and its density: Phi(-z sqrt 2) = erfc(z) / 2, with erfc(z) = e^(-z^2) t
 * p(t), t = 1 / (1 + 0.3 z), for z >= 0. The coefficients of p were fitted for the least relative error
 * (2e-8) on 0 <= z <= 10.5. e^(-x^2 / 2) is needed by both. */
INLINE vf vf_normal(vf x, vf *density) {
    const vf size = vf_min(vf_set(15.0f), vf_abs(x));
    const vf bell = vf_exp(-0.5f * size * size);
    const vf t = 1.0f / vf_fma(size, vf_set(0.3f * 0.70710678118654752f), vf_set(1.0f));
    vf p = vf_fma(vf_set(-0.1295540599351098f), t, vf_set(0.48572684400557803f));
    p = vf_fma(p, t, vf_set(-0.5126465195143193f));
    p = vf_fma(p, t, vf_set(0.5481838080583722f));
    p = vf_fma(p, t, vf_set(-0.09500715987336875f));
    p = vf_fma(p, t, vf_set(0.21509704678137856f));
    p = vf_fma(p, t, vf_set(0.14828924893320714f));
    p = vf_fma(p, t, vf_set(0.17072332467897944f));
    p = vf_fma(p, t, vf_set(0.16918744723309487f));
    const vf tail = 0.5f * bell * (t * p);
    *density = bell * 0.39894228040143268f;
    return vf_select(vf_lt(x, vf_set(0)), tail, 1.0f - tail);
}

/* 2 u of gelu_tanh, by which it is x sigmoid(2u), and its slope by x. */
INLINE vf gelu_tanh_twice(vf x, vf *slope) {
    const vf z = x * x;
    *slope = vf_fma(z, vf_set(0.2140644488f), vf_set(1.5957691216f));
    return x * vf_fma(z, vf_set(0.0713548162726f), vf_set(1.5957691216f));
}

INLINE vf act(int kind, vf x) {
    vf other;
    switch (kind) {
    case HONE_ACT_GELU:
        return x * vf_normal(x, &other);
    case HONE_ACT_GELU_TANH:
        return x * vf_sigmoid(gelu_tanh_twice(x, &other));
    case HONE_ACT_RELU:
        return vf_max(x, vf_set(0));
    case HONE_ACT_SILU:
        return x * vf_sigmoid(x);
    case HONE_ACT_TANH:
        return vf_tanh(x);
    default:
        return x;
    }
}

INLINE vf act_slope(int kind, vf x) {
    switch (kind) {
    case HONE_ACT_GELU: {
        vf density;
        const vf below = vf_normal(x, &density);
        return vf_fma(x, density, below);
    }
    case HONE_ACT_GELU_TANH: {
        vf slope;
        const vf s = vf_sigmoid(gelu_tanh_twice(x, &slope));
        return vf_fma(x * slope, s * (1.0f - s), s);
    }
    case HONE_ACT_RELU:
        return vf_select(vf_lt(vf_set(0), x), vf_set(1), vf_set(0));
    case HONE_ACT_SILU: {
        const vf s = vf_sigmoid(x);
        return vf_fma(x, s * (1.0f - s), s);
    }
    case HONE_ACT_TANH: {
        const vf y = vf_tanh(x);
        return 1.0f - y * y;
    }
    default:
        return vf_set(1);
    }
}
#endif
