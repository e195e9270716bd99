/* ops.h - the ops of the cuda device and the file-family entries that play them. */
#ifndef CUDA_OPS_H
#define CUDA_OPS_H
#include "hone/device.h"

#define CUDA_OP_MAP(XX)                                                                                      \
    XX(NORM_FWD, norm_fwd)                                                                                   \
    XX(NORM_BWD, norm_bwd)                                                                                   \
    XX(SOFTMAX_FWD, softmax_fwd)                                                                             \
    XX(SOFTMAX_BWD, softmax_bwd)                                                                             \
    XX(XENT, xent)                                                                                           \
    XX(BCE, bce)                                                                                             \
    XX(MSE, mse)                                                                                             \
    XX(SPAN_XENT, span_xent)                                                                                 \
    XX(COPY, copy)

#define XX(op, name) hone_status name(hone_queue *q, const hone_call *c);
CUDA_OP_MAP(XX)
#undef XX
#endif
