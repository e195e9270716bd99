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
#include "disk.h"

faults fault;
static int counting;
static char is_new[1024]; /* by descriptor: opened to be written by a temporary name */

enum { WRITES, MEMORY, READS };
static int fails_as(int kind, const char *call) {
    if (!fault.counts_all && (!counting || !fault.from)) return 0;
    if (kind != (fault.memory ? MEMORY : fault.reading ? READS : WRITES)) return 0;
    fault.n++;
    if (!fault.fail_at || fault.n < fault.fail_at || (fault.n > fault.fail_at && !fault.for_ever)) return 0;
    if (!fault.last) fault.last = call;
    errno = fault.error;
    return 1;
}

static int fails(const char *call) { return fails_as(WRITES, call); }

void *__real_calloc(size_t n, size_t bytes);
void *__wrap_calloc(size_t n, size_t bytes);
void *__wrap_calloc(size_t n, size_t bytes) {
    return fails_as(MEMORY, "calloc") ? NULL : __real_calloc(n, bytes);
}

void *__real_realloc(void *p, size_t bytes);
void *__wrap_realloc(void *p, size_t bytes);
void *__wrap_realloc(void *p, size_t bytes) {
    return fails_as(MEMORY, "realloc") ? NULL : __real_realloc(p, bytes);
}

ssize_t __real_pread(int fd, void *to, size_t n, off_t at);
ssize_t __wrap_pread(int fd, void *to, size_t n, off_t at);
ssize_t __wrap_pread(int fd, void *to, size_t n, off_t at) {
    return fails_as(READS, "pread") ? -1 : __real_pread(fd, to, n, at);
}

ssize_t __real_read(int fd, void *to, size_t n);
ssize_t __wrap_read(int fd, void *to, size_t n);
ssize_t __wrap_read(int fd, void *to, size_t n) {
    return fails_as(READS, "read") ? -1 : __real_read(fd, to, n);
}

void *__real_mmap(void *p, size_t n, int prot, int flags, int fd, off_t at);
void *__wrap_mmap(void *p, size_t n, int prot, int flags, int fd, off_t at);
void *__wrap_mmap(void *p, size_t n, int prot, int flags, int fd, off_t at) {
    return fails_as(READS, "mmap") ? (void *)-1 : __real_mmap(p, n, prot, flags, fd, at);
}

int __real_mkdir(const char *path, mode_t mode);
int __wrap_mkdir(const char *path, mode_t mode);
int __wrap_mkdir(const char *path, mode_t mode) {
    if (fault.from && strstr(path, fault.from)) counting = 1;
    disk_before();
    const int failed = fails("mkdir") ? -1 : __real_mkdir(path, mode);
    if (!failed) disk_folder(path);
    return failed;
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...) {
    va_list args;
    va_start(args, flags);
    const mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    if (fault.from && strstr(path, fault.from)) counting = 1;
    if (fault.watched && strstr(path, fault.watched)) fault.n_watched++;
    const int makes = (flags & O_CREAT) && (flags & O_EXCL);
    if (makes) disk_before();
    if (makes && fails("open")) return -1;
    if (!makes && fails_as(READS, "open")) return -1;
    const int fd = __real_open(path, flags, mode);
    if (fd >= 0 && (size_t)fd < sizeof is_new) is_new[fd] = (char)makes;
    if (fd >= 0) disk_opened(path, flags);
    return fd;
}

ssize_t __real_write(int fd, const void *p, size_t n);
ssize_t __wrap_write(int fd, const void *p, size_t n);
ssize_t __wrap_write(int fd, const void *p, size_t n) {
    if (!is_new[fd]) {
        const ssize_t written = __real_write(fd, p, n);
        if (written > 0) disk_wrote(p, (size_t)written);
        return written;
    }
    disk_before();
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
    disk_before();
    const int failed = fails("fsync") ? -1 : fault.syncs ? __real_fsync(fd) : 0;
    if (!failed) disk_synced(fd);
    return failed;
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
int __wrap_rename(const char *from, const char *to) {
    disk_before();
    const int failed = fails("rename") ? -1 : __real_rename(from, to);
    if (!failed) disk_renamed(from, to, 0);
    return failed;
}

int __real_renameat2(int a, const char *from, int b, const char *to, unsigned flags);
int __wrap_renameat2(int a, const char *from, int b, const char *to, unsigned flags);
int __wrap_renameat2(int a, const char *from, int b, const char *to, unsigned flags) {
    disk_before();
    const int failed = fails("renameat2") ? -1 : __real_renameat2(a, from, b, to, flags);
    if (!failed) disk_renamed(from, to, flags);
    return failed;
}

int __real_unlink(const char *path);
int __wrap_unlink(const char *path);
int __wrap_unlink(const char *path) {
    disk_before();
    const int failed = __real_unlink(path);
    if (!failed) disk_removed(path);
    return failed;
}

int __real_unlinkat(int folder, const char *name, int flags);
int __wrap_unlinkat(int folder, const char *name, int flags);
int __wrap_unlinkat(int folder, const char *name, int flags) {
    disk_before();
    const int failed = __real_unlinkat(folder, name, flags);
    if (!failed) disk_removed_at(folder, name);
    return failed;
}

int __real_rmdir(const char *path);
int __wrap_rmdir(const char *path);
int __wrap_rmdir(const char *path) {
    disk_before();
    const int failed = __real_rmdir(path);
    if (!failed) disk_removed(path);
    return failed;
}

int __real_statvfs(const char *path, struct statvfs *st);
int __wrap_statvfs(const char *path, struct statvfs *st);
int __wrap_statvfs(const char *path, struct statvfs *st) {
    const int failed = __real_statvfs(path, st);
    if (!failed && fault.no_room) st->f_bavail = 0;
    return failed;
}
