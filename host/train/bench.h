/* bench.h - whole training steps, timed: forward, backward, clip, optimizer, dropout on. */
#ifndef TRAIN_BENCH_H
#define TRAIN_BENCH_H
#include "train/train.h"

typedef struct {
    const int32_t
        *length; /* [n_lengths] tokens of each sequence, taken round and round; NULL: all seq tokens */
    int64_t n_lengths;
    int64_t batch, seq;
    int64_t steps, warmup;
    int n_labels; /* of the new head where the folder has none; 0: the folder's, or 2 */
    const char *trace; /* file to write (profile.h); NULL: nobody watches. With it the bare products are timed too */
} bench_step_options;

/* Random tokens through j's model and precision. json: the fields of outputs.md; people: the same as text. */
hone_status bench_step(const job *j, pool *p, const bench_step_options *o, text *json, text *people,
                       hone_err *err);
#endif
