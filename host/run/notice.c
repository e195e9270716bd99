/* notice.c - a thread that looks. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "run/notice.h"
#include "base/err.h"
#include "base/file.h"
#include "base/host.h"
#include "base/mem.h"
#include "base/process.h"

#define FILE_NS 500000000u     /* between two looks for a file */
#define COMMAND_NS 5000000000u /* between two runs of a command */

struct notice {
    const char *path, *command; /* one of them */
    pthread_t thread;
    atomic_int ending;
};

static int was_given(const notice *n) {
    return n->path ? file_exists(n->path) : process_shell(n->command) == 0;
}

static void *look(void *arg) {
    notice *n = arg;
    const struct timespec moment = {0, 100000000};
    for (uint64_t next = 0; !atomic_load(&n->ending); nanosleep(&moment, NULL)) {
        if (clock_ns() < next) continue;
        next = clock_ns() + (n->path ? FILE_NS : COMMAND_NS);
        if (!was_given(n)) continue;
        log_note("preempt_notice: %s says that this machine will be taken away",
                 n->path ? n->path : n->command);
        sig_wish_for(SIG_SAVE);
        return NULL;
    }
    return NULL;
}

hone_status notice_open(notice **out, const char *what, hone_err *err) {
    *out = NULL;
    const int is_command = !strncmp(what, "command:", 8);
    const char *rest = is_command ? what + 8 : !strncmp(what, "file:", 5) ? what + 5 : what;
    if (!*rest)
        return hone_fail(err, HONE_EUSAGE, "preempt_notice: \"%.40s\", expected file:PATH or command:WORDS",
                         what);
    notice *n = mem_new(sizeof *n, "preemption notice");
    *n = (notice){.path = is_command ? NULL : rest, .command = is_command ? rest : NULL};
    if (pthread_create(&n->thread, NULL, look, n)) {
        mem_free(n);
        return hone_fail(err, HONE_ENOFIT, "preempt_notice: the system gives no thread to look for it");
    }
    *out = n;
    return HONE_OK;
}

void notice_close(notice *n) {
    if (!n) return;
    atomic_store(&n->ending, 1);
    pthread_join(n->thread, NULL);
    mem_free(n);
}
