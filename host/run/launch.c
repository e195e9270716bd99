/* launch.c - start, listen, pass on, end. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "run/launch.h"
#include "run/comm.h"
#include "base/err.h"
#include "base/file.h"
#include "base/host.h"
#include "base/process.h"
#include "base/shm.h"

#define LINE_BYTES 4200 /* log.c's longest */

typedef struct {
    process p;
    char line[LINE_BYTES]; /* said so far, without its end */
    size_t n;
    int ended;
} launched;

typedef struct {
    launched rank[COMM_RANKS_MAX];
    int n, guilty; /* the rank that failed first, -1: none */
    int asked;     /* signals passed on */
    uint64_t failed_ns;
} launch;

static hone_status start_rank(launch *l, int r, const char *shared, char *const *argv, hone_err *err) {
    char rank[16], n[16], threads[16];
    const int cores = pool_cores(), own = cores / l->n > 0 ? cores / l->n : 1;
    snprintf(rank, sizeof rank, "%d", r);
    snprintf(n, sizeof n, "%d", l->n);
    snprintf(threads, sizeof threads, "%d", own);
    const process_variable variable[] = {{"HONE_RANK", rank},       {"HONE_WORLD_SIZE", n},
                                         {"HONE_LOCAL_RANK", rank}, {"HONE_LOCAL_WORLD_SIZE", n},
                                         {"HONE_COMM", shared},     {"HONE_THREADS", threads}};
    const int given = env_get("HONE_THREADS") != NULL; /* a person's own word counts */
    const process_options o = {.argv = argv,
                               .variable = variable,
                               .n_variables = given ? 5 : 6,
                               .first_core = r * own,
                               .n_cores = own,
                               .mute = r > 0};
    return process_start(&l->rank[r].p, &o, err);
}

static void pass_line(int r, const char *line, size_t n) {
    char whole[LINE_BYTES + 32];
    const int bytes = r ? snprintf(whole, sizeof whole, "[rank %d] %.*s\n", r, (int)n, line)
                        : snprintf(whole, sizeof whole, "%.*s\n", (int)n, line);
    stderr_add(whole, (size_t)bytes);
}

/* Rank 0's bytes go through as they are: its progress line is a line without an end. */
static void listen(launch *l, int r) {
    launched *x = &l->rank[r];
    char piece[4096];
    size_t got;
    while (x->p.said_fd >= 0 && (got = process_read(&x->p, piece, sizeof piece)) > 0) {
        if (r == 0) {
            stderr_add(piece, got);
            continue;
        }
        for (size_t i = 0; i < got; i++) {
            if (piece[i] != '\n' && x->n < LINE_BYTES) x->line[x->n++] = piece[i];
            if (piece[i] != '\n' && x->n < LINE_BYTES) continue;
            pass_line(r, x->line, x->n);
            x->n = 0;
        }
    }
    if (x->p.said_fd < 0 && x->n) {
        pass_line(r, x->line, x->n);
        x->n = 0;
    }
}

static void signal_all(const launch *l, int number) {
    for (int r = 0; r < l->n; r++) process_signal(&l->rank[r].p, number);
}

static void note_end(launch *l, int r) {
    launched *x = &l->rank[r];
    x->ended = 1;
    if (x->p.status < 0)
        log_warn("rank %d was ended by signal %d (%s)%s", r, -x->p.status, strsignal(-x->p.status),
                 x->p.status == -SIGKILL ? "; out of memory?" : "");
    /* The first cause counts: a rank that ends with 6 was left alone by another. */
    const int victim = x->p.status == hone_status_exit(HONE_ECOMM);
    if (x->p.status &&
        (l->guilty < 0 || (!victim && l->rank[l->guilty].p.status == hone_status_exit(HONE_ECOMM))))
        l->guilty = r;
    if (x->p.status && !l->failed_ns) l->failed_ns = clock_ns();
}

/* The first signal goes on as it is; a second one ends all. */
static void pass_signal(launch *l) {
    const sig_wish wish = sig_wished();
    if (wish == SIG_NOTHING || l->asked) return;
    l->asked = 1;
    signal_all(l, wish == SIG_INTERRUPT ? SIGINT : SIGTERM);
}

static int count_running(const launch *l) {
    int n = 0;
    for (int r = 0; r < l->n; r++) n += l->rank[r].p.pid != 0 && !l->rank[r].ended;
    return n;
}

/* Others are told to end when the time after a failure is up, and made to some seconds later. */
static void hurry(launch *l, double limit_s) {
    if (!l->failed_ns) return;
    const double since = (double)(clock_ns() - l->failed_ns) * 1e-9;
    if (since > limit_s + 5) signal_all(l, SIGKILL);
    else if (since > limit_s && !l->asked) {
        l->asked = 1;
        signal_all(l, SIGTERM);
    }
}

static void watch(launch *l, double limit_s) {
    process p[COMM_RANKS_MAX];
    int ready[COMM_RANKS_MAX];
    while (count_running(l)) {
        for (int r = 0; r < l->n; r++) p[r] = l->rank[r].p;
        process_wait(p, l->n, 50, ready);
        for (int r = 0; r < l->n; r++) {
            if (ready[r]) listen(l, r);
            if (!l->rank[r].ended && process_has_ended(&l->rank[r].p)) {
                listen(l, r);
                note_end(l, r);
            }
        }
        pass_signal(l);
        hurry(l, limit_s);
    }
}

hone_status launch_ranks(int n, char *const *argv, double limit_s, int *exit_code, hone_err *err) {
    static launch l;
    char shared[4096];
    l = (launch){.n = n, .guilty = -1};
    shm_path(shared, "launch");
    HONE_TRY(comm_shm_make(shared, n, err));
    sig_install();
    hone_status status = HONE_OK;
    for (int r = 0; r < n && !status; r++) status = start_rank(&l, r, shared, argv, err);
    if (status) signal_all(&l, SIGTERM);
    watch(&l, limit_s);
    hone_err ignored;
    file_remove(shared, &ignored);
    const int code = l.guilty < 0 ? 0 : l.rank[l.guilty].p.status;
    *exit_code = code < 0 ? hone_status_exit(HONE_ECOMM) : code;
    return status;
}
