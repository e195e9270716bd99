/* vec.h - the few vector operations from which every kernel of this folder is written.
 *
 * A family's file (norm.c, act.c, ...) is compiled once for each instruction set: as it stands it makes the
 * plain version; avx2.c, avx512.c and avx512bf16.c set HONE_VEC and HONE_ISA and include the families again.
 * Between two instruction sets results may differ in the last bit; within one, they depend on nothing but the
 * operands.
 *
 *   vf vu    VW floats, VW 32-bit words     vm   a truth value for each lane (a mask)
 *   vf_load_n, vf_store_n, ld_n, st_n       touch the first n lanes only; lanes beyond read as 0
 *   ld, st                                  element i of an array that is bf16 where bf, else fp32 */
#ifndef CPU_VEC_H
#define CPU_VEC_H
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifndef HONE_VEC
#define HONE_VEC 128
#define HONE_ISA plain
#endif
#if HONE_VEC > 128
#include <immintrin.h>
#endif

#define CPU_PASTE2(a, b) a##_##b
#define CPU_PASTE(a, b) CPU_PASTE2(a, b)
#define ISA(name) CPU_PASTE(name, HONE_ISA) /* norm_fwd_avx2 */

#define INLINE static inline __attribute__((always_inline, unused))
#ifdef __clang__
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

#define VW (HONE_VEC / 32)
typedef float vf __attribute__((vector_size(HONE_VEC / 8)));
typedef uint32_t vu __attribute__((vector_size(HONE_VEC / 8)));
typedef int32_t vi __attribute__((vector_size(HONE_VEC / 8)));

#if HONE_VEC == 512
typedef __mmask16 vm;
#else
typedef vi vm; /* -1 where true */
#endif

INLINE vf vf_set(float x) { return x - (vf){0}; }
INLINE vu vu_set(uint32_t x) { return x + (vu){0}; }
INLINE vf vf_load(const float *p) {
    vf v;
    memcpy(&v, p, sizeof v);
    return v;
}
INLINE void vf_store(float *p, vf v) { memcpy(p, &v, sizeof v); }
INLINE vu vu_load(const uint32_t *p) {
    vu v;
    memcpy(&v, p, sizeof v);
    return v;
}
INLINE void vu_store(uint32_t *p, vu v) { memcpy(p, &v, sizeof v); }

/* ---- what the instruction sets spell differently
 * -------------------------------------------------------------*/
#if HONE_VEC == 512

INLINE vm vm_first(int64_t n) { return (vm)((1u << n) - 1); }
INLINE vf vf_load_n(const float *p, int64_t n) { return (vf)_mm512_maskz_loadu_ps(vm_first(n), p); }
INLINE void vf_store_n(float *p, vf v, int64_t n) { _mm512_mask_storeu_ps(p, vm_first(n), (__m512)v); }
INLINE vf vf_fma(vf a, vf b, vf c) { return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c); }
INLINE vf vf_max(vf a, vf b) { return (vf)_mm512_max_ps((__m512)a, (__m512)b); } /* b if either is NaN */
INLINE vf vf_min(vf a, vf b) { return (vf)_mm512_min_ps((__m512)a, (__m512)b); } /* b if either is NaN */
INLINE vf vf_sqrt(vf a) { return (vf)_mm512_sqrt_ps((__m512)a); }
INLINE vm vf_lt(vf a, vf b) { return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_LT_OQ); }
INLINE vm vu_ge(vu a, vu b) { return _mm512_cmpge_epu32_mask((__m512i)a, (__m512i)b); }
INLINE vf vf_select(vm m, vf a, vf b) { return (vf)_mm512_mask_blend_ps(m, (__m512)b, (__m512)a); }
INLINE vf vf_scale2(vf x, vf n) { return (vf)_mm512_scalef_ps((__m512)x, (__m512)n); } /* x 2^n, n whole */
INLINE vu vu_load16(const uint16_t *p) {
    return (vu)_mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)p));
}
INLINE vu vu_load16_n(const uint16_t *p, int64_t n) {
    return (vu)_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(vm_first(n), p));
}
INLINE void vu_store16(uint16_t *p, vu v) {
    _mm256_storeu_si256((void *)p, _mm512_cvtepi32_epi16((__m512i)v));
}
INLINE void vu_store16_n(uint16_t *p, vu v, int64_t n) {
    _mm256_mask_storeu_epi16(p, vm_first(n), _mm512_cvtepi32_epi16((__m512i)v));
}
/* The two halves of the 64-bit products of the lanes of a with one word. */
INLINE void vu_mul(vu a, uint32_t by, vu *high, vu *low) {
    const __m512i b = _mm512_set1_epi32((int)by), even = _mm512_mul_epu32((__m512i)a, b);
    const __m512i odd = _mm512_mul_epu32(_mm512_srli_epi64((__m512i)a, 32), b);
    *low = (vu)_mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64(odd, 32));
    *high = (vu)_mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64(even, 32), odd);
}

#elif HONE_VEC == 256

