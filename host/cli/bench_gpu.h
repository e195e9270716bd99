/* bench_gpu.h - GPUs by their published figures, and the least time that one would need for counted work. */
#ifndef CLI_BENCH_GPU_H
#define CLI_BENCH_GPU_H
#include "cases/cases.h"

typedef struct {
    char name[64];
    double memory_bytes, memory_bytes_per_s, multiprocessors, clock_hz;
    double flops[HONE_N_DTYPES]; /* a second, by the type of a product's operands; 0: unknown */
} gpu_figures;

/* Read configs/devices/NAME.json, or the file if name has a slash. HONE_EUSAGE: there is none, or it lacks a figure. */
hone_status gpu_read(gpu_figures *out, const char *name, hone_err *err);

/* The largest of what memory, tensor cores, shared memory and exponentials each need, in seconds; *binds says which.
 * It is a lower bound of a kernel's time, never a measurement: caches, latency and launches are left out. */
double gpu_least_seconds(const gpu_figures *g, const cases_counts *c, hone_dtype dtype, const char **binds);
#endif
