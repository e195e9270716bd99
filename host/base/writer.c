/* writer.c - a file appears whole or not at all: temporary name, sync, rename, sync of the folder. A failed
 * sync is final, because the kernel may have dropped the pages: trying again could succeed falsely. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"
#include "base/file_fail.h"
#include "base/hash.h"
#include "base/mem.h"

struct file_writer {
    int fd;
    char *path, *temporary;
    sha256 hash;
    void *memory; /* of file_build_begin */
    size_t memory_bytes;
};

static char *copy_text(const char *s, const char *what) {
    const size_t n = strlen(s) + 1;
    return memcpy(mem_new(n, what), s, n);
}

static void free_writer(file_writer *w) {
    if (w->memory) munmap(w->memory, w->memory_bytes);
    if (w->fd >= 0) close(w->fd);
    mem_free(w->path);
    mem_free(w->temporary);
    mem_free(w);
}

hone_status file_write_begin(file_writer **out, const char *path, hone_err *err) {
    static atomic_uint number;
    char temporary[4200];
    *out = NULL;
    const int n = snprintf(temporary, sizeof temporary, "%s.tmp.%ld.%u", path, (long)getpid(),
                           atomic_fetch_add(&number, 1));
    if (n < 0 || (size_t)n >= sizeof temporary)
        return file_fail(path, "writing", ENAMETOOLONG, HONE_ESTORAGE, err);
    const int fd = open(temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return hone_fail(err, HONE_ESTORAGE, "%s: its folder is not there; expected one to write into", path);
    if (fd < 0) return file_fail(path, "writing", errno, HONE_ESTORAGE, err);
    file_writer *w = mem_new(sizeof *w, "file writer");
    w->fd = fd;
    w->path = copy_text(path, "file writer");
    w->temporary = copy_text(temporary, "file writer");
    sha256_begin(&w->hash);
    *out = w;
    return HONE_OK;
}

static hone_status write_all(int fd, const char *path, const char *p, size_t n, hone_err *err) {
    while (n > 0) {
        const ssize_t written = write(fd, p, n);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return file_fail(path, "writing", errno, HONE_ESTORAGE, err);
        p += written;
        n -= (size_t)written;
    }
    return HONE_OK;
}

hone_status file_write_add(file_writer *w, const void *p, size_t n, hone_err *err) {
    HONE_ASSERT(!w->memory);
    HONE_TRY(write_all(w->fd, w->path, p, n, err));
    sha256_add(&w->hash, p, n);
    return HONE_OK;
}

/* All that must happen before the name may appear. */
static hone_status sync_contents(file_writer *w, hone_err *err) {
    if (w->memory && msync(w->memory, w->memory_bytes, MS_SYNC))
        return file_fail(w->path, "syncing", errno, HONE_ESTORAGE, err);
    if (fsync(w->fd)) return file_fail(w->path, "syncing", errno, HONE_ESTORAGE, err);
    const int fd = w->fd;
    w->fd = -1;
    if (close(fd)) return file_fail(w->path, "closing", errno, HONE_ESTORAGE, err);
    return HONE_OK;
}

hone_status file_write_end(file_writer *w, char hex[65], hone_err *err) {
    if (hex) {
        uint8_t digest[32];
        if (w->memory) sha256_add(&w->hash, w->memory, w->memory_bytes);
        sha256_end(&w->hash, digest);
        sha256_hex(digest, hex);
    }
    hone_status status = sync_contents(w, err);
    if (status == HONE_OK && rename(w->temporary, w->path))
        status = file_fail(w->path, "renaming to it", errno, HONE_ESTORAGE, err);
    if (status == HONE_OK) {
        status = folder_sync_parent(w->path, err);
        free_writer(w);
        return status;
    }
    file_write_abort(w);
    return status;
}

void file_write_abort(file_writer *w) {
    if (!w) return;
    unlink(w->temporary);
    free_writer(w);
}

hone_status file_write(const char *path, const void *p, size_t n, hone_err *err) {
    file_writer *w;
    HONE_TRY(file_write_begin(&w, path, err));
    const hone_status status = file_write_add(w, p, n, err);
    if (status == HONE_OK) return file_write_end(w, NULL, err);
    file_write_abort(w);
    return status;
}

/* The blocks are reserved at once: writing to a mapped hole of a full disk would be a signal instead of an
 * error. */
hone_status file_build_begin(void **memory, file_writer **out, const char *path, size_t bytes,
                             hone_err *err) {
    *memory = NULL;
    HONE_TRY(file_write_begin(out, path, err));
    if (bytes == 0) return HONE_OK;
    file_writer *w = *out;
    int error = bytes > INT64_MAX ? EFBIG : posix_fallocate(w->fd, 0, (off_t)bytes);
    void *p = MAP_FAILED;
    if (!error) {
        p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, w->fd, 0);
        error = p == MAP_FAILED ? errno : 0;
    }
    if (error) {
        file_write_abort(w);
        *out = NULL;
        return file_fail(path, "reserving room for it", error, HONE_ESTORAGE, err);
    }
    w->memory = *memory = p;
    w->memory_bytes = bytes;
    return HONE_OK;
}

/* ---- appending
 * ------------------------------------------------------------------------------------------------*/

struct file_log {
    int fd;
    char *path;
};

hone_status file_log_open(file_log **out, const char *path, int append, hone_err *err) {
    *out = NULL;
    const int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | (append ? 0 : O_TRUNC), 0666);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return hone_fail(err, HONE_ESTORAGE, "%s: its folder is not there; expected one to write into", path);
    if (fd < 0) return file_fail(path, "opening", errno, HONE_ESTORAGE, err);
    file_log *l = mem_new(sizeof *l, "log file");
    l->fd = fd;
    l->path = copy_text(path, "log file");
    *out = l;
    /* a machine that lost power may have left a part of a line: what is added begins on one of its own */
    char last = '\n';
    const off_t end = append ? lseek(fd, 0, SEEK_END) : 0;
    if (end > 0 && pread(fd, &last, 1, end - 1) == 1 && last != '\n') return file_log_add(l, "\n", 1, err);
    return HONE_OK;
}

hone_status file_log_add(file_log *l, const void *p, size_t n, hone_err *err) {
    return write_all(l->fd, l->path, p, n, err);
}

void file_log_close(file_log *l) {
    if (!l) return;
    close(l->fd);
    mem_free(l->path);
    mem_free(l);
}
