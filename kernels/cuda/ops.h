/* ops.h - the ops of the cuda device and the file-family entries that play them. */
#ifndef CUDA_OPS_H
#define CUDA_OPS_H
#include "hone/device.h"

#define CUDA_OP_MAP(XX)                                                                                      \
    XX(ATTENTION_FWD, attention_fwd)                                                                         \
    XX(ATTENTION_BWD, attention_bwd)                                                                         \
    XX(COPY, copy)

#define XX(op, name) hone_status name(hone_queue *q, const hone_call *c);
CUDA_OP_MAP(XX)
#undef XX
#endif
