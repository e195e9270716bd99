/* cmd.h - the subcommands: one row each in main.c, one file each. A command prints its result to stdout
 * through stdout_add and returns HONE_OK, or fills err; main prints it and ends with the exit code of its
 * kind. */
#ifndef CLI_CMD_H
#define CLI_CMD_H
#include "cli/args.h"

hone_status cmd_train(const args *a, hone_err *err);
hone_status cmd_eval(const args *a, hone_err *err);
hone_status cmd_predict(const args *a, hone_err *err);
hone_status cmd_embed(const args *a, hone_err *err);
hone_status cmd_generate(const args *a, hone_err *err);
hone_status cmd_fill(const args *a, hone_err *err);
hone_status cmd_tokenize(const args *a, hone_err *err);
hone_status cmd_vocab(const args *a, hone_err *err);
hone_status cmd_validate(const args *a, hone_err *err);
hone_status cmd_inspect(const args *a, hone_err *err);
hone_status cmd_export(const args *a, hone_err *err);
hone_status cmd_plan(const args *a, hone_err *err);
hone_status cmd_bench(const args *a, hone_err *err);
hone_status cmd_init(const args *a, hone_err *err);
hone_status cmd_verify(const args *a, hone_err *err);
hone_status cmd_doctor(const args *a, hone_err *err);
/* What follows its own options is another command line. *exit_code: that of the ranks, where it returns HONE_OK. */
hone_status cmd_launch(int argc, char **argv, int *exit_code, hone_err *err);

extern const option train_flags[], eval_flags[], predict_flags[], embed_flags[], generate_flags[], fill_flags[], tokenize_flags[],
    vocab_flags[], validate_flags[], inspect_flags[], export_flags[], plan_flags[], bench_flags[], init_flags[], doctor_flags[],
    verify_flags[];
extern const int n_train_flags, n_eval_flags, n_predict_flags, n_embed_flags, n_generate_flags, n_fill_flags, n_tokenize_flags,
    n_vocab_flags, n_validate_flags, n_inspect_flags, n_export_flags, n_plan_flags, n_bench_flags, n_init_flags, n_doctor_flags,
    n_verify_flags;
#endif
