/* bench_allreduce.h - hone bench allreduce: sums over ranks by size, each time beside its check.
 *
 *   hone launch -n 4 bench allreduce [--bytes 8:33554432 | --job JOB] [--dtype bf16] [--device cpu|emu|cuda]
 *
 * Kinds: exact (the tree of tree.h, one shard a rank), fast (cpu: ranks in their order; GPUs: the library's), fixed (fixed.h,
 * by the host alone). A time is the median over runs of the slowest rank's, from a barrier on. Bandwidths are nccl-tests':
 * algbw = bytes / time, busbw = algbw * 2 (n - 1) / n, bytes those of the fp32 elements whatever they travel as. sent_bytes:
 * most that one rank has sent in one sum; of the library's own sums nobody knows. wrong: elements of all ranks that are not
 * what they must be: exact and cpu fast to the bit, a library's sum within its bound, fixed within the rounding it says it
 * makes; no time where there are any. bits: hash of the result, the same on all ranks or all are wrong. Of an emulated
 * device no time is shown. Rank 0 prints. */
#ifndef CLI_BENCH_ALLREDUCE_H
#define CLI_BENCH_ALLREDUCE_H
#include "cli/args.h"

hone_status bench_allreduce(const args *a, hone_err *err);
#endif
