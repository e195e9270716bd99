/* rank.c - the variables of launchers, one row a launcher, the first that is complete wins. */
#include <string.h>

#include "run/rank.h"
#include "run/comm.h"
#include "base/err.h"
#include "base/host.h"

typedef struct {
    const char *by, *rank, *n, *local_rank, *local_n, *host, *port;
    const char *needs; /* a variable that must be set too, or NULL */
    const char *why;   /* what it means if it is not */
} launcher;

static const launcher launchers[] = {
    {"hone launch", "HONE_RANK", "HONE_WORLD_SIZE", "HONE_LOCAL_RANK", "HONE_LOCAL_WORLD_SIZE", NULL, NULL,
     NULL, NULL},
    {"torchrun", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", NULL,
     NULL},
    {"torchelastic", "PET_NODE_RANK", "PET_NNODES", NULL, NULL, "PET_MASTER_ADDR", "PET_MASTER_PORT", NULL,
     NULL},
    {"Open MPI", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK",
     "OMPI_COMM_WORLD_LOCAL_SIZE", NULL, NULL, NULL, NULL},
    {"PMIx", "PMIX_RANK", "PMIX_SIZE", "SLURM_LOCALID", NULL, NULL, NULL, NULL, NULL},
    {"PMI", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS", NULL, NULL, NULL, NULL},
    {"Slurm", "SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID", NULL, "MASTER_ADDR", NULL,
     "SLURM_STEP_ID", "the batch script, not an srun step"},
    {"SkyPilot", "SKYPILOT_NODE_RANK", "SKYPILOT_NUM_NODES", NULL, NULL, NULL, NULL, NULL, NULL},
};
enum { N_LAUNCHERS = sizeof launchers / sizeof *launchers };

static const char *filled(const char *name) {
    const char *value = name ? env_get(name) : NULL;
    return value && *value ? value : NULL;
}

/* Whether a launcher has spoken; if not, *why, a few words. Slurm numbers its batch step 4294967291. */
static int has_spoken(const launcher *l, const char **why) {
    *why = "not set";
    if (!filled(l->rank)) return 0;
    *why = "no world size";
    if (!filled(l->n)) return 0;
    *why = l->why;
    const char *step = filled(l->needs);
    return !l->needs || (step && strcmp(step, "4294967291"));
}

static hone_status read_number(int *out, const char *name, const char *given, int least, int most,
                               hone_err *err) {
    int64_t n;
    if (!str_to_int64((str){given, strlen(given)}, &n) || n < least || n > most)
        return hone_fail(err, HONE_EUSAGE, "%s: \"%.40s\", expected an integer from %d to %d", name, given,
                         least, most);
    *out = (int)n;
    return HONE_OK;
}

/* mpirun, srun and people name no meeting place: MASTER_ADDR and MASTER_PORT do, as they are set for torch. */
static hone_status read_meeting(rank_place *out, const char *port_name, hone_err *err) {
    if (!out->host) out->host = filled("MASTER_ADDR");
    const char *port = filled(port_name) ? port_name : filled("MASTER_PORT") ? "MASTER_PORT" : NULL;
    if (port) HONE_TRY(read_number(&out->port, port, filled(port), 1, 65535, err));
    /* torchrun's own agent listens at its MASTER_PORT */
    const char *agent = filled("TORCHELASTIC_USE_AGENT_STORE");
    if (out->port && agent && !strcmp(agent, "True")) out->port += out->port < 65535 ? 1 : -1;
    return HONE_OK;
}

static hone_status read_place(rank_place *out, const launcher *l, hone_err *err) {
    *out = (rank_place){.by = l->by,
                        .mpi = !strcmp(l->rank, "OMPI_COMM_WORLD_RANK"),
                        .comm = filled("HONE_COMM"),
                        .host = filled(l->host)};
    HONE_TRY(read_number(&out->n, l->n, filled(l->n), 1, COMM_RANKS_MAX, err));
    HONE_TRY(read_number(&out->rank, l->rank, filled(l->rank), 0, out->n - 1, err));
    if (filled(l->local_rank)) /* launchers that number nodes start one process on each: its devices begin at 0 */
        HONE_TRY(read_number(&out->local_rank, l->local_rank, filled(l->local_rank), 0, out->n - 1, err));
    if (filled(l->local_n))
        HONE_TRY(read_number(&out->local_n, l->local_n, filled(l->local_n), 1, out->n, err));
    HONE_TRY(read_meeting(out, l->port, err));
    /* srun's ranks know where it was called: for a batch script that is the first machine */
    if (!out->host && l->needs) out->host = filled("SLURM_LAUNCH_NODE_IPADDR");
    return HONE_OK;
}

hone_status rank_find(rank_place *out, const char *rank, const char *world_size, hone_err *err) {
    const char *why;
    *out = (rank_place){.n = 1, .by = "one process"};
    if (rank || world_size) {
        if (!rank || !world_size)
            return hone_fail(err, HONE_EUSAGE, "--%s without --%s, expected both",
                             rank ? "rank" : "world_size", rank ? "world_size" : "rank");
        out->by = "flags";
        HONE_TRY(read_number(&out->n, "--world_size", world_size, 1, COMM_RANKS_MAX, err));
        HONE_TRY(read_number(&out->rank, "--rank", rank, 0, out->n - 1, err));
        out->comm = filled("HONE_COMM");
        return read_meeting(out, NULL, err);
    }
    for (int i = 0; i < N_LAUNCHERS; i++)
        if (has_spoken(&launchers[i], &why)) return read_place(out, &launchers[i], err);
    return HONE_OK;
}

hone_status rank_explain(text *out, hone_err *err) {
    rank_place p;
    int won = 0;
    HONE_TRY(rank_find(&p, NULL, NULL, err));
    for (int i = 0; i < N_LAUNCHERS; i++) {
        const launcher *l = &launchers[i];
        const char *why;
        const int spoke = has_spoken(l, &why), wins = spoke && !won;
        text_printf(out, "%-14s %s=%s %s=%s  %s\n", l->by, l->rank, filled(l->rank) ? filled(l->rank) : "-",
                    l->n, filled(l->n) ? filled(l->n) : "-",
                    wins    ? "<- taken"
                    : spoke ? "(an earlier one was taken)"
                            : why);
        won |= spoke;
    }
    text_printf(out, "rank %d of %d, by %s\n", p.rank, p.n, p.by);
    return HONE_OK;
}
