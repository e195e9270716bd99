/* cudnn.cuh - cuDNN as another player of attention and of plain layer norms (limits: cudnn_limits.h). The library
 * is opened when a call first asks for it; without it the plugin works as ever. */
#ifndef CUDA_CUDNN_CUH
#define CUDA_CUDNN_CUH
#include "common.cuh"
#include "cudnn_graph.cuh"

extern "C" {
#include "cudnn_limits.h"
}

struct cudnn_choice {
    std::vector<int64_t> key; /* all that the plan depends on */
    hone_op op;
    cudnn_extents extents; /* of attention */
    int64_t rows;          /* of a norm */
    cudnn_plan plan;
};

/* As in hone_device_v1, for ATTENTION and NORM: *out stays NULL where the device's own kernels play. One line in
 * the log says for each kind of call which of the two it is, and why.
 * HONE_EUSAGE  engine cudnn was asked for, but the library is absent or too old, the GPU is of another kind, or no
 *              engine of the library plays the call within the planned workspace */
hone_status cudnn_choose(hone_device *device, const hone_query *query, void **out, hone_err *err);
void cudnn_close(hone_device *device);

/* Plays the call that choice was made for. A norm of another number of rows than planned is refused: HONE_EBUG. */
hone_status cudnn_attention_play(hone_queue *q, const hone_call *c);
hone_status cudnn_norm_play(hone_queue *q, const hone_call *c);

/* Inside. */
void cudnn_attention_describe(const hone_query *query, cudnn_graph *g, std::vector<int64_t> *key);
hone_status cudnn_play(hone_queue *q, const hone_call *c, const cudnn_binding *bindings, int n,
                       void *workspace);
#endif
