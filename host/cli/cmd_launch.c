/* cmd_launch.c - hone launch: the same command as several ranks of this machine. */
#include <stdio.h>
#include <string.h>

#include "cli/cmd.h"
#include "base/err.h"
#include "run/comm.h"
#include "run/launch.h"

static const char usage[] = "hone launch -n N [--limit SECONDS] COMMAND ...";

static hone_status read_integer(int *out, const char *name, const char *given, int least, int most,
                                hone_err *err) {
    int64_t n;
    if (!given || !str_to_int64((str){given, strlen(given)}, &n) || n < least || n > most)
        return hone_fail(err, HONE_EUSAGE, "%s %.40s: expected an integer from %d to %d; %s", name,
                         given ? given : "", least, most, usage);
    *out = (int)n;
    return HONE_OK;
}

hone_status cmd_launch(int argc, char **argv, int *exit_code, hone_err *err) {
    int n = 0, limit_s = 10, i = 0;
    for (; i < argc && argv[i][0] == '-'; i += 2) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (!strcmp(argv[i], "-n") || !strcmp(argv[i], "--nproc"))
            HONE_TRY(read_integer(&n, "-n", value, 1, COMM_RANKS_MAX, err));
        else if (!strcmp(argv[i], "--limit"))
            HONE_TRY(read_integer(&limit_s, "--limit", value, 1, 1 << 20, err));
        else return hone_fail(err, HONE_EUSAGE, "hone launch: unknown option %.40s; %s", argv[i], usage);
    }
    if (!n || i >= argc) return hone_fail(err, HONE_EUSAGE, "hone launch: expected %s", usage);
    char **again = argv + i - 1; /* again[0] becomes the program's name */
    again[0] = "hone";
    return launch_ranks(n, again, limit_s, exit_code, err);
}
