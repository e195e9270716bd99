/* cudnn_norm.cu - layer norms by cuDNN, played.
 *
 * A plan is made for a number of rows: a run has one for each rung (device.h, choose). What is fused into the device's
 * own norms (bias, dropout, residual, sums that are added to) has no place in it: the planner leaves it beside. */
#include "cudnn.cuh"
#include "cudnn_norm_graph.cuh"

extern "C" {
#include "ops.h"
}

/* gamma in fp32, there if it is not. */
static hone_status gamma_as_float(hone_queue *q, const hone_call *c, void **gamma, void *there) {
    hone_call convert = {};
    *gamma = c->in[4].p;
    if (c->in[4].dtype == HONE_F32) return HONE_OK;
    *gamma = there;
    convert.op = HONE_OP_COPY, convert.in[0] = convert.out[0] = c->in[4];
    convert.out[0].p = there, convert.out[0].dtype = HONE_F32;
    return copy(q, &convert);
}

hone_status cudnn_norm_play(hone_queue *q, const hone_call *c) {
    const cudnn_choice *choice = (const cudnn_choice *)c->choice;
    const hone_tensor *in = c->in, *out = c->out;
    if (in[0].dim[0] != choice->rows) {
        q->device->host->log(q->device->host->context,
                             HONE_DEVICE_NAME ": a norm by cuDNN plays the planned number of rows only");
        return HONE_EBUG;
    }
    char *spare = (char *)(((uintptr_t)c->work + 255) / 256 * 256);
    if (c->op == HONE_OP_NORM_FWD) {
        void *mean = out[1].n_dims ? out[1].p : spare, *workspace = spare + CUDNN_UP(4 * in[0].dim[0]);
        const cudnn_binding bound[] = {{NORM_X, in[0].p},  {NORM_GAMMA, in[4].p}, {NORM_BETA, in[5].p},
                                       {NORM_Y, out[0].p}, {NORM_MEAN, mean},     {NORM_RSTD, out[2].p}};
        return cudnn_play(q, c, bound, sizeof bound / sizeof *bound, workspace);
    }
    const size_t vector_bytes = CUDNN_UP(4 * width(in[0]));
    void *dgamma = out[1].n_dims ? out[1].p : spare, *dbeta = out[2].n_dims ? out[2].p : spare + vector_bytes, *gamma;
    const hone_status status = gamma_as_float(q, c, &gamma, spare + 2 * vector_bytes);
    if (status) return status;
    const cudnn_binding bound[] = {{NORM_DY, in[0].p},    {NORM_X, in[1].p},     {NORM_MEAN, in[2].p},
                                   {NORM_RSTD, in[3].p},  {NORM_GAMMA, gamma},   {NORM_DX, out[0].p},
                                   {NORM_DGAMMA, dgamma}, {NORM_DBETA, dbeta}};
    return cudnn_play(q, c, bound, sizeof bound / sizeof *bound, spare + 3 * vector_bytes);
}
