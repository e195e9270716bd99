/* forked.c - fork, run, and what became of it. */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "forked.h"
#include "base/file.h"
#include "test.h"

static int next;
void forked_start(int n, double limit_s, rank_fn *fn, void *arg, pid_t *pid) {
    char path[4096], said[4200];
    snprintf(path, sizeof path, "%s/shared-%d-%d", test_folder(), n,
             next++); /* goes with the test's folder */
    snprintf(said, sizeof said, "%s", test_folder());
    CHECK_OK(comm_shm_make(path, n, err));
    for (int r = 0; r < n; r++) {
        pid[r] = fork();
        if (pid[r]) continue;
        hone_err err = {0};
        comm *c;
        hone_status status = comm_shm_open(&c, path, r, n, limit_s, &err);
        if (!status) {
            status = comm_barrier(c, &err);
            if (!status) status = fn(c, arg, &err);
            if (status) comm_abandon(c);
            comm_close(c);
        }
        snprintf(said + strlen(said), sizeof said - strlen(said), "/%d", r);
        hone_err ignored;
        if (status) file_write(said, err.text, strlen(err.text), &ignored);
        _exit(hone_status_exit(status));
    }
}

const char *forked_said(int rank) {
    static char what[1100];
    char path[4200];
    snprintf(path, sizeof path, "%s/%d", test_folder(), rank);
    FILE *f = fopen(path, "r");
    what[f ? fread(what, 1, sizeof what - 1, f) : 0] = 0;
    if (f) fclose(f);
    return what;
}

int forked_end(pid_t pid) {
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void forked_all_end_well(int n, rank_fn *fn, void *arg) {
    pid_t pid[COMM_RANKS_MAX];
    forked_start(n, 60, fn, arg, pid);
    for (int r = 0; r < n; r++)
        if (forked_end(pid[r])) test_fail(__FILE__, __LINE__, "rank %d of %d: %s", r, n, forked_said(r));
}
