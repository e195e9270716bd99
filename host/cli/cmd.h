/* cmd.h - the subcommands: one row each in main.c, one file each. A command prints its result to stdout through
 * stdout_add and returns HONE_OK, or fills err; main prints it and ends with the exit code of its kind. */
#ifndef CLI_CMD_H
#define CLI_CMD_H
#include "cli/args.h"

hone_status cmd_train(const args *a, hone_err *err);
hone_status cmd_eval(const args *a, hone_err *err);
hone_status cmd_predict(const args *a, hone_err *err);
hone_status cmd_tokenize(const args *a, hone_err *err);
hone_status cmd_validate(const args *a, hone_err *err);
hone_status cmd_inspect(const args *a, hone_err *err);
hone_status cmd_export(const args *a, hone_err *err);
hone_status cmd_plan(const args *a, hone_err *err);
hone_status cmd_bench(const args *a, hone_err *err);
hone_status cmd_init(const args *a, hone_err *err);

extern const option train_options[], eval_options[], predict_options[], tokenize_options[], validate_options[], inspect_options[],
    export_options[], plan_options[], bench_options[], init_options[];
extern const int n_train_options, n_eval_options, n_predict_options, n_tokenize_options, n_validate_options, n_inspect_options,
    n_export_options, n_plan_options, n_bench_options, n_init_options;
#endif
