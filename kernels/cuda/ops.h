/* ops.h - the ops of the cuda device and the file-family entries that play them. */
#ifndef CUDA_OPS_H
#define CUDA_OPS_H
#include "hone/device.h"

#define CUDA_OP_MAP(XX)                                                                                      \
    XX(EMBED_FWD, embed_fwd)                                                                                 \
    XX(EMBED_BWD, embed_bwd)                                                                                 \
    XX(ACT_FWD, act_fwd)                                                                                     \
    XX(ACT_BWD, act_bwd)                                                                                     \
    XX(DROPOUT, dropout)                                                                                     \
    XX(ADD, add)                                                                                             \
    XX(GATHER, gather)                                                                                       \
    XX(SCATTER, scatter)                                                                                     \
    XX(POOL_FWD, pool_fwd)                                                                                   \
    XX(POOL_BWD, pool_bwd)                                                                                   \
    XX(SUM, sum)                                                                                             \
    XX(SQSUM, sqsum)                                                                                         \
    XX(GUARD, guard)                                                                                         \
    XX(ADAMW_STEP, adamw_step)                                                                               \
    XX(HASH, hash)                                                                                           \
    XX(COPY, copy)

#define XX(op, name) hone_status name(hone_queue *q, const hone_call *c);
CUDA_OP_MAP(XX)
#undef XX
#endif
