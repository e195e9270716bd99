/* mem.c - the one door to the heap: counted, named, refusable. */
#include <malloc.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

static atomic_size_t live_bytes, peak_bytes;
static atomic_int refused;
static _Thread_local int has_leave;

static void leave_without_memory(size_t bytes, const char *what) __attribute__((noreturn));
static void leave_without_memory(size_t bytes, const char *what) {
    fprintf(stderr, "error: out of memory: %zu bytes for %s; %zu bytes are in use\n", bytes, what,
            mem_live_bytes());
    fprintf(stderr, "hint: use a smaller batch or model, or a machine with more memory\n");
    fflush(stderr);
    _Exit(hone_status_exit(HONE_ENOFIT)); /* no destructor may ask for memory now */
}

static void check_allowed(size_t bytes, const char *what) {
    if (has_leave || !atomic_load_explicit(&refused, memory_order_relaxed)) return;
    fprintf(stderr, "error: hone asked for memory when none may be taken: %zu bytes for %s\n", bytes, what);
    fflush(stderr);
    abort();
}

/* What the allocator really gave is counted: then a pointer needs no head that remembers its size. */
static void count(void *p, int sign) {
    const size_t bytes = malloc_usable_size(p);
    if (sign < 0) {
        atomic_fetch_sub_explicit(&live_bytes, bytes, memory_order_relaxed);
        return;
    }
    const size_t live = atomic_fetch_add_explicit(&live_bytes, bytes, memory_order_relaxed) + bytes;
    size_t peak = atomic_load_explicit(&peak_bytes, memory_order_relaxed);
    while (live > peak && !atomic_compare_exchange_weak_explicit(&peak_bytes, &peak, live, memory_order_relaxed, memory_order_relaxed)) {}
}

void *mem_new(size_t bytes, const char *what) {
    check_allowed(bytes, what);
    void *p = calloc(1, bytes ? bytes : 1);
    if (!p) leave_without_memory(bytes, what);
    count(p, 1);
    return p;
}

void *mem_grow(void *p, size_t old_bytes, size_t bytes, const char *what) {
    if (!p) return mem_new(bytes, what);
    check_allowed(bytes, what);
    count(p, -1);
    void *grown = realloc(p, bytes ? bytes : 1);
    if (!grown) leave_without_memory(bytes, what);
    count(grown, 1);
    if (bytes > old_bytes) memset((char *)grown + old_bytes, 0, bytes - old_bytes);
    return grown;
}

void mem_free(void *p) {
    if (!p) return;
    count(p, -1);
    free(p);
}

void mem_refuse(int on) { atomic_store(&refused, on); }

void mem_leave(int on) { has_leave = on; }

size_t mem_peak_bytes(void) { return atomic_load_explicit(&peak_bytes, memory_order_relaxed); }

void mem_peak_begin(void) { atomic_store(&peak_bytes, mem_live_bytes()); }

size_t mem_live_bytes(void) { return atomic_load_explicit(&live_bytes, memory_order_relaxed); }

int size_mul(size_t a, size_t b, size_t *out) { return !__builtin_mul_overflow(a, b, out); }
int size_add(size_t a, size_t b, size_t *out) { return !__builtin_add_overflow(a, b, out); }
