/* call.h - calls made by hand, for tests that need more than a case: tensors over plain arrays, played on
 * ref. */
#ifndef KERNELS_CALL_H
#define KERNELS_CALL_H
#include "cases/cases.h"

/* Over an array of the caller's: [rows, width] without padding, or [rows] where width is 0. */
hone_tensor tensor_of(void *p, hone_dtype dtype, int64_t rows, int64_t width);

/* Play the call on ref. Operands are named: bind(&c, "x", t). tick may be NULL. */
void bind(hone_call *c, const char *operand, hone_tensor t);
void play_on_ref(hone_call *c, const hone_tick *tick);
/* Play it on another device. Its operands lie in the n_bytes at data, which are the device's meanwhile. */
void play_on(const cases_on *on, hone_call *c, const hone_tick *tick, void *data, size_t n_bytes);
#endif
