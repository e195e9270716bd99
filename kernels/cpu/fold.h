/* fold.h - sums over rows: partial sums of fixed blocks of rows, added in the order of the blocks. */
#ifndef CPU_FOLD_H
#define CPU_FOLD_H
#include "vec.h"
#include "cpu.h"

static inline int64_t row_blocks(int64_t n) { return blocks_of(n, CPU_ROWS); }
/* Distance between the partial sums of neighbouring blocks: whole cache lines. */
static inline int64_t partial_ld(int64_t n_columns) { return round_up(n_columns, 16); }

typedef struct {
    const float *partial; /* [n_blocks, partial_ld] */
    int64_t n_blocks, n_columns;
    float *to;
    int add;
} fold_job;

static void fold_columns(void *arg, int64_t item, int thread) {
    const fold_job *job = arg;
    const int64_t ld = partial_ld(job->n_columns), end = least((item + 1) * CPU_COLUMNS, job->n_columns);
    (void)thread;
    for (int64_t i = item * CPU_COLUMNS; i < end; i += VW) {
        const int64_t n = end - i;
        vf sum = vf_set(0);
        for (int64_t b = 0; b < job->n_blocks; b++) sum += ld_n(job->partial + b * ld, i, n, 0);
        if (job->add) sum += ld_n(job->to, i, n, 0);
        st_n(job->to, i, sum, n, 0);
    }
}

/* to[c] (+)= the sum of partial[b][c] over blocks b, in their order. Nothing where to is not bound. */
static inline __attribute__((unused)) void fold(hone_queue *queue, const hone_tensor *to,
                                                const hone_tensor *plus, const float *partial,
                                                int64_t n_blocks) {
    fold_job job = {partial, n_blocks, to->dim[0], to->p, plus->p != NULL};
    if (to->p) deal(queue, blocks_of(job.n_columns, CPU_COLUMNS), fold_columns, &job);
}
#endif
