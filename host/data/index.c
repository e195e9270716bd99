#include "data/index.h"
#include "base/hash.h"
#include "base/mem.h"

/* The slot that holds key, or the free one where it belongs. */
static int64_t find_slot(const str_index *x, str key) {
    const uint64_t mask = (uint64_t)x->n_slots - 1;
    for (uint64_t s = hash64(key.p, key.n, 0) & mask;; s = (s + 1) & mask)
        if (!x->slot[s] || str_eq(x->key[x->slot[s] - 1], key)) return (int64_t)s;
}

static void grow_slots(str_index *x) {
    mem_free(x->slot);
    x->n_slots = x->n_slots ? 2 * x->n_slots : 64;
    x->slot = mem_new((size_t)x->n_slots * sizeof *x->slot, "string index");
    for (int64_t i = 0; i < x->n; i++) x->slot[find_slot(x, x->key[i])] = i + 1;
}

int64_t str_index_find(const str_index *x, str key) { return x->n ? x->slot[find_slot(x, key)] - 1 : -1; }

int64_t str_index_add(str_index *x, str key, int *was_there) {
    if (2 * (x->n + 1) > x->n_slots) grow_slots(x);
    const int64_t s = find_slot(x, key);
    if (was_there) *was_there = x->slot[s] != 0;
    if (x->slot[s]) return x->slot[s] - 1;
    if (x->n == x->cap) {
        const int64_t cap = x->cap ? 2 * x->cap : 32;
        x->key =
            mem_grow(x->key, (size_t)x->cap * sizeof *x->key, (size_t)cap * sizeof *x->key, "string index");
        x->cap = cap;
    }
    x->key[x->n] = key;
    x->slot[s] = ++x->n;
    return x->n - 1;
}

void str_index_free(str_index *x) {
    mem_free(x->key);
    mem_free(x->slot);
    *x = (str_index){0};
}
