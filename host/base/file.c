/* file.c - reading files, and questions about them. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"
#include "base/file_fail.h"
#include "base/host.h"

#define READ_AT_ONCE ((size_t)64 << 20) /* so that a signal is heard in between */

hone_status file_fail(const char *path, const char *doing, int error, hone_status kind, hone_err *err) {
    switch (error) {
    case ENOENT:
    case ENOTDIR:
        return hone_fail(err, kind, "%.500s: there is no such file; expected a regular file", path);
    case EACCES:
    case EPERM:
        return hone_fail(err, kind, "%.500s: %s: permission denied; expected the right to do so", path,
                         doing);
    case EISDIR:
        return hone_fail(err, kind, "%.500s: is a folder; expected a regular file", path);
    case ELOOP:
    case ENAMETOOLONG:
        return hone_fail(err, kind, "%.500s: %s: %s; expected a path that can be followed", path, doing,
                         strerror(error));
    case ENOSPC:
    case EDQUOT:
        hone_fail(err, HONE_ESTORAGE, "%.500s: %s: %s; expected room", path, doing, strerror(error));
        return hone_hint(err, "free some space or write elsewhere, then run the same command again");
    case EROFS:
        return hone_fail(err, HONE_ESTORAGE,
                         "%.500s: %s: the file system is read-only; expected one to write to", path, doing);
    default:
        return hone_fail(err, HONE_ESTORAGE, "%.500s: %s: %s; expected working storage", path, doing,
                         strerror(error));
    }
}

hone_status file_open_regular(int *fd, struct stat *st, const char *path, hone_status kind, hone_err *err) {
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (*fd < 0 && (errno == ENXIO || errno == ENODEV))
        return hone_fail(err, kind, "%s: is no regular file; expected one", path);
    if (*fd < 0) return file_fail(path, "opening", errno, kind, err);
    hone_status status = HONE_OK;
    if (fstat(*fd, st)) status = file_fail(path, "reading", errno, kind, err);
    else if (S_ISDIR(st->st_mode)) status = file_fail(path, "reading", EISDIR, kind, err);
    else if (!S_ISREG(st->st_mode))
        status = hone_fail(err, kind, "%s: is no regular file; expected one", path);
    if (status != HONE_OK) close(*fd);
    return status;
}

hone_status file_map(file_view *out, const char *path, hone_status kind, hone_err *err) {
    int fd;
    struct stat st;
    *out = (file_view){0};
    HONE_TRY(file_open_regular(&fd, &st, path, kind, err));
    void *p = st.st_size > 0 ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
    const int error = errno;
    close(fd);
    if (p == MAP_FAILED) return file_fail(path, "mapping", error, kind, err);
    *out = (file_view){.p = p, .n = (size_t)st.st_size, .owner = p};
    return HONE_OK;
}

void file_unmap(file_view *v) {
    if (v->owner) munmap(v->owner, v->n);
    *v = (file_view){0};
}

typedef struct {
    const char *path;
    size_t max_bytes;
    hone_status kind;
    int heeds_signals;
} reading;

/* Up to n bytes; *done is less only at the end of the file. */
static hone_status read_full(size_t *done, int fd, char *p, size_t n, const reading *how, hone_err *err) {
    *done = 0;
    while (*done < n) {
        if (how->heeds_signals) HONE_TRY(sig_check(err));
        const ssize_t got = read(fd, p + *done, n - *done < READ_AT_ONCE ? n - *done : READ_AT_ONCE);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return file_fail(how->path, "reading", errno, how->kind, err);
        if (got == 0) break;
        *done += (size_t)got;
    }
    return HONE_OK;
}

static hone_status refuse_large(const reading *how, hone_err *err) {
    return hone_fail(err, how->kind, "%s: is larger than %zu bytes; expected at most that", how->path,
                     how->max_bytes);
}

