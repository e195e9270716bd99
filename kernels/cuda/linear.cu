/* linear.cu - the matrix product of rows with a weight [out, in], and its two gradients.
 *   LINEAR_FWD    in  x [N,I], w [O,I], bias [O]?, +y [N,O]?              out  y [N,O], pre [N,O]?
 *   LINEAR_BWD    in  dy [N,O], w [O,I], pre [N,I]?, +dx [N,I]?, +dbias?  out  dx [N,I], dbias [I] f32?
 *   LINEAR_BWD_W  in  dy [N,O], x [N,I], +dw [O,I] f32?, +dbias?          out  dw [O,I] f32, dbias [O] f32?
 * The product is the library's (products.cu), with what it can do in the same pass: the bias, beta = 1 where + is bound,
 * tanh GELU and its slope where it computes that form, the bias gradient of weights. What it cannot is done by the
 * two kernels below, in the same call, on the product as it was stored:
 *
 *   finish_rows     y = act(product + bias), pre = product + bias: a thread owns 8 columns of a row; reads the product
 *                   and writes the results once (2 or 3 * N*O*sizeof(T) bytes)
 *   finish_columns  dx = product act'(pre), and sums of its columns: a block owns 128 columns of every 16th 64 rows, 16
 *                   lanes of 8 columns x 16 lanes of rows; reads and writes dx and reads pre once (3 * N*I*sizeof(T)).
 *                   Which rows add up in which order is fixed by their numbers alone, so rows of zeros at the end change
 *                   no bit. Partial sums [16,I] go to work; add_partials adds them in order.
 *
 * Plain version: kernels/ref/linear.inc. Shapes and error bounds: kernels/cases/linear.c. */
#include "act.cuh"
#include "linear.cuh"
#include "products.cuh"

extern "C" {
#include "ops.h"
}

constexpr int RUN = 8; /* columns of a thread */
constexpr int BLOCK_COLUMNS = 128, COLUMN_LANES = BLOCK_COLUMNS / RUN, ROW_LANES = 16, BLOCK_ROWS = 64;
constexpr int GROUPS = 16; /* of rows: partial sums. COLUMN_GROUPS in limits.c */

/* ---- 8 columns of a row ----------------------------------------------------------------------------------------*/
/* n: columns that are there, from p on. is_packed: all 8 are, and p is a multiple of 16 bytes. */
template <typename T>
__device__ __forceinline__ void load_run(float v[RUN], const T *p, int64_t n, bool is_packed_run) {
    if (is_packed_run) {
        for (int i = 0; i < RUN / Pack<T>::size; i++) {
            const Pack<T> x = Pack<T>::load(p, i);
            for (int e = 0; e < Pack<T>::size; e++) v[i * Pack<T>::size + e] = to_float(x[e]);
        }
    } else
        for (int e = 0; e < RUN; e++) v[e] = e < n ? to_float(p[e]) : 0.0f;
}
template <typename T>
__device__ __forceinline__ void store_run(T *p, const float v[RUN], int64_t n, bool is_packed_run) {
    if (is_packed_run) {
        for (int i = 0; i < RUN / Pack<T>::size; i++) {
            Pack<T> x;
            for (int e = 0; e < Pack<T>::size; e++) x[e] = from_float<T>(v[i * Pack<T>::size + e]);
            x.store(p, i);
        }
    } else
        for (int e = 0; e < RUN && e < n; e++) p[e] = from_float<T>(v[e]);
}
template <typename T> static bool has_runs(const hone_tensor &t) {
    return !t.p || (is_packed<T>(t) && width(t) % RUN == 0);
}

/* ---- what follows a forward product ----------------------------------------------------------------------------*/
template <typename T> struct Rows {
    T *p;
    int64_t ld;
};
template <typename T> static Rows<T> rows_of(const hone_tensor &t) { return {ptr<T>(t), t.ld}; }

/* from: the product, which may be y's or pre's own storage. 8 rows x 32 runs a block. */
template <typename T, int KIND>
__global__ void finish_rows(Rows<T> y, Rows<T> pre, Rows<T> from, const T *bias, int64_t n, int64_t columns,
                            int packed) {
    const int64_t row = (int64_t)blockIdx.x * 8 + threadIdx.x / 32;
    const int64_t column = ((int64_t)blockIdx.y * 32 + threadIdx.x % 32) * RUN;
    if (row >= n || column >= columns) return;
    float v[RUN], b[RUN];
    load_run(v, from.p + row * from.ld + column, columns - column, packed);
    if (bias) {
        load_run(b, bias + column, columns - column, packed);
        for (int e = 0; e < RUN; e++) v[e] += b[e];
    }
    if (pre.p && (bias || pre.p != from.p))
        store_run(pre.p + row * pre.ld + column, v, columns - column, packed);
    for (int e = 0; e < RUN; e++) v[e] = act_value(KIND, v[e]);
    store_run(y.p + row * y.ld + column, v, columns - column, packed);
}

