/* cmd_plan.c - hone plan: what a job will take, before anything is allocated. */
#include "cli/cmd.h"
#include "base/file.h"
#include "base/host.h"
#include "train/train.h"

const option plan_flags[] = {
    {"steps", 1, "Print every step of the plan."},
    {"tokens", 0, "N: plan for batches of up to N tokens instead of reading the data."},
    {"ranks", 0, "N: plan for rank 0 of N (default 1)."},
    {"seqs", 0, "N: sequences of such a batch (default tokens / 16)."},
    {"strict", 0, "BOOL: false makes unknown job fields warnings (default true)."},
};
const int n_plan_flags = sizeof plan_flags / sizeof *plan_flags;

hone_status cmd_plan(const args *a, hone_err *err) {
    int64_t tokens, seqs, ranks;
    job *j;
    text out = {0};
    HONE_TRY(args_words(a, 1, 1, "hone plan JOB.json", err));
    HONE_TRY(args_integer(a, "tokens", 1, 1 << 28, 0, &tokens, err));
    HONE_TRY(args_integer(a, "seqs", 1, 1 << 24, tokens > 16 ? tokens / 16 : 1, &seqs, err));
    HONE_TRY(args_integer(a, "ranks", 1, COMM_RANKS_MAX, 1, &ranks, err));
    HONE_TRY(job_of_args(&j, a, a->word[0], err));
    pool *p = pool_new((int)j->threads);
    const hone_status status =
        plan_job(j, p, tokens, seqs, (int)ranks, args_value(a, "steps") != NULL, a->json, &out, err);
    stdout_add(out.p, out.n);
    text_free(&out);
    pool_free(p);
    job_free(j);
    return status;
}
