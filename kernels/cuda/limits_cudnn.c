/* limits_cudnn.c - which calls cuDNN plays, what they want of the workspace, and when the device's rule prefers it. */
#include <stdio.h>

#include "cudnn_limits.h"
#include "limits.h"

static int first_operand(hone_op op) {
    return op == HONE_OP_ATTENTION_FWD ? 0 : 3;
} /* of q k v q_at k_at q_pos key rel list */

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t up(int64_t n, int64_t each) { return (n + each - 1) / each * each; }

cudnn_extents cudnn_extents_of(const hone_query *query) {
    const hone_tensor *q = query->in + first_operand(query->op);
    const int64_t longest = query->attr.attention.longest > 0 ? query->attr.attention.longest : INT32_MAX;
    cudnn_extents e = {.B = q[3].dim[0], .H = q->dim[1], .K = q->dim[2]};
    e.S[0] = smaller(longest, q[0].dim[0]), e.S[1] = smaller(longest, q[1].dim[0]);
    return e;
}

static int refuse(char *why, size_t why_bytes, const char *reason, long long value) {
    char text[128];
    snprintf(text, sizeof text, reason, value);
    snprintf(why, why_bytes, "cuDNN: %s", text);
    return 0;
}

static int can_attend(const hone_query *query, char *why, size_t why_bytes) {
    const int is_forward = query->op == HONE_OP_ATTENTION_FWD, first = first_operand(query->op);
    const hone_tensor *q = query->in + first;
    const cudnn_extents e = cudnn_extents_of(query);
    if (query->attr.p > 0)
        return refuse(why, why_bytes, "dropout inside attention: its masks are not hone's", 0);
    if (q->dtype != HONE_BF16 && q->dtype != HONE_F16)
        return refuse(why, why_bytes, "attention in bf16 and fp16 alone", 0);
    if (q[1].dim[1] != e.H)
        return refuse(why, why_bytes, "heads of keys that several heads of queries share (G = %lld)",
                      q[1].dim[1]);
    if (e.K % 8 || e.K > 256)
        return refuse(why, why_bytes, "head width K = %lld; expected a multiple of 8 up to 256", e.K);
    if (q[5].n_dims || q[7].n_dims)
        return refuse(why, why_bytes, "queries with positions of their own, or a bias", 0);
    for (int i = 0; i < HONE_MAX_IN + HONE_MAX_OUT; i++) {
        const hone_tensor *t = i < HONE_MAX_IN ? &query->in[i] : &query->out[i - HONE_MAX_IN];
        if (t->n_dims != 3) continue;
        if (t->ld % 8)
            return refuse(why, why_bytes, "rows that do not begin at multiples of 16 bytes (ld %lld)", t->ld);
        if (t->dim[0] * t->ld > INT32_MAX)
            return refuse(why, why_bytes, "%lld elements in rows; its offsets have 32 bits",
                          t->dim[0] * t->ld);
    }
    for (int i = 0; i < 3 && !is_forward; i++)
        if (!query->out[i].n_dims) return refuse(why, why_bytes, "dq, dk and dv are made together", 0);
    return 1;
}

/* No bias, residual, dropout, second result or sum that is added to: one pass over rows, and no more. Statistics and
 * gradients that nobody asks for are made all the same, in the workspace. */
static int can_norm(const hone_query *query, char *why, size_t why_bytes) {
    const hone_tensor *in = query->in, *out = query->out;
    const int is_forward = query->op == HONE_OP_NORM_FWD;
    const int is_plain =
        is_forward ? !in[1].n_dims && !in[2].n_dims && !in[3].n_dims && in[4].n_dims && in[5].n_dims && !out[3].n_dims
                   : in[4].n_dims && !in[6].n_dims && !in[7].n_dims && !in[8].n_dims && !out[3].n_dims && !out[4].n_dims;
    if (in[0].dtype != HONE_BF16 && in[0].dtype != HONE_F16 && in[0].dtype != HONE_F32)
        return refuse(why, why_bytes, "norms in fp32, bf16 and fp16", 0);
    if (query->attr.p > 0 || query->attr.p_out > 0) return refuse(why, why_bytes, "dropout in a norm", 0);
    if (!is_plain || query->attr.norm.kind != HONE_NORM_LAYER)
        return refuse(why, why_bytes, "a layer norm with gamma and beta, and nothing beside it", 0);
    const hone_tensor *const rows[] = {&in[0], &in[is_forward ? 0 : 1], &out[0]};
    for (int i = 0; i < 3; i++)
        if (rows[i]->ld != rows[i]->dim[1] * rows[i]->dim[2])
            return refuse(why, why_bytes, "norms of rows that lie one after another (ld %lld)", rows[i]->ld);
    if (in[0].dim[0] < 1) return refuse(why, why_bytes, "a norm of %lld rows", in[0].dim[0]);
    return 1;
}

int cudnn_can(const hone_query *query, char *why, size_t why_bytes) {
    if (query->op == HONE_OP_ATTENTION_FWD || query->op == HONE_OP_ATTENTION_BWD)
        return can_attend(query, why, why_bytes);
    return can_norm(query, why, why_bytes);
}

/* ---- workspace -------------------------------------------------------------------------------------------------*/
/* What cuDNN 9.19 and 9.26 ask for on sm_90, and room beside it: all of ds in attention's backward
 * (cudnn_sdpa.cuh), 16 bytes a row in a norm's. */
size_t cudnn_plan_bytes(const hone_query *query) {
    if (query->op != HONE_OP_ATTENTION_FWD && query->op != HONE_OP_ATTENTION_BWD)
        return CUDNN_NORM_ROOM + 32 * (size_t)query->in[0].dim[0];
    const cudnn_extents e = cudnn_extents_of(query);
    const size_t some = CUDNN_ROOM + 512 * (size_t)e.B;
    return query->op == HONE_OP_ATTENTION_FWD
               ? some
               : some + (size_t)(2 * e.B * e.H * up(e.S[0], 64) * up(e.S[1], 128));
}

size_t cudnn_scratch_bytes(const hone_query *query) {
    if (query->op == HONE_OP_NORM_FWD) return CUDNN_UP(4 * query->in[0].dim[0]);
    if (query->op == HONE_OP_NORM_BWD) return 3 * CUDNN_UP(4 * query->in[0].dim[1] * query->in[0].dim[2]);
    const cudnn_extents e = cudnn_extents_of(query);
    const size_t columns = query->op == HONE_OP_ATTENTION_FWD ? 1 : 2;
    return columns * CUDNN_COLUMN_BYTES(e) + CUDNN_N_WORDS * CUDNN_WORD_BYTES(e);
}

size_t cudnn_work_bytes(const hone_query *query) {
    return 256 + cudnn_scratch_bytes(query) + cudnn_plan_bytes(query); /* 256: to align it */
}

int cudnn_is_preferred(const hone_query *query) {
    char why[160];
    return query->attr.engine == HONE_ENGINE_AUTO && query->attr.attention.longest > CUDNN_FROM_LENGTH &&
           cudnn_can(query, why, sizeof why) && cudnn_work_bytes(query) <= CUDNN_MOST_WORK;
}
