/* arena.h - memory that is given back all at once. Whatever is parsed, loaded or planned lives in the arena of the
 * object that was returned; strings inside may be borrowed by anyone who does not outlive it. Not thread-safe. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H
#include <stddef.h>
#include "hone/status.h"

typedef struct arena arena;

arena *arena_new(const char *what);
void arena_free(arena *a); /* NULL is fine */
void *arena_alloc(arena *a, size_t bytes); /* zeroed, 16-byte aligned, never NULL */
/* n objects of size bytes each, overflow checked (a broken promise: callers bound n first). */
void *arena_array(arena *a, size_t n, size_t bytes);
char *arena_copy(arena *a, const char *text, size_t n);            /* adds a NUL */
char *arena_print(arena *a, const char *fmt, ...) HONE_PRINTF(2, 3);
size_t arena_bytes(const arena *a);

#define ARENA_NEW(a, type) ((type *)arena_alloc((a), sizeof(type)))
#define ARENA_ARRAY(a, n, type) ((type *)arena_array((a), (n), sizeof(type)))
#endif
