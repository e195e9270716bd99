/* file_fail.h - shared inside file, folder and writer. */
#ifndef BASE_FILE_FAIL_H
#define BASE_FILE_FAIL_H
#include "hone/status.h"

/* "PATH: DOING: reason". What the caller's user did wrong (missing, forbidden, a folder) is `kind`, the rest
 * ESTORAGE. */
hone_status file_fail(const char *path, const char *doing, int error, hone_status kind, hone_err *err);
/* Open a regular file and nothing else: a pipe or device must not make us wait. */
struct stat;
hone_status file_open_regular(int *fd, struct stat *st, const char *path, hone_status kind, hone_err *err);
hone_status folder_sync_parent(const char *path, hone_err *err); /* the folder in which path lies */
#endif
