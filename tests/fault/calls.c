/* calls.c - counting, failing, or passing a call on. Of a save's calls only those on files that must be new count; of a whole
 * run's (counts_all) those on files that are added to as well, locks, and what is taken away. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "calls.h"
#include "disk.h"
#include "run/comm.h"

faults fault;
static int counting;
/* By descriptor: opened to be written, by a temporary name; by its own. */
static char is_new[1024], is_old[1024];

enum { WRITES, MEMORY, READS, WORDS };
static int fails_as(int kind, const char *call) {
    if (!fault.counts_all && (!counting || !fault.from)) return 0;
    if (kind != (fault.memory ? MEMORY : fault.reading ? READS : fault.speaking ? WORDS : WRITES)) return 0;
    fault.n++;
    if (!fault.fail_at || fault.n < fault.fail_at || (fault.n > fault.fail_at && !fault.for_ever)) return 0;
    if (!fault.last) fault.last = call;
    errno = fault.error;
    return 1;
}

static int fails(const char *call) { return fails_as(WRITES, call); }
static int fails_anywhere(const char *call) { return fault.counts_all && fails(call); }

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

int __real_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*fn)(void *), void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*fn)(void *), void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*fn)(void *), void *arg) {
    return fails_as(MEMORY, "pthread_create") ? EAGAIN : __real_pthread_create(t, a, fn, arg);
}

int __real_stat(const char *path, struct stat *st);
int __wrap_stat(const char *path, struct stat *st);
int __wrap_stat(const char *path, struct stat *st) {
    return fails_as(READS, "stat") ? -1 : __real_stat(path, st);
}

int __real_lstat(const char *path, struct stat *st);
int __wrap_lstat(const char *path, struct stat *st);
int __wrap_lstat(const char *path, struct stat *st) {
    return fails_as(READS, "lstat") ? -1 : __real_lstat(path, st);
}

int __real_fstat(int fd, struct stat *st);
int __wrap_fstat(int fd, struct stat *st);
int __wrap_fstat(int fd, struct stat *st) { return fails_as(READS, "fstat") ? -1 : __real_fstat(fd, st); }

DIR *__real_opendir(const char *path);
DIR *__wrap_opendir(const char *path);
DIR *__wrap_opendir(const char *path) { return fails_as(READS, "opendir") ? NULL : __real_opendir(path); }

DIR *__real_fdopendir(int fd);
DIR *__wrap_fdopendir(int fd);
DIR *__wrap_fdopendir(int fd) { return fails_as(READS, "fdopendir") ? NULL : __real_fdopendir(fd); }

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
    const int adds = !makes && (flags & O_ACCMODE) != O_RDONLY;
    if (makes && fails("open")) return -1;
    if (adds && fails_anywhere("open")) return -1;
    if (!makes && fails_as(READS, "open")) return -1;
    const int fd = __real_open(path, flags, mode);
    if (fd >= 0 && (size_t)fd < sizeof is_new) is_new[fd] = (char)makes, is_old[fd] = (char)adds;
    if (fd >= 0) disk_opened(path, flags);
    return fd;
}

ssize_t __real_write(int fd, const void *p, size_t n);
ssize_t __wrap_write(int fd, const void *p, size_t n);
ssize_t __wrap_write(int fd, const void *p, size_t n) {
    if (!is_new[fd]) {
        if (is_old[fd] && fails_anywhere("write")) return -1;
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

ssize_t __real_pwrite(int fd, const void *p, size_t n, off_t at);
ssize_t __wrap_pwrite(int fd, const void *p, size_t n, off_t at);
ssize_t __wrap_pwrite(int fd, const void *p, size_t n, off_t at) {
    return fails_anywhere("pwrite") ? -1 : __real_pwrite(fd, p, n, at);
}

int __real_ftruncate(int fd, off_t n);
int __wrap_ftruncate(int fd, off_t n);
int __wrap_ftruncate(int fd, off_t n) { return fails_anywhere("ftruncate") ? -1 : __real_ftruncate(fd, n); }

int __real_posix_fallocate(int fd, off_t at, off_t n);
int __wrap_posix_fallocate(int fd, off_t at, off_t n);
int __wrap_posix_fallocate(int fd, off_t at, off_t n) {
    return fails_anywhere("posix_fallocate") ? fault.error : __real_posix_fallocate(fd, at, n);
}

int __real_msync(void *p, size_t n, int flags);
int __wrap_msync(void *p, size_t n, int flags);
int __wrap_msync(void *p, size_t n, int flags) {
    return fails_anywhere("msync") ? -1 : __real_msync(p, n, flags);
}

int __real_flock(int fd, int how);
int __wrap_flock(int fd, int how);
int __wrap_flock(int fd, int how) { return fails_anywhere("flock") ? -1 : __real_flock(fd, how); }

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
    const int failed = (is_new[fd] && fails("close")) || (is_old[fd] && fails_anywhere("close")),
              error = errno;
    is_new[fd] = is_old[fd] = 0;
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
    const int failed = fails_anywhere("unlink") ? -1 : __real_unlink(path);
    if (!failed) disk_removed(path);
    return failed;
}

int __real_unlinkat(int folder, const char *name, int flags);
int __wrap_unlinkat(int folder, const char *name, int flags);
int __wrap_unlinkat(int folder, const char *name, int flags) {
    disk_before();
    const int failed = fails_anywhere("unlinkat") ? -1 : __real_unlinkat(folder, name, flags);
    if (!failed) disk_removed_at(folder, name);
    return failed;
}

int __real_rmdir(const char *path);
int __wrap_rmdir(const char *path);
int __wrap_rmdir(const char *path) {
    disk_before();
    const int failed = fails_anywhere("rmdir") ? -1 : __real_rmdir(path);
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

/* ---- words to other ranks ---- */

#define SPOKEN(name, types, names)                                                                           \
    hone_status __real_##name types;                                                                         \
    hone_status __wrap_##name types;                                                                         \
    hone_status __wrap_##name types { return fails_as(WORDS, #name), __real_##name names; }
SPOKEN(comm_exchange, (comm * c, const comm_piece *to, const comm_piece *from, hone_err *err),
       (c, to, from, err))
SPOKEN(comm_gather, (comm * c, const void *mine, size_t bytes, void *all, hone_err *err),
       (c, mine, bytes, all, err))
SPOKEN(comm_broadcast, (comm * c, void *p, size_t bytes, int root, hone_err *err), (c, p, bytes, root, err))
SPOKEN(comm_barrier, (comm * c, hone_err *err), (c, err))
SPOKEN(comm_largest, (comm * c, int64_t *x, hone_err *err), (c, x, err))
SPOKEN(comm_first_word, (comm * c, int64_t *word, int *rank, hone_err *err), (c, word, rank, err))
SPOKEN(comm_look, (comm * c, int64_t n_asked, hone_err *err), (c, n_asked, err))
