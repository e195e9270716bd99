/* cudnn_sdpa.cu - the two graphs, in the order in which cuDNN's engines of fused attention look for them: they are
 * matched as a whole, so an operation more or less is another graph, which no engine knows. */
#include "cudnn_sdpa.cuh"

#include <math.h>

namespace {
struct writer {
    cudnn_graph *g;
    const sdpa_shape &s;
    cudnn_tensor len_q, len_k, infinity;

    void scores_dim(int64_t dim[4]) const { dim[0] = s.B, dim[1] = s.H, dim[2] = s.S[0], dim[3] = s.S[1]; }

    cudnn_tensor lengths(int64_t uid) const {
        const int64_t dim[4] = {s.B, 1, 1, 1}, stride[4] = {1, 1, 1, 1};
        return cudnn_memory(g, uid, dnn::DATA_INT32, dim, stride, NULL, 4);
    }
    cudnn_tensor offsets(int64_t uid) const {
        const int64_t dim[4] = {s.B + 1, 1, 1, 1}, stride[4] = {1, 1, 1, 1};
        return cudnn_memory(g, SDPA_AT + uid, dnn::DATA_INT32, dim, stride, NULL, 4);
    }
    /* Operand uid as {B,H,rows,K}, or {B,H,K,rows} of the same memory. */
    cudnn_tensor rows(int64_t uid, int is_of_keys, bool is_transposed, cudnn_tensor *offset) const {
        const int64_t S = s.S[is_of_keys], ld = s.ld[uid];
        const int64_t dim[4] = {s.B, s.H, is_transposed ? s.K : S, is_transposed ? S : s.K};
        const int64_t stride[4] = {S * ld, s.K, is_transposed ? 1 : ld, is_transposed ? ld : 1};
        *offset = offsets(uid);
        return cudnn_memory(g, uid, s.type, dim, stride, offset, s.alignment);
    }
    cudnn_tensor rows(int64_t uid, int is_of_keys, bool is_transposed = false) const {
        cudnn_tensor offset = {};
        return rows(uid, is_of_keys, is_transposed, &offset);
    }
    /* A number a row, in memory. */
    cudnn_tensor column(int64_t uid) const {
        const int64_t dim[4] = {s.B, s.H, s.S[0], 1}, stride[4] = {s.H * s.S[0], s.S[0], 1, 1};
        return cudnn_memory(g, uid, dnn::DATA_FLOAT, dim, stride, NULL, 4);
    }
    cudnn_tensor column() const {
        const int64_t dim[4] = {s.B, s.H, s.S[0], 1};
        return cudnn_inside(g, dnn::DATA_FLOAT, dim);
    }
    cudnn_tensor scores(int type) const {
        int64_t dim[4];
        scores_dim(dim);
        return cudnn_inside(g, type, dim);
    }
    cudnn_tensor compare(int mode, cudnn_tensor a, cudnn_tensor b) const {
        const cudnn_tensor y = scores(dnn::DATA_BOOLEAN);
        cudnn_map(g, mode, dnn::DATA_BOOLEAN, a, &b, y);
        return y;
    }
    cudnn_tensor whole(int mode, cudnn_tensor a, cudnn_tensor b) const {
        const cudnn_tensor y = scores(dnn::DATA_INT32);
        cudnn_map(g, mode, dnn::DATA_INT32, a, &b, y);
        return y;
    }

    /* Queries and keys beyond their sequence's end. */
    cudnn_tensor mask_ends(cudnn_tensor x) const {
        const cudnn_tensor row = cudnn_index(g, x, 2), key = cudnn_index(g, x, 3);
        const cudnn_tensor has_row = compare(dnn::POINTWISE_CMP_LT, row, len_q),
                           has_key = compare(dnn::POINTWISE_CMP_LT, key, len_k);
        return cudnn_select(g, compare(dnn::POINTWISE_LOGICAL_AND, has_row, has_key), x, infinity);
    }
    /* row + len_k - len_q + right >= key, and key + left + 1 - len_k + len_q > row */
    cudnn_tensor mask_band(cudnn_tensor x) const {
        const cudnn_tensor before = x;
        if (s.right >= 0) {
            cudnn_tensor row = cudnn_index(g, before, 2);
            const cudnn_tensor key = cudnn_index(g, before, 3);
            row = whole(dnn::POINTWISE_SUB, whole(dnn::POINTWISE_ADD, row, len_k), len_q);
            if (s.right > 0) row = whole(dnn::POINTWISE_ADD, row, cudnn_number(g, s.right));
            x = cudnn_select(g, compare(dnn::POINTWISE_CMP_GE, row, key), before, infinity);
        }
        if (s.left >= 0) {
            const cudnn_tensor row = cudnn_index(g, x, 2);
            cudnn_tensor key = cudnn_index(g, x, 3);
            key = whole(dnn::POINTWISE_ADD, key, cudnn_number(g, s.left + 1));
            key = whole(dnn::POINTWISE_ADD, whole(dnn::POINTWISE_SUB, key, len_k), len_q);
            x = cudnn_select(g, compare(dnn::POINTWISE_CMP_GT, key, row), x, infinity);
        }
        return x;
    }
    cudnn_tensor multiply_scores(cudnn_tensor a, cudnn_tensor b) const {
        const cudnn_tensor y = scores(dnn::DATA_FLOAT);
        cudnn_multiply(g, a, b, y, &len_q, &len_k, NULL);
        return y;
    }
    /* x' rounded to the type, {B,H,keys,queries}. */
    cudnn_tensor transposed(cudnn_tensor x) const {
        const int64_t dim[4] = {s.B, s.H, s.S[1], s.S[0]};
        const int64_t stride[4] = {s.H * s.S[0] * s.S[1], s.S[0] * s.S[1], 1, s.S[1]};
        const cudnn_tensor y = cudnn_shown(g, s.type, dim, stride, NULL);
        cudnn_reshape(g, x, y);
        return y;
    }

