/* cudnn_norm.cu - a layer norm by cuDNN: y = gamma (x - mean) rstd + beta, and its gradient, as one operation
 * each.
 *
 * A plan is made for a number of rows: a run has one for each rung (device.h, choose). What is fused into the device's
 * own norms (bias, dropout, residual, sums that are added to) has no place in it: the planner leaves it beside. */
#include "cudnn.cuh"

#include <string.h>

enum norm_uid {
    NORM_X = 1,
    NORM_MEAN,
    NORM_RSTD,
    NORM_GAMMA,
    NORM_BETA,
    NORM_Y,
    NORM_DY,
    NORM_DX,
    NORM_DGAMMA,
    NORM_DBETA
};

namespace {
struct writer {
    cudnn_graph *g;
    int64_t N, D;
    /* [N,D] rows, [N] a number a row, [D] a vector; alignment of what a pack can be read from */
    cudnn_tensor rows(int64_t uid, const hone_tensor &t) const {
        const int64_t dim[4] = {N, D, 1, 1}, stride[4] = {t.ld, 1, 1, 1};
        return cudnn_memory(g, uid, cudnn_type(t.dtype), dim, stride, NULL, hone_dtype_bytes(t.dtype));
    }
    cudnn_tensor numbers(int64_t uid) const {
        const int64_t dim[4] = {N, 1, 1, 1}, stride[4] = {1, 1, 1, 1};
        return cudnn_memory(g, uid, dnn::DATA_FLOAT, dim, stride, NULL, 4);
    }
    cudnn_tensor vector(int64_t uid, hone_dtype type) const {
        const int64_t dim[4] = {1, D, 1, 1}, stride[4] = {D, 1, 1, 1};
        return cudnn_memory(g, uid, cudnn_type(type), dim, stride, NULL, hone_dtype_bytes(type));
    }
};
} // namespace

void cudnn_norm_describe(const hone_query *query, cudnn_graph *g, std::vector<int64_t> *key) {
    const hone_tensor *in = query->in, *out = query->out;
    const bool is_forward = query->op == HONE_OP_NORM_FWD;
    const writer w = {g, in[0].dim[0], width(in[0])};
    const float eps = (float)query->attr.norm.eps;
    const int32_t mode = dnn::LAYER_NORM, phase = dnn::NORM_FWD_TRAINING;
    int32_t eps_bits;
    memcpy(&eps_bits, &eps, sizeof eps_bits);
    for (int64_t x : {w.N, w.D, in[0].ld, is_forward ? 0 : in[1].ld, out[0].ld, (int64_t)eps_bits})
        key->push_back(x);
    const dnn::descriptor d = cudnn_begin(g, is_forward ? dnn::BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR
                                                        : dnn::BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR);
    if (is_forward) {
        cudnn_attribute(g, d, dnn::ATTR_OPERATION_NORM_FWD_MODE, dnn::TYPE_NORM_MODE, 1, &mode);
        cudnn_attribute(g, d, dnn::ATTR_OPERATION_NORM_FWD_PHASE, dnn::TYPE_NORM_FWD_PHASE, 1, &phase);
        cudnn_operand(g, d, dnn::ATTR_OPERATION_NORM_FWD_XDESC, w.rows(NORM_X, in[0]));
        cudnn_operand(g, d, dnn::ATTR_OPERATION_NORM_FWD_MEAN_DESC, w.numbers(NORM_MEAN));
        cudnn_operand(g, d, dnn::ATTR_OPERATION_NORM_FWD_INV_VARIANCE_DESC, w.numbers(NORM_RSTD));
        cudnn_operand(g, d, dnn::ATTR_OPERATION_NORM_FWD_SCALE_DESC, w.vector(NORM_GAMMA, in[4].dtype));
        cudnn_operand(g, d, dnn::ATTR_OPERATION_NORM_FWD_BIAS_DESC, w.vector(NORM_BETA, in[5].dtype));
        cudnn_operand(g, d, dnn::ATTR_OPERATION_NORM_FWD_EPSILON_DESC, cudnn_number(g, eps));
        cudnn_operand(g, d, dnn::ATTR_OPERATION_NORM_FWD_YDESC, w.rows(NORM_Y, out[0]));
    } else {
        cudnn_attribute(g, d, dnn::ATTR_OPERATION_NORM_BWD_MODE, dnn::TYPE_NORM_MODE, 1, &mode);
        cudnn_operand(g, d, dnn::ATTR_OPERATION_NORM_BWD_XDESC, w.rows(NORM_X, in[1]));
        cudnn_operand(g, d, dnn::ATTR_OPERATION_NORM_BWD_MEAN_DESC, w.numbers(NORM_MEAN));
        cudnn_operand(g, d, dnn::ATTR_OPERATION_NORM_BWD_INV_VARIANCE_DESC, w.numbers(NORM_RSTD));
        cudnn_operand(g, d, dnn::ATTR_OPERATION_NORM_BWD_DYDESC, w.rows(NORM_DY, in[0]));
        cudnn_operand(g, d, dnn::ATTR_OPERATION_NORM_BWD_SCALE_DESC, w.vector(NORM_GAMMA, in[4].dtype));
        cudnn_operand(g, d, dnn::ATTR_OPERATION_NORM_BWD_DSCALE_DESC, w.vector(NORM_DGAMMA, HONE_F32));
        cudnn_operand(g, d, dnn::ATTR_OPERATION_NORM_BWD_DBIAS_DESC, w.vector(NORM_DBETA, HONE_F32));
        cudnn_operand(g, d, dnn::ATTR_OPERATION_NORM_BWD_DXDESC, w.rows(NORM_DX, out[0]));
    }
    cudnn_operation(g, d);
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
    void *dgamma = out[1].n_dims ? out[1].p : spare, *dbeta = out[2].n_dims ? out[2].p : spare + vector_bytes;
    const cudnn_binding bound[] = {{NORM_DY, in[0].p},    {NORM_X, in[1].p},     {NORM_MEAN, in[2].p},
                                   {NORM_RSTD, in[3].p},  {NORM_GAMMA, in[4].p}, {NORM_DX, out[0].p},
                                   {NORM_DGAMMA, dgamma}, {NORM_DBETA, dbeta}};
    return cudnn_play(q, c, bound, sizeof bound / sizeof *bound, spare + 2 * vector_bytes);
}