template <typename T, int KIND>
static hone_status finish_forward(hone_queue *q, const hone_call *c, const hone_tensor &from,
                                  bool with_bias) {
    const hone_tensor &y = c->out[0], &pre = c->out[1], &bias = c->in[2];
    const bool packed = has_runs<T>(y) && has_runs<T>(pre) && (uintptr_t)bias.p % 16 == 0;
    return launch(q, finish_rows<T, KIND>,
                  dim3((unsigned)ceil_div(y.dim[0], 8), (unsigned)ceil_div(width(y), 32 * RUN)), 256, 0,
                  rows_of<T>(y), rows_of<T>(pre), rows_of<T>(from),
                  with_bias ? ptr<const T>(bias) : (const T *)NULL, y.dim[0], width(y), packed);
}

/* ---- what follows a data gradient ------------------------------------------------------------------------------*/
struct ColumnSums {
    float lane[ROW_LANES][BLOCK_COLUMNS];
};
/* KIND none: dx is only read. partial NULL: no sums. */
template <typename T, int KIND>
__global__ void finish_columns(Rows<T> dx, Rows<const T> pre, float *partial, int64_t n, int64_t columns,
                               int packed) {
    ColumnSums &shared = shared_memory<ColumnSums>();
    const int lane = threadIdx.x % COLUMN_LANES, row_lane = threadIdx.x / COLUMN_LANES;
    const int64_t column = (int64_t)blockIdx.x * BLOCK_COLUMNS + lane * RUN, there = columns - column;
    float sum[RUN] = {};
    for (int64_t first = (int64_t)blockIdx.y * BLOCK_ROWS; first < n && there > 0;
         first += (int64_t)GROUPS * BLOCK_ROWS)
        for (int64_t row = first + row_lane; row < first + BLOCK_ROWS && row < n; row += ROW_LANES) {
            float v[RUN], x[RUN];
            load_run(v, dx.p + row * dx.ld + column, there, packed);
            if (KIND != HONE_ACT_NONE) {
                load_run(x, pre.p + row * pre.ld + column, there, packed);
                for (int e = 0; e < RUN; e++) v[e] *= act_slope(KIND, x[e]);
                store_run(dx.p + row * dx.ld + column, v, there, packed);
            }
            for (int e = 0; e < RUN; e++) sum[e] += v[e];
        }
    if (!partial) return;
    for (int e = 0; e < RUN; e++) shared.lane[row_lane][lane * RUN + e] = sum[e];
    __syncthreads();
    const int64_t mine = (int64_t)blockIdx.x * BLOCK_COLUMNS + threadIdx.x;
    if (threadIdx.x >= BLOCK_COLUMNS || mine >= columns) return;
    float all = 0;
    for (int r = 0; r < ROW_LANES; r++) all += shared.lane[r][threadIdx.x];
    partial[blockIdx.y * columns + mine] = all;
}
/* dbias (+)= partial sums, in order */
static __global__ void add_partials(float *dbias, const float *partial, int64_t columns, int adds) {
    const int64_t column = (int64_t)blockIdx.x * 256 + threadIdx.x;
    if (column >= columns) return;
    float sum = 0;
    for (int g = 0; g < GROUPS; g++) sum += partial[g * columns + column];
    dbias[column] = adds ? dbias[column] + sum : sum;
}

/* dbias.p NULL: only the slope. */
template <typename T, int KIND>
static hone_status finish_backward(hone_queue *q, const hone_tensor &dx, const hone_tensor &pre,
                                   const hone_tensor &dbias, bool adds, float *partial) {
    const int64_t n = dx.dim[0], columns = width(dx);
    const bool packed = has_runs<T>(dx) && has_runs<T>(pre);
    hone_status status =
        launch(q, finish_columns<T, KIND>, dim3((unsigned)ceil_div(columns, BLOCK_COLUMNS), GROUPS),
               COLUMN_LANES * ROW_LANES, sizeof(ColumnSums), rows_of<T>(dx), rows_of<const T>(pre),
               dbias.p ? partial : NULL, n, columns, packed);
    if (!status && dbias.p)
        status = launch(q, add_partials, (unsigned)ceil_div(columns, 256), 256, 0, ptr<float>(dbias),
                        (const float *)partial, columns, adds);
    return status;
}

