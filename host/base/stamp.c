#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/stamp.h"

static int64_t in_ns(struct timespec t) { return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec; }

int file_stamp_get(file_stamp *out, const char *path) {
    struct stat st;
    memset(out, 0, sizeof *out);
    if (stat(path, &st) || !S_ISREG(st.st_mode)) return 0;
    out->bytes = st.st_size;
    out->mtime_ns = in_ns(st.st_mtim);
    out->ctime_ns = in_ns(st.st_ctim);
    out->inode = st.st_ino;
    out->device = st.st_dev;
    return 1;
}

int path_resolve(char out[4096], const char *path) {
    char full[PATH_MAX];
    if (!realpath(path, full) || strlen(full) >= 4096) return 0;
    strcpy(out, full);
    return 1;
}
