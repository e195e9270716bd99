/* cudnn_norm_graph.cuh - a layer norm as one operation of cuDNN: y = gamma (x - mean) rstd + beta, and its gradient. */
#ifndef CUDA_CUDNN_NORM_GRAPH_CUH
#define CUDA_CUDNN_NORM_GRAPH_CUH
#include "cudnn_graph.cuh"

/* Operands by their uids. */
enum norm_uid {
    NORM_X = 1,
    NORM_MEAN,
    NORM_RSTD,
    NORM_GAMMA,
    NORM_BETA,
    NORM_Y,
    NORM_DY,
    NORM_DX,
    NORM_DGAMMA,
    NORM_DBETA
};

/* Writes the graph of the norm that query asks for into g; key gets all that it depends on. Backward reads
 * gamma in fp32, whatever the norm's type: the library knows no engine where gamma and dgamma are of two types. */
void cudnn_norm_describe(const hone_query *query, cudnn_graph *g, std::vector<int64_t> *key);
#endif
