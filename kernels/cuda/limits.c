/* limits.c - what cuda plays: fp32, bf16 and fp16. */
#include "limits.h"

#include <stdio.h>
#include <string.h>

#include "attention_list.h"

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
    case HONE_OP_ATTENTION_FWD:
    case HONE_OP_ATTENTION_BWD:
        return attention_can(query, why, why_bytes);
    case HONE_OP_COPY:
        return 1;
    default:
        snprintf(why, why_bytes, "cuda: %s is not played yet", hone_op_find(query->op)->name);
        return 0;
    }
}

size_t cuda_work_bytes(const hone_query *query) {
    switch (query->op) {
    case HONE_OP_ATTENTION_FWD:
    case HONE_OP_ATTENTION_BWD:
        return attention_work_bytes(query);
    default:
        return 0;
    }
}
