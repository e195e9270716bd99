/* cpu.h - what the files of this device share: the queue, rows of a tensor, work dealt to threads.
 *
 * Work is dealt in items that the shapes alone decide. An item owns what it writes; where many rows are
 * summed into one place, each block of CPU_ROWS rows writes its own partial sum (in call->work) and the
 * partial sums are added in the order of the blocks. So results do not depend on the number of threads, nor
 * does a row's result on the number of rows. */
#ifndef CPU_CPU_H
#define CPU_CPU_H
#include <string.h>

#include "hone/device.h"

#define CPU_ROWS 64                         /* rows of a block that is summed by itself */
#define CPU_COLUMNS 128                     /* columns of an item that goes down all rows */
#define CPU_SCRATCH_BYTES ((size_t)2 << 20) /* of each thread: a huge page; what is used at a time fits second-level cache */
#define CPU_WIDTH_MAX 32768                 /* columns of a row that norms and dropout keep in scratch */

typedef hone_status (*cpu_op)(hone_queue *queue, const hone_call *c);

/* The ops as compiled for one instruction set. */
typedef struct {
    const char *name;
    int pairs; /* it has an instruction for pairs of bf16 numbers */
    cpu_op op[HONE_N_OPS];
} cpu_table;
extern const cpu_table cpu_table_plain;
#if defined(__x86_64__)
extern const cpu_table cpu_table_avx2, cpu_table_avx512, cpu_table_avx512bf16;
#endif

/* isa.c: instruction sets this machine can run, the best first; n is at least 1. */
int isa_list(const cpu_table *out[4]);
/* The name of the processor, as it calls itself. */
void isa_processor(char *out, size_t out_bytes);
int isa_has_tiles(void); /* AMX for bf16, which the system lets programs ask for */

struct hone_device {
    const hone_host_v1 *host;
    const cpu_table *table;
    unsigned char *scratch; /* CPU_SCRATCH_BYTES for each thread */
    int pairs, is_chosen;   /* products of bf16 numbers are made of pairs (choose.h) */
    struct onednn *onednn;  /* or by it; NULL: they are not */
};
struct hone_queue {
    hone_device *device;
};

/* Run fn(arg, i, thread) for i in [0, n) on the threads of the host. */
static inline void deal(hone_queue *queue, int64_t n, void (*fn)(void *arg, int64_t i, int thread),
                        void *arg) {
    const hone_host_v1 *host = queue->device->host;
    if (n > 0) host->parallel_for(host->context, n, fn, arg);
}
static inline void *scratch_of(const hone_queue *queue, int thread) {
    return queue->device->scratch + (size_t)thread * CPU_SCRATCH_BYTES;
}

static inline int64_t blocks_of(int64_t n, int64_t size) { return (n + size - 1) / size; }
static inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
static inline int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

/* Elements of a row: [N,H,K] reads as [N,H*K]. */
static inline int64_t width(const hone_tensor *t) { return t->dim[1] * t->dim[2]; }
static inline int is_bf(const hone_tensor *t) { return t->dtype == HONE_BF16; }
static inline int64_t element_bytes(const hone_tensor *t) { return t->dtype == HONE_BF16 ? 2 : 4; }
/* Element e of row n, of an array of fp32, int32 or bf16. An unbound tensor gives NULL. */
static inline void *cell(const hone_tensor *t, int64_t n, int64_t e) {
    return t->p ? (char *)t->p + (n * t->ld + e) * element_bytes(t) : NULL;
}
static inline float *floats(const hone_tensor *t) { return t->p; }
static inline int32_t *ints(const hone_tensor *t) { return t->p; }
static inline const hone_range *ranges(const hone_tensor *t) { return t->p; }
static inline const hone_key *keys(const hone_tensor *t) { return t->p; }

static inline float loss_scale_of(const hone_tick *tick) {
    float scale = 1;
    if (tick && tick->loss_scale) memcpy(&scale, &tick->loss_scale, sizeof scale);
    return scale;
}
#endif
