/* comm.cuh - between devices: the plugin's hone_comm_v1. */
#ifndef CUDA_COMM_CUH
#define CUDA_COMM_CUH
#include "common.cuh"

extern const hone_comm_v1 comm_nccl;
#endif
