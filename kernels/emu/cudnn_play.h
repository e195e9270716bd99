/* cudnn_play.h - inside the emulated cuDNN: a graph as it is played (cudnn_play.cpp), read from descriptors
 * (cudnn.cpp). */
#ifndef EMU_CUDNN_PLAY_H
#define EMU_CUDNN_PLAY_H
#include <stdint.h>

#include <map>
#include <vector>

namespace emudnn {
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
typedef std::map<int64_t, char *> bindings; /* memory by uid */

void play(const graph &g, const bindings &bound);
bool is_known(const graph &g);        /* has cuDNN 9.19 an engine for it */
int64_t workspace_of(const graph &g); /* bytes, as cuDNN 9.19 wants them on sm_90 */
} // namespace emudnn
#endif
