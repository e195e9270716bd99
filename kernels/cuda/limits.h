/* limits.h - what the cuda device can play and how much workspace it wants: plain C without CUDA, linked into the
 * library too, so that any machine plans for a GPU exactly. Also the limits of emu, which is the same code. */
#ifndef CUDA_LIMITS_H
#define CUDA_LIMITS_H
#include "hone/device.h"

/* What workspaces are made of. */
enum {
    CUDA_ACT_GROUPS = 16,   /* partial sums of a column, act.cu */
    CUDA_PRODUCT_WORKSPACE = 1 << 20, /* of the library of products: split sums, which would want more, are not taken */
    CUDA_PRODUCT_WORK = CUDA_PRODUCT_WORKSPACE + 256, /* and to align it */
    CUDA_EMBED_WINDOW = 32, /* rows of the order that a warp sums, embed.cu */
};
/* Column sums of rows (fold.cuh): 128 groups, whatever the GPU, each of eights of rows. */
#define CUDA_ROW_GROUPS 128
#define CUDA_GROUP_ROWS 8

/* As in hone_device_v1. */
int cuda_can(const hone_query *query, char *why, size_t why_bytes);
size_t cuda_work_bytes(const hone_query *query);
hone_status cuda_limits(hone_device *device, hone_limits *out); /* what holds of every GPU */
size_t cuda_list_bytes(const hone_query *query);
void cuda_list_fill(const hone_query *query, const hone_range *q_at, const hone_range *k_at, const hone_key *key,
                    const int64_t rows[2], void *out);
#endif
