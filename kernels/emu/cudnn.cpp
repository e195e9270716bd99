/* cudnn.cpp - the emulated cuDNN: descriptors kept as they were set, graphs played by plain loops over what the
 * descriptors say, late, on the stream. So a wrong stride, offset, length or scale gives wrong numbers here.
 *
 * It scribbles over the workspace, and knows the two graphs of attention (any graph of products, maps, reductions
 * and reshapes whose values belong to one sequence and head) and the two norms. Its plans want the workspace that
 * cuDNN 9.19 wants on sm_90. */
#include "control.h"
#include "cuda_runtime.h"
#include "cudnn_play.h"
#include "cuda/cudnn_words.h"

#include <memory>
#include <string.h>
#include <string>
#include <vector>

using namespace emudnn;

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
/* ---- reading a graph: copies, for descriptors may be gone when it is played ---- */
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
    const std::vector<int64_t> dim = d->all<int64_t>(dnn::ATTR_TENSOR_DIMENSIONS),
                               stride = d->all<int64_t>(dnn::ATTR_TENSOR_STRIDES);
    tensor t = {};
    t.uid = d->one<int64_t>(dnn::ATTR_TENSOR_UNIQUE_ID, 0);
    t.type = d->one<int32_t>(dnn::ATTR_TENSOR_DATA_TYPE, -1);
    t.alignment = d->one<int64_t>(dnn::ATTR_TENSOR_BYTE_ALIGNMENT, 1);
    t.is_virtual = d->one<unsigned char>(dnn::ATTR_TENSOR_IS_VIRTUAL, 0) != 0;
    t.is_value = d->one<unsigned char>(dnn::ATTR_TENSOR_IS_BY_VALUE, 0) != 0;
    for (int i = 0; i < 4; i++) t.dim[i] = dim[(size_t)i], t.stride[i] = stride[(size_t)i];
    if (const described *offset = d->link(dnn::ATTR_TENSOR_RAGGED_OFFSET_DESC))
        t.offset_uid = add_tensor(g, offset);
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
        if (d->kind == dnn::BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR)
            o.mode = d->one<int32_t>(dnn::ATTR_OPERATION_NORM_FWD_MODE, -1);
        if (d->kind == dnn::BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR)
            o.mode = d->one<int32_t>(dnn::ATTR_OPERATION_NORM_BWD_MODE, -1);
        for (const auto &x : operands)
            if (x.kind == d->kind && d->has(x.attribute)) o.uid[x.as] = add_tensor(&g, d->link(x.attribute));
        g.operations.push_back(o);
    }
    return g;
}

/* ---- the functions ---------------------------------------------------------------------------------------------*/
struct handle {
    cudaStream_t stream = nullptr;
};
size_t version() { return (size_t)cuemu_control()->cudnn_version; }
const char *words(dnn::status status) {
    return status == dnn::STATUS_SUCCESS ? "CUDNN_STATUS_SUCCESS"
           : status >= 3000              ? "CUDNN_STATUS_NOT_SUPPORTED"
                                         : "CUDNN_STATUS_BAD_PARAM";
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
    const std::vector<int64_t> dim = d->all<int64_t>(dnn::ATTR_TENSOR_DIMENSIONS),
                               stride = d->all<int64_t>(dnn::ATTR_TENSOR_STRIDES);
    if (dim.size() != 4 || stride.size() != 4 || !d->has(dnn::ATTR_TENSOR_UNIQUE_ID) ||
        !d->has(dnn::ATTR_TENSOR_DATA_TYPE))
        return refuse(dnn::STATUS_BAD_PARAM, "a tensor without extents, strides, uid or type");
    for (int i = 0; i < 4; i++)
        if (dim[(size_t)i] < 1 || stride[(size_t)i] < 1)
            return refuse(dnn::STATUS_BAD_PARAM, "an extent or stride below 1");
    return dnn::STATUS_SUCCESS;
}
dnn::status finish_graph(const described *d) {
    if (d->all<const described *>(dnn::ATTR_OPERATIONGRAPH_OPS).empty())
        return refuse(dnn::STATUS_BAD_PARAM, "no operations");
    const graph g = read_graph(d);
    std::map<int64_t, int> made;
    for (const operation &o : g.operations) {
        for (operand p : {X, B, WHEN})
            if (o.uid[p] && g.tensors.at(o.uid[p]).is_virtual && !made[o.uid[p]])
                return refuse(dnn::STATUS_BAD_PARAM, "a virtual tensor is read before it is made");
        if (o.uid[Y] && made[o.uid[Y]]++) return refuse(dnn::STATUS_BAD_PARAM, "a tensor is made twice");
        if (o.kind == dnn::BACKEND_OPERATION_MATMUL_DESCRIPTOR) {
            const tensor &a = g.tensors.at(o.uid[X]), &b = g.tensors.at(o.uid[B]),
                         &c = g.tensors.at(o.uid[Y]);
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
        *n = !cuemu_control()->cudnn_knows_nothing &&
             is_known(read_graph(from->link(dnn::ATTR_ENGINEHEUR_OPERATION_GRAPH)));
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
    const auto g =
        std::make_shared<graph>(read_graph(plan->link(dnn::ATTR_EXECUTION_PLAN_ENGINE_CONFIG)->link(-1)));
    const auto bound = std::make_shared<bindings>();
    const auto values = std::make_shared<std::map<int64_t, int32_t>>(); /* are read when the call is given */
    const std::vector<int64_t> uids = pack->all<int64_t>(dnn::ATTR_VARIANT_PACK_UNIQUE_IDS);
    const std::vector<char *> pointers = pack->all<char *>(dnn::ATTR_VARIANT_PACK_DATA_POINTERS);
    char *const workspace = pack->one<char *>(dnn::ATTR_VARIANT_PACK_WORKSPACE, nullptr);
    const int64_t workspace_bytes = workspace_of(*g);
    if (uids.size() != pointers.size()) return refuse(dnn::STATUS_BAD_PARAM, "more uids than pointers");
    for (size_t i = 0; i < uids.size(); i++)
        if (!bound->insert({uids[i], pointers[i]}).second)
            return refuse(dnn::STATUS_BAD_PARAM, "a uid is bound twice");
    for (const auto &t : g->tensors) {
        if (t.second.is_virtual) continue;
        if (!bound->count(t.first) || !bound->at(t.first))
            return refuse(dnn::STATUS_BAD_PARAM, "a tensor is not bound");
        if ((uintptr_t)bound->at(t.first) % (uintptr_t)t.second.alignment)
            return refuse(dnn::STATUS_BAD_PARAM, "a misaligned pointer");
        if (t.second.is_value) memcpy(&(*values)[t.first], bound->at(t.first), 4);
    }
    if (workspace_bytes && (!workspace || (uintptr_t)workspace % 16))
        return refuse(dnn::STATUS_BAD_PARAM, "no workspace");
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
