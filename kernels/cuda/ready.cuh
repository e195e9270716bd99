/* ready.cuh - what device.cu asks before it opens a device. */
#ifndef CUDA_READY_CUH
#define CUDA_READY_CUH
#include "common.cuh"

/* Make device `ordinal` the current one, or say in plain words why this machine is not ready for it. */
hone_status machine_ready(cudaDeviceProp *properties, int ordinal, hone_err *err);
/* Does the device answer nothing more after this error, and may it be broken? */
bool is_device_lost(cudaError_t error);
#endif