INLINE __m256i vm_first(int64_t n) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), lane);
}
INLINE vf vf_load_n(const float *p, int64_t n) { return (vf)_mm256_maskload_ps(p, vm_first(n)); }
INLINE void vf_store_n(float *p, vf v, int64_t n) { _mm256_maskstore_ps(p, vm_first(n), (__m256)v); }
INLINE vf vf_fma(vf a, vf b, vf c) { return (vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c); }
INLINE vf vf_max(vf a, vf b) { return (vf)_mm256_max_ps((__m256)a, (__m256)b); }
INLINE vf vf_min(vf a, vf b) { return (vf)_mm256_min_ps((__m256)a, (__m256)b); }
INLINE vf vf_sqrt(vf a) { return (vf)_mm256_sqrt_ps((__m256)a); }
INLINE vm vf_lt(vf a, vf b) { return (vm)_mm256_cmp_ps((__m256)a, (__m256)b, _CMP_LT_OQ); }
INLINE vm vu_ge(vu a, vu b) {
    return (vm)_mm256_cmpeq_epi32(_mm256_max_epu32((__m256i)a, (__m256i)b), (__m256i)a);
}
INLINE vf vf_select(vm m, vf a, vf b) { return (vf)_mm256_blendv_ps((__m256)b, (__m256)a, (__m256)m); }
INLINE vu vu_load16(const uint16_t *p) { return (vu)_mm256_cvtepu16_epi32(_mm_loadu_si128((const void *)p)); }
INLINE void vu_store16(uint16_t *p, vu v) {
    const __m256i pairs = _mm256_packus_epi32((__m256i)v, (__m256i)v);
    _mm_storeu_si128((void *)p, _mm256_castsi256_si128(_mm256_permute4x64_epi64(pairs, 0x08)));
}
INLINE void vu_mul(vu a, uint32_t by, vu *high, vu *low) {
    const __m256i b = _mm256_set1_epi32((int)by), even = _mm256_mul_epu32((__m256i)a, b);
    const __m256i odd = _mm256_mul_epu32(_mm256_srli_epi64((__m256i)a, 32), b);
    *low = (vu)_mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa);
    *high = (vu)_mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa);
}

#else

INLINE vf vf_load_n(const float *p, int64_t n) {
    vf v = {0};
    memcpy(&v, p, (size_t)n * sizeof(float));
    return v;
}
INLINE void vf_store_n(float *p, vf v, int64_t n) { memcpy(p, &v, (size_t)n * sizeof(float)); }
INLINE vf vf_fma(vf a, vf b, vf c) { return a * b + c; }
INLINE vm vf_lt(vf a, vf b) { return (vm)(a < b); }
INLINE vm vu_ge(vu a, vu b) { return (vm)(a >= b); }
INLINE vf vf_select(vm m, vf a, vf b) { return (vf)(((vi)a & m) | ((vi)b & ~m)); }
INLINE vf vf_max(vf a, vf b) { return vf_select((vm)(a > b), a, b); }
INLINE vf vf_min(vf a, vf b) { return vf_select((vm)(a < b), a, b); }
INLINE vf vf_sqrt(vf a) {
    for (int i = 0; i < VW; i++) a[i] = __builtin_sqrtf(a[i]);
    return a;
}
INLINE vu vu_load16(const uint16_t *p) { return (vu){p[0], p[1], p[2], p[3]}; }
INLINE void vu_store16(uint16_t *p, vu v) {
    for (int i = 0; i < VW; i++) p[i] = (uint16_t)v[i];
}
INLINE void vu_mul(vu a, uint32_t by, vu *high, vu *low) {
    for (int i = 0; i < VW; i++) {
        const uint64_t product = (uint64_t)a[i] * by;
        (*high)[i] = (uint32_t)(product >> 32), (*low)[i] = (uint32_t)product;
    }
}
#endif

#if HONE_VEC != 512
INLINE vf vf_scale2(vf x, vf n) { /* in two steps, for 2^128 and 2^-140 are no floats */
    const vi whole = __builtin_convertvector(n, vi), half = whole >> 1;
    return x * (vf)((half + 127) << 23) * (vf)((whole - half + 127) << 23);
}
INLINE vu vu_load16_n(const uint16_t *p, int64_t n) {
    uint16_t lanes[VW] = {0};
    memcpy(lanes, p, (size_t)n * sizeof *p);
    return vu_load16(lanes);
}
INLINE void vu_store16_n(uint16_t *p, vu v, int64_t n) {
    uint16_t lanes[VW];
    vu_store16(lanes, v);
    memcpy(p, lanes, (size_t)n * sizeof *p);
}
#endif

/* ---- the same for all
 * ----------------------------------------------------------------------------------------*/

/* The lanes of a and b by turns: the first half of them, the second. And the upper halves of a before the
 * lower. */
#if HONE_VEC == 512
#define MIX_LOW(a, b) __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define MIX_HIGH(a, b)                                                                                       \
    __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#define TURN(a, n) __builtin_shufflevector(a, a, TURN8(a, 0, n), TURN8(a, 8, n))
