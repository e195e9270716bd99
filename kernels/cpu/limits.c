/* limits.c - cpu plays every op of the map but the macro HEAD_XENT, in fp32 and bf16. */
#include "limits.h"

#include <stdio.h>
#include <string.h>

#define WIDEST_HEAD 256    /* attention keeps tiles of this width in a thread's scratch */
#define WIDEST_ROW 32768   /* norms and dropout keep a row there */
#define ROWS_OF_A_SUM 64   /* CPU_ROWS */
#define KEYS_OF_A_TILE 128 /* TILE_K of attention.c */

static const char *const op_line[HONE_N_OPS] = {
#define XX(name, line, rule) #name ": " line,
    HONE_OP_MAP(XX)
#undef XX
};

/* "NORM_FWD: bias[D]?": the words of the op's line that name operand i; a "+" input has none of its own. */
static void name_operand(hone_op op, int is_result, int i, char *out, size_t out_bytes) {
    const char *line = op_line[op], *word = strchr(line, ':') + 2;
    const int name_bytes = (int)(word - line);
    if (is_result) word = strstr(word, "-> ") + 3;
    for (; i > 0 && *word && *word != '-'; i--) word += strcspn(word, " "), word += strspn(word, " ");
    if (!*word || *word == '-') word = "+";
    snprintf(out, out_bytes, "%.*s%.*s", name_bytes, line, (int)strcspn(word, " "), word);
}

static int refuse(const hone_query *query, int is_result, int i, const char *reason, char *why,
                  size_t why_bytes) {
    char name[96];
    name_operand(query->op, is_result, i, name, sizeof name);
    snprintf(why, why_bytes, "cpu: %s %s", name, reason);
    return 0;
}

static int is_played(const hone_query *query, const hone_tensor *t) {
    if (t->n_dims == 0 || query->op == HONE_OP_COPY) return 1;
    return t->dtype != HONE_F64 && t->dtype != HONE_F16;
}

static int can_types(const hone_query *query, char *why, size_t why_bytes) {
    const char *reason = "is fp64 or fp16; cpu plays fp32 and bf16";
    for (int i = 0; i < HONE_MAX_IN; i++)
        if (!is_played(query, &query->in[i])) return refuse(query, 0, i, reason, why, why_bytes);
    for (int i = 0; i < HONE_MAX_OUT; i++)
        if (!is_played(query, &query->out[i])) return refuse(query, 1, i, reason, why, why_bytes);
    return 1;
}

static int can_attend(const hone_query *query, char *why, size_t why_bytes) {
    const int q = query->op == HONE_OP_ATTENTION_FWD ? 0 : 3;
    const int64_t H = query->in[q].dim[1], G = query->in[q + 1].dim[1], K = query->in[q].dim[2];
    char reason[96];
    if (G < 1 || H % G) {
        snprintf(reason, sizeof reason, "has H = %lld, no multiple of G = %lld of k[M,G,K]", (long long)H,
                 (long long)G);
        return refuse(query, 0, q, reason, why, why_bytes);
    }
    if (K > WIDEST_HEAD) {
        snprintf(reason, sizeof reason, "has K = %lld, more than %d", (long long)K, WIDEST_HEAD);
        return refuse(query, 0, q, reason, why, why_bytes);
    }
    if (H > 4096)
        return refuse(query, 0, q, "has H above 4096, the layout of dropout's numbers", why, why_bytes);
    if (query->in[q + 7].n_dims > 0)
        return refuse(query, 0, q + 7, "is not played by cpu yet", why, why_bytes);
    return 1;
}

int cpu_can(const hone_query *query, char *why, size_t why_bytes) {
    if (query->op == HONE_OP_HEAD_XENT) {
        snprintf(why, why_bytes, "cpu: HEAD_XENT is a macro that the plan expands");
        return 0;
    }
    if (!can_types(query, why, why_bytes)) return 0;
    switch (query->op) {
    case HONE_OP_ATTENTION_FWD:
    case HONE_OP_ATTENTION_BWD:
        return can_attend(query, why, why_bytes);
    case HONE_OP_NORM_FWD:
    case HONE_OP_NORM_BWD:
    case HONE_OP_DROPOUT:
        if (query->in[0].dim[1] * query->in[0].dim[2] <= WIDEST_ROW) return 1;
        return refuse(query, 0, 0, "has D above 32768", why, why_bytes);
    case HONE_OP_XENT:
        if (query->attr.loss.focal_gamma == 0) return 1;
        return refuse(query, 0, 0, "with focal_gamma is not played by cpu yet", why, why_bytes);
    default:
        return 1;
    }
}

/* Partial sums of the columns of a tensor, a line of whole cache lines for each block of rows. */
static size_t sums_bytes(const hone_tensor *t) {
    const int64_t columns = (t->dim[1] * t->dim[2] + 15) / 16 * 16;
    const int64_t blocks = (t->dim[0] + ROWS_OF_A_SUM - 1) / ROWS_OF_A_SUM;
    return (size_t)columns * (size_t)blocks * sizeof(float);
}

size_t cpu_work_bytes(const hone_query *query) {
    const hone_tensor *in = query->in, *out = query->out;
    switch (query->op) {
    case HONE_OP_NORM_BWD:
        return 3 * sums_bytes(&in[0]);
    case HONE_OP_LINEAR_BWD:
        return out[1].n_dims > 0 ? sums_bytes(&out[0]) : 0;
    case HONE_OP_ACT_BWD:
        return out[2].n_dims > 0 ? sums_bytes(&in[1]) : 0;
    case HONE_OP_ATTENTION_BWD: /* dq in fp32 while tiles of keys add to it */
        if (out[0].n_dims == 0 || in[3].dtype != HONE_BF16 || in[4].dim[0] <= KEYS_OF_A_TILE) return 0;
        return (size_t)(in[3].dim[0] * in[3].dim[1] * in[3].dim[2]) * sizeof(float);
    case HONE_OP_ADAMW_ROWS: /* three numbers for each step of past */
        return (size_t)out[4].dim[0] * 3 * sizeof(float);
    case HONE_OP_ADAMW_MISSED:
        return (size_t)in[2].dim[0] * 3 * sizeof(float);
    default:
        return 0;
    }
}

hone_status cpu_limits(hone_device *device, hone_limits *out) {
    (void)device;
    *out = (hone_limits){
        .name = "processor", .dtypes = 1u << HONE_F32 | 1u << HONE_BF16, .max_head_width = WIDEST_HEAD, .host_memory = 1, .measures = 1};
    return HONE_OK;
}
