/* cudnn.cpp - the emulated cuDNN: descriptors kept as they were set, graphs played by plain loops over what the descriptors
 * say, late, on the stream. So a wrong stride, offset, length or scale gives wrong numbers here.
 *
 * What the real library leaves open is NaN here: a product's rows and columns beyond its live ones, rows of a sequence beyond
 * its end, the workspace. It knows the two graphs of attention (any graph of products, maps, reductions and reshapes whose
 * values belong to one sequence and head) and the two norms. Its plans want the workspace that cuDNN 9.19 wants on sm_90. */
#include "control.h"
#include "cuda_runtime.h"
#include "cuda/cudnn_words.h"

#include <map>
#include <math.h>
#include <memory>
#include <string.h>
#include <string>
#include <vector>

namespace {
struct attribute {
    int type;
    std::vector<unsigned char> bytes;
};
struct described {
    int kind = -1;
    bool is_finished = false;
    std::map<int, attribute> set;

    bool has(int a) const { return set.count(a) > 0; }
    template <typename T> std::vector<T> all(int a) const {
        const auto found = set.find(a);
        std::vector<T> out(found == set.end() ? 0 : found->second.bytes.size() / sizeof(T));
        if (!out.empty()) memcpy(out.data(), found->second.bytes.data(), out.size() * sizeof(T));
        return out;
    }
    template <typename T> T one(int a, T otherwise) const {
        const std::vector<T> v = all<T>(a);
        return v.empty() ? otherwise : v[0];
    }
    const described *link(int a) const { return one<const described *>(a, nullptr); }
};

thread_local std::string last;
dnn::status refuse(dnn::status status, const std::string &why) { return last = why, status; }

size_t type_bytes(int type) {
    switch (type) {
    case dnn::TYPE_BACKEND_DESCRIPTOR:
    case dnn::TYPE_VOID_PTR:
    case dnn::TYPE_HANDLE:
    case dnn::TYPE_INT64:
        return 8;
    case dnn::TYPE_BOOLEAN:
    case dnn::TYPE_CHAR:
        return 1;
    default:
        return 4;
    }
}
size_t element_bytes(int type) {
    return type == dnn::DATA_HALF || type == dnn::DATA_BFLOAT16 ? 2 : type == dnn::DATA_INT64 ? 8 : type == dnn::DATA_BOOLEAN ? 1 : 4;
}
float load(const char *p, int type) {
    float x;
    int32_t i;
    uint16_t h;
    switch (type) {
    case dnn::DATA_FLOAT:
        return memcpy(&x, p, 4), x;
    case dnn::DATA_INT32:
        return memcpy(&i, p, 4), (float)i;
    default:
        memcpy(&h, p, 2);
        return type == dnn::DATA_BFLOAT16 ? cuemu::bf16_value(h) : cuemu::half_value(h);
    }
}
float rounded(float x, int type) {
    if (type == dnn::DATA_BFLOAT16) return cuemu::bf16_value(cuemu::bf16_bits(x));
    if (type == dnn::DATA_HALF) return cuemu::half_value(cuemu::half_bits(x));
    return x;
}
void store(char *p, int type, float x) {
    if (type == dnn::DATA_FLOAT) {
        memcpy(p, &x, 4);
        return;
    }
    const uint16_t h = type == dnn::DATA_BFLOAT16 ? cuemu::bf16_bits(x) : cuemu::half_bits(x);
    memcpy(p, &h, 2);
}

/* ---- a graph as it is played: copies, for descriptors may be gone by then ------------------------------------------*/
struct tensor {
    int64_t uid, dim[4], stride[4], alignment, offset_uid;
    int type;
    bool is_virtual, is_value;
};
enum operand { X, B, Y, WHEN, M, N, K, MEAN, RSTD, SCALE, BIAS, EPSILON, DY, DSCALE, DBIAS, N_OPERANDS };
struct operation {
    int kind, mode;
    int64_t axis;
    int64_t uid[N_OPERANDS]; /* 0: none */
};
struct graph {
    std::map<int64_t, tensor> tensors;
    std::vector<operation> operations;
};
const struct {
    int kind;
    operand as;
    int attribute;
} operands[] = {
    {dnn::BACKEND_OPERATION_MATMUL_DESCRIPTOR, X, dnn::ATTR_OPERATION_MATMUL_ADESC},
    {dnn::BACKEND_OPERATION_MATMUL_DESCRIPTOR, B, dnn::ATTR_OPERATION_MATMUL_BDESC},
    {dnn::BACKEND_OPERATION_MATMUL_DESCRIPTOR, Y, dnn::ATTR_OPERATION_MATMUL_CDESC},
    {dnn::BACKEND_OPERATION_MATMUL_DESCRIPTOR, M, dnn::ATTR_OPERATION_MATMUL_GEMM_M_OVERRIDE_DESC},
    {dnn::BACKEND_OPERATION_MATMUL_DESCRIPTOR, N, dnn::ATTR_OPERATION_MATMUL_GEMM_N_OVERRIDE_DESC},
    {dnn::BACKEND_OPERATION_MATMUL_DESCRIPTOR, K, dnn::ATTR_OPERATION_MATMUL_GEMM_K_OVERRIDE_DESC},
    {dnn::BACKEND_OPERATION_POINTWISE_DESCRIPTOR, X, dnn::ATTR_OPERATION_POINTWISE_XDESC},
    {dnn::BACKEND_OPERATION_POINTWISE_DESCRIPTOR, B, dnn::ATTR_OPERATION_POINTWISE_BDESC},
    {dnn::BACKEND_OPERATION_POINTWISE_DESCRIPTOR, Y, dnn::ATTR_OPERATION_POINTWISE_YDESC},
    {dnn::BACKEND_OPERATION_POINTWISE_DESCRIPTOR, WHEN, dnn::ATTR_OPERATION_POINTWISE_TDESC},
    {dnn::BACKEND_OPERATION_REDUCTION_DESCRIPTOR, X, dnn::ATTR_OPERATION_REDUCTION_XDESC},
    {dnn::BACKEND_OPERATION_REDUCTION_DESCRIPTOR, Y, dnn::ATTR_OPERATION_REDUCTION_YDESC},
    {dnn::BACKEND_OPERATION_RESHAPE_DESCRIPTOR, X, dnn::ATTR_OPERATION_RESHAPE_XDESC},
    {dnn::BACKEND_OPERATION_RESHAPE_DESCRIPTOR, Y, dnn::ATTR_OPERATION_RESHAPE_YDESC},
    {dnn::BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR, X, dnn::ATTR_OPERATION_NORM_FWD_XDESC},
    {dnn::BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR, MEAN, dnn::ATTR_OPERATION_NORM_FWD_MEAN_DESC},
    {dnn::BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR, RSTD, dnn::ATTR_OPERATION_NORM_FWD_INV_VARIANCE_DESC},
    {dnn::BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR, SCALE, dnn::ATTR_OPERATION_NORM_FWD_SCALE_DESC},
    {dnn::BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR, BIAS, dnn::ATTR_OPERATION_NORM_FWD_BIAS_DESC},
    {dnn::BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR, EPSILON, dnn::ATTR_OPERATION_NORM_FWD_EPSILON_DESC},
    {dnn::BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR, Y, dnn::ATTR_OPERATION_NORM_FWD_YDESC},
    {dnn::BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR, X, dnn::ATTR_OPERATION_NORM_BWD_XDESC},
    {dnn::BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR, MEAN, dnn::ATTR_OPERATION_NORM_BWD_MEAN_DESC},
    {dnn::BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR, RSTD, dnn::ATTR_OPERATION_NORM_BWD_INV_VARIANCE_DESC},
    {dnn::BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR, DY, dnn::ATTR_OPERATION_NORM_BWD_DYDESC},
    {dnn::BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR, SCALE, dnn::ATTR_OPERATION_NORM_BWD_SCALE_DESC},
    {dnn::BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR, DSCALE, dnn::ATTR_OPERATION_NORM_BWD_DSCALE_DESC},
    {dnn::BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR, DBIAS, dnn::ATTR_OPERATION_NORM_BWD_DBIAS_DESC},
    {dnn::BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR, Y, dnn::ATTR_OPERATION_NORM_BWD_DXDESC},
};

int64_t add_tensor(graph *g, const described *d) {
    const std::vector<int64_t> dim = d->all<int64_t>(dnn::ATTR_TENSOR_DIMENSIONS), stride = d->all<int64_t>(dnn::ATTR_TENSOR_STRIDES);
    tensor t = {};
    t.uid = d->one<int64_t>(dnn::ATTR_TENSOR_UNIQUE_ID, 0);
    t.type = d->one<int32_t>(dnn::ATTR_TENSOR_DATA_TYPE, -1);
    t.alignment = d->one<int64_t>(dnn::ATTR_TENSOR_BYTE_ALIGNMENT, 1);
    t.is_virtual = d->one<unsigned char>(dnn::ATTR_TENSOR_IS_VIRTUAL, 0) != 0;
    t.is_value = d->one<unsigned char>(dnn::ATTR_TENSOR_IS_BY_VALUE, 0) != 0;
    for (int i = 0; i < 4; i++) t.dim[i] = dim[(size_t)i], t.stride[i] = stride[(size_t)i];
    if (const described *offset = d->link(dnn::ATTR_TENSOR_RAGGED_OFFSET_DESC)) t.offset_uid = add_tensor(g, offset);
    g->tensors[t.uid] = t;
    return t.uid;
}
graph read_graph(const described *from) {
    graph g;
    for (const described *d : from->all<const described *>(dnn::ATTR_OPERATIONGRAPH_OPS)) {
        operation o = {};
        o.kind = d->kind, o.axis = -1;
        if (const described *how = d->link(dnn::ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR)) {
            o.mode = how->one<int32_t>(dnn::ATTR_POINTWISE_MODE, -1);
            o.axis = how->one<int64_t>(dnn::ATTR_POINTWISE_AXIS, -1);
        }
        if (const described *how = d->link(dnn::ATTR_OPERATION_REDUCTION_DESC))
            o.mode = how->one<int32_t>(dnn::ATTR_REDUCTION_OPERATOR, -1);
        if (d->kind == dnn::BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR) o.mode = d->one<int32_t>(dnn::ATTR_OPERATION_NORM_FWD_MODE, -1);
        if (d->kind == dnn::BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR) o.mode = d->one<int32_t>(dnn::ATTR_OPERATION_NORM_BWD_MODE, -1);
        for (const auto &x : operands)
            if (x.kind == d->kind && d->has(x.attribute)) o.uid[x.as] = add_tensor(&g, d->link(x.attribute));
        g.operations.push_back(o);
    }
    return g;
}

/* ---- playing ---------------------------------------------------------------------------------------------------*/
typedef std::map<int64_t, char *> bindings;

/* A matrix of one sequence and head: rows x columns are kept, of which live[0] x live[1] exist. */
struct matrix {
    int64_t rows = 0, columns = 0, live[2] = {0, 0};
    std::vector<float> x;
    float at(int64_t i, int64_t j) const { return x[(size_t)((rows == 1 ? 0 : i) * columns + (columns == 1 ? 0 : j))]; }
};
int64_t kept(int64_t dim, int64_t live) { return dim < (live + 7) / 8 * 8 ? dim : (live + 7) / 8 * 8; }

struct player {
    const graph &g;
    const bindings &bound;
    int64_t b, h;
    std::map<int64_t, matrix> made;
    std::map<int64_t, const operation *> product_of; /* the first in which memory is read by a product */

