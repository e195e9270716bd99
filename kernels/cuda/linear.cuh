/* linear.cuh - what device.cu asks of linear.cu. */
#ifndef CUDA_LINEAR_CUH
#define CUDA_LINEAR_CUH
#include "common.cuh"

/* hone_device_v1.choose: the algorithm of a product; nothing for other ops. */
hone_status linear_choose(hone_device *device, const hone_query *query, void **out, hone_err *err);
#endif
