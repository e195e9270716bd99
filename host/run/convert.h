/* convert.h - floating types on the host: fp32 to and from what a plan computes in (nearest even). */
#ifndef RUN_CONVERT_H
#define RUN_CONVERT_H
#include "hone/types.h"

/* dtype: F64, F32, BF16 or F16. */
void convert_from_float(void *to, hone_dtype dtype, const float *from, size_t n);
void convert_to_float(float *to, const void *from, hone_dtype dtype, size_t n);
double convert_element(const void *p, hone_dtype dtype, size_t i);
#endif
