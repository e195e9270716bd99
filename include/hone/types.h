/* types.h - element types, shapes, row spaces: the words that ops, plans and devices share.
 *
 * Letters of shapes, everywhere in hone:
 *   B sequences   N token rows (no padding)   M rows of keys, or picked rows   S longest sequence   D width
 *   H heads   K head width   G heads of keys, groups   F inner width   V vocabulary   C classes   L layers
 *   P elements of a flat range   Q chunks of it   I, O features in and out   U touched rows   R buckets
 * Weights are [out, in], row-major. Rows are [N, D]. A value [N, H, K] is [N, H*K] with heads named. */
#ifndef HONE_TYPES_H
#define HONE_TYPES_H
#include <stddef.h>
#include <stdint.h>

#define HONE_DTYPE_MAP(XX)                                                                                   \
    XX(HONE_F64, "f64", 8)                                                                                   \
    XX(HONE_F32, "fp32", 4)                                                                                  \
    XX(HONE_BF16, "bf16", 2)                                                                                 \
    XX(HONE_F16, "fp16", 2)                                                                                  \
    XX(HONE_I32, "i32", 4)                                                                                   \
    XX(HONE_KEY, "key", 8)                                                                                   \
    XX(HONE_RANGE, "range", 8)

typedef enum {
#define XX(name, text, bytes) name,
    HONE_DTYPE_MAP(XX)
#undef XX
        HONE_N_DTYPES
} hone_dtype;

size_t hone_dtype_bytes(hone_dtype dtype);
const char *hone_dtype_name(hone_dtype dtype);

typedef struct {
    uint32_t sample, position; /* KEY: which sample of the data set, which place in its sequence (idea 6: see device.h) */
} hone_key;

typedef struct {
    int32_t first, n; /* RANGE: rows first .. first + n - 1; n 0 is legal everywhere */
} hone_range;

/* A tensor as a kernel sees it: dim[0] rows of ld elements. Dimensions beyond n_dims are 1. A [P] or [D] vector has
 * n_dims 1 and ld 1; [N,D] has ld >= D; [N,H,K] has ld >= H*K and its last two dimensions dense; [H,N] has ld >= N. */
typedef struct {
    void *p; /* NULL: this operand is not bound */
    int64_t dim[3], ld;
    int32_t n_dims;
    hone_dtype dtype;
} hone_tensor;
#endif
