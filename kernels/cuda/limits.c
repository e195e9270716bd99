/* limits.c - what cuda plays: fp32, bf16 and fp16. */
#include "limits.h"

#include <stdio.h>
#include <string.h>

/* "NORM_FWD, res: reason": by the names of the op's line. */
static int refuse(const hone_query *query, int is_result, int i, const char *reason, char *why, size_t why_bytes) {
    const hone_op_info *op = hone_op_find(query->op);
    snprintf(why, why_bytes, "cuda: %s, %s: %s", op->name, is_result ? op->out[i].name : op->in[i].name, reason);
    return 0;
}

static int can_types(const hone_query *query, char *why, size_t why_bytes) {
    for (int i = 0; i < HONE_MAX_IN; i++)
        if (query->in[i].n_dims && query->in[i].dtype == HONE_F64)
            return refuse(query, 0, i, "fp64 is not played", why, why_bytes);
    for (int i = 0; i < HONE_MAX_OUT; i++)
        if (query->out[i].n_dims && query->out[i].dtype == HONE_F64)
            return refuse(query, 1, i, "fp64 is not played", why, why_bytes);
    return 1;
}

int cuda_can(const hone_query *query, char *why, size_t why_bytes) {
    if (!can_types(query, why, why_bytes)) return 0;
    switch (query->op) {
    case HONE_OP_EMBED_FWD:
    case HONE_OP_EMBED_BWD:
    case HONE_OP_ACT_FWD:
    case HONE_OP_ACT_BWD:
    case HONE_OP_DROPOUT:
    case HONE_OP_ADD:
    case HONE_OP_GATHER:
    case HONE_OP_SCATTER:
    case HONE_OP_POOL_FWD:
    case HONE_OP_POOL_BWD:
    case HONE_OP_SUM:
    case HONE_OP_SQSUM:
    case HONE_OP_GUARD:
    case HONE_OP_ADAMW_STEP:
    case HONE_OP_HASH:
    case HONE_OP_COPY:
        return 1;
    default:
        snprintf(why, why_bytes, "cuda: %s is not played yet", hone_op_find(query->op)->name);
        return 0;
    }
}

size_t cuda_work_bytes(const hone_query *query) {
    const hone_tensor *in = query->in, *out = query->out;
    switch (query->op) {
    case HONE_OP_EMBED_BWD:
        return (size_t)((in[2].dim[0] + CUDA_EMBED_WINDOW - 1) / CUDA_EMBED_WINDOW * 2 * out[0].dim[1]) * sizeof(float);
    case HONE_OP_ACT_BWD:
        return out[2].n_dims ? (size_t)(CUDA_ACT_GROUPS * out[2].dim[0]) * sizeof(float) : 0;
    default:
        return 0;
    }
}

size_t cuda_list_bytes(const hone_query *query) {
    (void)query;
    return 0;
}

void cuda_list_fill(const hone_query *query, const hone_range *q_at, const hone_range *k_at, const hone_key *key,
                    const int64_t rows[2], void *out) {
    (void)query, (void)q_at, (void)k_at, (void)key, (void)rows, (void)out;
}
