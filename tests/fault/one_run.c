/* one_run.c - fork, train, tell. */
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../test.h"
#include "base/file.h"
#include "base/host.h"
#include "one_run.h"

const shape six_steps = {"6", "3", "0"};

const char *folder_of(arena *a, const char *name) { return path_join(a, test_folder(), name); }

int is_valid(arena *a, const char *folder, int64_t step) {
    checkpoint c;
    hone_err ignored = {0};
    return checkpoint_open(&c, a, checkpoint_path(a, folder, step), &ignored) == HONE_OK;
}

/* The end of its summary goes to sha. Nothing fails before hone is called. */
static hone_status train(arena *a, const char *name, const shape *s, const faults *f, char sha[65],
                         hone_err *err) {
    const char *model = arena_print(a, "%s", test_fixture("e2e/model"));
    const job_override o[] = {{"config_name", model},
                              {"tokenizer_name", model},
                              {"train_file", arena_print(a, "%s", test_fixture("e2e/train.csv"))},
                              {"output_dir", folder_of(a, name)},
                              {"cache_dir", folder_of(a, "cache")},
                              {"max_steps", s->max_steps},
                              {"save_strategy", "steps"},
                              {"save_steps", s->save_steps},
                              {"save_total_limit", s->save_total_limit},
                              {"logging_steps", "1"},
                              {"save_in_background", f->waits ? "false" : "true"},
                              {"threads", "1"},
                              {"resume_from_checkpoint", f->resume_from ? f->resume_from : "true"},
                              {"log_level", "error"}};
    job *j;
    text summary = {0}, people = {0};
    fault = *f;
    HONE_TRY(job_load(&j, NULL, o, sizeof o / sizeof *o, 1, err));
    pool *p = pool_new(1);
    const hone_status status = train_job(j, p, comm_alone(), &summary, &people, err);
    const char *at = status ? NULL : strstr(summary.p, "\"params_sha256\":\"");
    snprintf(sha, 65, "%s", at ? at + strlen("\"params_sha256\":\"") : "");
    text_free(&summary);
    text_free(&people);
    pool_free(p);
    job_free(j);
    return status;
}

static int tell_to = -1;
static outcome own;

static void tell(void) {
    own.seen = fault;
    own.disk = disk;
    snprintf(own.last, sizeof own.last, "%s", fault.last ? fault.last : "");
    fault = (faults){0};
    disk.root = NULL;
    const int told = write(tell_to, &own, sizeof own) == (ssize_t)sizeof own;
    _exit(!told);
}

outcome one_run(arena *a, const char *name, const shape *s, faults f, disk_state d) {
    outcome o = {0};
    int ends[2], status;
    test_folder(); /* made before anything fails */
    CHECK(!pipe(ends));
    fflush(stdout);
    const pid_t child = fork();
    CHECK(child >= 0);
    if (!child) {
        hone_err err = {0};
        log_set(LOG_QUIET);
        tell_to = ends[1];
        if (f.memory) CHECK(freopen("/dev/null", "w", stderr)); /* hundreds of times the same two lines */
        disk = d;
        disk.ended = tell;
        own.status = HONE_EPREEMPTED; /* of a machine whose power was cut */
        const hone_status ended = train(a, name, s, &f, own.sha, &err);
        own.status = ended;
        snprintf(own.text, sizeof own.text, "%s", err.text);
        tell();
    }
    close(ends[1]);
    size_t n = 0;
    for (ssize_t got; n < sizeof o && (got = read(ends[0], (char *)&o + n, sizeof o - n)) > 0;)
        n += (size_t)got;
    close(ends[0]);
    CHECK(waitpid(child, &status, 0) == child);
    if (n == sizeof o && !status) return o;
    return (outcome){.left = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status)};
}

outcome train_with(arena *a, const char *name, faults f) {
    const outcome o = one_run(a, name, &six_steps, f, (disk_state){0});
    if (o.left) test_fail(__FILE__, __LINE__, "call %d: the run ended with %d", f.fail_at, o.left);
    return o;
}
