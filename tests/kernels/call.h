/* call.h - calls made by hand, for tests that need more than a case: tensors over plain arrays, played on
 * ref. */
#ifndef KERNELS_CALL_H
#define KERNELS_CALL_H
#include "hone/device.h"

/* Over an array of the caller's: [rows, width] without padding, or [rows] where width is 0. */
hone_tensor tensor_of(void *p, hone_dtype dtype, int64_t rows, int64_t width);

/* Play the call on ref. Operands are named: bind(&c, "x", t). tick may be NULL. */
void bind(hone_call *c, const char *operand, hone_tensor t);
void play_on_ref(hone_call *c, const hone_tick *tick);
#endif
