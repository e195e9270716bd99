/* nccl.h - the few calls of NVIDIA's NCCL that the plugin makes, declared here because its header need not be there when
 * hone is built: the library is opened by name when several ranks train (comm_nccl.cu), 2.18 or later. The emulator has the
 * same functions over shared memory (kernels/emu/nccl.cpp). Values and layouts are those of NCCL's own nccl.h. */
#ifndef CUDA_NCCL_H
#define CUDA_NCCL_H
#include <cuda_runtime.h>

#include <stddef.h>

typedef struct ncclComm *ncclComm_t;
typedef struct {
    char internal[128];
} ncclUniqueId;
typedef enum { ncclSuccess = 0, ncclSystemError = 2, ncclInvalidArgument = 4, ncclInvalidUsage = 5, ncclRemoteError = 6, ncclInProgress = 7 } ncclResult_t;
typedef enum { ncclUint8 = 1, ncclFloat32 = 7, ncclBfloat16 = 9 } ncclDataType_t;
typedef enum { ncclSum = 0 } ncclRedOp_t;

/* As it was in 2.18: later versions read no more than `size` bytes of it, and know from `version` what is in them. */
#define NCCL_VERSION_LEAST 21800
#define NCCL_UNSET (-2147483647 - 1)
typedef struct {
    size_t size;
    unsigned magic, version;
    int blocking; /* 0: no call waits for other ranks; ncclCommGetAsyncError tells when it has happened */
    int cluster_size, ctas_min, ctas_max;
    const char *net_name;
    int split_share, padding;
} ncclConfig_t;
#define NCCL_NOT_BLOCKING {sizeof(ncclConfig_t), 0xcafebeef, NCCL_VERSION_LEAST, 0, NCCL_UNSET, NCCL_UNSET, NCCL_UNSET, nullptr, NCCL_UNSET, NCCL_UNSET}

#define NCCL_MAP(XX)                                                                                         \
    XX(ncclGetVersion, ncclResult_t, (int *version))                                                         \
    XX(ncclGetUniqueId, ncclResult_t, (ncclUniqueId * id))                                                   \
    XX(ncclGetErrorString, const char *, (ncclResult_t result))                                              \
    XX(ncclCommInitRankConfig, ncclResult_t, (ncclComm_t * out, int n, ncclUniqueId id, int rank, ncclConfig_t *config)) \
    XX(ncclCommGetAsyncError, ncclResult_t, (ncclComm_t c, ncclResult_t *result))                            \
    XX(ncclCommFinalize, ncclResult_t, (ncclComm_t c))                                                       \
    XX(ncclCommDestroy, ncclResult_t, (ncclComm_t c))                                                        \
    XX(ncclCommAbort, ncclResult_t, (ncclComm_t c))                                                          \
    XX(ncclGroupStart, ncclResult_t, (void))                                                                 \
    XX(ncclGroupEnd, ncclResult_t, (void))                                                                   \
    XX(ncclSend, ncclResult_t, (const void *p, size_t n, ncclDataType_t type, int peer, ncclComm_t c, cudaStream_t s)) \
    XX(ncclRecv, ncclResult_t, (void *p, size_t n, ncclDataType_t type, int peer, ncclComm_t c, cudaStream_t s)) \
    XX(ncclAllReduce, ncclResult_t,                                                                          \
       (const void *from, void *to, size_t n, ncclDataType_t type, ncclRedOp_t op, ncclComm_t c, cudaStream_t s))

#ifdef HONE_EMULATED
extern "C" {
#define XX(name, result, arguments) result name arguments;
NCCL_MAP(XX)
#undef XX
}
#endif
#endif
