/* linear.cu - the matrix product of rows with a weight [out, in], and its two gradients.
 *   LINEAR_FWD    in  x [N,I], w [O,I], bias [O]?, +y [N,O]?              out  y [N,O], pre [N,O]?
 *   LINEAR_BWD    in  dy [N,O], w [O,I], pre [N,I]?, +dx [N,I]?, +dbias?  out  dx [N,I], dbias [I] f32?
 *   LINEAR_BWD_W  in  dy [N,O], x [N,I], +dw [O,I] f32?, +dbias?          out  dw [O,I] f32, dbias [O] f32?
 * The product is the library's (products.cu), with what it can do in the same pass: the bias, beta = 1 where + is bound,
 * tanh GELU's slope where it computes that form, the bias gradient of weights. What it cannot is done in the same call
 * on the product as it was stored: activation and slope with the bias gradient by the kernels of ACT_FWD and ACT_BWD
 * (act.cu), a bias by add_bias_pieces, column sums alone by sum_columns, which reads N*O*sizeof(T) bytes once: a block
 * owns 16 pieces of columns of every 16th 64 rows, whose sums are a partial in the workspace [16,O] that a second launch
 * adds in order. Which rows add up in which order follows from their numbers alone, so rows of zeros at the end change
 * no bit. The activation is never the library's: that reads the product before it is rounded, so what ACT_FWD makes
 * again of pre would have other bits. Ours costs y's bytes once more, to be read.
 * Plain version: kernels/ref/linear.inc. Shapes and error bounds: kernels/cases/linear.c. */
#include "columns.cuh"
#include "linear.cuh"
#include "products.cuh"

extern "C" {
#include "limits.h"
#include "ops.h"
}

/* ---- what the library lacks ------------------------------------------------------------------------------------*/
template <typename T, bool PACKED>
__global__ void __launch_bounds__(PIECE_THREADS) add_bias_pieces(Pieces all, Rows<T> y, const T *bias) {
    using P = Piece<T, PACKED>;
    for (int k = 0; k < PIECES_A_THREAD; k++) {
        const Place at = place_of<P::size>(all, k);
        if (!at.is_there) continue;
        const P x = P::load(y.at(at.n, at.d)), b = P::load(bias + at.d);
        float out[P::size];
        for (int e = 0; e < P::size; e++) out[e] = x[e] + b[e];
        P::of(out).store(y.at(at.n, at.d));
    }
}
template <typename T, bool PACKED>
static hone_status add_bias_as(hone_queue *q, const hone_tensor &y, const hone_tensor &bias) {
    const Pieces all = pieces_of(y, Piece<T, PACKED>::size);
    return launch(q, add_bias_pieces<T, PACKED>, all.blocks(), PIECE_THREADS, 0, all, rows<T>(y),
                  (const T *)bias.p);
}
template <typename T>
static hone_status add_bias(hone_queue *q, const hone_tensor &y, const hone_tensor &bias) {
    return are_packed<T>(y) && (uintptr_t)bias.p % 16 == 0 ? add_bias_as<T, true>(q, y, bias)
                                                           : add_bias_as<T, false>(q, y, bias);
}

constexpr int BLOCK_ROWS = 64;

template <typename T, bool PACKED>
__global__ void __launch_bounds__(COLUMN_THREADS)
    sum_columns(float *partials, Rows<const T> x, int64_t n_rows, int64_t columns) {
    using P = Piece<T, PACKED>;
    const int64_t first = (int64_t)blockIdx.x * COLUMN_LANES * P::size,
                  column = first + column_lane() * P::size;
    float sum[P::size] = {};
    for (int64_t n = (int64_t)blockIdx.y * BLOCK_ROWS; n < n_rows && column < columns;
         n += (int64_t)gridDim.y * BLOCK_ROWS)
#pragma unroll
        for (int r = 0; r < BLOCK_ROWS; r += ROW_LANES) {
            const int64_t row = n + r + row_lane();
            if (row >= n_rows) continue;
            const P v = P::load(x.at(row, column));
            for (int e = 0; e < P::size; e++) sum[e] += v[e];
        }
    const float total = column_total<P::size>(sum);
    if (threadIdx.x < COLUMN_LANES * P::size && first + threadIdx.x < columns)
        partials[blockIdx.y * columns + first + threadIdx.x] = total;
}
template <typename T, bool PACKED>
static hone_status sum_columns_as(hone_queue *q, const hone_tensor &x, float *partials) {
    constexpr int SIZE = Piece<T, PACKED>::size;
    const dim3 blocks((unsigned)ceil_div(width(x), COLUMN_LANES * SIZE), CUDA_ACT_GROUPS);
    return launch(q, sum_columns<T, PACKED>, blocks, COLUMN_THREADS, sizeof(ColumnSums<SIZE>), partials,
                  rows<const T>(x), x.dim[0], width(x));
}
template <typename T>
static hone_status sum_columns_of(hone_queue *q, const hone_tensor &x, const hone_tensor &dbias,
                                  const hone_tensor &plus, float *partials) {
    const hone_status status =
        are_packed<T>(x) ? sum_columns_as<T, true>(q, x, partials) : sum_columns_as<T, false>(q, x, partials);
    return status ? status : fold_partials(q, dbias, plus, partials, CUDA_ACT_GROUPS);
}