    const tensor &of(int64_t uid) const { return g.tensors.at(uid); }
    int64_t length(int64_t uid, int64_t otherwise) const {
        if (!uid) return otherwise;
        int32_t n;
        memcpy(&n, bound.at(uid) + 4 * b * of(uid).stride[0], 4);
        return n < otherwise ? n : otherwise;
    }
    char *address(const tensor &t, int64_t i, int64_t j) const {
        int64_t at = t.dim[0] == 1 ? 0 : b * t.stride[0];
        if (t.offset_uid) {
            int32_t offset;
            memcpy(&offset, bound.at(t.offset_uid) + 4 * b, 4);
            at = offset;
        }
        at += (t.dim[1] == 1 ? 0 : h * t.stride[1]) + i * t.stride[2] + j * t.stride[3];
        return bound.at(t.uid) + at * (int64_t)element_bytes(t.type);
    }
    /* Live rows and columns of memory, as the product that reads it says; of what no product reads: -1. */
    void live_of(const tensor &t, int64_t live[2]) const {
        const auto found = product_of.find(t.uid);
        live[0] = t.dim[2] == 1 ? 1 : -1, live[1] = t.dim[3] == 1 ? 1 : t.dim[3];
        if (found == product_of.end()) return;
        const operation &o = *found->second;
        const bool is_a = o.uid[X] == t.uid;
        live[0] = length(o.uid[is_a ? M : K], t.dim[2]), live[1] = length(o.uid[is_a ? K : N], t.dim[3]);
    }
    /* rows: of what meets it, where it does not know its own. */
    const matrix &get(int64_t uid, int64_t rows) {
        const tensor &t = of(uid);
        if (made.count(uid) && (t.is_virtual || made[uid].live[0] >= rows)) return made[uid];
        matrix m;
        live_of(t, m.live);
        if (m.live[0] < 0) m.live[0] = rows < t.dim[2] ? rows : t.dim[2];
        m.rows = kept(t.dim[2], m.live[0]), m.columns = kept(t.dim[3], m.live[1]);
        m.x.assign((size_t)(m.rows * m.columns), NAN);
        for (int64_t i = 0; i < m.live[0]; i++)
            for (int64_t j = 0; j < m.live[1]; j++)
                m.x[(size_t)(i * m.columns + j)] = load(t.is_value ? bound.at(uid) : address(t, i, j), t.type);
        return made[uid] = m;
    }
    void put(int64_t uid, matrix m) {
        const tensor &t = of(uid);
        for (float &x : m.x) x = rounded(x, t.type);
        if (!t.is_virtual)
            for (int64_t i = 0; i < m.live[0]; i++)
                for (int64_t j = 0; j < m.live[1]; j++) store(address(t, i, j), t.type, m.at(i, j));
        made[uid] = std::move(m);
    }
    static matrix empty(int64_t rows, int64_t columns, int64_t live_rows, int64_t live_columns) {
        matrix m;
        m.rows = rows, m.columns = columns, m.live[0] = live_rows, m.live[1] = live_columns;
        m.x.assign((size_t)(rows * columns), NAN);
        return m;
    }

