/* emu.h - what the emulated GPU offers beside its device table: counts of what kernels did, and seeded bugs.
 *
 * The CUDA sources are built three times: by nvcc (device cuda), and as plain C++ for a CPU as emu and as emu_count, which
 * counts every access to memory, and in which the seeded bugs of the kernels can be switched on. Builds with sanitizers
 * have no emu_count; there the bugs are in emu, which cannot count. Both export HONE_EMU_SYMBOL beside the table. Counts
 * are of what a GPU's memory system would see: accesses of a warp by one instruction are one request. They are exact,
 * repeatable, and say nothing about time. */
#ifndef HONE_EMU_H
#define HONE_EMU_H
#include <stdint.h>

#define HONE_EMU_SYMBOL "hone_emu_v1_table"

typedef struct {
    char kernel[160];                      /* its name, template arguments included; cut if longer */
    uint64_t n_launches, n_blocks;
    uint64_t sectors_read, sectors_written; /* of 32 bytes, device memory: each request asks for whole sectors */
    uint64_t bytes_read, bytes_written;     /* that the threads asked for */
    uint64_t memory_read, memory_written;   /* sectors that pass between memory and a cache of 1 MiB, empty at each launch */
    uint64_t memory_work; /* of these sectors: in the call's workspace, partial sums and lists */
    uint64_t shared_requests, shared_wavefronts; /* of 128 bytes at most; more wavefronts than requests: bank conflicts */
    uint64_t n_mma;      /* m16n8k16, a warp each: 4,096 operations */
    uint64_t n_exp;      /* a thread each */
    uint64_t n_barriers; /* a block each */
} hone_emu_counts;

typedef struct {
    uint32_t struct_bytes, counts_bytes; /* sizeof this struct and of hone_emu_counts: another version if they differ */
    /* emu_count; NULL in others. begin: forget, count from now on; work is the workspace of the calls to come. end: stop; how many kernels there are to read, in the
     * order of their first launch. Not thread-safe: one device plays at a time. */
    void (*begin)(const void *work, uint64_t work_bytes);
    int (*end)(void);
    void (*read)(int i, hone_emu_counts *out);
    /* Switch on seeded bug n (numbers as in tests/kernels/mutants.c); 0: none. */
    void (*set_mutant)(int n);
} hone_emu_v1;
#endif
