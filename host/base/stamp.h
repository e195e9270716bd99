/* stamp.h - how a file looks from outside, to know without reading it that it has not changed. */
#ifndef BASE_STAMP_H
#define BASE_STAMP_H
#include <stdint.h>

typedef struct {
    int64_t bytes, mtime_ns, ctime_ns;
    uint64_t inode, device;
} file_stamp;

int file_stamp_get(file_stamp *out, const char *path); /* 0: no regular file there */
int path_resolve(char out[4096], const char *path); /* absolute, links followed; 0: not there, or too long */
#endif
