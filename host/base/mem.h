/* mem.h - the one door to the heap. Every allocation of the host is made here, is counted, and can be refused:
 * after mem_refuse(1) the next request aborts with its name, which is how a test proves that a run allocates nothing.
 * A request that the system cannot meet ends the process with one line naming bytes and purpose and exit code 4. */
#ifndef BASE_MEM_H
#define BASE_MEM_H
#include <stddef.h>

void *mem_new(size_t bytes, const char *what);                     /* zeroed; bytes 0 gives a unique pointer */
void *mem_grow(void *p, size_t old_bytes, size_t bytes, const char *what); /* as realloc; new bytes zeroed */
void mem_free(void *p);                                            /* NULL is fine */
void mem_refuse(int on);                                           /* on: any mem_new or mem_grow from any thread aborts */
void mem_leave(int on);                                            /* but from those with leave: of the calling thread */
size_t mem_live_bytes(void);
size_t mem_peak_bytes(void); /* the most that were live since mem_peak_begin, or since the start */
void mem_peak_begin(void);

/* a * b and a + b; 0 and *out undefined on overflow, else 1. */
int size_mul(size_t a, size_t b, size_t *out);
int size_add(size_t a, size_t b, size_t *out);
#endif
