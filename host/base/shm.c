/* shm.c - shared memory is a file of mode 0600 that all map; sleeping and waking is the kernel's futex. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/shm.h"
#include "base/host.h"

static hone_status failed(const char *path, const char *doing, hone_status status, hone_err *err) {
    return hone_fail(err, status, "%s: %s: %s; expected shared memory of this run", path, doing,
                     strerror(errno));
}

hone_status shm_make(const char *path, size_t bytes, hone_err *err) {
    const int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return failed(path, "making it", HONE_ESTORAGE, err);
    const int refused = posix_fallocate(fd, 0, (off_t)bytes); /* or a full /dev/shm would be a SIGBUS later */
    close(fd);
    if (!refused) return HONE_OK;
    unlink(path);
    errno = refused;
    return failed(path, "reserving its memory", HONE_ENOFIT, err);
}

hone_status shm_map(void **out, const char *path, size_t bytes, hone_err *err) {
    const int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return failed(path, "opening it", HONE_ECOMM, err);
    struct stat s;
    if (fstat(fd, &s) || !S_ISREG(s.st_mode) || s.st_uid != geteuid() || (size_t)s.st_size != bytes) {
        close(fd);
        return hone_fail(err, HONE_ECOMM,
                         "%s: is not the shared memory of this run; expected %zu bytes of our own", path,
                         bytes);
    }
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (p == MAP_FAILED) return failed(path, "mapping it", HONE_ECOMM, err);
    *out = p;
    return HONE_OK;
}

void shm_unmap(void *p, size_t bytes) {
    if (p) munmap(p, bytes);
}

void shm_path(char out[4096], const char *tag) {
    const char *temporary = env_get("TMPDIR");
    const char *folder = !access("/dev/shm", W_OK) ? "/dev/shm"
                         : temporary && *temporary ? temporary
                                                   : "/tmp";
    snprintf(out, 4096, "%s/hone-%s-%ld-%llx", folder, tag, (long)getpid(), (unsigned long long)clock_ns());
}

void shm_sleep(_Atomic uint32_t *word, uint32_t seen, int milliseconds) {
    const struct timespec most = {milliseconds / 1000, (long)(milliseconds % 1000) * 1000000};
    syscall(SYS_futex, word, FUTEX_WAIT, seen, &most, NULL, 0);
}

void shm_wake(_Atomic uint32_t *word) { syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0); }

/* A process that has ended but was not yet waited for still has its number; its pidfd is readable. */
int process_is_gone(int64_t pid) {
#ifdef SYS_pidfd_open
    const int fd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
    if (fd >= 0) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        const int ended = poll(&p, 1, 0) == 1;
        close(fd);
        return ended;
    }
#endif
    return kill((pid_t)pid, 0) && errno == ESRCH;
}

int64_t process_self(void) { return getpid(); }

void host_name(char out[64]) {
    if (gethostname(out, 64)) snprintf(out, 64, "localhost");
    out[63] = 0;
}
