/* lock.c - one process at a time, and standard output, the last two doors to files. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"
#include "base/file_fail.h"
#include "base/host.h"
#include "base/mem.h"

struct file_lock {
    int fd;
};

/* Who holds it, for the message of whoever comes second. Only words: the lock is the kernel's, and failing to
 * write them is no error. */
static void note_holder(int fd) {
    char host[64] = "unknown", line[128];
    gethostname(host, sizeof host - 1);
    const int n = snprintf(line, sizeof line, "pid %ld on host %s\n", (long)getpid(), host);
    if (n > 0 && !ftruncate(fd, 0) && pwrite(fd, line, (size_t)n, 0) != n) errno = 0;
}

void file_lock_holder(char out[FILE_LOCK_HOLDER], const char *path) {
    char line[128];
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    const ssize_t n = fd < 0 ? 0 : pread(fd, line, sizeof line, 0);
    if (fd >= 0) close(fd);
    const char *end = n > 0 ? memchr(line, '\n', (size_t)n) : NULL;
    if (end && end != line) text_escape(out, FILE_LOCK_HOLDER, line, (size_t)(end - line));
    else snprintf(out, FILE_LOCK_HOLDER, "a process that left no name");
}

hone_status file_lock_try(file_lock **out, const char *path, hone_err *err) {
    *out = NULL;
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd < 0) return file_fail(path, "locking", errno, HONE_ESTORAGE, err);
    int failed;
    while ((failed = flock(fd, LOCK_EX | LOCK_NB)) && errno == EINTR) continue;
    if (failed) {
        const int error = errno;
        close(fd);
        return error == EWOULDBLOCK ? HONE_OK : file_fail(path, "locking", error, HONE_ESTORAGE, err);
    }
    note_holder(fd);
    *out = mem_new(sizeof **out, "file lock");
    (*out)->fd = fd;
    return HONE_OK;
}

/* Asked again and again, not waited for in the kernel: a signal must be heard meanwhile. */
hone_status file_lock_wait(file_lock **out, const char *path, hone_err *err) {
    const struct timespec nap = {.tv_nsec = 5000000};
    for (;;) {
        HONE_TRY(file_lock_try(out, path, err));
        if (*out) return HONE_OK;
        HONE_TRY(sig_check(err));
        nanosleep(&nap, NULL);
    }
}

void file_lock_close(file_lock *l) {
    if (!l) return;
    close(l->fd); /* and with it the lock */
    mem_free(l);
}

void stdout_add(const char *p, size_t n) {
    if (n) fwrite(p, 1, n, stdout); /* the stream remembers a failure until stdout_flush asks */
}

int stdout_is_terminal(void) { return isatty(STDOUT_FILENO); }

hone_status stdout_flush(hone_err *err) {
    errno = 0;
    const int failed = fflush(stdout) || ferror(stdout);
    const int error = errno ? errno : EIO;
    clearerr(stdout);
    return failed ? file_fail("standard output", "writing", error, HONE_ESTORAGE, err) : HONE_OK;
}
