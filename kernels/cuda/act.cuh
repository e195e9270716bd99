/* act.cuh - an activation and its slope at one element, in fp32, as kernels/ref/act.inc defines them. kind is a
 * hone_act and a constant of the kernel, so that one case is left of each switch. Relative errors are a few
 * 1e-7, tails included. */
#ifndef CUDA_ACT_CUH
#define CUDA_ACT_CUH
#include "common.cuh"

/* The kernels of all kinds, in the order of hone_act: KERNELS_BY_ACT(name, T, true)[kind]. */
#define KERNELS_BY_ACT(kernel, ...)                                                                          \
    {                                                                                                        \
        kernel<__VA_ARGS__, HONE_ACT_NONE>, kernel<__VA_ARGS__, HONE_ACT_GELU>,                              \
            kernel<__VA_ARGS__, HONE_ACT_GELU_TANH>, kernel<__VA_ARGS__, HONE_ACT_RELU>,                     \
            kernel<__VA_ARGS__, HONE_ACT_SILU>, kernel<__VA_ARGS__, HONE_ACT_TANH>                           \
    }

/* 1 / (1 + e^-x); e^-x may be infinite. */
__device__ __forceinline__ float sigmoid(float x) { return __fdividef(1.0f, 1.0f + expf(-x)); }

/* The normal distribution up to x, and its density: Phi(-z sqrt 2) = erfc(z) / 2 with erfc(z) = e^(-z^2) t p(t),
 * t = 1 / (1 + 0.3 z), for z >= 0, so that nothing cancels for x < 0. p is fitted for the least relative error
 * (2e-8) on 0 <= z <= 10.5; both need e^(-x^2 / 2). */
__device__ __forceinline__ float normal_below(float x, float *density) {
    const float size = fminf(15.0f, fabsf(x)), bell = expf(-0.5f * size * size);
    const float t = __fdividef(1.0f, fmaf(size, 0.3f * 0.70710678118654752f, 1.0f));
    float p = fmaf(-0.1295540599351098f, t, 0.48572684400557803f);
    p = fmaf(p, t, -0.5126465195143193f);
    p = fmaf(p, t, 0.5481838080583722f);
    p = fmaf(p, t, -0.09500715987336875f);
    p = fmaf(p, t, 0.21509704678137856f);
    p = fmaf(p, t, 0.14828924893320714f);
    p = fmaf(p, t, 0.17072332467897944f);
    p = fmaf(p, t, 0.16918744723309487f);
    const float tail = 0.5f * bell * (t * p);
    *density = bell * 0.39894228040143268f;
    return x < 0 ? tail : x >= 0 ? 1.0f - tail : x; /* NaN stays NaN */
}

/* GELU's tanh form is x sigmoid(2 u); this is 2 u and its slope. */
__device__ __forceinline__ float gelu_tanh_twice(float x, float *slope) {
    const float z = x * x;
    *slope = fmaf(z, 0.2140644488f, 1.5957691216f);
    return x * fmaf(z, 0.0713548162726f, 1.5957691216f);
}

__device__ __forceinline__ float act_value(int kind, float x) {
    float unused;
    switch (kind) {
    case HONE_ACT_GELU:
        return x * normal_below(x, &unused);
    case HONE_ACT_GELU_TANH:
        return x * sigmoid(gelu_tanh_twice(x, &unused));
    case HONE_ACT_RELU:
        return x > 0 ? x : 0;
    case HONE_ACT_SILU:
        return x * sigmoid(x);
    case HONE_ACT_TANH:
        return tanhf(x);
    default:
        return x;
    }
}

__device__ __forceinline__ float act_slope(int kind, float x) {
    switch (kind) {
    case HONE_ACT_GELU: {
        float density;
        const float below = normal_below(x, &density);
        return fmaf(x, density, below);
    }
    case HONE_ACT_GELU_TANH: {
        float slope;
        const float s = sigmoid(gelu_tanh_twice(x, &slope));
        return fmaf(x * slope, s * (1 - s), s);
    }
    case HONE_ACT_RELU:
        return x > 0 ? 1 : 0;
    case HONE_ACT_SILU: {
        const float s = sigmoid(x);
        return fmaf(x, s * (1 - s), s);
    }
    case HONE_ACT_TANH: {
        const float y = tanhf(x);
        return fmaf(-y, y, 1.0f);
    }
    default:
        return 1;
    }
}
#endif