/* ---- the products of the three ops, from a call or a query -----------------------------------------------------*/
/* Bytes that every row of t and every slice of its columns begins at a multiple of. A slice's first column is a multiple
 * of its width, as all slices of a row are heads, or thirds, or whole weights. */
static int64_t alignment_of(const hone_tensor &t) {
    int64_t bytes = (t.ld | width(t)) * (t.dtype == HONE_F32 ? 4 : 2);
    return bytes % 16 == 0 ? 16 : bytes & -bytes;
}
typedef decltype(hone_attr::linear) linear_attr;
static product product_of(const hone_tensor &a, const hone_tensor &b, const hone_tensor &plus,
                          const hone_tensor &d, const linear_attr &attr) {
    product p = {};
    p.type = a.dtype, p.result = d.dtype;
    p.tf32 = attr.tf32 && a.dtype == HONE_F32;
    p.lda = a.ld, p.ldb = b.ld, p.ldc = plus.n_dims ? plus.ld : d.ld, p.ldd = d.ld;
    p.a = a.p, p.b = b.p, p.c = plus.n_dims ? plus.p : d.p, p.d = d.p;
    p.alignment[0] = alignment_of(a), p.alignment[1] = alignment_of(b);
    p.alignment[2] = p.alignment[3] = alignment_of(d);
    if (plus.n_dims && alignment_of(plus) < p.alignment[2]) p.alignment[2] = alignment_of(plus);
    p.alpha = attr.alpha == 0 ? 1 : attr.alpha;
    p.beta = plus.n_dims ? 1.0f : 0.0f;
    return p;
}
/* C and Q: call and query have the same operands. */
template <typename Q> static product forward_product(const Q &c, const hone_tensor &into) {
    product p = product_of(c.in[1], c.in[0], c.in[3], into, c.attr.linear);
    p.is_a_transposed = true;
    p.m = c.in[1].dim[0], p.n = into.dim[0], p.k = width(c.in[1]);
    p.bias = c.in[2].p;
    return p;
}
template <typename Q> static product data_product(const Q &c) {
    product p = product_of(c.in[1], c.in[0], c.in[3], c.out[0], c.attr.linear);
    p.m = width(c.in[1]), p.n = c.in[0].dim[0], p.k = c.in[1].dim[0];
    p.aux = c.in[2].p, p.ld_aux = c.in[2].ld;
    return p;
}
template <typename Q> static product weight_product(const Q &c) {
    product p = product_of(c.in[1], c.in[0], c.in[2], c.out[0], c.attr.linear);
    p.is_b_transposed = true, p.sums_rows = true;
    p.m = width(c.in[1]), p.n = width(c.in[0]), p.k = c.in[0].dim[0];
    p.bias = c.out[1].p;
    return p;
}
/* Where the forward product is stored: pre, or y. */
template <typename Q> static const hone_tensor &forward_result(const Q &c) {
    return c.out[c.out[1].n_dims ? 1 : 0];
}

static bool is_aux(const hone_tensor &t) { return t.ld % 8 == 0 && alignment_of(t) == 16; }

