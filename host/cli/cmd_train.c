/* cmd_train.c - hone train. */
#include <stdio.h>
#include <string.h>

#include "cli/cmd.h"
#include "base/file.h"
#include "base/host.h"
#include "base/process.h"
#include "run/rendezvous.h"
#include "train/train.h"

const option train_flags[] = {
    {"strict", 0, "BOOL: false makes unknown job fields warnings (default true)."},
    {"rank", 0, "N: this process is rank N of --world_size, whatever launchers say; they meet at MASTER_ADDR, MASTER_PORT."},
    {"world_size", 0, "N: ranks of the run; each is started by hand."},
    {"schema", 1, "Print the JSON Schema of job files and end."},
    {"reference", 1, "Print the reference page of job fields and end."},
};
const int n_train_flags = sizeof train_flags / sizeof *train_flags;

/* One process a device: where nobody has started ranks and there are several devices, this process becomes their
 * launcher. Returns where it stays what it is. */
static hone_status share_devices(const args *a, const job *j, const rank_place *place, hone_err *err) {
    enum { BEFORE = 5 };
    char *again[BEFORE + 2 * ARGS_MAX_OVERRIDES + ARGS_MAX_WORDS + 64] = {"hone", "launch", "-n"}, n[16];
    if (place->mpi || strcmp(place->by, "one process")) return HONE_OK;
    const hone_device_v1 *device = device_pick(j->device, err);
    if (!device) return HONE_EUSAGE;
    const int n_devices = device->count ? device->count() : 1;
    if (n_devices < 2) return HONE_OK;
    const int n_ranks = n_devices < COMM_RANKS_MAX ? n_devices : COMM_RANKS_MAX;
    int n_words = BEFORE;
    snprintf(n, sizeof n, "%d", n_ranks);
    again[3] = n, again[4] = a->line[-1];
    for (int i = 0; a->line[i] && n_words < (int)(sizeof again / sizeof *again) - 1; i++) again[n_words++] = a->line[i];
    log_note("%d devices are visible: one process each, as hone launch -n %d train does; CUDA_VISIBLE_DEVICES chooses",
             n_devices, n_ranks);
    return process_become(NULL, again, NULL, 0, err);
}

/* Ranks that other launchers start on one machine share its cores, unless they were bound to some. */
static int threads_of(const job *j, const rank_place *place) {
    const int own = pool_cores(), fair = place->local_n ? machine_cores() / place->local_n : own;
    if (j->threads || env_get("HONE_THREADS") || place->local_n < 2) return (int)j->threads;
    return fair < 1 ? 1 : fair < own ? fair : own;
}

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
    pool *p = NULL;
    comm *c = NULL;
    rank_place place;
    sig_install();
    hone_status status = rank_find(&place, args_value(a, "rank"), args_value(a, "world_size"), err);
    if (!status) status = share_devices(a, j, &place, err);
    if (!status && place.rank) log_set(LOG_WARN); /* rank 0 speaks for all */
    if (!status) status = ranks_open(&c, &place, (double)j->ddp_timeout, err);
    if (!status) p = pool_new(threads_of(j, &place));
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
