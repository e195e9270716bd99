/* folder.c - folders: made, listed, removed, synced and given their final name. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"
#include "base/file_fail.h"
#include "base/vec.h"

hone_status folder_make(const char *path, hone_err *err) {
    char part[4096];
    const size_t n = strlen(path);
    if (n >= sizeof part) return file_fail(path, "making the folder", ENAMETOOLONG, HONE_ESTORAGE, err);
    for (size_t i = 1; i <= n; i++) {
        if (path[i] != '/' && path[i] != 0) continue;
        memcpy(part, path, i);
        part[i] = 0;
        if (mkdir(part, 0777) == 0) {
            HONE_TRY(folder_sync_parent(part, err)); /* what is saved in it must not go with its name */
            continue;
        }
        if (errno == EEXIST && file_is_folder(part)) continue;
        if (errno == EISDIR) continue; /* "/" on some systems */
        if (errno == EEXIST || errno == ENOTDIR)
            return hone_fail(err, HONE_ESTORAGE, "%s: %s is a file; expected a folder, or nothing", path,
                             part);
        return file_fail(part, "making the folder", errno, HONE_ESTORAGE, err);
    }
    return HONE_OK;
}

/* Remove what lies in the folder of fd, which is closed. Links are removed, never followed. 0, or errno. */
static int empty_folder(int fd) {
    DIR *folder = fdopendir(fd);
    int error = 0;
    if (!folder) return error = errno, close(fd), error;
    for (const struct dirent *entry; !error && (entry = readdir(folder));) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        if (unlinkat(fd, entry->d_name, 0) == 0) continue;
        if (errno != EISDIR && errno != EPERM) error = errno;
        else {
            const int inner = openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            error = inner < 0 ? errno : empty_folder(inner);
            if (!error && unlinkat(fd, entry->d_name, AT_REMOVEDIR)) error = errno;
        }
    }
    closedir(folder);
    return error;
}

hone_status folder_remove(const char *path, hone_err *err) {
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) return HONE_OK;
    if (fd < 0 && (errno == ENOTDIR || errno == ELOOP))
        return hone_fail(err, HONE_ESTORAGE, "%s: is no folder; expected one to remove", path);
    int error = fd < 0 ? errno : empty_folder(fd);
    if (!error && rmdir(path)) error = errno;
    return error ? file_fail(path, "removing the folder", error, HONE_ESTORAGE, err) : HONE_OK;
}

hone_status file_remove(const char *path, hone_err *err) {
    if (!unlink(path) || errno == ENOENT) return HONE_OK;
    return file_fail(path, "removing", errno, HONE_ESTORAGE, err);
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

hone_status folder_list(const char ***names, int *n, arena *a, const char *path, hone_err *err) {
    VEC(const char *) found = {0};
    *names = NULL;
    *n = 0;
    DIR *folder = opendir(path);
    if (!folder && errno == ENOENT)
        return hone_fail(err, HONE_ESTORAGE, "%s: there is no such folder; expected one", path);
    if (!folder && errno == ENOTDIR)
        return hone_fail(err, HONE_ESTORAGE, "%s: is no folder; expected one", path);
    if (!folder) return file_fail(path, "listing the folder", errno, HONE_ESTORAGE, err);
    errno = 0;
    for (const struct dirent *entry; (entry = readdir(folder)); errno = 0)
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
            vec_push(&found, arena_copy(a, entry->d_name, strlen(entry->d_name)));
    const int error = errno;
    closedir(folder);
    if (found.n) {
        qsort(found.p, found.n, sizeof *found.p, compare_names);
        *names = ARENA_ARRAY(a, found.n, const char *);
        memcpy(*names, found.p, found.n * sizeof *found.p);
        *n = (int)found.n;
    }
    vec_free(&found);
    return error ? file_fail(path, "listing the folder", error, HONE_ESTORAGE, err) : HONE_OK;
}

hone_status folder_sync(const char *path, hone_err *err) {
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return file_fail(path, "syncing the folder", errno, HONE_ESTORAGE, err);
    /* Some file systems have nothing to sync in a folder and say EINVAL. */
    const int error = fsync(fd) && errno != EINVAL ? errno : 0;
    close(fd);
    return error ? file_fail(path, "syncing the folder", error, HONE_ESTORAGE, err) : HONE_OK;
}

hone_status folder_sync_parent(const char *path, hone_err *err) {
    char parent[4096];
    const char *slash = strrchr(path, '/');
    const size_t n = slash ? (size_t)(slash - path) : 0;
    if (n >= sizeof parent) return file_fail(path, "syncing", ENAMETOOLONG, HONE_ESTORAGE, err);
    memcpy(parent, path, n);
    parent[n] = 0;
    return folder_sync(!slash ? "." : n == 0 ? "/" : parent, err);
}

hone_status folder_exchange(const char *one, const char *other, hone_err *err) {
    HONE_TRY(folder_sync(one, err));
    if (renameat2(AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE)) {
        if (errno != EINVAL && errno != ENOSYS)
            return file_fail(other, "renaming to it", errno, HONE_ESTORAGE, err);
        HONE_TRY(folder_remove(other, err)); /* a file system that cannot: for a moment there is neither */
        return folder_publish(one, other, err);
    }
    return folder_sync_parent(other, err);
}

hone_status folder_publish(const char *from, const char *to, hone_err *err) {
    HONE_TRY(folder_sync(from, err));
    int failed = renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE);
    if (failed && (errno == EINVAL || errno == ENOSYS)) { /* a file system that cannot refuse: look first */
        if (file_exists(to)) errno = EEXIST;
        else failed = rename(from, to);
    }
    if (failed && (errno == EEXIST || errno == ENOTEMPTY))
        return hone_fail(err, HONE_ESTORAGE,
                         "%s: is already there; expected nothing, as nothing is written over", to);
    if (failed) return file_fail(to, "renaming to it", errno, HONE_ESTORAGE, err);
    return folder_sync_parent(to, err);
}
