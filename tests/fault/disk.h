/* disk.h - a disk that forgets, on a power cut, what was not synced.
 *
 * It watches the calls of calls.c under a root folder: which names lie in which folder, and of each file and folder what was
 * synced when. When the call numbered cut_at is about to be made, everything under root that would have survived is written
 * under `after`, and the process ends. A file survives as long as it was when it was last synced; a name, if its folder
 * was synced since it was given or taken away. With `lucky` each folder and each file may also keep what was never synced,
 * as a disk does that had time for some of it. */
#ifndef FAULT_DISK_H
#define FAULT_DISK_H
#include <stddef.h>
#include <stdint.h>

#define DISK_ANNOUNCED 64
typedef struct {
    const char *root, *store,
        *after; /* root NULL: nobody watches. store: a folder beside root, for contents */
    int cut_at; /* 0: never */
    int lucky;
    int as_found; /* what lies under root when the first call is made was synced before */
    uint64_t seed;
    int forgets_files, forgets_folders; /* fsync says that it did, and did not */
    int n;                              /* out: calls so far */
    int first_removal;                  /* out: the call after which a name was first taken away */
    int64_t announced[DISK_ANNOUNCED];  /* out: steps that log.jsonl has said to be saved, before the cut */
    int n_announced;
    void (*ended)(void); /* called before the process ends */
} disk_state;
extern disk_state disk;

/* For calls.c: a call is about to be made; it has been made. */
void disk_before(void);
void disk_opened(const char *path, int flags);
void disk_folder(const char *path);
void disk_synced(int fd);
void disk_renamed(const char *from, const char *to, unsigned flags); /* of renameat2 */
void disk_removed(const char *path);
void disk_removed_at(int folder, const char *name);
void disk_wrote(const void *p, size_t n);
#endif