#define BY_KIND(kind, fn, T, ...)                                                                            \
    ((kind) == HONE_ACT_GELU        ? fn<T, HONE_ACT_GELU>(__VA_ARGS__)                                      \
     : (kind) == HONE_ACT_GELU_TANH ? fn<T, HONE_ACT_GELU_TANH>(__VA_ARGS__)                                 \
     : (kind) == HONE_ACT_RELU      ? fn<T, HONE_ACT_RELU>(__VA_ARGS__)                                      \
     : (kind) == HONE_ACT_SILU      ? fn<T, HONE_ACT_SILU>(__VA_ARGS__)                                      \
     : (kind) == HONE_ACT_TANH      ? fn<T, HONE_ACT_TANH>(__VA_ARGS__)                                      \
                                    : fn<T, HONE_ACT_NONE>(__VA_ARGS__))
template <typename T>
static hone_status finish_forward_type(hone_queue *q, const hone_call *c, const hone_tensor &from,
                                       bool with_bias) {
    return BY_KIND(c->attr.linear.act, finish_forward, T, q, c, from, with_bias);
}
template <typename T>
static hone_status finish_backward_type(hone_queue *q, int kind, const hone_tensor &dx,
                                        const hone_tensor &pre, const hone_tensor &dbias, bool adds,
                                        float *partial) {
    return BY_KIND(kind, finish_backward, T, q, dx, pre, dbias, adds, partial);
}

/* ---- the products of the three ops, from a call or a query -----------------------------------------------------*/
/* Bytes that every row of t and every slice of its columns begins at a multiple of. A slice's first column is a multiple
 * of its width, as all slices of a row are heads, or thirds, or whole weights. */
static int64_t alignment_of(const hone_tensor &t) {
    int64_t bytes = (t.ld | width(t)) * (t.dtype == HONE_F32 ? 4 : 2);
    return bytes % 16 == 0 ? 16 : bytes & -bytes;
}
static product product_of(const hone_tensor &a, const hone_tensor &b, const hone_tensor &plus,
                          const hone_tensor &d, float alpha) {
    product p = {};
    p.type = a.dtype, p.result = d.dtype;
    p.lda = a.ld, p.ldb = b.ld, p.ldc = plus.n_dims ? plus.ld : d.ld, p.ldd = d.ld;
    p.a = a.p, p.b = b.p, p.c = plus.n_dims ? plus.p : d.p, p.d = d.p;
    p.alignment[0] = alignment_of(a), p.alignment[1] = alignment_of(b);
    p.alignment[2] = p.alignment[3] = alignment_of(d);
    if (plus.n_dims && alignment_of(plus) < p.alignment[2]) p.alignment[2] = alignment_of(plus);
    p.alpha = alpha == 0 ? 1 : alpha;
    p.beta = plus.n_dims ? 1.0f : 0.0f;
    return p;
}
/* C and Q: call and query have the same operands. */
template <typename Q> static product forward_product(const Q &c, const hone_tensor &into) {
    product p = product_of(c.in[1], c.in[0], c.in[3], into, c.attr.linear.alpha);
    p.is_a_transposed = true;
    p.m = c.in[1].dim[0], p.n = into.dim[0], p.k = width(c.in[1]);
    p.bias = c.in[2].p;
    return p;
}
template <typename Q> static product data_product(const Q &c) {
    product p = product_of(c.in[1], c.in[0], c.in[3], c.out[0], c.attr.linear.alpha);
    p.m = width(c.in[1]), p.n = c.in[0].dim[0], p.k = c.in[1].dim[0];
    p.aux = c.in[2].p, p.ld_aux = c.in[2].ld;
    return p;
}
template <typename Q> static product weight_product(const Q &c) {
    product p = product_of(c.in[1], c.in[0], c.in[2], c.out[0], c.attr.linear.alpha);
    p.is_b_transposed = true, p.sums_rows = true;
    p.m = width(c.in[1]), p.n = width(c.in[0]), p.k = c.in[0].dim[0];
    p.bias = c.out[1].p;
    return p;
}
/* Where the forward product is stored, if the library does not apply the activation: pre, or y. */
template <typename Q> static const hone_tensor &forward_result(const Q &c) {
    return c.out[c.out[1].n_dims ? 1 : 0];
}

static bool is_aux(const hone_tensor &t) { return t.ld % 8 == 0 && alignment_of(t) == 16; }