    void multiply(const operation &o) {
        const tensor &ta = of(o.uid[X]), &tb = of(o.uid[B]);
        const int64_t m = length(o.uid[M], ta.dim[2]), n = length(o.uid[N], tb.dim[3]), k = length(o.uid[K], ta.dim[3]);
        const matrix a = get(o.uid[X], m), b_ = get(o.uid[B], k);
        matrix c = empty(kept(ta.dim[2], m), kept(tb.dim[3], n), m, n);
        for (int64_t i = 0; i < m; i++)
            for (int64_t j = 0; j < n; j++) {
                float sum = 0;
                for (int64_t l = 0; l < k; l++) sum += a.at(i, l) * b_.at(l, j);
                c.x[(size_t)(i * c.columns + j)] = sum;
            }
        put(o.uid[Y], c);
    }
    static float mapped(int mode, float x, float y) {
        switch (mode) {
        case dnn::POINTWISE_ADD:
            return x + y;
        case dnn::POINTWISE_SUB:
            return x - y;
        case dnn::POINTWISE_MUL:
            return x * y;
        case dnn::POINTWISE_DIV:
            return x / y;
        case dnn::POINTWISE_EXP:
            return expf(x);
        case dnn::POINTWISE_LOG:
            return logf(x);
        case dnn::POINTWISE_CMP_LT:
            return x < y;
        case dnn::POINTWISE_CMP_GE:
            return x >= y;
        case dnn::POINTWISE_CMP_GT:
            return x > y;
        case dnn::POINTWISE_LOGICAL_AND:
            return x != 0 && y != 0;
        default: /* POINTWISE_IDENTITY */
            return x;
        }
    }
    void map(const operation &o) {
        const matrix first = get(o.uid[X], of(o.uid[X]).dim[2]);
        const matrix other = o.uid[B] ? get(o.uid[B], first.live[0]) : matrix();
        const matrix when = o.uid[WHEN] ? get(o.uid[WHEN], first.live[0]) : matrix();
        matrix y = first;
        for (int64_t i = 0; i < y.rows; i++)
            for (int64_t j = 0; j < y.columns; j++) {
                float &out = y.x[(size_t)(i * y.columns + j)];
                if (o.mode == dnn::POINTWISE_GEN_INDEX) out = (float)(o.axis == 2 ? i : j);
                else if (o.mode == dnn::POINTWISE_BINARY_SELECT) out = when.at(i, j) != 0 ? first.at(i, j) : other.at(i, j);
                else out = mapped(o.mode, first.at(i, j), o.uid[B] ? other.at(i, j) : 0);
            }
        put(o.uid[Y], y);
    }
    void reduce(const operation &o) {
        const matrix &x = get(o.uid[X], of(o.uid[X]).dim[2]);
        matrix y = empty(x.rows, 1, x.live[0], 1);
        for (int64_t i = 0; i < x.rows; i++) {
            float sum = o.mode == dnn::REDUCE_TENSOR_MAX ? -INFINITY : 0;
            for (int64_t j = 0; j < x.columns; j++)
                sum = o.mode == dnn::REDUCE_TENSOR_MAX ? (x.at(i, j) > sum ? x.at(i, j) : sum) : sum + x.at(i, j);
            y.x[(size_t)i] = sum;
        }
        put(o.uid[Y], y);
    }
    void reshape(const operation &o) {
        const matrix x = get(o.uid[X], of(o.uid[X]).dim[2]);
        matrix y = empty(x.columns, x.rows, x.live[1], x.live[0]);
        for (int64_t i = 0; i < y.rows; i++)
            for (int64_t j = 0; j < y.columns; j++) y.x[(size_t)(i * y.columns + j)] = x.at(j, i);
        put(o.uid[Y], y);
    }
    void play() {
        for (const operation &o : g.operations)
            if (o.kind == dnn::BACKEND_OPERATION_MATMUL_DESCRIPTOR)
                for (operand p : {X, B})
                    if (!of(o.uid[p]).is_virtual) product_of.insert({o.uid[p], &o});
        for (const operation &o : g.operations) {
            if (o.kind == dnn::BACKEND_OPERATION_MATMUL_DESCRIPTOR) multiply(o);
            if (o.kind == dnn::BACKEND_OPERATION_POINTWISE_DESCRIPTOR) map(o);
            if (o.kind == dnn::BACKEND_OPERATION_REDUCTION_DESCRIPTOR) reduce(o);
            if (o.kind == dnn::BACKEND_OPERATION_RESHAPE_DESCRIPTOR) reshape(o);
        }
    }
};

/* ---- norms: rows {N,D,1,1} --------------------------------------------------------------------------------------*/
struct rows_player {
    const graph &g;
    const bindings &bound;
    const operation &o;

