/* avx512.c - the families once more, for avx512: see vec.h. */
#if defined(__x86_64__)
#define HONE_ISA avx512
#define HONE_VEC 512

/* Declared before the target changes, for these are not ours to compile for it. */
#include <math.h>
#include <stdint.h>
#include <string.h>
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq"))),    \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq")
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