#elif HONE_VEC == 256
#define MIX_LOW(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define MIX_HIGH(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#define TURN(a, n) __builtin_shufflevector(a, a, TURN8(a, 0, n))
#else
#define MIX_LOW(a, b) __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define MIX_HIGH(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
#define TURN(a, n) __builtin_shufflevector(a, a, TURN4(a, 0, n))
#endif
/* Lane i of TURN(a, n) is lane (i + n) % VW of a. */
#define TURN4(a, i, n) (i + n) % VW, (i + 1 + n) % VW, (i + 2 + n) % VW, (i + 3 + n) % VW
#define TURN8(a, i, n) TURN4(a, i, n), TURN4(a, i + 4, n)

/* Sum and maximum of the lanes, by a fixed tree. The maximum is not NaN unless all lanes are. */
INLINE float vf_sum(vf v) {
#if VW == 16
    v += TURN(v, 8);
#endif
#if VW >= 8
    v += TURN(v, 4);
#endif
    v += TURN(v, 2);
    v += TURN(v, 1);
    return v[0];
}
INLINE float vf_top(vf v) {
#if VW == 16
    v = vf_max(v, TURN(v, 8));
#endif
#if VW >= 8
    v = vf_max(v, TURN(v, 4));
#endif
    v = vf_max(v, TURN(v, 2));
    v = vf_max(v, TURN(v, 1));
    return v[0];
}
INLINE vu vu_lanes(uint32_t first) { /* first, first + 1, ... */
    vu lane = {0};
    for (int i = 0; i < VW; i++) lane[i] = (uint32_t)i;
    return lane + first;
}
/* The first n >= 1 lanes of v, then zeros. */
INLINE vf vf_first(vf v, int64_t n) {
    if (n >= VW) return v;
    return vf_select(vu_ge(vu_set((uint32_t)n - 1), vu_lanes(0)), v, vf_set(0));
}
INLINE vf vf_abs(vf v) { return (vf)((vu)v & 0x7fffffffu); }

/* bf16 is the upper half of an fp32. Rounded to nearest, ties to even; a NaN stays one. */
INLINE vf vf_widen(vu bits) { return (vf)(bits << 16); }
INLINE vu vf_narrow(vf v) {
    const vu bits = (vu)v, rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
    const vm number = vu_ge(vu_set(0x7f800000u), bits & 0x7fffffffu);
    return (vu)vf_select(number, (vf)rounded, (vf)(bits >> 16 | 0x40u));
}
/* The same by one instruction where there is one; it takes denormal numbers for zeros. */
#ifdef HONE_DOT
INLINE vu vf_round_bf16(vf v) { return (vu)_mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh((__m512)v)); }
#else
INLINE vu vf_round_bf16(vf v) { return vf_narrow(v); }
#endif
/* What st and then ld would give. */
INLINE vf vf_stored(vf v, int bf) { return bf ? vf_widen(vf_round_bf16(v)) : v; }
INLINE vf ld(const void *p, int64_t i, int bf) {
    return bf ? vf_widen(vu_load16((const uint16_t *)p + i)) : vf_load((const float *)p + i);
}
INLINE vf ld_n(const void *p, int64_t i, int64_t n, int bf) {
    if (n >= VW) return ld(p, i, bf);
    return bf ? vf_widen(vu_load16_n((const uint16_t *)p + i, n)) : vf_load_n((const float *)p + i, n);
}
INLINE void st(void *p, int64_t i, vf v, int bf) {
    if (bf) vu_store16((uint16_t *)p + i, vf_round_bf16(v));
    else vf_store((float *)p + i, v);
}
INLINE void st_n(void *p, int64_t i, vf v, int64_t n, int bf) {
    if (n >= VW) st(p, i, v, bf);
    else if (bf) vu_store16_n((uint16_t *)p + i, vf_round_bf16(v), n);
    else vf_store_n((float *)p + i, v, n);
}

/* e^x to 2 units in the last place (Cephes' expf): e^x = 2^n e^r, |r| <= log(2) / 2. */
INLINE vf vf_exp_below(vf x) {            /* for x <= 88 */
    x = vf_max(vf_set(-104.0f), x);       /* a NaN goes through */
    const vf magic = vf_set(12582912.0f); /* 1.5 2^23: adding it rounds to a whole number */
    const vf n = vf_fma(x, vf_set(1.44269504088896341f), magic) - magic;
    vf r = vf_fma(n, vf_set(-0.693359375f), x);
    r = vf_fma(n, vf_set(2.12194440e-4f), r);
    vf y = vf_fma(vf_set(1.9875691500e-4f), r, vf_set(1.3981999507e-3f));
    y = vf_fma(y, r, vf_set(8.3334519073e-3f));
    y = vf_fma(y, r, vf_set(4.1665795894e-2f));
    y = vf_fma(y, r, vf_set(1.6666665459e-1f));
    y = vf_fma(y, r, vf_set(5.0000001201e-1f));
    return vf_scale2(vf_fma(y, r * r, r) + 1.0f, n);
}
INLINE vf vf_exp(vf x) { return vf_exp_below(vf_min(vf_set(89.0f), x)); }
#endif
