/* vec.c - the growth of an array of any type. */
#include "base/err.h"
#include "base/vec.h"

void vec_reserve_bytes(void **p, size_t *cap, size_t n, size_t item) {
    if (n <= *cap) return;
    size_t want = *cap + *cap / 2 > n ? *cap + *cap / 2 : n, bytes;
    if (want < 8) want = 8;
    HONE_ASSERT(size_mul(want, item, &bytes));
    *p = mem_grow(*p, *cap * item, bytes, "array");
    *cap = want;
}
