/* arena.c - blocks that double in size, filled from the front. */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/mem.h"

#define ALIGN 16
#define FIRST_BLOCK 4096
#define LAST_BLOCK (1 << 20) /* blocks grow no larger than this; a larger request gets a block of its own */

typedef struct block {
    struct block *next;
    size_t used, size; /* bytes behind this head, which is a multiple of ALIGN */
    size_t padding;
} block;
_Static_assert(sizeof(block) % ALIGN == 0, "what follows the head is aligned");

struct arena {
    block *first; /* the one being filled */
    const char *what;
    size_t bytes, next_block;
};

arena *arena_new(const char *what) {
    arena *a = mem_new(sizeof *a, what);
    a->what = what;
    a->next_block = FIRST_BLOCK;
    return a;
}

void arena_free(arena *a) {
    if (!a) return;
    for (block *b = a->first; b;) {
        block *next = b->next;
        mem_free(b);
        b = next;
    }
    mem_free(a);
}

static block *add_block(arena *a, size_t bytes) {
    const int own = bytes > a->next_block / 2 && a->first; /* keep filling the block at hand */
    const size_t size = bytes > a->next_block ? bytes : own ? bytes : a->next_block;
    size_t total;
    HONE_ASSERT(size_add(size, sizeof(block), &total));
    block *b = mem_new(total, a->what);
    b->size = size;
    if (own) {
        b->next = a->first->next;
        a->first->next = b;
    } else {
        b->next = a->first;
        a->first = b;
        if (a->next_block < LAST_BLOCK) a->next_block *= 2;
    }
    return b;
}

void *arena_alloc(arena *a, size_t bytes) {
    HONE_ASSERT(bytes <= SIZE_MAX - ALIGN);
    bytes = (bytes ? bytes + ALIGN - 1 : ALIGN) & ~(size_t)(ALIGN - 1);
    block *b = a->first;
    if (!b || b->size - b->used < bytes) b = add_block(a, bytes);
    void *p = (char *)(b + 1) + b->used;
    b->used += bytes;
    a->bytes += bytes;
    return p;
}

void *arena_array(arena *a, size_t n, size_t bytes) {
    size_t total;
    HONE_ASSERT(size_mul(n, bytes, &total));
    return arena_alloc(a, total);
}

char *arena_copy(arena *a, const char *from, size_t n) {
    HONE_ASSERT(n < SIZE_MAX);
    char *copy = arena_alloc(a, n + 1);
    if (n) memcpy(copy, from, n);
    return copy;
}

char *arena_print(arena *a, const char *fmt, ...) {
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    const int n = vsnprintf(NULL, 0, fmt, args);
    HONE_ASSERT(n >= 0);
    char *out = arena_alloc(a, (size_t)n + 1);
    vsnprintf(out, (size_t)n + 1, fmt, again);
    va_end(again);
    va_end(args);
    return out;
}

size_t arena_bytes(const arena *a) { return a->bytes; }
