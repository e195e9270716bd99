/* shm.h - the one door to memory that processes share, and to what they can see of each other. */
#ifndef BASE_SHM_H
#define BASE_SHM_H
#include <stddef.h>
#include <stdint.h>

#include "hone/status.h"

/* Make PATH (which must not exist; mode 0600) of so many zeroed bytes. */
hone_status shm_make(const char *path, size_t bytes, hone_err *err);
/* Map it, writable and shared. HONE_ECOMM: it is not there, not ours, or has another size. */
hone_status shm_map(void **out, const char *path, size_t bytes, hone_err *err);
void shm_unmap(void *p, size_t bytes);
/* A path for a new shared memory: in /dev/shm where that is, else in TMPDIR. tag: to tell them apart. */
void shm_path(char out[4096], const char *tag);

/* Sleep while *word is `seen`, at most so many milliseconds; waking is for all who sleep on the word. */
void shm_sleep(_Atomic uint32_t *word, uint32_t seen, int milliseconds);
void shm_wake(_Atomic uint32_t *word);

/* Has the process ended? 0: no, or it cannot be told. */
int process_is_gone(int64_t pid);
int64_t process_self(void);
void host_name(char out[64]);
#endif
