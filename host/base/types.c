/* types.c - sizes and names of element types, from the one list in types.h. */
#include "hone/types.h"

size_t hone_dtype_bytes(hone_dtype dtype) {
    static const size_t bytes[] = {
#define XX(name, text, size) size,
        HONE_DTYPE_MAP(XX)
#undef XX
    };
    return (unsigned)dtype < HONE_N_DTYPES ? bytes[dtype] : 0;
}

const char *hone_dtype_name(hone_dtype dtype) {
    static const char *const names[] = {
#define XX(name, text, size) text,
        HONE_DTYPE_MAP(XX)
#undef XX
    };
    return (unsigned)dtype < HONE_N_DTYPES ? names[dtype] : "unknown";
}
