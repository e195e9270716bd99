/* lock.c - one process at a time, and standard output, the last two doors to files. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/file.h"
#include "base/file_fail.h"
#include "base/mem.h"

struct file_lock {
    int fd;
};

static hone_status lock(file_lock **out, const char *path, int how, hone_err *err) {
    *out = NULL;
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd < 0) return file_fail(path, "locking", errno, HONE_ESTORAGE, err);
    int failed;
    while ((failed = flock(fd, how)) && errno == EINTR) continue;
    if (failed) {
        const int error = errno;
        close(fd);
        return error == EWOULDBLOCK ? HONE_OK : file_fail(path, "locking", error, HONE_ESTORAGE, err);
    }
    *out = mem_new(sizeof **out, "file lock");
    (*out)->fd = fd;
    return HONE_OK;
}

hone_status file_lock_try(file_lock **out, const char *path, hone_err *err) {
    return lock(out, path, LOCK_EX | LOCK_NB, err);
}

hone_status file_lock_wait(file_lock **out, const char *path, hone_err *err) {
    return lock(out, path, LOCK_EX, err);
}

void file_lock_close(file_lock *l) {
    if (!l) return;
    close(l->fd); /* and with it the lock */
    mem_free(l);
}

void stdout_add(const char *p, size_t n) {
    if (n) fwrite(p, 1, n, stdout); /* the stream remembers a failure until stdout_flush asks */
}

hone_status stdout_flush(hone_err *err) {
    errno = 0;
    const int failed = fflush(stdout) || ferror(stdout);
    const int error = errno ? errno : EIO;
    clearerr(stdout);
    return failed ? file_fail("standard output", "writing", error, HONE_ESTORAGE, err) : HONE_OK;
}
