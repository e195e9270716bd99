/* cudnn_limits.h - cuDNN as the planner sees it: pure, without the library. Also how the workspace is divided. */
#ifndef CUDA_CUDNN_LIMITS_H
#define CUDA_CUDNN_LIMITS_H
#include "hone/device.h"

/* The rule of engine auto: on compute capability 9.0 (read when the device is open), without dropout, where
 * sequences may be longer than this, because there the mma.sync kernels reach about 324 / 291 TFLOP/s (forward /
 * backward, head width 64, H100) and cuDNN 413 / 433, by published figures; and never for a workspace beyond
 * CUDNN_MOST_WORK. */
#define CUDNN_FROM_LENGTH 256
#define CUDNN_MOST_WORK ((size_t)256 << 20)

typedef struct {
    int64_t B, H, K, S[2]; /* S: the longest sequence of queries, of keys */
} cudnn_extents;
cudnn_extents cudnn_extents_of(const hone_query *query);

/* Can some version of cuDNN play this call? 0, with why in words. */
int cudnn_can(const hone_query *query, char *why, size_t why_bytes);
int cudnn_is_preferred(const hone_query *query);

/* Workspace: numbers a row of every sequence (fp32 {B,H,S}: stats, in backward delta), words a sequence (lengths
 * of queries and keys, offsets of eight operands), the plan's own. Of a norm: fp32 [N] in forward (mean), three of
 * [D] in backward (dgamma, dbeta, gamma), for what is not bound or not fp32. Each part is whole 256 bytes. */
enum { CUDNN_N_WORDS = 10, CUDNN_ROOM = 64 << 10, CUDNN_NORM_ROOM = 1 << 20 };
#define CUDNN_UP(bytes) (((size_t)(bytes) + 255) / 256 * 256)
#define CUDNN_COLUMN_BYTES(e) CUDNN_UP(4 * (e).B * (e).H * (e).S[0])
#define CUDNN_WORD_BYTES(e) CUDNN_UP(4 * ((e).B + 1))
size_t cudnn_plan_bytes(const hone_query *query);    /* the plan's own */
size_t cudnn_scratch_bytes(const hone_query *query); /* the others */
size_t cudnn_work_bytes(const hone_query *query);    /* and both */
#endif
