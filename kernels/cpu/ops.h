/* ops.h - the entries of the ops, one for each instruction set. */
#ifndef CPU_OPS_H
#define CPU_OPS_H
#include "vec.h"
#include "cpu.h"

/* Each op that the device plays, and its function; HEAD_XENT is a macro of the plan. */
#define CPU_OP_MAP(XX)                                                                                       \
    XX(EMBED_FWD, embed_fwd)                                                                                 \
    XX(EMBED_BWD, embed_bwd)                                                                                 \
    XX(NORM_FWD, norm_fwd)                                                                                   \
    XX(NORM_BWD, norm_bwd)                                                                                   \
    XX(LINEAR_FWD, linear_fwd)                                                                               \
    XX(LINEAR_BWD, linear_bwd)                                                                               \
    XX(LINEAR_BWD_W, linear_bwd_w)                                                                           \
    XX(ACT_FWD, act_fwd)                                                                                     \
    XX(ACT_BWD, act_bwd)                                                                                     \
    XX(DROPOUT, dropout)                                                                                     \
    XX(ADD, add)                                                                                             \
    XX(ATTENTION_FWD, attention_fwd)                                                                         \
    XX(ATTENTION_BWD, attention_bwd)                                                                         \
    XX(GATHER, gather)                                                                                       \
    XX(SCATTER, scatter)                                                                                     \
    XX(POOL_FWD, pool_fwd)                                                                                   \
    XX(POOL_BWD, pool_bwd)                                                                                   \
    XX(SOFTMAX_FWD, softmax_fwd)                                                                             \
    XX(SOFTMAX_BWD, softmax_bwd)                                                                             \
    XX(XENT, xent)                                                                                           \
    XX(BCE, bce)                                                                                             \
    XX(MSE, mse)                                                                                             \
    XX(SPAN_XENT, span_xent)                                                                                 \
    XX(SUM, sum)                                                                                             \
    XX(SQSUM, sqsum)                                                                                         \
    XX(GUARD, guard)                                                                                         \
    XX(ADAMW_STEP, adamw_step)                                                                               \
    XX(ADAMW_ROWS, adamw_rows)                                                                               \
    XX(ADAMW_MISSED, adamw_missed)                                                                           \
    XX(HASH, hash)                                                                                           \
    XX(COPY, copy)

#define XX(op, name) hone_status ISA(name)(hone_queue * q, const hone_call *c);
CPU_OP_MAP(XX)
#undef XX
#endif
