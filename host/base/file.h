/* file.h - the one door to the file system. Reading never follows a file that is no regular file; writing goes to a
 * temporary name, is synced, and renamed: a reader sees the old file or the new one, never a part.
 * Storage failures are HONE_ESTORAGE; a missing or wrong file is the `kind` that the caller passes. */
#ifndef BASE_FILE_H
#define BASE_FILE_H
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/str.h"

typedef struct {
    const char *p; /* NULL for an empty file */
    size_t n;
    void *owner;   /* private */
} file_view;
/* Map a regular file read-only. */
hone_status file_map(file_view *out, const char *path, hone_status kind, hone_err *err);
void file_unmap(file_view *v); /* of a zeroed view: fine */
/* A regular file read at places: what may become shorter meanwhile is better read than mapped. */
typedef struct file_reader file_reader;
hone_status file_reader_open(file_reader **out, const char *path, hone_status kind, hone_err *err);
size_t file_reader_bytes(const file_reader *r); /* when it was opened */
hone_status file_reader_get(const file_reader *r, size_t at, void *to, size_t n, hone_err *err); /* all n, or kind */
void file_reader_close(file_reader *r); /* NULL is fine */
/* Whole file into an arena, at most max_bytes. path "-" reads standard input. A NUL is added after the end. */
hone_status file_read(str *out, arena *a, const char *path, size_t max_bytes, hone_status kind, hone_err *err);
/* The same for what may be large: a signal ends it (sig_check). */
hone_status file_read_data(str *out, arena *a, const char *path, size_t max_bytes, hone_status kind, hone_err *err);

/* The first bytes of a file of /proc or /sys, whose sizes mean nothing, with a NUL: how many; 0 and "": none. */
size_t file_glance(char *out, size_t bytes, const char *path);

/* 0: certainly not. A disk or a folder that does not let itself be looked at (EIO, EACCES) is no reason to go on without what
 * may be there: 1, and whoever opens it is told why it cannot be. */
int file_exists(const char *path); /* anything there */
int file_is_folder(const char *path);
int file_is_regular(const char *path);
int64_t file_bytes(const char *path);   /* -1: none */
int64_t file_mtime_ns(const char *path);
hone_status folder_make(const char *path, hone_err *err);        /* with parents; existing is fine */
hone_status folder_remove(const char *path, hone_err *err);      /* with contents; missing is fine */
hone_status file_remove(const char *path, hone_err *err);        /* no folder; missing is fine */
/* Names in a folder (not . and ..), sorted by bytes. */
hone_status folder_list(const char ***names, int *n, arena *a, const char *path, hone_err *err);
const char *path_join(arena *a, const char *folder, const char *name);
const char *path_name(const char *path); /* after the last slash */
/* Free bytes for us on the file system of path; -1 unknown. */
int64_t disk_free_bytes(const char *path);

/* Writing. begin opens PATH.tmp.<pid>.<n> in PATH's folder (exclusive, mode 0666 & umask); add writes all bytes and
 * hashes them; end syncs, renames to PATH and syncs the folder; abort removes the temporary file. After a failure only
 * abort may follow, and nothing under PATH has changed. */
typedef struct file_writer file_writer;
hone_status file_write_begin(file_writer **out, const char *path, hone_err *err);
hone_status file_write_add(file_writer *w, const void *p, size_t n, hone_err *err);
hone_status file_write_end(file_writer *w, char sha256_hex[65], hone_err *err); /* frees w in any case; hex may be NULL */
void file_write_abort(file_writer *w);                                       /* NULL is fine */
hone_status file_write(const char *path, const void *p, size_t n, hone_err *err); /* the four at once */
/* A file made to be mapped and filled: begin gives `bytes` of writable zeroed memory backed by a temporary file; end syncs and renames. */
hone_status file_build_begin(void **memory, file_writer **out, const char *path, size_t bytes, hone_err *err);

/* Rename a synced folder to its final name (refuses to replace), then sync the parent. */
hone_status folder_sync(const char *path, hone_err *err);
hone_status folder_publish(const char *from, const char *to, hone_err *err);
/* A synced folder takes the name of another one, at once, and gives it its own; then the parent is synced. Where the file
 * system cannot exchange names the other one is removed first. */
hone_status folder_exchange(const char *one, const char *other, hone_err *err);

/* Appending log files: each line is one write. */
typedef struct file_log file_log;
hone_status file_log_open(file_log **out, const char *path, int append, hone_err *err);
hone_status file_log_add(file_log *l, const void *p, size_t n, hone_err *err);
void file_log_close(file_log *l);

/* An exclusive lock on PATH (made if missing), held until closed or the process ends; busy: *out NULL and HONE_OK. */
typedef struct file_lock file_lock;
hone_status file_lock_try(file_lock **out, const char *path, hone_err *err);
hone_status file_lock_wait(file_lock **out, const char *path, hone_err *err); /* a signal ends the waiting */
/* Who took the lock last: "pid 4711 on host node-3". */
#define FILE_LOCK_HOLDER 200
void file_lock_holder(char out[FILE_LOCK_HOLDER], const char *path);
void file_lock_close(file_lock *l);
/* Standard output: the result. Checked at the end with stdout_flush. */
void stdout_add(const char *p, size_t n);
hone_status stdout_flush(hone_err *err);
int stdout_is_terminal(void);
#endif
