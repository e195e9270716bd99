/* launch_hosts.c - a command line for mpirun or srun. mpirun's ranks meet by MPI; srun's need an address and a secret, which
 * travel in the environment that srun hands on, not in a command line that others can read. */
#include <stdio.h>
#include <string.h>

#include "run/launch.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/host.h"
#include "base/net.h"
#include "base/process.h"

#define WORDS 512
#define PORT "29500" /* torchrun's */

typedef struct {
    char *word[WORDS];
    int n;
    arena *a;
} line;

static void add(line *l, const char *word) {
    if (l->n < WORDS - 1) l->word[l->n++] = (char *)arena_copy(l->a, word, strlen(word));
}

static int count_hosts(const char *hosts) {
    int n = *hosts != 0;
    for (const char *p = hosts; *p; p++) n += *p == ',';
    return n;
}

/* Letters, digits, '.', '-', '_' between single commas: nothing that a shell or mpirun would read otherwise. */
static hone_status check_hosts(const launch_hosts_options *o, hone_err *err) {
    const int n = count_hosts(o->hosts);
    const char *odd =
        o->hosts + strspn(o->hosts, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_,");
    const size_t bytes = strlen(o->hosts);
    if (*odd || !n || *o->hosts == ',' || *o->hosts == '-' || strstr(o->hosts, ",,") ||
        strstr(o->hosts, ",-") || o->hosts[bytes - 1] == ',')
        return hone_fail(err, HONE_EUSAGE, "--hosts: \"%.80s\", expected names between commas", o->hosts);
    if (o->n % n)
        return hone_fail(err, HONE_EUSAGE,
                         "-n: %d ranks cannot be dealt to %d hosts; expected a multiple of %d", o->n, n, n);
    return HONE_OK;
}

static void add_mpirun(line *l, const launch_hosts_options *o, int each) {
    static const char *const handed_on[] = {"HONE_CACHE", "HONE_PLUGINS", "HONE_THREADS",
                                            "HONE_COMM",  "MASTER_ADDR",  "CUDA_VISIBLE_DEVICES"};
    text hosts = {0};
    char number[16];
    for (const char *p = o->hosts; *p; p++)
        if (*p == ',') text_printf(&hosts, ":%d,", each);
        else text_printf(&hosts, "%c", *p);
    text_printf(&hosts, ":%d", each);
    snprintf(number, sizeof number, "%d", o->n);
    add(l, "mpirun");
    if (process_is_root()) add(l, "--allow-run-as-root");
    add(l, "-n"), add(l, number), add(l, "--host"), add(l, hosts.p), add(l, "--bind-to"), add(l, "numa");
    /* Open MPI 4 passes TERM on after so many seconds and kills after twice as many; its own 1 is too little to save a step. */
    add(l, "--mca"), add(l, "odls_base_sigkill_timeout"), add(l, "10");
    for (size_t i = 0; i < sizeof handed_on / sizeof *handed_on; i++)
        if (env_get(handed_on[i])) add(l, "-x"), add(l, handed_on[i]);
    text_free(&hosts);
}

static void add_srun(line *l, const launch_hosts_options *o, int each) {
    char n[32], per[40], nodes[32];
    text list = {0};
    snprintf(nodes, sizeof nodes, "--nodes=%d", o->n / each);
    snprintf(n, sizeof n, "--ntasks=%d", o->n);
    snprintf(per, sizeof per, "--ntasks-per-node=%d", each);
    text_printf(&list, "--nodelist=%s", o->hosts);
    add(l, "srun"), add(l, nodes), add(l, n), add(l, per), add(l, list.p), add(l, "--kill-on-bad-exit=1");
    text_free(&list);
}

static void show_word(text *out, const char *word) {
    const char *plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./:,@%";
    if (*word && !word[strspn(word, plain)]) {
        text_str(out, word);
        return;
    }
    text_str(out, "'");
    for (; *word; word++) text_printf(out, *word == '\'' ? "'\\''" : "%c", *word);
    text_str(out, "'");
}

static int has_secret(void) {
    const char *own = env_get("HONE_SECRET"), *file = env_get("HONE_SECRET_FILE");
    return (own && *own) || (file && *file);
}

hone_status launch_hosts(const launch_hosts_options *o, text *shown, hone_err *err) {
    char program[4096], secret[65], first[256];
    uint8_t bytes[32];
    const char *by = o->by ? o->by : env_get("SLURM_JOB_ID") ? "srun" : "mpirun";
    HONE_TRY(check_hosts(o, err));
    line l = {.a = arena_new("command line")};
    const int srun = !strcmp(by, "srun"), each = o->n / count_hosts(o->hosts);
    (srun ? add_srun : add_mpirun)(&l, o, each);
    program_path(program);
    add(&l, program);
    for (int i = 1; o->argv[i]; i++) add(&l, o->argv[i]);
    snprintf(first, sizeof first, "%.*s", (int)strcspn(o->hosts, ","), o->hosts);
    random_bytes(bytes, sizeof bytes);
    for (int i = 0; i < 32; i++) snprintf(secret + 2 * i, 3, "%02x", bytes[i]);
    const process_variable meeting[] = {
        {"MASTER_ADDR", env_get("MASTER_ADDR") ? env_get("MASTER_ADDR") : first},
        {"MASTER_PORT", env_get("MASTER_PORT") ? env_get("MASTER_PORT") : PORT},
        {"HONE_SECRET", secret}};
    const int n_variables = !srun ? 0 : has_secret() ? 2 : 3;
    for (int i = 0; i < n_variables; i++)
        text_printf(shown, "%s=%s ", meeting[i].name, i == 2 ? "(a new one)" : meeting[i].value);
    for (int i = 0; i < l.n; i++) {
        if (i) text_str(shown, " ");
        show_word(shown, l.word[i]);
    }
    text_str(shown, "\n");
    hone_status status = HONE_OK;
    if (!o->only_show) {
        log_note("%.*s", (int)shown->n - 1, shown->p);
        status = process_become(by, l.word, meeting, n_variables, err);
        hone_hint(
            err, "install %s on this machine, or start the ranks by another launcher (configs/clusters)", by);
    }
    arena_free(l.a);
    return status;
}
