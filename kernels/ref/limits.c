/* limits.c - ref plays every op in fp32 and in fp64; only conversions know the 2-byte types. */
#include "limits.h"

#include <stdio.h>

static int refuse_type(const hone_query *query, int is_result, int i, char *why, size_t why_bytes) {
    const hone_op_info *op = hone_op_find(query->op);
    const hone_operand *operand = is_result ? &op->out[i] : &op->in[i];
    snprintf(why, why_bytes, "ref: %s: %s is %s; ref plays fp32 and fp64", op->name, operand->name,
             hone_dtype_name(is_result ? query->out[i].dtype : query->in[i].dtype));
    return 0;
}

static int is_narrow(const hone_tensor *t) {
    return t->n_dims > 0 && (t->dtype == HONE_BF16 || t->dtype == HONE_F16);
}

static int can_attend(const hone_query *query, char *why, size_t why_bytes) {
    const int q = query->op == HONE_OP_ATTENTION_FWD ? 0 : 3,
              rel = query->op == HONE_OP_ATTENTION_FWD ? 7 : 10;
    const int64_t H = query->in[q].dim[1], G = query->in[q + 1].dim[1];
    const char *name = hone_op_find(query->op)->name;
    if (G < 1 || H % G) {
        snprintf(why, why_bytes, "ref: %s: q[N,H,K] has H = %lld, no multiple of k[M,G,K]'s G = %lld", name,
                 (long long)H, (long long)G);
        return 0;
    }
    if (query->in[rel].n_dims > 0) {
        snprintf(why, why_bytes, "ref: %s: rel[R,H] (bias by distance) is not played yet", name);
        return 0;
    }
    return 1;
}

int ref_can(const hone_query *query, char *why, size_t why_bytes) {
    if (query->op == HONE_OP_HEAD_XENT) {
        snprintf(why, why_bytes, "ref: HEAD_XENT is a macro that the plan expands");
        return 0;
    }
    if (query->op != HONE_OP_COPY && query->op != HONE_OP_HASH) {
        for (int i = 0; i < HONE_MAX_IN; i++)
            if (is_narrow(&query->in[i])) return refuse_type(query, 0, i, why, why_bytes);
        for (int i = 0; i < HONE_MAX_OUT; i++)
            if (is_narrow(&query->out[i])) return refuse_type(query, 1, i, why, why_bytes);
    }
    if (query->op == HONE_OP_ATTENTION_FWD || query->op == HONE_OP_ATTENTION_BWD)
        return can_attend(query, why, why_bytes);
    return 1;
}

size_t
ref_work_bytes(const hone_query *query) { /* attention keeps a query's probabilities and their gradients */
    if (query->op == HONE_OP_ATTENTION_FWD) return (size_t)query->in[1].dim[0] * sizeof(double);
    if (query->op == HONE_OP_ATTENTION_BWD) return (size_t)query->in[4].dim[0] * sizeof(double) * 2;
    return 0;
}

hone_status ref_limits(hone_device *device, hone_limits *out) {
    (void)device;
    *out = (hone_limits){.name = "plain C, one thread", .dtypes = 1u << HONE_F32 | 1u << HONE_F64, .host_memory = 1};
    return HONE_OK;
}