/* What does not know its size: standard input, and files of /proc that say 0. */
static hone_status read_stream(str *out, arena *a, int fd, const reading *how, hone_err *err) {
    text all = {0};
    char part[65536];
    hone_status status = HONE_OK;
    for (;;) {
        size_t got;
        status = read_full(&got, fd, part, sizeof part, how, err);
        if (status == HONE_OK && (got > how->max_bytes || all.n > how->max_bytes - got))
            status = refuse_large(how, err);
        if (status != HONE_OK) break;
        text_add(&all, part, got);
        if (got < sizeof part) break;
    }
    if (status == HONE_OK) *out = (str){arena_copy(a, all.p, all.n), all.n};
    text_free(&all);
    return status;
}

static hone_status read_whole(str *out, arena *a, const reading *how, hone_err *err) {
    int fd;
    struct stat st;
    *out = (str){0};
    if (!strcmp(how->path, "-")) {
        reading input = *how;
        input.path = "standard input";
        return read_stream(out, a, STDIN_FILENO, &input, err);
    }
    HONE_TRY(file_open_regular(&fd, &st, how->path, how->kind, err));
    hone_status status = HONE_OK;
    if ((uint64_t)st.st_size > how->max_bytes) status = refuse_large(how, err);
    else if (st.st_size == 0) status = read_stream(out, a, fd, how, err);
    else {
        char *p = arena_alloc(a, (size_t)st.st_size + 1);
        size_t n;
        status = read_full(&n, fd, p, (size_t)st.st_size, how, err);
        if (status == HONE_OK && n < (size_t)st.st_size)
            status =
                hone_fail(err, how->kind,
                          "%s: became shorter while it was read; expected it to stay as it is", how->path);
        if (status == HONE_OK) *out = (str){p, n};
    }
    close(fd);
    return status;
}

hone_status file_read(str *out, arena *a, const char *path, size_t max_bytes, hone_status kind,
                      hone_err *err) {
    return read_whole(out, a, &(reading){path, max_bytes, kind, 0}, err);
}

hone_status file_read_data(str *out, arena *a, const char *path, size_t max_bytes, hone_status kind,
                           hone_err *err) {
    return read_whole(out, a, &(reading){path, max_bytes, kind, 1}, err);
}

size_t file_glance(char *out, size_t bytes, const char *path) {
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t n = fd >= 0 ? read(fd, out, bytes - 1) : -1;
    if (fd >= 0) close(fd);
    out[n > 0 ? n : 0] = 0;
    return n > 0 ? (size_t)n : 0;
}

static int may_be_there(void) { return errno != ENOENT && errno != ENOTDIR; }

int file_exists(const char *path) {
    struct stat st;
    return lstat(path, &st) == 0 || may_be_there();
}

int file_is_folder(const char *path) {
    struct stat st;
    return stat(path, &st) ? may_be_there() : S_ISDIR(st.st_mode);
}

int file_is_regular(const char *path) {
    struct stat st;
    return stat(path, &st) ? may_be_there() : S_ISREG(st.st_mode);
}

int64_t file_bytes(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) ? (int64_t)st.st_size : -1;
}

int64_t file_mtime_ns(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 ? (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec : -1;
}

const char *path_join(arena *a, const char *folder, const char *name) {
    const size_t n = strlen(folder);
    return arena_print(a, "%s%s%s", folder, n > 0 && folder[n - 1] != '/' ? "/" : "", name);
}

const char *path_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

int64_t disk_free_bytes(const char *path) {
    char folder[4096];
    struct statvfs st;
    if (strlen(path) >= sizeof folder) return -1;
    strcpy(folder, path);
    while (statvfs(folder, &st)) { /* what is to be made is not there yet: ask its parent */
        if (errno != ENOENT && errno != ENOTDIR) return -1;
        char *slash = strrchr(folder, '/');
        if (!slash) strcpy(folder, ".");
        else if (slash == folder) strcpy(folder, "/");
        else *slash = 0;
    }
    return (int64_t)st.f_bavail * (int64_t)st.f_frsize;
}
