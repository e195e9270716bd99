/* cudnn_norm_graph.cu - the two operations, written. */
#include "cudnn_norm_graph.cuh"

#include <string.h>

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
    const writer w = {g, in[0].dim[0], in[0].dim[1] * in[0].dim[2]};
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
        cudnn_operand(g, d, dnn::ATTR_OPERATION_NORM_BWD_SCALE_DESC, w.vector(NORM_GAMMA, HONE_F32));
        cudnn_operand(g, d, dnn::ATTR_OPERATION_NORM_BWD_DSCALE_DESC, w.vector(NORM_DGAMMA, HONE_F32));
        cudnn_operand(g, d, dnn::ATTR_OPERATION_NORM_BWD_DBIAS_DESC, w.vector(NORM_DBETA, HONE_F32));
        cudnn_operand(g, d, dnn::ATTR_OPERATION_NORM_BWD_DXDESC, w.rows(NORM_DX, out[0]));
    }
    cudnn_operation(g, d);
}
