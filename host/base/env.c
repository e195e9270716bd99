/* env.c - the one door to the environment. A variable that is not in this list cannot be read. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/host.h"

static const char *const variables[] = {
    "HONE_CACHE",     /* folder of token caches and fetched weights */
    "HONE_PLUGINS",   /* folders with devices, separated by colons, before all others */
    "HONE_THREADS",   /* threads, where the job does not say */
    "HONE_DATA",      /* folder of real data, for tests */
    "HONE_LOG",       /* quiet, warn, info, debug */
    "XDG_CACHE_HOME", /* instead of ~/.cache */
    "HOME",
    "TMPDIR",
    "USER",
    "TERM",     /* dumb: no progress line */
    "NO_COLOR", /* set: no colour */
    "COLUMNS",  /* width of the terminal */
    "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER",
    "SLURM_JOB_ID", /* named in the record of a run */
    /* what launchers say of ranks (host/run/rank.c) */
    "HONE_RANK", "HONE_WORLD_SIZE", "HONE_LOCAL_RANK", "HONE_LOCAL_WORLD_SIZE", "HONE_COMM",
    "HONE_MACHINE", /* ranks in which it differs are on several machines, whatever the system says */
    "HONE_SECRET", "HONE_SECRET_FILE", /* what the ranks of a run know and nobody else */
    "RANK", "WORLD_SIZE",
    "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_USE_AGENT_STORE", "PET_NODE_RANK", "PET_NNODES", "PET_MASTER_ADDR",
    "PET_MASTER_PORT", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK",
    "OMPI_COMM_WORLD_LOCAL_SIZE", "PMIX_RANK", "PMIX_SIZE", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS",
    "SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID", "SLURM_STEP_ID", "SLURM_LAUNCH_NODE_IPADDR", "SKYPILOT_NODE_RANK",
    "SKYPILOT_NUM_NODES",
};

const char *env_get(const char *name) {
    int known = 0;
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) known |= !strcmp(variables[i], name);
    HONE_ASSERT(known);
    return getenv(name);
}

const char *env_expand(const char *name) { return getenv(name); }

static const char *get_filled(const char *name) {
    const char *value = env_get(name);
    return value && *value ? value : NULL;
}

const char *env_cache_folder(void) {
    static _Thread_local char folder[4096];
    const char *own = get_filled("HONE_CACHE"), *cache = get_filled("XDG_CACHE_HOME"),
               *home = get_filled("HOME");
    const char *temporary = get_filled("TMPDIR");
    int n;
    if (own) n = snprintf(folder, sizeof folder, "%s", own);
    else if (cache && cache[0] == '/')
        n = snprintf(folder, sizeof folder, "%s/hone", cache); /* XDG: relative is invalid */
    else if (home) n = snprintf(folder, sizeof folder, "%s/.cache/hone", home);
    else
        n = snprintf(folder, sizeof folder, "%s/hone-cache-%ld", temporary ? temporary : P_tmpdir,
                     (long)getuid());
    /* A folder that fits no path is as good as none: what is made there fails with its name. */
    if (n < 0 || (size_t)n >= sizeof folder) folder[sizeof folder - 1] = 0;
    return folder;
}
