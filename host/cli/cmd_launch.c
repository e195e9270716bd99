/* cmd_launch.c - hone launch: the same command as several ranks of this machine, or by mpirun or srun on several. */
#include <stdio.h>
#include <string.h>

#include "cli/cmd.h"
#include "base/err.h"
#include "base/file.h"
#include "base/host.h"
#include "run/launch.h"

static const char usage[] = "hone launch -n N [--limit SECONDS] [--dry-run] [--nnodes M --node_rank R | "
                            "--hosts A,B [--by mpirun|srun]] "
                            "COMMAND ...";

static const char help[] =
    "Run a command as N ranks: one process each, with cores (and a GPU, and cores of its NUMA node) of its "
    "own.\n\n"
    "  -n, --nproc N         ranks of this machine; with --hosts: of all, a multiple of the hosts\n"
    "  --limit SECONDS       how long ranks may go on after another one has failed (default 10)\n"
    "  --dry-run             only show who would get which cores, or the command line for --hosts\n"
    "  --nnodes M            the same command runs on M machines; ranks meet at MASTER_ADDR:MASTER_PORT\n"
    "  --node_rank R         and this is the R-th of them, from 0\n"
    "  --hosts A,B           start mpirun (inside a Slurm job: srun) for these machines, showing the command "
    "line\n"
    "  --by mpirun|srun      which of them\n";

typedef struct {
    launch_options here;
    launch_hosts_options far;
    int dry;
} options;

static hone_status read_integer(int *out, const char *name, const char *given, int least, int most,
                                hone_err *err) {
    int64_t n;
    if (!given || !str_to_int64((str){given, strlen(given)}, &n) || n < least || n > most)
        return hone_fail(err, HONE_EUSAGE, "%s %.40s: expected an integer from %d to %d; %s", name,
                         given ? given : "", least, most, usage);
    *out = (int)n;
    return HONE_OK;
}

/* One option; *used: words taken. */
static hone_status read_option(options *o, char **argv, int left, int *used, hone_err *err) {
    const char *name = argv[0], *value = left > 1 ? argv[1] : NULL;
    int limit_s = 0;
    *used = 2;
    if (!strcmp(name, "-n") || !strcmp(name, "--nproc"))
        return read_integer(&o->here.n, "-n", value, 1, COMM_RANKS_MAX, err);
    if (!strcmp(name, "--nnodes")) return read_integer(&o->here.n_nodes, name, value, 1, COMM_RANKS_MAX, err);
    if (!strcmp(name, "--node_rank"))
        return read_integer(&o->here.node, name, value, 0, COMM_RANKS_MAX - 1, err);
    if (!strcmp(name, "--limit")) {
        HONE_TRY(read_integer(&limit_s, name, value, 1, 1 << 20, err));
        o->here.limit_s = limit_s;
        return HONE_OK;
    }
    if (!strcmp(name, "--dry-run")) return *used = 1, o->dry = 1, HONE_OK;
    if (!strcmp(name, "--hosts") && value) return o->far.hosts = value, HONE_OK;
    if (!strcmp(name, "--by") && value && (!strcmp(value, "mpirun") || !strcmp(value, "srun")))
        return o->far.by = value, HONE_OK;
    return hone_fail(err, HONE_EUSAGE, "hone launch: %.40s %.40s; expected %s", name, value ? value : "",
                     usage);
}

static hone_status check_options(const options *o, hone_err *err) {
    if (!o->here.n) return hone_fail(err, HONE_EUSAGE, "hone launch: expected %s", usage);
    if (o->here.node >= o->here.n_nodes)
        return hone_fail(err, HONE_EUSAGE, "--node_rank: %d, expected less than --nnodes (%d)", o->here.node,
                         o->here.n_nodes);
    if (o->here.n * o->here.n_nodes > COMM_RANKS_MAX)
        return hone_fail(err, HONE_EUSAGE, "-n: %d ranks on each of %d machines, expected %d at most in all",
                         o->here.n, o->here.n_nodes, COMM_RANKS_MAX);
    if (o->far.hosts && o->here.n_nodes > 1)
        return hone_fail(err, HONE_EUSAGE, "--nnodes with --hosts; expected one of them");
    return HONE_OK;
}

hone_status cmd_launch(int argc, char **argv, int *exit_code, hone_err *err) {
    options o = {.here = {.n_nodes = 1, .limit_s = 10}};
    text shown = {0};
    int i = 0;
    for (int used; i < argc && argv[i][0] == '-'; i += used) {
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
            text_printf(&shown, "%s\n%s", usage, help);
            stdout_add(shown.p, shown.n);
            text_free(&shown);
            return HONE_OK;
        }
        HONE_TRY(read_option(&o, argv + i, argc - i, &used, err));
    }
    if (i >= argc) return hone_fail(err, HONE_EUSAGE, "hone launch: expected %s", usage);
    HONE_TRY(check_options(&o, err));
    char **again = argv + i - 1; /* again[0] becomes the program's name */
    static char name[] = "hone";
    again[0] = name;
    o.here.argv = o.far.argv = again;
    o.far.n = o.here.n;
    o.far.only_show = o.dry;
    hone_status status = HONE_OK;
    if (o.far.hosts) status = launch_hosts(&o.far, &shown, err);
    else if (o.dry) launch_show(&o.here, &shown);
    else status = launch_ranks(&o.here, exit_code, err);
    if (o.dry) stdout_add(shown.p, shown.n);
    text_free(&shown);
    return status;
}
