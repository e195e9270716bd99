/* process.c - fork and exec; a pipe for what the other says. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/process.h"
#include "base/err.h"

#define MOST 64 /* processes waited for at once */

int process_cores(int *core, int most) {
    cpu_set_t all;
    int n = 0;
    if (sched_getaffinity(0, sizeof all, &all)) return 0;
    for (int i = 0; i < CPU_SETSIZE && n < most; i++)
        if (CPU_ISSET(i, &all)) core[n++] = i;
    return n;
}

int process_is_root(void) { return geteuid() == 0; }

static void keep_cores(const int *core, int n) {
    cpu_set_t some;
    CPU_ZERO(&some);
    for (int i = 0; i < n; i++)
        if (core[i] < CPU_SETSIZE) CPU_SET(core[i], &some);
    if (n) (void)sched_setaffinity(0, sizeof some, &some); /* a place to run is better than none */
}

static void become(const process_options *o, int said) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    keep_cores(o->core, o->n_cores);
    for (int i = 0; i < o->n_variables; i++) setenv(o->variable[i].name, o->variable[i].value, 1);
    if (o->mute) {
        const int nowhere = open("/dev/null", O_WRONLY);
        if (nowhere >= 0) dup2(nowhere, STDOUT_FILENO);
    }
    dup2(said, STDERR_FILENO);
    execv(o->program ? o->program : "/proc/self/exe", o->argv);
    _exit(127);
}

hone_status process_start(process *out, const process_options *o, hone_err *err) {
    int said[2];
    *out = (process){.said_fd = -1};
    if (pipe2(said, O_CLOEXEC))
        return hone_fail(err, HONE_ENOFIT, "a pipe: %s; expected one a rank", strerror(errno));
    const pid_t pid = fork();
    if (!pid) become(o, said[1]);
    close(said[1]);
    if (pid < 0) {
        close(said[0]);
        return hone_fail(err, HONE_ENOFIT, "the system starts no more processes: %s", strerror(errno));
    }
    (void)fcntl(said[0], F_SETFL, O_NONBLOCK);
    *out = (process){.pid = pid, .said_fd = said[0]};
    return HONE_OK;
}

hone_status process_become(const char *program, char *const *argv, const process_variable *variable,
                           int n_variables, hone_err *err) {
    for (int i = 0; i < n_variables; i++) setenv(variable[i].name, variable[i].value, 1);
    if (program) execvp(program, argv);
    else execv("/proc/self/exe", argv);
    return hone_fail(err, HONE_EUSAGE, "%s: cannot be started: %s; expected a program", program ? program : "hone",
                     strerror(errno));
}

void process_wait(process *p, int n, int milliseconds, int *ready) {
    struct pollfd f[MOST];
    HONE_ASSERT(n <= MOST);
    for (int i = 0; i < n; i++) f[i] = (struct pollfd){.fd = p[i].said_fd, .events = POLLIN};
    const int some = poll(f, (nfds_t)n, milliseconds);
    for (int i = 0; i < n; i++) ready[i] = some > 0 && p[i].said_fd >= 0 && f[i].revents;
}

size_t process_read(process *p, char *to, size_t bytes) {
    ssize_t n;
    while ((n = read(p->said_fd, to, bytes)) < 0 && errno == EINTR) continue;
    if (n > 0) return (size_t)n;
    if (n == 0 || errno != EAGAIN) {
        close(p->said_fd);
        p->said_fd = -1;
    }
    return 0;
}

int process_has_ended(process *p) {
    int status;
    if (!p->pid || waitpid((pid_t)p->pid, &status, WNOHANG) != (pid_t)p->pid) return !p->pid;
    p->status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    p->pid = 0;
    return 1;
}

void process_signal(const process *p, int number) {
    if (p->pid) kill((pid_t)p->pid, number);
}

/* posix_spawn, for this runs beside threads. */
int process_shell(const char *command) {
    extern char **environ;
    char shell[] = "sh", flag[] = "-c";
    char *const argv[] = {shell, flag, (char *)command, NULL};
    posix_spawn_file_actions_t nowhere;
    pid_t pid;
    int status;
    posix_spawn_file_actions_init(&nowhere);
    posix_spawn_file_actions_addopen(&nowhere, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&nowhere, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&nowhere, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    const int failed = posix_spawn(&pid, "/bin/sh", &nowhere, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&nowhere);
    if (failed) return 127;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 127;
}
