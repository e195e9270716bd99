/* cudnn_play.cpp - graphs played by plain loops over what their tensors say.
 *
 * What the real library leaves open is NaN here: a product's rows and columns beyond its live ones, rows of a
 * sequence beyond its end. */
#include "cudnn_play.h"
#include "cuda_runtime.h"
#include "cuda/cudnn_words.h"

#include <math.h>
#include <string.h>

using namespace emudnn;

namespace {
size_t element_bytes(int type) {
    return type == dnn::DATA_HALF || type == dnn::DATA_BFLOAT16 ? 2
           : type == dnn::DATA_INT64                            ? 8
           : type == dnn::DATA_BOOLEAN                          ? 1
                                                                : 4;
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

/* ---- playing ---------------------------------------------------------------------------------------------------*/
/* A matrix of one sequence and head: rows x columns are kept, of which live[0] x live[1] exist. */
struct matrix {
    int64_t rows = 0, columns = 0, live[2] = {0, 0};
    std::vector<float> x;
    float at(int64_t i, int64_t j) const {
        return x[(size_t)((rows == 1 ? 0 : i) * columns + (columns == 1 ? 0 : j))];
    }
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
                m.x[(size_t)(i * m.columns + j)] =
                    load(t.is_value ? bound.at(uid) : address(t, i, j), t.type);
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
        const int64_t m = length(o.uid[M], ta.dim[2]), n = length(o.uid[N], tb.dim[3]),
                      k = length(o.uid[K], ta.dim[3]);
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
                else if (o.mode == dnn::POINTWISE_BINARY_SELECT)
                    out = when.at(i, j) != 0 ? first.at(i, j) : other.at(i, j);
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
                sum = o.mode == dnn::REDUCE_TENSOR_MAX ? (x.at(i, j) > sum ? x.at(i, j) : sum)
                                                       : sum + x.at(i, j);
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
        return bound.at(t.uid) +
               ((t.dim[0] == 1 ? 0 : n * t.stride[0]) + (t.dim[1] == 1 ? 0 : d * t.stride[1])) *
                   (int64_t)element_bytes(t.type);
    }
    float get(operand p, int64_t n, int64_t d) const {
        return load(address(p, n, d), g.tensors.at(o.uid[p]).type);
    }
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
                put(Y, n, d,
                    (float)((get(X, n, d) - mean) * rstd * get(SCALE, 0, d) +
                            (has(BIAS) ? get(BIAS, 0, d) : 0)));
        }
    }
    void backward(int64_t N_, int64_t D) const {
        std::vector<double> dscale((size_t)D), dbias((size_t)D);
        for (int64_t n = 0; n < N_; n++) {
            const double mean = has(MEAN) ? get(MEAN, n, 0) : 0, rstd = get(RSTD, n, 0);
            double average = 0, along = 0;
            for (int64_t d = 0; d < D; d++) {
                const double dy = get(DY, n, d), xhat = (get(X, n, d) - mean) * rstd,
                             gy = dy * get(SCALE, 0, d);
                dscale[(size_t)d] += dy * xhat, dbias[(size_t)d] += dy;
                average += gy / (double)D, along += gy * xhat / (double)D;
            }
            if (o.mode != dnn::LAYER_NORM) average = 0;
            for (int64_t d = 0; d < D; d++) {
                const double xhat = (get(X, n, d) - mean) * rstd,
                             gy = (double)get(DY, n, d) * get(SCALE, 0, d);
                put(Y, n, d, (float)(rstd * (gy - average - xhat * along)));
            }
        }
        for (int64_t d = 0; d < D; d++)
            put(DSCALE, 0, d, (float)dscale[(size_t)d]), put(DBIAS, 0, d, (float)dbias[(size_t)d]);
    }
};

bool is_norm(const operation &o) {
    return o.kind == dnn::BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR ||
           o.kind == dnn::BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR;
}
} // namespace

void emudnn::play(const graph &g, const bindings &bound) {
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

/* A norm's scale and its gradient are of one type. */
bool emudnn::is_known(const graph &g) {
    const operation &o = g.operations[0];
    return o.kind != dnn::BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR ||
           g.tensors.at(o.uid[SCALE]).type == g.tensors.at(o.uid[DSCALE]).type;
}

/* As cuDNN 9.19 on sm_90: all of ds where backward makes dq of it at once. */
int64_t emudnn::workspace_of(const graph &g) {
    if (is_norm(g.operations[0])) return 0;
    const tensor *scores = nullptr;
    int products = 0;
    for (const operation &o : g.operations)
        if (o.kind == dnn::BACKEND_OPERATION_MATMUL_DESCRIPTOR && !products++)
            scores = &g.tensors.at(o.uid[Y]);
    if (products < 5) return 16896 + 256 * scores->dim[0];
    return scores->dim[0] * scores->dim[1] * ((scores->dim[2] + 63) / 64 * 64) *
               ((scores->dim[3] + 127) / 128 * 128) * 2 +
           1024 + 384 * scores->dim[0];
}
