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
    const launch_options *o;
    launched rank[COMM_RANKS_MAX];
    rank_cores cores[COMM_RANKS_MAX];
    int n, guilty; /* the rank of this machine that failed first, -1: none */
    int asked;     /* signals passed on */
    uint64_t failed_ns;
} launch;

static int rank_of(const launch *l, int r) { return l->o->node * l->n + r; } /* in the run */

/* GPUs by the order of their addresses, so that a number means the same to CUDA and to place.c. */
static void find_place(launch *l, place_gpus *gpus) {
    int core[PLACE_CORES_MAX];
    const char *order = env_get("CUDA_DEVICE_ORDER");
    const int n_cores = process_cores(core, PLACE_CORES_MAX);
    *gpus = (place_gpus){0};
    if (!order || !strcmp(order, "PCI_BUS_ID")) place_find_gpus(gpus, "/sys", env_get("CUDA_VISIBLE_DEVICES"));
    place_ranks(l->cores, l->n, "/sys", gpus, core, n_cores, pool_cores());
}

static hone_status start_rank(launch *l, int r, const char *shared, hone_err *err) {
    char rank[16], n[16], local[16], local_n[16], threads[16];
    const int given = env_get("HONE_THREADS") != NULL; /* a person's own word counts */
    snprintf(rank, sizeof rank, "%d", rank_of(l, r));
    snprintf(n, sizeof n, "%d", l->n * l->o->n_nodes);
    snprintf(local, sizeof local, "%d", r);
    snprintf(local_n, sizeof local_n, "%d", l->n);
    snprintf(threads, sizeof threads, "%d", l->cores[r].n_cores > 0 ? l->cores[r].n_cores : 1);
    const process_variable variable[] = {{"HONE_RANK", rank},        {"HONE_WORLD_SIZE", n},
                                         {"HONE_LOCAL_RANK", local}, {"HONE_LOCAL_WORLD_SIZE", local_n},
                                         {"HONE_COMM", shared},      {"CUDA_DEVICE_ORDER", "PCI_BUS_ID"},
                                         {"HONE_THREADS", threads}};
    const process_options o = {.argv = l->o->argv,
                               .variable = variable,
                               .n_variables = given ? 6 : 7,
                               .core = l->cores[r].core,
                               .n_cores = l->cores[r].n_cores,
                               .mute = rank_of(l, r) > 0};
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
        if (rank_of(l, r) == 0) {
            stderr_add(piece, got);
            continue;
        }
        for (size_t i = 0; i < got; i++) {
            if (piece[i] != '\n' && x->n < LINE_BYTES) x->line[x->n++] = piece[i];
            if (piece[i] != '\n' && x->n < LINE_BYTES) continue;
            pass_line(rank_of(l, r), x->line, x->n);
            x->n = 0;
        }
    }
    if (x->p.said_fd < 0 && x->n) {
        pass_line(rank_of(l, r), x->line, x->n);
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
        log_warn("rank %d was ended by signal %d (%s)%s", rank_of(l, r), -x->p.status, strsignal(-x->p.status),
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

hone_status launch_ranks(const launch_options *o, int *exit_code, hone_err *err) {
    static launch l;
    place_gpus gpus;
    char shared[4096] = "";
    l = (launch){.o = o, .n = o->n, .guilty = -1};
    find_place(&l, &gpus);
    if (o->n_nodes == 1) {
        shm_path(shared, "launch");
        HONE_TRY(comm_shm_make(shared, o->n, err));
    }
    sig_install();
    hone_status status = HONE_OK;
    for (int r = 0; r < o->n && !status; r++) status = start_rank(&l, r, shared, err);
    if (status) signal_all(&l, SIGTERM);
    watch(&l, o->limit_s);
    hone_err ignored;
    if (*shared) file_remove(shared, &ignored);
    const int code = l.guilty < 0 ? 0 : l.rank[l.guilty].p.status;
    *exit_code = code < 0 ? hone_status_exit(HONE_ECOMM) : code;
    return status;
}

void launch_show(const launch_options *o, text *out) {
    static launch l;
    place_gpus gpus;
    l = (launch){.o = o, .n = o->n};
    find_place(&l, &gpus);
    for (int r = 0; r < o->n; r++) {
        text_printf(out, "rank %d of %d: cores", rank_of(&l, r), o->n * o->n_nodes);
        for (int i = 0; i < l.cores[r].n_cores; i++) text_printf(out, "%s%d", i ? "," : " ", l.cores[r].core[i]);
        if (l.cores[r].gpu >= 0)
            text_printf(out, "; GPU %d at %s, NUMA node %d", r, gpus.address[r], gpus.node[r]);
        text_str(out, "\n");
    }
}
