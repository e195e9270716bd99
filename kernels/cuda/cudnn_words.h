/* cudnn_words.h - the words of cuDNN's backend interface (cuDNN 9) that hone uses: names, numbers, functions.
 *
 * Declared here and not taken from cuDNN's headers, because a toolkit need not have them, and whoever builds the
 * plugin need not have the library: it is opened at run time (cudnn_library.cu). The emulated library
 * (kernels/emu/cudnn.cpp) speaks the same words. Where the compiler finds cudnn_graph.h, cudnn_graph.cu compares
 * every number with it. */
#ifndef CUDA_CUDNN_WORDS_H
#define CUDA_CUDNN_WORDS_H
#include <stddef.h>
#include <stdint.h>

#define CUDNN_WORD_MAP(XX)                                                                                   \
    XX(STATUS_SUCCESS, 0)                                                                                    \
    XX(STATUS_BAD_PARAM, 2000)                                                                               \
    XX(STATUS_NOT_SUPPORTED, 3000)                                                                           \
    /* types of elements */                                                                                  \
    XX(DATA_FLOAT, 0)                                                                                        \
    XX(DATA_HALF, 2)                                                                                         \
    XX(DATA_INT32, 4)                                                                                        \
    XX(DATA_BFLOAT16, 9)                                                                                     \
    XX(DATA_INT64, 10)                                                                                       \
    XX(DATA_BOOLEAN, 11)                                                                                     \
    /* types of attributes */                                                                                \
    XX(TYPE_HANDLE, 0)                                                                                       \
    XX(TYPE_DATA_TYPE, 1)                                                                                    \
    XX(TYPE_BOOLEAN, 2)                                                                                      \
    XX(TYPE_INT64, 3)                                                                                        \
    XX(TYPE_VOID_PTR, 6)                                                                                     \
    XX(TYPE_HEUR_MODE, 8)                                                                                    \
    XX(TYPE_NUMERICAL_NOTE, 11)                                                                              \
    XX(TYPE_POINTWISE_MODE, 14)                                                                              \
    XX(TYPE_BACKEND_DESCRIPTOR, 15)                                                                          \
    XX(TYPE_REDUCTION_OPERATOR_TYPE, 18)                                                                     \
    XX(TYPE_CHAR, 24)                                                                                        \
    XX(TYPE_NORM_MODE, 27)                                                                                   \
    XX(TYPE_NORM_FWD_PHASE, 28)                                                                              \
    /* descriptors */                                                                                        \
    XX(BACKEND_POINTWISE_DESCRIPTOR, 0)                                                                      \
    XX(BACKEND_ENGINE_DESCRIPTOR, 2)                                                                         \
    XX(BACKEND_ENGINECFG_DESCRIPTOR, 3)                                                                      \
    XX(BACKEND_ENGINEHEUR_DESCRIPTOR, 4)                                                                     \
    XX(BACKEND_EXECUTION_PLAN_DESCRIPTOR, 5)                                                                 \
    XX(BACKEND_OPERATION_POINTWISE_DESCRIPTOR, 13)                                                           \
    XX(BACKEND_OPERATIONGRAPH_DESCRIPTOR, 15)                                                                \
    XX(BACKEND_VARIANT_PACK_DESCRIPTOR, 16)                                                                  \
    XX(BACKEND_TENSOR_DESCRIPTOR, 17)                                                                        \
    XX(BACKEND_MATMUL_DESCRIPTOR, 18)                                                                        \
    XX(BACKEND_OPERATION_MATMUL_DESCRIPTOR, 19)                                                              \
    XX(BACKEND_REDUCTION_DESCRIPTOR, 21)                                                                     \
    XX(BACKEND_OPERATION_REDUCTION_DESCRIPTOR, 22)                                                           \
    XX(BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR, 29)                                                        \
    XX(BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR, 30)                                                       \
    XX(BACKEND_OPERATION_RESHAPE_DESCRIPTOR, 31)                                                             \
    XX(BACKEND_DEVICEPROP_DESCRIPTOR, 38)                                                                    \
    /* attributes */                                                                                         \
    XX(ATTR_POINTWISE_MODE, 0)                                                                               \
    XX(ATTR_POINTWISE_MATH_PREC, 1)                                                                          \
    XX(ATTR_POINTWISE_AXIS, 9)                                                                               \
    XX(ATTR_ENGINEHEUR_MODE, 200)                                                                            \
    XX(ATTR_ENGINEHEUR_OPERATION_GRAPH, 201)                                                                 \
    XX(ATTR_ENGINEHEUR_RESULTS, 202)                                                                         \
    XX(ATTR_ENGINEHEUR_DEVICEPROP, 204)                                                                      \
    XX(ATTR_ENGINECFG_ENGINE, 300)                                                                           \
    XX(ATTR_EXECUTION_PLAN_HANDLE, 400)                                                                      \
    XX(ATTR_EXECUTION_PLAN_ENGINE_CONFIG, 401)                                                               \
    XX(ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, 402)                                                              \
    XX(ATTR_EXECUTION_PLAN_DEVICEPROP, 407)                                                                  \
    XX(ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, 750)                                                          \
    XX(ATTR_OPERATION_POINTWISE_XDESC, 751)                                                                  \
    XX(ATTR_OPERATION_POINTWISE_BDESC, 752)                                                                  \
    XX(ATTR_OPERATION_POINTWISE_YDESC, 753)                                                                  \
    XX(ATTR_OPERATION_POINTWISE_TDESC, 758)                                                                  \
    XX(ATTR_OPERATIONGRAPH_HANDLE, 800)                                                                      \
    XX(ATTR_OPERATIONGRAPH_OPS, 801)                                                                         \
    XX(ATTR_TENSOR_BYTE_ALIGNMENT, 900)                                                                      \
    XX(ATTR_TENSOR_DATA_TYPE, 901)                                                                           \
    XX(ATTR_TENSOR_DIMENSIONS, 902)                                                                          \
    XX(ATTR_TENSOR_STRIDES, 903)                                                                             \
    XX(ATTR_TENSOR_UNIQUE_ID, 906)                                                                           \
    XX(ATTR_TENSOR_IS_VIRTUAL, 907)                                                                          \
    XX(ATTR_TENSOR_IS_BY_VALUE, 908)                                                                         \
    XX(ATTR_TENSOR_RAGGED_OFFSET_DESC, 913)                                                                  \
    XX(ATTR_VARIANT_PACK_UNIQUE_IDS, 1000)                                                                   \
    XX(ATTR_VARIANT_PACK_DATA_POINTERS, 1001)                                                                \
    XX(ATTR_VARIANT_PACK_WORKSPACE, 1003)                                                                    \
    XX(ATTR_ENGINE_NUMERICAL_NOTE, 1303)                                                                     \
    XX(ATTR_MATMUL_COMP_TYPE, 1500)                                                                          \
    XX(ATTR_OPERATION_MATMUL_ADESC, 1520)                                                                    \
    XX(ATTR_OPERATION_MATMUL_BDESC, 1521)                                                                    \
    XX(ATTR_OPERATION_MATMUL_CDESC, 1522)                                                                    \
    XX(ATTR_OPERATION_MATMUL_DESC, 1523)                                                                     \
    XX(ATTR_OPERATION_MATMUL_GEMM_M_OVERRIDE_DESC, 1525)                                                     \
    XX(ATTR_OPERATION_MATMUL_GEMM_N_OVERRIDE_DESC, 1526)                                                     \
    XX(ATTR_OPERATION_MATMUL_GEMM_K_OVERRIDE_DESC, 1527)                                                     \
    XX(ATTR_REDUCTION_OPERATOR, 1600)                                                                        \
    XX(ATTR_REDUCTION_COMP_TYPE, 1601)                                                                       \
    XX(ATTR_OPERATION_REDUCTION_XDESC, 1610)                                                                 \
    XX(ATTR_OPERATION_REDUCTION_YDESC, 1611)                                                                 \
    XX(ATTR_OPERATION_REDUCTION_DESC, 1612)                                                                  \
    XX(ATTR_OPERATION_NORM_FWD_MODE, 2000)                                                                   \
    XX(ATTR_OPERATION_NORM_FWD_PHASE, 2001)                                                                  \
    XX(ATTR_OPERATION_NORM_FWD_XDESC, 2002)                                                                  \
    XX(ATTR_OPERATION_NORM_FWD_MEAN_DESC, 2003)                                                              \
    XX(ATTR_OPERATION_NORM_FWD_INV_VARIANCE_DESC, 2004)                                                      \
    XX(ATTR_OPERATION_NORM_FWD_SCALE_DESC, 2005)                                                             \
    XX(ATTR_OPERATION_NORM_FWD_BIAS_DESC, 2006)                                                              \
    XX(ATTR_OPERATION_NORM_FWD_EPSILON_DESC, 2007)                                                           \
    XX(ATTR_OPERATION_NORM_FWD_YDESC, 2013)                                                                  \
    XX(ATTR_OPERATION_NORM_BWD_MODE, 2100)                                                                   \
    XX(ATTR_OPERATION_NORM_BWD_XDESC, 2101)                                                                  \
    XX(ATTR_OPERATION_NORM_BWD_MEAN_DESC, 2102)                                                              \
    XX(ATTR_OPERATION_NORM_BWD_INV_VARIANCE_DESC, 2103)                                                      \
    XX(ATTR_OPERATION_NORM_BWD_DYDESC, 2104)                                                                 \
    XX(ATTR_OPERATION_NORM_BWD_SCALE_DESC, 2105)                                                             \
    XX(ATTR_OPERATION_NORM_BWD_DSCALE_DESC, 2107)                                                            \
    XX(ATTR_OPERATION_NORM_BWD_DBIAS_DESC, 2108)                                                             \
    XX(ATTR_OPERATION_NORM_BWD_DXDESC, 2109)                                                                 \
    XX(ATTR_OPERATION_RESHAPE_XDESC, 2200)                                                                   \
    XX(ATTR_OPERATION_RESHAPE_YDESC, 2201)                                                                   \
    XX(ATTR_DEVICEPROP_JSON_REPRESENTATION, 2702)                                                            \
    /* what operations do */                                                                                 \
    XX(POINTWISE_ADD, 0)                                                                                     \
    XX(POINTWISE_MUL, 1)                                                                                     \
    XX(POINTWISE_DIV, 6)                                                                                     \
    XX(POINTWISE_SUB, 9)                                                                                     \
    XX(POINTWISE_EXP, 13)                                                                                    \
    XX(POINTWISE_LOG, 15)                                                                                    \
    XX(POINTWISE_IDENTITY, 21)                                                                               \
    XX(POINTWISE_CMP_GT, 302)                                                                                \
    XX(POINTWISE_CMP_GE, 303)                                                                                \
    XX(POINTWISE_CMP_LT, 304)                                                                                \
    XX(POINTWISE_LOGICAL_AND, 400)                                                                           \
    XX(POINTWISE_GEN_INDEX, 501)                                                                             \
    XX(POINTWISE_BINARY_SELECT, 601)                                                                         \
    XX(REDUCE_TENSOR_ADD, 0)                                                                                 \
    XX(REDUCE_TENSOR_MAX, 3)                                                                                 \
    XX(LAYER_NORM, 0)                                                                                        \
    XX(RMS_NORM, 4)                                                                                          \
    XX(NORM_FWD_TRAINING, 1)                                                                                 \
    XX(HEUR_MODE_FALLBACK, 2)                                                                                \
    XX(HEUR_MODE_A, 3)                                                                                       \
    XX(NUMERICAL_NOTE_NONDETERMINISTIC, 4)                                                                   \
    XX(NUMERICAL_NOTE_TYPE_COUNT, 10)

