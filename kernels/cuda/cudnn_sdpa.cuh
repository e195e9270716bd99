/* cudnn_sdpa.cuh - attention as graphs of cuDNN's operations, forward and backward, over packed rows. */
#ifndef CUDA_CUDNN_SDPA_CUH
#define CUDA_CUDNN_SDPA_CUH
#include "cudnn_graph.cuh"

/* Operands by their uids. Sequence b of operand X begins at element offset[b] of it: SDPA_AT + X, int32 {B+1}. */
enum sdpa_uid {
    SDPA_Q = 1, /* [rows,H,K], of a type of 2 bytes; likewise the next */
    SDPA_K,
    SDPA_V,
    SDPA_O,
    SDPA_DO,
    SDPA_DQ,
    SDPA_DK,
    SDPA_DV,
    SDPA_N_ROWS,              /* the above are rows; from here on fp32 */
    SDPA_STATS = SDPA_N_ROWS, /* {B,H,S,1}: log of the sum of exp of a row's scores */
    SDPA_DELTA,               /* backward's own: {B,H,S,1}, sum of do o */
    SDPA_LEN_Q,               /* int32 {B} */
    SDPA_LEN_K,
    SDPA_AT = 32
};

struct sdpa_shape {
    bool is_backward;
    int type;                /* dnn::DATA_BFLOAT16, dnn::DATA_HALF */
    int64_t B, H, K;         /* sequences, heads, width of a head */
    int64_t S[2];            /* the longest sequence of queries, of keys */
    int64_t ld[SDPA_N_ROWS]; /* elements from row to row, by uid */
    int64_t alignment;       /* bytes that every operand begins at a multiple of */
    float scale;
    int32_t left, right; /* of the band, aligned at the last key; negative: no bound */
};

/* scores = scale q k' where key and query exist and the band lets them, else -infinity; p = exp(scores - stats).
 *   forward   stats = log sum exp, o = (exp(scores - max) / sum) v
 *   backward  delta = sum of do o;  dv = p' do;  ds = p (do v' - delta) scale;  dk = ds' q;  dq = ds k
 * p and ds are rounded to the type before they are multiplied. On Hopper the library keeps all of ds in its
 * workspace (B H S S elements, S in 64s) because dq is made of it at once: the form that adds in one order, as its
 * frontend's set_deterministic_algorithm makes it. The form without, whose dq is summed by atomics, has other bits
 * whenever it runs. */
void sdpa_write(cudnn_graph *g, const sdpa_shape &s);
#endif