    void forward() const {
        const cudnn_tensor q = rows(SDPA_Q, 0), k = rows(SDPA_K, 1, true), v = rows(SDPA_V, 1),
                           o = rows(SDPA_O, 0), stats = column(SDPA_STATS);
        cudnn_tensor x = cudnn_map(g, dnn::POINTWISE_MUL, multiply_scores(q, k), cudnn_number(g, s.scale));
        x = mask_band(mask_ends(x));
        const cudnn_tensor most = column(), sum = column();
        cudnn_reduce(g, dnn::REDUCE_TENSOR_MAX, x, most);
        const cudnn_tensor e = cudnn_map(g, dnn::POINTWISE_EXP, cudnn_map(g, dnn::POINTWISE_SUB, x, most));
        cudnn_reduce(g, dnn::REDUCE_TENSOR_ADD, e, sum);
        const cudnn_tensor log_sum = cudnn_map(g, dnn::POINTWISE_LOG, sum);
        cudnn_map(g, dnn::POINTWISE_ADD, dnn::DATA_FLOAT, most, &log_sum, stats);
        const cudnn_tensor p = scores(s.type);
        cudnn_map(g, dnn::POINTWISE_DIV, dnn::DATA_FLOAT, e, &sum, p);
        cudnn_multiply(g, p, v, o, &len_q, NULL, &len_k);
    }

    void backward() const {
        cudnn_tensor k_offset = {};
        const cudnn_tensor q = rows(SDPA_Q, 0), k = rows(SDPA_K, 1, true, &k_offset),
                           v = rows(SDPA_V, 1, true), o = rows(SDPA_O, 0), d_o = rows(SDPA_DO, 0),
                           stats = column(SDPA_STATS);
        const cudnn_tensor dq = rows(SDPA_DQ, 0), dk = rows(SDPA_DK, 1), dv = rows(SDPA_DV, 1);
        const cudnn_tensor scale = cudnn_number(g, s.scale), one = cudnn_number(g, 1.0f);

        const cudnn_tensor product = cudnn_map(g, dnn::POINTWISE_MUL, d_o, o), sum = column(),
                           delta = column(SDPA_DELTA);
        cudnn_reduce(g, dnn::REDUCE_TENSOR_ADD, product, sum);
        cudnn_map(g, dnn::POINTWISE_MUL, dnn::DATA_FLOAT, sum, &one, delta);

        cudnn_tensor x = cudnn_map(g, dnn::POINTWISE_MUL, multiply_scores(q, k), scale);
        x = cudnn_map(g, dnn::POINTWISE_SUB, mask_ends(x), stats);
        const cudnn_tensor p = cudnn_map(g, dnn::POINTWISE_EXP, mask_band(x));
        cudnn_multiply(g, transposed(p), d_o, dv, &len_k, NULL, &len_q);

        x = cudnn_map(g, dnn::POINTWISE_SUB, multiply_scores(d_o, v), delta);
        x = cudnn_map(g, dnn::POINTWISE_MUL, x, p);
        const cudnn_tensor ds = cudnn_map(g, dnn::POINTWISE_MUL, x, scale);
        cudnn_multiply(g, transposed(ds), q, dk, &len_k, NULL, &len_q);

        const int64_t dim[4] = {s.B, s.H, s.S[1], s.K},
                      stride[4] = {s.S[1] * s.ld[SDPA_K], s.K, s.ld[SDPA_K], 1};
        const cudnn_tensor k_rows = cudnn_shown(g, s.type, dim, stride, &k_offset);
        cudnn_reshape(g, k, k_rows);
        cudnn_multiply(g, ds, k_rows, dq, &len_q, NULL, &len_k);
    }
};
} // namespace

void sdpa_write(cudnn_graph *g, const sdpa_shape &s) {
    writer w = {g, s, {}, {}, {}};
    w.len_q = w.lengths(SDPA_LEN_Q), w.len_k = w.lengths(SDPA_LEN_K);
    w.infinity = cudnn_number(g, -INFINITY);
    if (s.is_backward) w.backward();
    else w.forward();
}
