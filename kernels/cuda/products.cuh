/* products.cuh - what device.cu asks of linear.cu: the library of matrix products, opened with the device. */
#ifndef CUDA_PRODUCTS_CUH
#define CUDA_PRODUCTS_CUH
#include "common.cuh"

hone_status products_open(hone_device *device, hone_err *err);
void products_close(hone_device *device);
/* hone_device_v1.choose: the algorithm of a product; nothing for other ops. */
hone_status products_choose(hone_device *device, const hone_query *query, void **out, hone_err *err);
#endif