    bool has(operand p) const { return o.uid[p] != 0; }
    char *address(operand p, int64_t n, int64_t d) const {
        const tensor &t = g.tensors.at(o.uid[p]);
        return bound.at(t.uid) + ((t.dim[0] == 1 ? 0 : n * t.stride[0]) + (t.dim[1] == 1 ? 0 : d * t.stride[1])) *
                                     (int64_t)element_bytes(t.type);
    }
    float get(operand p, int64_t n, int64_t d) const { return load(address(p, n, d), g.tensors.at(o.uid[p]).type); }
    void put(operand p, int64_t n, int64_t d, float x) const {
        if (has(p)) store(address(p, n, d), g.tensors.at(o.uid[p]).type, x);
    }
    void forward(int64_t N_, int64_t D) const {
        for (int64_t n = 0; n < N_; n++) {
            double sum = 0, squares = 0;
            for (int64_t d = 0; d < D; d++) sum += get(X, n, d);
            const double mean = o.mode == dnn::LAYER_NORM ? sum / (double)D : 0;
            for (int64_t d = 0; d < D; d++) squares += (get(X, n, d) - mean) * (get(X, n, d) - mean);
            const double rstd = 1 / sqrt(squares / (double)D + get(EPSILON, 0, 0));
            put(MEAN, n, 0, (float)mean), put(RSTD, n, 0, (float)rstd);
            for (int64_t d = 0; d < D; d++)
                put(Y, n, d, (float)((get(X, n, d) - mean) * rstd * get(SCALE, 0, d) + (has(BIAS) ? get(BIAS, 0, d) : 0)));
        }
    }
    void backward(int64_t N_, int64_t D) const {
        std::vector<double> dscale((size_t)D), dbias((size_t)D);
        for (int64_t n = 0; n < N_; n++) {
            const double mean = has(MEAN) ? get(MEAN, n, 0) : 0, rstd = get(RSTD, n, 0);
            double average = 0, along = 0;
            for (int64_t d = 0; d < D; d++) {
                const double dy = get(DY, n, d), xhat = (get(X, n, d) - mean) * rstd, gy = dy * get(SCALE, 0, d);
                dscale[(size_t)d] += dy * xhat, dbias[(size_t)d] += dy;
                average += gy / (double)D, along += gy * xhat / (double)D;
            }
            if (o.mode != dnn::LAYER_NORM) average = 0;
            for (int64_t d = 0; d < D; d++) {
                const double xhat = (get(X, n, d) - mean) * rstd, gy = (double)get(DY, n, d) * get(SCALE, 0, d);
                put(Y, n, d, (float)(rstd * (gy - average - xhat * along)));
            }
        }
        for (int64_t d = 0; d < D; d++) put(DSCALE, 0, d, (float)dscale[(size_t)d]), put(DBIAS, 0, d, (float)dbias[(size_t)d]);
    }
};

bool is_norm(const operation &o) {
    return o.kind == dnn::BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR || o.kind == dnn::BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR;
}
void play(const graph &g, const bindings &bound) {
    const operation &first = g.operations[0];
    const tensor &x = g.tensors.at(first.uid[X]);
    if (is_norm(first)) {
        const rows_player p = {g, bound, first};
        if (first.kind == dnn::BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR) p.forward(x.dim[0], x.dim[1]);
        else p.backward(x.dim[0], x.dim[1]);
        return;
    }
    for (int64_t b = 0; b < x.dim[0]; b++)
        for (int64_t h = 0; h < x.dim[1]; h++) player{g, bound, b, h, {}, {}}.play();
}

/* As cuDNN 9.19 on sm_90: all of ds where backward makes dq of it at once. */
int64_t workspace_of(const graph &g) {
    if (is_norm(g.operations[0])) return 0;
    const tensor *scores = nullptr;
    int products = 0;
    for (const operation &o : g.operations)
        if (o.kind == dnn::BACKEND_OPERATION_MATMUL_DESCRIPTOR && !products++) scores = &g.tensors.at(o.uid[Y]);
    if (products < 5) return 16896 + 256 * scores->dim[0];
    return scores->dim[0] * scores->dim[1] * ((scores->dim[2] + 63) / 64 * 64) * ((scores->dim[3] + 127) / 128 * 128) * 2 + 1024 +
           384 * scores->dim[0];
}

/* ---- the functions ---------------------------------------------------------------------------------------------*/
struct handle {
    cudaStream_t stream = nullptr;
};
size_t version() { return (size_t)cuemu_control()->cudnn_version; }
const char *words(dnn::status status) {
    return status == dnn::STATUS_SUCCESS ? "CUDNN_STATUS_SUCCESS" : status >= 3000 ? "CUDNN_STATUS_NOT_SUPPORTED" : "CUDNN_STATUS_BAD_PARAM";
}
void last_words(char *text, size_t bytes) { snprintf(text, bytes, "%s", last.c_str()), last.clear(); }
dnn::status open_handle(void **out) { return *out = new handle, dnn::STATUS_SUCCESS; }
dnn::status close_handle(void *h) { return delete (handle *)h, dnn::STATUS_SUCCESS; }
dnn::status set_stream(void *h, cudaStream_t s) { return ((handle *)h)->stream = s, dnn::STATUS_SUCCESS; }
dnn::status make(int kind, dnn::descriptor *out) {
    described *d = new described;
    d->kind = kind;
    return *out = d, dnn::STATUS_SUCCESS;
}
dnn::status release(dnn::descriptor d) { return delete (described *)d, dnn::STATUS_SUCCESS; }
dnn::status set_attribute(dnn::descriptor d, int name, int type, int64_t n, const void *values) {
    described *to = (described *)d;
    if (!to || !values || n < 1) return refuse(dnn::STATUS_BAD_PARAM, "an attribute without values");
    if (to->is_finished) return refuse(dnn::STATUS_BAD_PARAM, "an attribute of a finished descriptor");
    if (type == dnn::TYPE_BACKEND_DESCRIPTOR)
        for (int64_t i = 0; i < n; i++)
            if (!((described *const *)values)[i] || !((described *const *)values)[i]->is_finished)
                return refuse(dnn::STATUS_BAD_PARAM, "a descriptor that is not finished");
    const unsigned char *from = (const unsigned char *)values;
    to->set[name] = attribute{type, std::vector<unsigned char>(from, from + (size_t)n * type_bytes(type))};
    return dnn::STATUS_SUCCESS;
}
dnn::status finish_tensor(const described *d) {
    const std::vector<int64_t> dim = d->all<int64_t>(dnn::ATTR_TENSOR_DIMENSIONS), stride = d->all<int64_t>(dnn::ATTR_TENSOR_STRIDES);
    if (dim.size() != 4 || stride.size() != 4 || !d->has(dnn::ATTR_TENSOR_UNIQUE_ID) || !d->has(dnn::ATTR_TENSOR_DATA_TYPE))
        return refuse(dnn::STATUS_BAD_PARAM, "a tensor without extents, strides, uid or type");
    for (int i = 0; i < 4; i++)
        if (dim[(size_t)i] < 1 || stride[(size_t)i] < 1) return refuse(dnn::STATUS_BAD_PARAM, "an extent or stride below 1");
    return dnn::STATUS_SUCCESS;
}
dnn::status finish_graph(const described *d) {
    if (d->all<const described *>(dnn::ATTR_OPERATIONGRAPH_OPS).empty()) return refuse(dnn::STATUS_BAD_PARAM, "no operations");
    const graph g = read_graph(d);
    std::map<int64_t, int> made;
    for (const operation &o : g.operations) {
        for (operand p : {X, B, WHEN})
            if (o.uid[p] && g.tensors.at(o.uid[p]).is_virtual && !made[o.uid[p]])
                return refuse(dnn::STATUS_BAD_PARAM, "a virtual tensor is read before it is made");
        if (o.uid[Y] && made[o.uid[Y]]++) return refuse(dnn::STATUS_BAD_PARAM, "a tensor is made twice");
        if (o.kind == dnn::BACKEND_OPERATION_MATMUL_DESCRIPTOR) {
            const tensor &a = g.tensors.at(o.uid[X]), &b = g.tensors.at(o.uid[B]), &c = g.tensors.at(o.uid[Y]);
            if (a.dim[3] != b.dim[2] || a.dim[2] != c.dim[2] || b.dim[3] != c.dim[3])
                return refuse(dnn::STATUS_BAD_PARAM, "extents of a product do not meet");
        }
    }
    return dnn::STATUS_SUCCESS;
}
dnn::status finish(dnn::descriptor d) {
    described *x = (described *)d;
    if (!x || x->is_finished) return refuse(dnn::STATUS_BAD_PARAM, "finished twice");
    dnn::status status = dnn::STATUS_SUCCESS;
    if (x->kind == dnn::BACKEND_TENSOR_DESCRIPTOR) status = finish_tensor(x);
    if (x->kind == dnn::BACKEND_OPERATIONGRAPH_DESCRIPTOR) status = finish_graph(x);
    if (x->kind == dnn::BACKEND_EXECUTION_PLAN_DESCRIPTOR && !x->has(dnn::ATTR_EXECUTION_PLAN_HANDLE))
        status = refuse(dnn::STATUS_BAD_PARAM, "a plan without a handle");
    x->is_finished = status == dnn::STATUS_SUCCESS;
    return status;
}
dnn::status get_attribute(dnn::descriptor d, int name, int, int64_t n_wanted, int64_t *n, void *values) {
    const described *from = (const described *)d;
    int64_t bytes;
    switch (name) {
    case dnn::ATTR_ENGINEHEUR_RESULTS: /* one configuration, which is known by its graph */
        *n = cuemu_control()->cudnn_knows_nothing ? 0 : 1;
        if (*n && n_wanted > 0) {
            described *config = *(described **)values;
            config->set[-1] = from->set.at(dnn::ATTR_ENGINEHEUR_OPERATION_GRAPH);
            config->is_finished = true;
        }
        return dnn::STATUS_SUCCESS;
    case dnn::ATTR_ENGINECFG_ENGINE:
        (*(described **)values)->is_finished = true;
        return *n = 1, dnn::STATUS_SUCCESS;
    case dnn::ATTR_ENGINE_NUMERICAL_NOTE:
        return *n = 0, dnn::STATUS_SUCCESS;
    case dnn::ATTR_EXECUTION_PLAN_WORKSPACE_SIZE:
        bytes = workspace_of(read_graph(from->link(dnn::ATTR_EXECUTION_PLAN_ENGINE_CONFIG)->link(-1)));
        return memcpy(values, &bytes, sizeof bytes), *n = 1, dnn::STATUS_SUCCESS;
    default:
        return refuse(dnn::STATUS_BAD_PARAM, "an attribute that hone does not ask for");
    }
}
dnn::status execute(void *h, dnn::descriptor p, dnn::descriptor v) {
    const described *plan = (const described *)p, *pack = (const described *)v;
    const cudaStream_t stream = ((const handle *)h)->stream;
    const auto g = std::make_shared<graph>(read_graph(plan->link(dnn::ATTR_EXECUTION_PLAN_ENGINE_CONFIG)->link(-1)));
    const auto bound = std::make_shared<bindings>();
    const auto values = std::make_shared<std::map<int64_t, int32_t>>(); /* are read when the call is given */
    const std::vector<int64_t> uids = pack->all<int64_t>(dnn::ATTR_VARIANT_PACK_UNIQUE_IDS);
    const std::vector<char *> pointers = pack->all<char *>(dnn::ATTR_VARIANT_PACK_DATA_POINTERS);
    char *const workspace = pack->one<char *>(dnn::ATTR_VARIANT_PACK_WORKSPACE, nullptr);
    const int64_t workspace_bytes = workspace_of(*g);
    if (uids.size() != pointers.size()) return refuse(dnn::STATUS_BAD_PARAM, "more uids than pointers");
    for (size_t i = 0; i < uids.size(); i++)
        if (!bound->insert({uids[i], pointers[i]}).second) return refuse(dnn::STATUS_BAD_PARAM, "a uid is bound twice");
    for (const auto &t : g->tensors) {
        if (t.second.is_virtual) continue;
        if (!bound->count(t.first) || !bound->at(t.first)) return refuse(dnn::STATUS_BAD_PARAM, "a tensor is not bound");
        if ((uintptr_t)bound->at(t.first) % (uintptr_t)t.second.alignment) return refuse(dnn::STATUS_BAD_PARAM, "a misaligned pointer");
        if (t.second.is_value) memcpy(&(*values)[t.first], bound->at(t.first), 4);
    }
    if (workspace_bytes && (!workspace || (uintptr_t)workspace % 16)) return refuse(dnn::STATUS_BAD_PARAM, "no workspace");
    cuemu_control()->n_cudnn++;
    const cudaError_t error = cuemu::enqueue(stream, [=] {
        for (auto &x : *values) (*bound)[x.first] = (char *)&x.second;
        if (workspace_bytes) memset(workspace, 0xff, (size_t)workspace_bytes);
        play(*g, *bound);
        if (workspace_bytes) memset(workspace, 0xff, (size_t)workspace_bytes);
    });
    return error == cudaSuccess ? dnn::STATUS_SUCCESS : refuse(dnn::STATUS_BAD_PARAM, "the stream");
}
} // namespace

namespace cuemu {
bool cudnn_is_there() { return cuemu_control()->cudnn_version > 0; }
void *cudnn_symbol(const char *name) {
    static const struct {
        const char *name;
        void *function;
    } functions[] = {
        {"cudnnGetVersion", (void *)version},
        {"cudnnGetErrorString", (void *)words},
        {"cudnnGetLastErrorString", (void *)last_words},
        {"cudnnCreate", (void *)open_handle},
        {"cudnnDestroy", (void *)close_handle},
        {"cudnnSetStream", (void *)set_stream},
        {"cudnnBackendCreateDescriptor", (void *)make},
        {"cudnnBackendDestroyDescriptor", (void *)release},
        {"cudnnBackendSetAttribute", (void *)set_attribute},
        {"cudnnBackendGetAttribute", (void *)get_attribute},
        {"cudnnBackendFinalize", (void *)finish},
        {"cudnnBackendExecute", (void *)execute},
    };
    for (const auto &f : functions)
        if (!strcmp(f.name, name)) return f.function;
    return nullptr;
}
} // namespace cuemu
