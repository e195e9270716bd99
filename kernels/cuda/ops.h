/* ops.h - the ops of the cuda device and the file-family entries that play them. */
#ifndef CUDA_OPS_H
#define CUDA_OPS_H
#include "hone/device.h"

#define CUDA_OP_MAP(XX)                                                                                      \
    XX(LINEAR_FWD, linear_fwd)                                                                               \
    XX(LINEAR_BWD, linear_bwd)                                                                               \
    XX(LINEAR_BWD_W, linear_bwd_w)                                                                           \
    XX(COPY, copy)

#define XX(op, name) hone_status name(hone_queue *q, const hone_call *c);
CUDA_OP_MAP(XX)
#undef XX
#endif