hone_status linear_choose(hone_device *device, const hone_query *query, void **out, hone_err *err) {
    const hone_query &c = *query;
    const hone_tensor &pre = c.out[1];
    const bool is_tanh = c.attr.linear.act == HONE_ACT_GELU_TANH;
    cublasLtEpilogue_t wanted[3];
    int n = 0;
    product_choice *found = NULL;
    hone_status status = HONE_OK;
    *out = NULL;
    switch (query->op) {
    case HONE_OP_LINEAR_FWD: {
        product p = forward_product(c, c.out[0]);
        const bool has_bias = c.in[2].n_dims,
                   fits = !pre.n_dims || (is_aux(pre) && alignment_of(c.out[0]) == 16);
        p.ld_aux = pre.ld;
        if (pre.n_dims && alignment_of(pre) < p.alignment[3]) p.alignment[3] = alignment_of(pre);
        if (is_tanh && fits && products_gelu_is_tanh(device, p.type))
            wanted[n++] = pre.n_dims
                              ? (has_bias ? CUBLASLT_EPILOGUE_GELU_AUX_BIAS : CUBLASLT_EPILOGUE_GELU_AUX)
                              : (has_bias ? CUBLASLT_EPILOGUE_GELU_BIAS : CUBLASLT_EPILOGUE_GELU);
        if (has_bias) wanted[n++] = CUBLASLT_EPILOGUE_BIAS;
        wanted[n++] = CUBLASLT_EPILOGUE_DEFAULT;
        status = products_find(device, "LINEAR_FWD", p, wanted, n, &found, err);
        break;
    }
    case HONE_OP_LINEAR_BWD:
        if (c.in[2].n_dims && is_tanh && is_aux(c.in[2]) && products_gelu_is_tanh(device, c.in[0].dtype))
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
/* Work: the library's workspace, then partial sums of columns. limits.c plans both. */
static float *partials(const hone_call *c) { return (float *)((char *)c->work + PRODUCT_WORKSPACE + 256); }

/* pre = alpha x w' + bias (+ +y), y = act(pre) */
hone_status linear_fwd(hone_queue *q, const hone_call *c) {
    const product_choice &choice = *(const product_choice *)c->choice;
    const hone_tensor &y = c->out[0];
    const bool has_act = choice.epilogue & CUBLASLT_EPILOGUE_GELU,
               has_bias = choice.epilogue & CUBLASLT_EPILOGUE_BIAS;
    const hone_tensor &into = has_act ? y : forward_result(*c);
    if (y.dim[0] == 0) return HONE_OK;
    product p = forward_product(*c, into);
    if (has_act) p.aux = c->out[1].p, p.ld_aux = c->out[1].ld;
    const hone_status status = products_play(q, choice, p, c->work);
    const bool is_whole = has_act || (into.p == y.p && c->attr.linear.act == HONE_ACT_NONE);
    if (status || (is_whole && (has_bias || !c->in[2].p))) return status;
    return BY_TYPE(y.dtype, finish_forward_type, q, c, into, c->in[2].p && !has_bias);
}

/* dx = (alpha dy w (+ +dx)) act'(pre), dbias = its column sums */
hone_status linear_bwd(hone_queue *q, const hone_call *c) {
    const product_choice &choice = *(const product_choice *)c->choice;
    const hone_tensor &dx = c->out[0];
    const bool has_slope = choice.epilogue == CUBLASLT_EPILOGUE_DGELU;
    const int kind = c->in[2].p && !has_slope ? c->attr.linear.act : HONE_ACT_NONE;
    hone_status status = dx.dim[0] ? products_play(q, choice, data_product(*c), c->work) : HONE_OK;
    if (status || (kind == HONE_ACT_NONE && !c->out[1].p)) return status;
    return BY_TYPE(dx.dtype, finish_backward_type, q, kind, dx, c->in[2], c->out[1], c->in[4].p != NULL,
                   partials(c));
}

/* dw (+)= alpha dy' x, dbias (+)= column sums of dy */
hone_status linear_bwd_w(hone_queue *q, const hone_call *c) {
    const hone_tensor &dy = c->in[0], &dw = c->out[0], &dbias = c->out[1];
    bool has_sums = false;
    if (dw.p && dy.dim[0]) {
        const product_choice &choice = *(const product_choice *)c->choice;
        const hone_status status = products_play(q, choice, weight_product(*c), c->work);
        if (status) return status;
        has_sums = choice.epilogue == CUBLASLT_EPILOGUE_BGRADB;
    } else if (dw.p && !c->in[2].p) {
        const cudaError_t error = cudaMemset2DAsync(dw.p, dw.ld * sizeof(float), 0, width(dw) * sizeof(float),
                                                    dw.dim[0], q->stream);
        if (error != cudaSuccess) return cuda_failed(q, "zeroing a gradient", error);
    }
    if (!dbias.p || has_sums) return HONE_OK;
    return BY_TYPE(dy.dtype, finish_backward_type, q, HONE_ACT_NONE, dy, hone_tensor{}, dbias,
                   c->in[3].p != NULL, partials(c));
}
