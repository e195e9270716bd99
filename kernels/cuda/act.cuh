/* act.cuh - activations and their slopes on one number. Plain version: kernels/ref/act.inc. */
#ifndef CUDA_ACT_CUH
#define CUDA_ACT_CUH
#include "common.cuh"

__device__ __forceinline__ float act_sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }
/* x/2 (1 + tanh u) = x sigmoid(2u), where 1 + tanh would cancel; this is 2u. */
__device__ __forceinline__ float act_tanh_twice(float x) {
    return 1.59576912160573071f * (x + 0.044715f * x * x * x);
}

/* kind is a constant of the kernel, so only one case is left of each switch. */
__device__ __forceinline__ float act_value(int kind, float x) {
    switch (kind) {
    case HONE_ACT_GELU:
        return 0.5f * x * erfcf(-x * 0.70710678118654752f); /* 1 + erf would cancel for x < 0 */
    case HONE_ACT_GELU_TANH:
        return x * act_sigmoid(act_tanh_twice(x));
    case HONE_ACT_RELU:
        return x > 0 ? x : 0.0f;
    case HONE_ACT_SILU:
        return x * act_sigmoid(x);
    case HONE_ACT_TANH:
        return tanhf(x);
    default:
        return x;
    }
}
__device__ __forceinline__ float act_slope(int kind, float x) {
    switch (kind) {
    case HONE_ACT_GELU:
        return 0.5f * erfcf(-x * 0.70710678118654752f) + x * 0.39894228040143268f * expf(-0.5f * x * x);
    case HONE_ACT_GELU_TANH: {
        const float s = act_sigmoid(act_tanh_twice(x)), inner = 1.0f + 3.0f * 0.044715f * x * x;
        return s + x * s * (1.0f - s) * 1.59576912160573071f * inner;
    }
    case HONE_ACT_RELU:
        return x > 0 ? 1.0f : 0.0f;
    case HONE_ACT_SILU: {
        const float s = act_sigmoid(x);
        return s * (1.0f + x * (1.0f - s));
    }
    case HONE_ACT_TANH: {
        const float t = tanhf(x);
        return 1.0f - t * t;
    }
    default:
        return 1.0f;
    }
}
#endif
