/* cudnn_graph.cuh - cuDNN as a library of graphs: opening it, writing a graph of its operations, and a plan that
 * plays one.
 *
 * A graph is written with tensors of four extents; virtual ones stay inside the library's kernel. A plan is made
 * once, before a run begins, and owns all descriptors until cudnn_plan_free. Playing binds pointers by a variant
 * pack, which the library keeps on the heap for the length of the call: of the host, and only while a step is
 * being captured. */
#ifndef CUDA_CUDNN_GRAPH_CUH
#define CUDA_CUDNN_GRAPH_CUH
#include <cuda_runtime.h>

#include <string>
#include <vector>

#include "cudnn_words.h"
extern "C" {
#include "hone/device.h"
}

/* ---- the library ---------------------------------------------------------------------------------------------*/
struct cudnn_library {
#define XX(member, symbol, result, operands) result(*member) operands;
    CUDNN_FUNCTION_MAP(XX)
#undef XX
};
constexpr int CUDNN_LEAST = 90600; /* packed rows of several sequences, sums of dq that nobody must zero */

/* symbol finds a function of the library by name. 0: one is missing, its name in *missing. */
int cudnn_bind(cudnn_library *out, void *(*symbol)(void *library, const char *name), void *library,
               const char **missing);

/* ---- a graph -------------------------------------------------------------------------------------------------*/
struct cudnn_tensor {
    dnn::descriptor d; /* NULL: none */
    int64_t dim[4];
    int type;
};
struct cudnn_constant {
    int64_t uid;
    int32_t bits; /* of a float or an int32 */
};
struct cudnn_graph {
    const cudnn_library *lib;
    std::vector<dnn::descriptor> owned, operations;
    std::vector<cudnn_constant> constants;
    int64_t n_virtual;
    dnn::status status; /* the first that failed, and doing what: later calls do nothing */
    std::string what;
};
cudnn_graph cudnn_graph_begin(const cudnn_library *lib);
int cudnn_type(hone_dtype type); /* F32, BF16, F16 */

/* Memory bound under uid at every call. Sequence b begins at element offset[b] of it where offset is given (an
 * int32 tensor {B+1,1,1,1}), else at b stride[0]. Addresses are multiples of alignment bytes. */
cudnn_tensor cudnn_memory(cudnn_graph *g, int64_t uid, int type, const int64_t dim[4],
                          const int64_t stride[4], const cudnn_tensor *offset, int64_t alignment);
cudnn_tensor cudnn_inside(cudnn_graph *g, int type, const int64_t dim[4]); /* virtual, last extent adjacent */
/* The same with strides, and an offset as above, of the memory that it shows transposed. */
cudnn_tensor cudnn_shown(cudnn_graph *g, int type, const int64_t dim[4], const int64_t stride[4],
                         const cudnn_tensor *offset);
cudnn_tensor cudnn_number(cudnn_graph *g, float x);
cudnn_tensor cudnn_number(cudnn_graph *g, int32_t x);

/* c = a b, matrices being the last two extents. m, n, k: int32 {B,1,1,1}, the live rows of a, columns of b and what is
 * summed, or NULL: all. */
void cudnn_multiply(cudnn_graph *g, cudnn_tensor a, cudnn_tensor b, cudnn_tensor c, const cudnn_tensor *m,
                    const cudnn_tensor *n, const cudnn_tensor *k);
/* y = x mode b; extents of 1 are repeated. compute: in which type. */
void cudnn_map(cudnn_graph *g, int mode, int compute, cudnn_tensor x, const cudnn_tensor *b, cudnn_tensor y);
cudnn_tensor cudnn_map(cudnn_graph *g, int mode, cudnn_tensor x,
                       cudnn_tensor b); /* of floats; a new one like x */
cudnn_tensor cudnn_map(cudnn_graph *g, int mode, cudnn_tensor x);
cudnn_tensor cudnn_index(cudnn_graph *g, cudnn_tensor like, int axis); /* int32: the place along an axis */
cudnn_tensor cudnn_select(cudnn_graph *g, cudnn_tensor when, cudnn_tensor x, cudnn_tensor otherwise);
void cudnn_reduce(cudnn_graph *g, int mode, cudnn_tensor x,
                  cudnn_tensor y); /* over the extents that are 1 in y */
void cudnn_reshape(cudnn_graph *g, cudnn_tensor x,
                   cudnn_tensor y); /* here: the last two extents change places */
/* An operation of its own kind: attributes first, then cudnn_operation. */
dnn::descriptor cudnn_begin(cudnn_graph *g, int kind);
void cudnn_attribute(cudnn_graph *g, dnn::descriptor d, int attribute, int type, int64_t n,
                     const void *values);
void cudnn_operand(cudnn_graph *g, dnn::descriptor d, int attribute, cudnn_tensor t); /* none: left out */
void cudnn_operation(cudnn_graph *g, dnn::descriptor d);

/* ---- a plan --------------------------------------------------------------------------------------------------*/
struct cudnn_plan {
    const cudnn_library *lib;
    std::vector<dnn::descriptor> owned;
    std::vector<cudnn_constant> constants;
    dnn::descriptor plan;
    size_t workspace;
    bool is_ordered; /* the same bits whenever it is repeated, as the library says */
};
/* Takes over what g owns, and finds the first engine with at most `workspace` bytes; one that gives the same bits
 * always comes before one that does not. handle NULL: for the GPU that device, a finished descriptor of
 * properties, describes (nothing can be executed then). 0, with why: none can play it. */
int cudnn_plan_make(cudnn_plan *out, cudnn_graph *g, void *handle, dnn::descriptor device, size_t workspace,
                    std::string *why);
void cudnn_plan_free(cudnn_plan *p);

struct cudnn_binding {
    int64_t uid;
    void *p;
};
hone_status cudnn_plan_play(const cudnn_plan *p, void *handle, cudaStream_t stream,
                            const cudnn_binding *bindings, int n, void *workspace, std::string *why);
#endif
