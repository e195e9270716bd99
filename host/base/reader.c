/* reader.c - a file read at places. A mapped file that is cut short ends the process with a signal; a read
 * that comes back short is an error like any other. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/file_fail.h"
#include "base/mem.h"

struct file_reader {
    int fd;
    size_t bytes;
    hone_status kind;
    char *path;
};

hone_status file_reader_open(file_reader **out, const char *path, hone_status kind, hone_err *err) {
    int fd;
    struct stat st;
    *out = NULL;
    HONE_TRY(file_open_regular(&fd, &st, path, kind, err));
    file_reader *r = mem_new(sizeof *r, "file reader");
    const size_t n = strlen(path) + 1;
    *r = (file_reader){fd, (size_t)st.st_size, kind, memcpy(mem_new(n, "file reader"), path, n)};
    *out = r;
    return HONE_OK;
}

size_t file_reader_bytes(const file_reader *r) { return r->bytes; }

hone_status file_reader_get(const file_reader *r, size_t at, void *to, size_t n, hone_err *err) {
    char *p = to;
    while (n > 0) {
        const ssize_t got = pread(r->fd, p, n, (off_t)at);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return file_fail(r->path, "reading", errno, r->kind, err);
        if (got == 0)
            return hone_fail(err, r->kind,
                             "%s: became shorter while it was read; expected it to stay as it is", r->path);
        p += got;
        at += (size_t)got;
        n -= (size_t)got;
    }
    return HONE_OK;
}

void file_reader_close(file_reader *r) {
    if (!r) return;
    close(r->fd);
    mem_free(r->path);
    mem_free(r);
}
