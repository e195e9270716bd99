/* calls.c - counting, failing, or passing a call on. Of what is written only files that must be new count:
 * those that a save makes. A log that cannot be written is a warning. */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "calls.h"

faults fault;
static int counting;
static char is_new[1024]; /* by descriptor: opened to be written by a temporary name */

static int fails(const char *call) {
    if (!counting || !fault.from) return 0;
    fault.n++;
    if (!fault.fail_at || fault.n < fault.fail_at || (fault.n > fault.fail_at && !fault.for_ever)) return 0;
    if (!fault.last) fault.last = call;
    errno = fault.error;
    return 1;
}

int __real_mkdir(const char *path, mode_t mode);
int __wrap_mkdir(const char *path, mode_t mode);
int __wrap_mkdir(const char *path, mode_t mode) {
    if (fault.from && strstr(path, fault.from)) counting = 1;
    return fails("mkdir") ? -1 : __real_mkdir(path, mode);
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...) {
    va_list args;
    va_start(args, flags);
    const mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    if (fault.from && strstr(path, fault.from)) counting = 1;
    const int makes = (flags & O_CREAT) && (flags & O_EXCL);
    if (makes && fails("open")) return -1;
    const int fd = __real_open(path, flags, mode);
    if (fd >= 0 && (size_t)fd < sizeof is_new) is_new[fd] = (char)makes;
    return fd;
}

ssize_t __real_write(int fd, const void *p, size_t n);
ssize_t __wrap_write(int fd, const void *p, size_t n);
ssize_t __wrap_write(int fd, const void *p, size_t n) {
    if (!is_new[fd]) return __real_write(fd, p, n);
    static int n_writes;
    const int counts = !counting || !fault.every_write || n_writes++ % fault.every_write == 0;
    if (counts && fails("write")) return -1;
    return __real_write(
        fd, p, fault.short_writes && n > (size_t)fault.short_writes ? (size_t)fault.short_writes : n);
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd) {
    if (is_new[fd] && fault.slow_us) usleep((useconds_t)fault.slow_us);
    return fails("fsync") ? -1 : fault.syncs ? __real_fsync(fd) : 0;
}

int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd) {
    const int failed = is_new[fd] && fails("close"), error = errno;
    is_new[fd] = 0;
    if (!failed) return __real_close(fd);
    __real_close(fd);
    errno = error;
    return -1;
}

int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to) { return fails("rename") ? -1 : __real_rename(from, to); }

int __real_renameat2(int a, const char *from, int b, const char *to, unsigned flags);
int __wrap_renameat2(int a, const char *from, int b, const char *to, unsigned flags);
int __wrap_renameat2(int a, const char *from, int b, const char *to, unsigned flags) {
    return fails("renameat2") ? -1 : __real_renameat2(a, from, b, to, flags);
}

int __real_statvfs(const char *path, struct statvfs *st);
int __wrap_statvfs(const char *path, struct statvfs *st);
int __wrap_statvfs(const char *path, struct statvfs *st) {
    const int failed = __real_statvfs(path, st);
    if (!failed && fault.no_room) st->f_bavail = 0;
    return failed;
}
