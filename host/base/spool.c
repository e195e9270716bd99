#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"
#include "base/file_fail.h"
#include "base/mem.h"
#include "base/spool.h"
#include "base/vec.h"

#define CHUNK ((size_t)1 << 20)
#define BUFFER ((size_t)1 << 18)

struct spool {
    char *folder; /* NULL: the bytes are in `chunk` */
    int fd;
    char *buffer; /* of the file: what is not written yet, then what was read ahead */
    size_t held, used;
    VEC(char *) chunk; /* CHUNK bytes each */
    size_t n, at;      /* bytes added, taken */
    int taking;        /* nothing is added any more */
};

hone_status spool_new(spool **out, const char *folder, hone_err *err) {
    static atomic_uint number;
    char path[4200];
    *out = NULL;
    spool *s = mem_new(sizeof *s, "spool");
    s->fd = -1;
    *out = s;
    if (!folder) return HONE_OK;
    const int n = snprintf(path, sizeof path, "%s/spool.tmp.%ld.%u", folder, (long)getpid(), atomic_fetch_add(&number, 1));
    int error = ENAMETOOLONG;
    if (n > 0 && (size_t)n < sizeof path) {
        s->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        error = s->fd < 0 || unlink(path) ? errno : 0;
    }
    if (error) {
        spool_free(s);
        *out = NULL;
        return file_fail(folder, "writing a file into it", error, HONE_ESTORAGE, err);
    }
    s->folder = strcpy(mem_new(strlen(folder) + 1, "spool"), folder);
    s->buffer = mem_new(BUFFER, "spool");
    return HONE_OK;
}

static hone_status write_held(spool *s, hone_err *err) {
    for (size_t done = 0; done < s->held;) {
        const ssize_t n = write(s->fd, s->buffer + done, s->held - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return file_fail(s->folder, "writing a file in it", errno, HONE_ESTORAGE, err);
        done += (size_t)n;
    }
    s->held = 0;
    return HONE_OK;
}

static char *room(spool *s, size_t *free_bytes) {
    const size_t inside = s->folder ? s->held : s->n % CHUNK;
    if (!s->folder && inside == 0) vec_push(&s->chunk, mem_new(CHUNK, "spool"));
    *free_bytes = (s->folder ? BUFFER : CHUNK) - inside;
    return (s->folder ? s->buffer : s->chunk.p[s->chunk.n - 1]) + inside;
}

hone_status spool_add(spool *s, const void *p, size_t n, hone_err *err) {
    for (const char *from = p; n > 0;) {
        size_t take;
        char *to = room(s, &take);
        if (take > n) take = n;
        memcpy(to, from, take);
        from += take, n -= take, s->n += take, s->held += take;
        if (s->folder && s->held == BUFFER) HONE_TRY(write_held(s, err));
    }
    return HONE_OK;
}

hone_status spool_rewind(spool *s, hone_err *err) {
    if (s->folder && !s->taking) HONE_TRY(write_held(s, err));
    s->taking = 1;
    s->at = s->used = s->held = 0;
    return HONE_OK;
}

static hone_status read_ahead(spool *s, hone_err *err) {
    ssize_t n;
    do n = pread(s->fd, s->buffer, BUFFER, (off_t)s->at);
    while (n < 0 && errno == EINTR);
    if (n <= 0) return file_fail(s->folder, "reading a file in it", n ? errno : EIO, HONE_ESTORAGE, err);
    s->held = (size_t)n, s->used = 0;
    return HONE_OK;
}

hone_status spool_take(spool *s, void *to, size_t n, hone_err *err) {
    HONE_ASSERT(n <= s->n - s->at);
    for (char *p = to; n > 0;) {
        if (s->folder && s->used == s->held) HONE_TRY(read_ahead(s, err));
        const size_t left = s->folder ? s->held - s->used : CHUNK - s->at % CHUNK, take = left < n ? left : n;
        memcpy(p, s->folder ? s->buffer + s->used : s->chunk.p[s->at / CHUNK] + s->at % CHUNK, take);
        p += take, n -= take, s->at += take, s->used += take;
    }
    return HONE_OK;
}

void spool_free(spool *s) {
    if (!s) return;
    if (s->fd >= 0) close(s->fd);
    for (size_t i = 0; i < s->chunk.n; i++) mem_free(s->chunk.p[i]);
    vec_free(&s->chunk);
    mem_free(s->buffer);
    mem_free(s->folder);
    mem_free(s);
}
