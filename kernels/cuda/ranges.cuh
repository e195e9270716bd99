/* ranges.cuh - hone_device_v1.range: names on the timeline of NVIDIA's profilers. */
#ifndef CUDA_RANGES_CUH
#define CUDA_RANGES_CUH

extern void (*const device_range)(const char *name); /* NULL: built without NVTX */
#endif
