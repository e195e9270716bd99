/* cudnn_graph.cu - descriptors written, plans found. Shown without a GPU: tests/emu/cudnn.cpp has the real library make
 * plans of these graphs for sm_80 and sm_90 where it is installed. No plan has been executed on a GPU yet. */
#include "cudnn_graph.cuh"

#include <string.h>

#if !defined(HONE_EMULATED) && defined(__has_include)
#if __has_include(<cudnn_graph.h>)
#include <cudnn_graph.h>
#define XX(name, number) static_assert((int)CUDNN_##name == number, #name);
CUDNN_WORD_MAP(XX)
#undef XX
#endif
#endif

int cudnn_bind(cudnn_library *out, void *(*symbol)(void *library, const char *name), void *library,
               const char **missing) {
#define XX(member, name, result, operands)                                                                   \
    *(void **)&out->member = symbol(library, #name);                                                         \
    if (!out->member) return *missing = #name, 0;
    CUDNN_FUNCTION_MAP(XX)
#undef XX
    return 1;
}

/* ---- writing a graph -----------------------------------------------------------------------------------------*/
int cudnn_type(hone_dtype type) {
    return type == HONE_F32 ? dnn::DATA_FLOAT : type == HONE_BF16 ? dnn::DATA_BFLOAT16 : dnn::DATA_HALF;
}

cudnn_graph cudnn_graph_begin(const cudnn_library *lib) {
    cudnn_graph g = {};
    g.lib = lib;
    return g;
}

static void note(cudnn_graph *g, dnn::status status, const char *doing, int number) {
    if (g->status != dnn::STATUS_SUCCESS || status == dnn::STATUS_SUCCESS) return;
    char last[256] = "";
    g->lib->last_words(last, sizeof last);
    g->status = status;
    g->what = std::string(doing) + " " + std::to_string(number) + ": " + g->lib->words(status) +
              (*last ? std::string("; ") + last : "");
}

dnn::descriptor cudnn_begin(cudnn_graph *g, int kind) {
    dnn::descriptor d = NULL;
    if (g->status != dnn::STATUS_SUCCESS) return NULL;
    note(g, g->lib->make(kind, &d), "descriptor", kind);
    if (d) g->owned.push_back(d);
    return d;
}
void cudnn_attribute(cudnn_graph *g, dnn::descriptor d, int attribute, int type, int64_t n,
                     const void *values) {
    if (g->status == dnn::STATUS_SUCCESS)
        note(g, g->lib->set(d, attribute, type, n, values), "attribute", attribute);
}
void cudnn_operand(cudnn_graph *g, dnn::descriptor d, int attribute, cudnn_tensor t) {
    if (t.d) cudnn_attribute(g, d, attribute, dnn::TYPE_BACKEND_DESCRIPTOR, 1, &t.d);
}
static void finish(cudnn_graph *g, dnn::descriptor d, int kind) {
    if (g->status == dnn::STATUS_SUCCESS) note(g, g->lib->finish(d), "finishing a descriptor of kind", kind);
}
void cudnn_operation(cudnn_graph *g, dnn::descriptor d) {
    finish(g, d, (int)g->operations.size());
    g->operations.push_back(d);
}

/* ---- tensors */
enum { VIRTUAL = 1000, NUMBERS = 2000 }; /* first uids */

static cudnn_tensor tensor(cudnn_graph *g, int64_t uid, int type, const int64_t dim[4],
                           const int64_t stride[4], const cudnn_tensor *offset, int64_t alignment,
                           bool is_virtual, bool is_value) {
    cudnn_tensor t = {cudnn_begin(g, dnn::BACKEND_TENSOR_DESCRIPTOR), {dim[0], dim[1], dim[2], dim[3]}, type};
    cudnn_attribute(g, t.d, dnn::ATTR_TENSOR_UNIQUE_ID, dnn::TYPE_INT64, 1, &uid);
    cudnn_attribute(g, t.d, dnn::ATTR_TENSOR_DATA_TYPE, dnn::TYPE_DATA_TYPE, 1, &type);
    cudnn_attribute(g, t.d, dnn::ATTR_TENSOR_DIMENSIONS, dnn::TYPE_INT64, 4, dim);
    cudnn_attribute(g, t.d, dnn::ATTR_TENSOR_STRIDES, dnn::TYPE_INT64, 4, stride);
    cudnn_attribute(g, t.d, dnn::ATTR_TENSOR_BYTE_ALIGNMENT, dnn::TYPE_INT64, 1, &alignment);
    if (is_virtual) cudnn_attribute(g, t.d, dnn::ATTR_TENSOR_IS_VIRTUAL, dnn::TYPE_BOOLEAN, 1, &is_virtual);
    if (is_value) cudnn_attribute(g, t.d, dnn::ATTR_TENSOR_IS_BY_VALUE, dnn::TYPE_BOOLEAN, 1, &is_value);
    if (offset) cudnn_operand(g, t.d, dnn::ATTR_TENSOR_RAGGED_OFFSET_DESC, *offset);
    finish(g, t.d, dnn::BACKEND_TENSOR_DESCRIPTOR);
    return t;
}
cudnn_tensor cudnn_memory(cudnn_graph *g, int64_t uid, int type, const int64_t dim[4],
                          const int64_t stride[4], const cudnn_tensor *offset, int64_t alignment) {
    return tensor(g, uid, type, dim, stride, offset, alignment, false, false);
}
cudnn_tensor cudnn_shown(cudnn_graph *g, int type, const int64_t dim[4], const int64_t stride[4],
                         const cudnn_tensor *offset) {
    return tensor(g, VIRTUAL + g->n_virtual++, type, dim, stride, offset, 16, true, false);
}
cudnn_tensor cudnn_inside(cudnn_graph *g, int type, const int64_t dim[4]) {
    const int64_t stride[4] = {dim[1] * dim[2] * dim[3], dim[2] * dim[3], dim[3], 1};
    return cudnn_shown(g, type, dim, stride, NULL);
}
static cudnn_tensor number(cudnn_graph *g, int type, int32_t bits) {
    static const int64_t ones[4] = {1, 1, 1, 1};
    const int64_t uid = NUMBERS + (int64_t)g->constants.size();
    g->constants.push_back({uid, bits});
    return tensor(g, uid, type, ones, ones, NULL, 4, false, true);
}
cudnn_tensor cudnn_number(cudnn_graph *g, float x) {
    int32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return number(g, dnn::DATA_FLOAT, bits);
}
cudnn_tensor cudnn_number(cudnn_graph *g, int32_t x) { return number(g, dnn::DATA_INT32, x); }

/* ---- operations */
void cudnn_multiply(cudnn_graph *g, cudnn_tensor a, cudnn_tensor b, cudnn_tensor c, const cudnn_tensor *m,
                    const cudnn_tensor *n, const cudnn_tensor *k) {
    const int32_t type = dnn::DATA_FLOAT;
    const dnn::descriptor how = cudnn_begin(g, dnn::BACKEND_MATMUL_DESCRIPTOR);
    cudnn_attribute(g, how, dnn::ATTR_MATMUL_COMP_TYPE, dnn::TYPE_DATA_TYPE, 1, &type);
    finish(g, how, dnn::BACKEND_MATMUL_DESCRIPTOR);
    const dnn::descriptor d = cudnn_begin(g, dnn::BACKEND_OPERATION_MATMUL_DESCRIPTOR);
    cudnn_operand(g, d, dnn::ATTR_OPERATION_MATMUL_ADESC, a);
    cudnn_operand(g, d, dnn::ATTR_OPERATION_MATMUL_BDESC, b);
    cudnn_operand(g, d, dnn::ATTR_OPERATION_MATMUL_CDESC, c);
    cudnn_attribute(g, d, dnn::ATTR_OPERATION_MATMUL_DESC, dnn::TYPE_BACKEND_DESCRIPTOR, 1, &how);
    if (m) cudnn_operand(g, d, dnn::ATTR_OPERATION_MATMUL_GEMM_M_OVERRIDE_DESC, *m);
    if (n) cudnn_operand(g, d, dnn::ATTR_OPERATION_MATMUL_GEMM_N_OVERRIDE_DESC, *n);
    if (k) cudnn_operand(g, d, dnn::ATTR_OPERATION_MATMUL_GEMM_K_OVERRIDE_DESC, *k);
    cudnn_operation(g, d);
}
static void map(cudnn_graph *g, int mode, int compute, int64_t axis, cudnn_tensor x, const cudnn_tensor *b,
                const cudnn_tensor *when, cudnn_tensor y) {
    const dnn::descriptor how = cudnn_begin(g, dnn::BACKEND_POINTWISE_DESCRIPTOR);
    cudnn_attribute(g, how, dnn::ATTR_POINTWISE_MODE, dnn::TYPE_POINTWISE_MODE, 1, &mode);
    cudnn_attribute(g, how, dnn::ATTR_POINTWISE_MATH_PREC, dnn::TYPE_DATA_TYPE, 1, &compute);
    if (axis >= 0) cudnn_attribute(g, how, dnn::ATTR_POINTWISE_AXIS, dnn::TYPE_INT64, 1, &axis);
    finish(g, how, dnn::BACKEND_POINTWISE_DESCRIPTOR);
    const dnn::descriptor d = cudnn_begin(g, dnn::BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    cudnn_attribute(g, d, dnn::ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, dnn::TYPE_BACKEND_DESCRIPTOR, 1, &how);
    cudnn_operand(g, d, dnn::ATTR_OPERATION_POINTWISE_XDESC, x);
    if (b) cudnn_operand(g, d, dnn::ATTR_OPERATION_POINTWISE_BDESC, *b);
    if (when) cudnn_operand(g, d, dnn::ATTR_OPERATION_POINTWISE_TDESC, *when);
    cudnn_operand(g, d, dnn::ATTR_OPERATION_POINTWISE_YDESC, y);
    cudnn_operation(g, d);
}
void cudnn_map(cudnn_graph *g, int mode, int compute, cudnn_tensor x, const cudnn_tensor *b, cudnn_tensor y) {
    map(g, mode, compute, -1, x, b, NULL, y);
}
cudnn_tensor cudnn_map(cudnn_graph *g, int mode, cudnn_tensor x, cudnn_tensor b) {
    const cudnn_tensor y = cudnn_inside(g, dnn::DATA_FLOAT, x.dim);
    map(g, mode, dnn::DATA_FLOAT, -1, x, &b, NULL, y);
    return y;
}
cudnn_tensor cudnn_map(cudnn_graph *g, int mode, cudnn_tensor x) {
    const cudnn_tensor y = cudnn_inside(g, dnn::DATA_FLOAT, x.dim);
    map(g, mode, dnn::DATA_FLOAT, -1, x, NULL, NULL, y);
    return y;
}
cudnn_tensor cudnn_index(cudnn_graph *g, cudnn_tensor like, int axis) {
    const cudnn_tensor y = cudnn_inside(g, dnn::DATA_INT32, like.dim);
    map(g, dnn::POINTWISE_GEN_INDEX, dnn::DATA_INT32, axis, like, NULL, NULL, y);
    return y;
}
cudnn_tensor cudnn_select(cudnn_graph *g, cudnn_tensor when, cudnn_tensor x, cudnn_tensor otherwise) {
    const cudnn_tensor y = cudnn_inside(g, dnn::DATA_FLOAT, x.dim);
    map(g, dnn::POINTWISE_BINARY_SELECT, dnn::DATA_FLOAT, -1, x, &otherwise, &when, y);
    return y;
}
void cudnn_reduce(cudnn_graph *g, int mode, cudnn_tensor x, cudnn_tensor y) {
    const int32_t type = dnn::DATA_FLOAT;
    const dnn::descriptor how = cudnn_begin(g, dnn::BACKEND_REDUCTION_DESCRIPTOR);
    cudnn_attribute(g, how, dnn::ATTR_REDUCTION_OPERATOR, dnn::TYPE_REDUCTION_OPERATOR_TYPE, 1, &mode);
    cudnn_attribute(g, how, dnn::ATTR_REDUCTION_COMP_TYPE, dnn::TYPE_DATA_TYPE, 1, &type);
    finish(g, how, dnn::BACKEND_REDUCTION_DESCRIPTOR);
    const dnn::descriptor d = cudnn_begin(g, dnn::BACKEND_OPERATION_REDUCTION_DESCRIPTOR);
    cudnn_operand(g, d, dnn::ATTR_OPERATION_REDUCTION_XDESC, x);
    cudnn_operand(g, d, dnn::ATTR_OPERATION_REDUCTION_YDESC, y);
    cudnn_attribute(g, d, dnn::ATTR_OPERATION_REDUCTION_DESC, dnn::TYPE_BACKEND_DESCRIPTOR, 1, &how);
    cudnn_operation(g, d);
}
void cudnn_reshape(cudnn_graph *g, cudnn_tensor x, cudnn_tensor y) {
    const dnn::descriptor d = cudnn_begin(g, dnn::BACKEND_OPERATION_RESHAPE_DESCRIPTOR);
    cudnn_operand(g, d, dnn::ATTR_OPERATION_RESHAPE_XDESC, x);
    cudnn_operand(g, d, dnn::ATTR_OPERATION_RESHAPE_YDESC, y);
    cudnn_operation(g, d);
}

/* ---- plans ---------------------------------------------------------------------------------------------------*/
/* Does the library say that this engine configuration adds in no fixed order? */
static bool is_unordered(cudnn_graph *g, dnn::descriptor config) {
    dnn::descriptor engine = cudnn_begin(g, dnn::BACKEND_ENGINE_DESCRIPTOR);
    int32_t notes[dnn::NUMERICAL_NOTE_TYPE_COUNT];
    int64_t n = 0;
    if (!engine ||
        g->lib->get(config, dnn::ATTR_ENGINECFG_ENGINE, dnn::TYPE_BACKEND_DESCRIPTOR, 1, &n, &engine) !=
            dnn::STATUS_SUCCESS ||
        g->lib->get(engine, dnn::ATTR_ENGINE_NUMERICAL_NOTE, dnn::TYPE_NUMERICAL_NOTE,
                    dnn::NUMERICAL_NOTE_TYPE_COUNT, &n, notes) != dnn::STATUS_SUCCESS)
        return true; /* nobody says that it does not */
    for (int64_t i = 0; i < n; i++)
        if (notes[i] == dnn::NUMERICAL_NOTE_NONDETERMINISTIC) return true;
    return false;
}

/* Configurations of engines, best first; they belong to g. */
static std::vector<dnn::descriptor> configurations(cudnn_graph *g, dnn::descriptor graph,
                                                   dnn::descriptor device, int mode) {
    const dnn::descriptor heuristic = cudnn_begin(g, dnn::BACKEND_ENGINEHEUR_DESCRIPTOR);
    int64_t n = 0;
    cudnn_attribute(g, heuristic, dnn::ATTR_ENGINEHEUR_OPERATION_GRAPH, dnn::TYPE_BACKEND_DESCRIPTOR, 1,
                    &graph);
    cudnn_attribute(g, heuristic, dnn::ATTR_ENGINEHEUR_MODE, dnn::TYPE_HEUR_MODE, 1, &mode);
    if (device)
        cudnn_attribute(g, heuristic, dnn::ATTR_ENGINEHEUR_DEVICEPROP, dnn::TYPE_BACKEND_DESCRIPTOR, 1,
                        &device);
    finish(g, heuristic, dnn::BACKEND_ENGINEHEUR_DESCRIPTOR);
    if (g->status == dnn::STATUS_SUCCESS)
        note(g,
             g->lib->get(heuristic, dnn::ATTR_ENGINEHEUR_RESULTS, dnn::TYPE_BACKEND_DESCRIPTOR, 0, &n, NULL),
             "asking for engines", mode);
    std::vector<dnn::descriptor> found;
    for (int64_t i = 0; i < n && g->status == dnn::STATUS_SUCCESS; i++)
        found.push_back(cudnn_begin(g, dnn::BACKEND_ENGINECFG_DESCRIPTOR));
    if (g->status == dnn::STATUS_SUCCESS && n > 0)
        note(g,
             g->lib->get(heuristic, dnn::ATTR_ENGINEHEUR_RESULTS, dnn::TYPE_BACKEND_DESCRIPTOR, n, &n,
                         found.data()),
             "asking for engines", mode);
    if (g->status != dnn::STATUS_SUCCESS) n = 0;
    found.resize((size_t)n);
    return found;
}

/* The plan of one configuration, or NULL. */
static dnn::descriptor plan_of(cudnn_graph *g, dnn::descriptor config, void *handle, dnn::descriptor device,
                               size_t *workspace) {
    dnn::descriptor plan = cudnn_begin(g, dnn::BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    int64_t bytes = 0, n = 0;
    cudnn_attribute(g, plan, dnn::ATTR_EXECUTION_PLAN_ENGINE_CONFIG, dnn::TYPE_BACKEND_DESCRIPTOR, 1,
                    &config);
    if (handle) cudnn_attribute(g, plan, dnn::ATTR_EXECUTION_PLAN_HANDLE, dnn::TYPE_HANDLE, 1, &handle);
    if (device)
        cudnn_attribute(g, plan, dnn::ATTR_EXECUTION_PLAN_DEVICEPROP, dnn::TYPE_BACKEND_DESCRIPTOR, 1,
                        &device);
    finish(g, plan, dnn::BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    if (g->status == dnn::STATUS_SUCCESS)
        note(g, g->lib->get(plan, dnn::ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, dnn::TYPE_INT64, 1, &n, &bytes),
             "asking for the workspace of", dnn::BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    *workspace = (size_t)bytes;
    return g->status == dnn::STATUS_SUCCESS ? plan : NULL;
}

int cudnn_plan_make(cudnn_plan *out, cudnn_graph *g, void *handle, dnn::descriptor device, size_t workspace,
                    std::string *why) {
    *out = {};
    const dnn::descriptor graph = cudnn_begin(g, dnn::BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    if (handle) cudnn_attribute(g, graph, dnn::ATTR_OPERATIONGRAPH_HANDLE, dnn::TYPE_HANDLE, 1, &handle);
    cudnn_attribute(g, graph, dnn::ATTR_OPERATIONGRAPH_OPS, dnn::TYPE_BACKEND_DESCRIPTOR,
                    (int64_t)g->operations.size(), g->operations.data());
    finish(g, graph, dnn::BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    const bool is_written = g->status == dnn::STATUS_SUCCESS;
    *why = is_written ? "it knows no engine for this graph" : g->what;
    for (int unordered = 0; is_written && unordered < 2 && !out->plan; unordered++)
        for (int mode : {(int)dnn::HEUR_MODE_A, (int)dnn::HEUR_MODE_FALLBACK}) {
            if (out->plan) break;
            const std::vector<dnn::descriptor> all = configurations(g, graph, device, mode);
            if (g->status != dnn::STATUS_SUCCESS) *why = g->what, g->status = dnn::STATUS_SUCCESS;
            for (size_t i = 0; i < all.size() && !out->plan; i++) {
                if (is_unordered(g, all[i]) != (unordered == 1)) continue;
                const dnn::descriptor plan = plan_of(g, all[i], handle, device, &out->workspace);
                if (!plan) *why = g->what, g->status = dnn::STATUS_SUCCESS; /* the next may do */
                else if (out->workspace <= workspace) out->plan = plan, out->is_ordered = !unordered;
                else
                    *why = "it wants " + std::to_string(out->workspace) + " bytes of workspace, " +
                           std::to_string(workspace) + " are planned";
            }
        }
    out->lib = g->lib;
    out->owned = std::move(g->owned);
    out->constants = std::move(g->constants);
    if (out->plan) return 1;
    cudnn_plan_free(out);
    return 0;
}

void cudnn_plan_free(cudnn_plan *p) {
    for (size_t i = p->owned.size(); i-- > 0;) (void)p->lib->free(p->owned[i]);
    *p = {};
}

hone_status cudnn_plan_play(const cudnn_plan *p, void *handle, cudaStream_t stream,
                            const cudnn_binding *bindings, int n, void *workspace, std::string *why) {
    enum { MOST = 32 };
    int64_t uids[MOST];
    void *pointers[MOST];
    int64_t n_bound = 0;
    for (int i = 0; i < n; i++) uids[n_bound] = bindings[i].uid, pointers[n_bound++] = bindings[i].p;
    for (const cudnn_constant &c : p->constants) uids[n_bound] = c.uid, pointers[n_bound++] = (void *)&c.bits;
    cudnn_graph g = cudnn_graph_begin(p->lib); /* of one descriptor, for its errors' words */
    note(&g, p->lib->set_stream(handle, stream), "setting the stream", 0);
    const dnn::descriptor pack = cudnn_begin(&g, dnn::BACKEND_VARIANT_PACK_DESCRIPTOR);
    cudnn_attribute(&g, pack, dnn::ATTR_VARIANT_PACK_UNIQUE_IDS, dnn::TYPE_INT64, n_bound, uids);
    cudnn_attribute(&g, pack, dnn::ATTR_VARIANT_PACK_DATA_POINTERS, dnn::TYPE_VOID_PTR, n_bound, pointers);
    cudnn_attribute(&g, pack, dnn::ATTR_VARIANT_PACK_WORKSPACE, dnn::TYPE_VOID_PTR, 1, &workspace);
    finish(&g, pack, dnn::BACKEND_VARIANT_PACK_DESCRIPTOR);
    if (g.status == dnn::STATUS_SUCCESS) note(&g, p->lib->execute(handle, p->plan, pack), "executing", 0);
    if (pack) (void)p->lib->free(pack);
    *why = g.what;
    return g.status == dnn::STATUS_SUCCESS ? HONE_OK : HONE_EBUG;
}