hone_status linear_choose(hone_device *device, const hone_query *query, void **out, hone_err *err) {
    const hone_query &c = *query;
    cublasLtEpilogue_t wanted[2];
    int n = 0;
    product_choice *found = NULL;
    hone_status status = HONE_OK;
    *out = NULL;
    switch (query->op) {
    case HONE_OP_LINEAR_FWD:
        if (c.in[2].n_dims) wanted[n++] = CUBLASLT_EPILOGUE_BIAS;
        wanted[n++] = CUBLASLT_EPILOGUE_DEFAULT;
        status = products_find(device, "LINEAR_FWD", forward_product(c, forward_result(c)), wanted, n, &found,
                               err);
        break;
    case HONE_OP_LINEAR_BWD:
        if (c.in[2].n_dims && c.attr.linear.act == HONE_ACT_GELU_TANH && is_aux(c.in[2]) &&
            products_gelu_is_tanh(device, c.in[0].dtype))
            wanted[n++] = CUBLASLT_EPILOGUE_DGELU;
        wanted[n++] = CUBLASLT_EPILOGUE_DEFAULT;
        status = products_find(device, "LINEAR_BWD", data_product(c), wanted, n, &found, err);
        break;
    case HONE_OP_LINEAR_BWD_W:
        if (!c.out[0].n_dims) return HONE_OK;
        if (c.out[1].n_dims && !c.in[3].n_dims) wanted[n++] = CUBLASLT_EPILOGUE_BGRADB;
        wanted[n++] = CUBLASLT_EPILOGUE_DEFAULT;
        status = products_find(device, "LINEAR_BWD_W", weight_product(c), wanted, n, &found, err);
        break;
    default:
        return HONE_OK;
    }
    *out = found;
    return status;
}

/* ---- the calls -------------------------------------------------------------------------------------------------*/
/* Work: the library's, then partial sums of columns. */
static float *partials_of(const hone_call *c) { return (float *)((char *)c->work + CUDA_PRODUCT_WORK); }

/* pre = alpha x w' + bias (+ +y), y = act(pre) */
hone_status linear_fwd(hone_queue *q, const hone_call *c) {
    const product_choice &choice = *(const product_choice *)c->choice;
    const hone_tensor &y = c->out[0], &bias = c->in[2];
    const hone_tensor &into = forward_result(*c);
    if (y.dim[0] == 0) return HONE_OK;
    HONE_TRY(products_play(q, choice, forward_product(*c, into), c->work));
    if (bias.p && choice.epilogue != CUBLASLT_EPILOGUE_BIAS)
        HONE_TRY(BY_TYPE(y.dtype, add_bias, q, into, bias));
    if (into.p == y.p && c->attr.linear.act == HONE_ACT_NONE) return HONE_OK;
    hone_call act = {};
    act.op = HONE_OP_ACT_FWD;
    act.attr.act.kind = c->attr.linear.act;
    act.in[0] = into;
    act.out[0] = y;
    return act_fwd(q, &act);
}

/* dx = (alpha dy w (+ +dx)) act'(pre), dbias = its column sums */
hone_status linear_bwd(hone_queue *q, const hone_call *c) {
    const product_choice &choice = *(const product_choice *)c->choice;
    const hone_tensor &dx = c->out[0], &dbias = c->out[1];
    if (dx.dim[0]) HONE_TRY(products_play(q, choice, data_product(*c), c->work));
    if (!c->in[2].p || choice.epilogue == CUBLASLT_EPILOGUE_DGELU)
        return dbias.p ? BY_TYPE(dx.dtype, sum_columns_of, q, dx, dbias, c->in[4], partials_of(c)) : HONE_OK;
    hone_call act = {};
    act.op = HONE_OP_ACT_BWD;
    act.attr.act.kind = c->attr.linear.act;
    act.in[0] = act.out[0] = dx;
    act.in[1] = c->in[2];
    act.in[3] = c->in[4];
    act.out[2] = dbias;
    act.work = partials_of(c);
    return act_bwd(q, &act);
}

/* dw (+)= alpha dy' x, dbias (+)= column sums of dy */
hone_status linear_bwd_w(hone_queue *q, const hone_call *c) {
    const hone_tensor &dy = c->in[0], &dw = c->out[0], &dbias = c->out[1];
    bool has_sums = false;
    if (dw.p && dy.dim[0]) {
        const product_choice &choice = *(const product_choice *)c->choice;
        HONE_TRY(products_play(q, choice, weight_product(*c), c->work));
        has_sums = choice.epilogue == CUBLASLT_EPILOGUE_BGRADB;
    } else if (dw.p && !c->in[2].p) {
        const cudaError_t error = cudaMemset2DAsync(dw.p, dw.ld * sizeof(float), 0, width(dw) * sizeof(float),
                                                    dw.dim[0], q->stream);
        if (error != cudaSuccess) return cuda_failed(q, "zeroing a gradient", error);
    }
    return dbias.p && !has_sums ? BY_TYPE(dy.dtype, sum_columns_of, q, dy, dbias, c->in[3], partials_of(c))
                                : HONE_OK;
}