/* dnn::ATTR_TENSOR_STRIDES is cuDNN's CUDNN_ATTR_TENSOR_STRIDES. */
namespace dnn {
enum {
#define XX(name, number) name = number,
    CUDNN_WORD_MAP(XX)
#undef XX
};
typedef int status;
typedef void *descriptor;
} // namespace dnn

/* XX(member, symbol, results and operands) */
#define CUDNN_FUNCTION_MAP(XX)                                                                               \
    XX(version, cudnnGetVersion, size_t, (void))                                                             \
    XX(words, cudnnGetErrorString, const char *, (dnn::status))                                              \
    XX(last_words, cudnnGetLastErrorString, void, (char *text, size_t bytes))                                \
    XX(open, cudnnCreate, dnn::status, (void **handle))                                                      \
    XX(close, cudnnDestroy, dnn::status, (void *handle))                                                     \
    XX(set_stream, cudnnSetStream, dnn::status, (void *handle, cudaStream_t stream))                         \
    XX(make, cudnnBackendCreateDescriptor, dnn::status, (int kind, dnn::descriptor *out))                    \
    XX(free, cudnnBackendDestroyDescriptor, dnn::status, (dnn::descriptor d))                                \
    XX(set, cudnnBackendSetAttribute, dnn::status,                                                           \
       (dnn::descriptor d, int attribute, int type, int64_t n, const void *values))                          \
    XX(get, cudnnBackendGetAttribute, dnn::status,                                                           \
       (dnn::descriptor d, int attribute, int type, int64_t n_wanted, int64_t *n, void *values))             \
    XX(finish, cudnnBackendFinalize, dnn::status, (dnn::descriptor d))                                       \
    XX(execute, cudnnBackendExecute, dnn::status, (void *handle, dnn::descriptor plan, dnn::descriptor pack))
#endif
