/* campaign.c - the means of campaigns. */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "campaign.h"
#include "../golden.h"
#include "base/host.h"

campaign campaign_begin(const char *name, int short_rounds, int long_rounds) {
    const char *seed = getenv("HONE_TEST_SEED"), *one = getenv("HONE_TEST_ROUND");
    campaign c = {.seed = seed ? strtoull(seed, NULL, 10) : 20261125,
                  .n_rounds = getenv("HONE_LONG_TESTS") ? long_rounds : short_rounds,
                  .name = name};
    const char *rounds = getenv("HONE_TEST_ROUNDS");
    if (rounds) c.n_rounds = atoi(rounds);
    if (one) c.first = atoi(one), c.n_rounds = c.first + 1;
    printf("  %s: seed %llu, %d rounds\n", name, (unsigned long long)c.seed, c.n_rounds - c.first);
    return c;
}

void campaign_round(campaign *c, int round) { c->state = c->seed * 0x9e3779b97f4a7c15u + (uint64_t)round; }

uint64_t campaign_below(campaign *c, uint64_t n) {
    uint64_t x = c->state += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return (x ^ x >> 31) % n;
}

void campaign_say(const campaign *c, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    printf("  %s: ", c->name);
    vprintf(fmt, args);
    printf("\n");
    va_end(args);
}

/* ---- processes ---- */

pid_t group_start(arena *a, const char *name, const char *fmt, ...) {
    char arguments[8192];
    va_list args;
    va_start(args, fmt);
    vsnprintf(arguments, sizeof arguments, fmt, args);
    va_end(args);
    const char *own = getenv("HONE_BIN");
    const char *line = arena_print(a, "exec \"%s\" %s >\"%s-out\" 2>\"%s-err\" </dev/null",
                                   own && *own ? own : HONE_BUILD_FOLDER "/bin/hone", arguments,
                                   here(a, name), here(a, name));
    const pid_t pid = fork();
    CHECK(pid >= 0);
    if (!pid) {
        setpgid(0, 0);
        execl("/bin/sh", "sh", "-c", line, (char *)NULL);
        _exit(127);
    }
    setpgid(pid, pid);
    return pid;
}

static int exit_of(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status); }

void group_kill(pid_t group) {
    int status;
    kill(-group, SIGKILL);
    CHECK(waitpid(group, &status, 0) == group);
    for (int i = 0; i < 2000 && !group_is_empty(group); i++) usleep(1000);
    CHECK(group_is_empty(group));
}

int group_wait(pid_t group, double limit_s) {
    const uint64_t from = clock_ns();
    int status;
    for (;;) {
        const pid_t got = waitpid(group, &status, WNOHANG);
        CHECK(got >= 0 || errno == EINTR);
        if (got == group) return exit_of(status);
        if ((double)(clock_ns() - from) * 1e-9 > limit_s) return -1000;
        usleep(1000);
    }
}

/* Fields of /proc/PID/stat after the name: state, parent, group. */
static int read_stat(const char *pid, char *state, int *parent, int *group) {
    char path[300], line[512] = "";
    snprintf(path, sizeof path, "/proc/%s/stat", pid);
    FILE *f = fopen(path, "r");
    if (!f) return 0;
    if (!fgets(line, sizeof line, f)) line[0] = 0;
    fclose(f);
    const char *end = strrchr(line, ')');
    return end && sscanf(end + 1, " %c %d %d", state, parent, group) == 3;
}

/* One whose first thread is a zombie may have others that still end, and hold its files meanwhile. */
static int has_threads(const char *pid) {
    char path[300];
    int n = 0;
    snprintf(path, sizeof path, "/proc/%s/task", pid);
    DIR *tasks = opendir(path);
    if (!tasks) return 0;
    for (const struct dirent *e; (e = readdir(tasks));) n += e->d_name[0] != '.';
    closedir(tasks);
    return n > 1;
}

int group_is_empty(pid_t wanted) {
    DIR *proc = opendir("/proc");
    int found = 0, parent, group;
    char state;
    CHECK(proc);
    for (const struct dirent *e; !found && (e = readdir(proc));)
        found = atoi(e->d_name) > 0 && read_stat(e->d_name, &state, &parent, &group) && group == wanted &&
                (state != 'Z' || has_threads(e->d_name));
    closedir(proc);
    return !found;
}

int children_of(arena *a, pid_t wanted, pid_t *child, int room) {
    const char **names;
    int n_names, n = 0, parent, group;
    char state;
    CHECK_OK(folder_list(&names, &n_names, a, "/proc", err));
    for (int i = 0; i < n_names && n < room; i++)
        if (atoi(names[i]) > 0 && read_stat(names[i], &state, &parent, &group) && parent == wanted)
            child[n++] = atoi(names[i]);
    for (int i = 0; i < n; i++) /* names are sorted as text */
        for (int k = i + 1; k < n; k++)
            if (child[k] < child[i]) {
                const pid_t swap = child[i];
                child[i] = child[k], child[k] = swap;
            }
    return n;
}

/* ---- logs ---- */

static const char *log_of(arena *a, const char *run) {
    const char *path = path_join(a, run, "log.jsonl");
    return file_is_regular(path) && file_bytes(path) > 0 ? file_text(a, path) : "";
}

int64_t newest_announced(arena *a, const char *run) {
    int64_t newest = -1;
    for (const char *p = log_of(a, run); (p = strstr(p, ",\"saved\":")); p++) {
        const char *row = p;
        while (row[-1] != '\n') row--;
        long long step;
        CHECK(sscanf(row, "{\"step\":%lld,\"saved\"", &step) == 1);
        newest = step > newest ? step : newest;
    }
    return newest;
}

/* Calls back for each step of each row that has a chain. */
static int walk_chain(arena *a, const char *run, void (*take)(void *arg, int64_t step, const char *chain),
                      void *arg) {
    int n = 0;
    for (const char *p = log_of(a, run), *end; (end = strchr(p, '\n')); p = end + 1) {
        const json *row;
        hone_err ignored = {0};
        if (json_parse(&row, a, "log.jsonl", p, (size_t)(end - p), HONE_EDATA, &ignored))
            continue; /* half a line */
        const json *list = json_get(row, "chain");
        if (!list) continue;
        int64_t step = member(row, "step")->integer - (int64_t)list->n;
        for (const json *v = list->child; v; v = v->next, n++) take(arg, ++step, v->string.p);
    }
    return n;
}

typedef struct {
    char (*chain)[17];
    int n;
    const char *what;
} chains;

static void keep(void *arg, int64_t step, const char *chain) {
    chains *c = arg;
    CHECK(step >= 1 && step <= c->n);
    snprintf(c->chain[step - 1], 17, "%s", chain);
}

static void compare(void *arg, int64_t step, const char *chain) {
    chains *c = arg;
    if (step < 1 || step > c->n || strcmp(c->chain[step - 1], chain))
        test_fail(__FILE__, __LINE__, "%s: step %lld has other bits", c->what, (long long)step);
}

int read_chain(arena *a, const char *run, char (*chain)[17], int room) {
    chains c = {chain, room, ""};
    return walk_chain(a, run, keep, &c);
}

int check_chain(arena *a, const char *run, char (*whole)[17], int n, const char *what) {
    chains c = {whole, n, what};
    return walk_chain(a, run, compare, &c);
}
