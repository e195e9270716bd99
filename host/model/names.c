/* names.c - open addressing, at most half full. The seed differs from run to run, so that no file can be made
 * whose names all collide. */
#include <string.h>

#include "base/err.h"
#include "base/hash.h"
#include "model/names.h"

struct name_index {
    const char *const *name;
    uint64_t seed;
    size_t mask;
    int slot[]; /* 1 + index of a name; 0: free */
};

static size_t find_slot(const name_index *x, const char *name) {
    size_t i = hash64(name, strlen(name), x->seed) & x->mask;
    while (x->slot[i] && strcmp(x->name[x->slot[i] - 1], name)) i = (i + 1) & x->mask;
    return i;
}

name_index *names_index(arena *a, const char *const *name, int n, int *twice, int *first) {
    size_t size = 16;
    while (size < 2 * (size_t)n) size *= 2;
    name_index *x = arena_alloc(a, sizeof *x + size * sizeof *x->slot);
    x->name = name;
    x->mask = size - 1;
    x->seed = (uint64_t)(uintptr_t)x; /* address space layout is random */
    *twice = *first = -1;
    for (int i = 0; i < n; i++) {
        const size_t slot = find_slot(x, name[i]);
        if (!x->slot[slot]) x->slot[slot] = i + 1;
        else if (*twice < 0) *twice = i, *first = x->slot[slot] - 1;
    }
    return x;
}

int names_find(const name_index *x, const char *name) { return x->slot[find_slot(x, name)] - 1; }
