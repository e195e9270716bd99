/* cmd_train.c - hone train. */
#include "cli/cmd.h"
#include "base/file.h"
#include "base/host.h"
#include "run/rendezvous.h"
#include "train/train.h"

const option train_flags[] = {
    {"strict", 0, "BOOL: false makes unknown job fields warnings (default true)."},
    {"schema", 1, "Print the JSON Schema of job files and end."},
    {"reference", 1, "Print the reference page of job fields and end."},
};
const int n_train_flags = sizeof train_flags / sizeof *train_flags;

hone_status cmd_train(const args *a, hone_err *err) {
    text summary = {0}, people = {0};
    if (args_value(a, "schema") || args_value(a, "reference")) {
        (args_value(a, "schema") ? fields_print_schema : fields_print_reference)(&summary);
        stdout_add(summary.p, summary.n);
        text_free(&summary);
        return HONE_OK;
    }
    job *j;
    HONE_TRY(args_words(a, 1, 1, "hone train JOB.json", err));
    HONE_TRY(job_of_args(&j, a, a->word[0], err));
    pool *p = pool_new((int)j->threads);
    comm *c = NULL;
    rank_place place;
    sig_install();
    hone_status status = rank_find(&place, NULL, NULL, err);
    if (!status && place.rank) log_set(LOG_WARN); /* rank 0 speaks for all */
    if (!status) status = ranks_open(&c, &place, (double)j->ddp_timeout, err);
    if (!status) status = train_job(j, p, c, &summary, &people, err);
    comm_close(c);
    if (!status && !place.rank) {
        const text *out = a->json ? &summary : &people;
        stdout_add(out->p, out->n);
        if (a->json) stdout_add("\n", 1);
    }
    text_free(&summary);
    text_free(&people);
    pool_free(p);
    job_free(j);
    return status;
}
