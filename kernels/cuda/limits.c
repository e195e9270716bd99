/* limits.c - what cuda plays: fp32, bf16 and fp16. */
#include "limits.h"

#include <stdio.h>
#include <string.h>

#include "attention_list.h"
#include "cudnn_limits.h"

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

/* ---- products --------------------------------------------------------------------------------------------------*/
#define LARGEST_EXTENT INT32_MAX       /* of a matrix, for the library's kernels */

static int can_multiply(const hone_query *query, char *why, size_t why_bytes) {
    for (int i = 0; i < 3; i++) {
        const hone_tensor *t = &query->in[i];
        const int64_t width = t->n_dims > 1 ? t->dim[1] * t->dim[2] : 0, most = t->dim[0] > width ? t->dim[0] : width;
        char reason[96];
        snprintf(reason, sizeof reason, "an extent is %lld, more than %d", (long long)most, LARGEST_EXTENT);
        if (t->n_dims && most > LARGEST_EXTENT) return refuse(query, 0, i, reason, why, why_bytes);
    }
    return 1;
}
/* Partial sums of the columns of a bias gradient. */
static size_t partial_bytes(const hone_tensor *dbias) {
    return dbias->n_dims ? (size_t)(CUDA_ACT_GROUPS * dbias->dim[0]) * sizeof(float) : 0;
}

/* Optional operands of tables whose rows are updated later, which is not played here: ADAMW_ROWS. */
static int can_without(const hone_query *query, int i, char *why, size_t why_bytes) {
    return !query->in[i].n_dims || refuse(query, 0, i, "is not played yet", why, why_bytes);
}

static int is_asked_of_cudnn(const hone_query *query) {
    return query->attr.engine == HONE_ENGINE_CUDNN &&
           (query->op == HONE_OP_ATTENTION_FWD || query->op == HONE_OP_ATTENTION_BWD || query->op == HONE_OP_NORM_FWD ||
            query->op == HONE_OP_NORM_BWD);
}

int cuda_can(const hone_query *query, char *why, size_t why_bytes) {
    if (!can_types(query, why, why_bytes)) return 0;
    if (is_asked_of_cudnn(query) && !cudnn_can(query, why, why_bytes)) return 0;
    switch (query->op) {
    case HONE_OP_EMBED_BWD:
        return can_without(query, 4, why, why_bytes);
    case HONE_OP_SQSUM:
        return can_without(query, 2, why, why_bytes);
    case HONE_OP_EMBED_FWD:
    case HONE_OP_NORM_FWD:
    case HONE_OP_NORM_BWD:
    case HONE_OP_ACT_FWD:
    case HONE_OP_ACT_BWD:
    case HONE_OP_DROPOUT:
    case HONE_OP_ADD:
    case HONE_OP_GATHER:
    case HONE_OP_SCATTER:
    case HONE_OP_POOL_FWD:
    case HONE_OP_POOL_BWD:
    case HONE_OP_SOFTMAX_FWD:
    case HONE_OP_SOFTMAX_BWD:
    case HONE_OP_XENT:
    case HONE_OP_BCE:
    case HONE_OP_MSE:
    case HONE_OP_SPAN_XENT:
    case HONE_OP_SUM:
    case HONE_OP_GUARD:
    case HONE_OP_ADAMW_STEP:
    case HONE_OP_HASH:
    case HONE_OP_COPY:
        return 1;
    case HONE_OP_ATTENTION_FWD:
    case HONE_OP_ATTENTION_BWD:
        return attention_can(query, why, why_bytes);
    case HONE_OP_LINEAR_FWD:
    case HONE_OP_LINEAR_BWD:
    case HONE_OP_LINEAR_BWD_W:
        return can_multiply(query, why, why_bytes);
    default:
        snprintf(why, why_bytes, "cuda: %s is not played yet", hone_op_find(query->op)->name);
        return 0;
    }
}

/* Partial rows of a sum of n columns, in whole packs. */
static size_t fold_bytes(const hone_tensor *sum) {
    return sum->n_dims ? CUDA_ROW_GROUPS * (size_t)((sum->dim[0] + 3) / 4 * 4) * sizeof(float) : 0;
}

size_t cuda_work_bytes(const hone_query *query) {
    const hone_tensor *in = query->in, *out = query->out;
    if (is_asked_of_cudnn(query)) return cudnn_work_bytes(query);
    switch (query->op) {
    case HONE_OP_EMBED_BWD:
        return (size_t)((in[2].dim[0] + CUDA_EMBED_WINDOW - 1) / CUDA_EMBED_WINDOW * 2 * out[0].dim[1]) * sizeof(float);
    case HONE_OP_LINEAR_FWD:
        return CUDA_PRODUCT_WORK;
    case HONE_OP_LINEAR_BWD:
    case HONE_OP_LINEAR_BWD_W:
        return CUDA_PRODUCT_WORK + partial_bytes(&out[1]);
    case HONE_OP_ACT_BWD:
        return partial_bytes(&out[2]);
    case HONE_OP_NORM_BWD:
        return fold_bytes(&out[1]) + fold_bytes(&out[2]) + fold_bytes(&out[4]);
    case HONE_OP_ATTENTION_FWD:
    case HONE_OP_ATTENTION_BWD:
        return attention_work_bytes(query);
    default:
        return 0;
    }
}

hone_status cuda_limits(hone_device *device, hone_limits *out) {
    (void)device;
    *out = (hone_limits){.name = "GPU",
                         .dtypes = 1u << HONE_F32 | 1u << HONE_BF16 | 1u << HONE_F16,
                         .tf32 = 1,
                         .measures = 1,
                         .max_head_width = 256,
                         .fixed_rows = 1,
                         .links = 1};
    return HONE_OK;
}
