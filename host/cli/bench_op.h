/* bench_op.h - hone bench OP: rows of outputs.md for every case of an op family. */
#ifndef CLI_BENCH_OP_H
#define CLI_BENCH_OP_H
#include "cli/args.h"

/* The family is the first word of the command line: linear attention norm softmax loss act embed gather
 * reduce optim convert, or gemm layernorm crossentropy gelu adamw copy. A time is printed only beside a
 * passed check. */
hone_status bench_op(const args *a, hone_err *err);
#endif
