/* avx512bf16.c - the families once more, for avx512bf16: see vec.h. */
#if defined(__x86_64__)
#define HONE_ISA avx512bf16
#define HONE_VEC 512
#define HONE_DOT /* bf16 numbers are multiplied in pairs by one instruction */
/* Declared before the target changes, for these are not ours to compile for it. */
#include <math.h>
#include <stdint.h>
#include <string.h>
#ifdef __clang__
#pragma clang attribute push(                                                                                \
    __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512bf16"))),                  \
    apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")
#endif

#include "families.h"

#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#else
typedef int no_such_machine;
#endif
