/* names.h - find a name among many: an index over an array of names that somebody else owns. */
#ifndef MODEL_NAMES_H
#define MODEL_NAMES_H
#include "base/arena.h"

typedef struct name_index name_index;

/* Index name[0 .. n-1] (the array and its texts must outlive it). *twice: the first name that stands there
 * again, or -1; *first: where it stood before. Later ones are not found. */
name_index *names_index(arena *a, const char *const *name, int n, int *twice, int *first);
int names_find(const name_index *x, const char *name); /* -1: none */
#endif
