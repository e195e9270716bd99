/* wire.c - parts small enough that many ranks need little memory, and large enough that a launch is worth its while. */
#include "plan/wire.h"

#define ELEMENTS_MOST ((int64_t)1 << 23) /* of all ranks' parts that are under way */
#define PART_MOST ((int64_t)1 << 20)
#define ALIGN 64

int64_t wire_part(const wire_limits *w, int64_t n_elements) {
    const int n = w->n_ranks > 0 ? w->n_ranks : 1;
    const int64_t own = (n_elements + n - 1) / n, most = ELEMENTS_MOST / n < PART_MOST ? ELEMENTS_MOST / n : PART_MOST;
    /* parts end at multiples of 64 elements, so the largest may have 64 more than its share */
    return own + ALIGN < most ? (own + 2 * ALIGN - 1) / ALIGN * ALIGN : most / ALIGN * ALIGN;
}

wire_places wire_at(const wire_limits *w, int64_t n_elements, void *slab) {
    const size_t part = (size_t)wire_part(w, n_elements);
    char *p = slab;
    wire_places at = {(float *)slab, NULL, NULL, NULL};
    p += (size_t)w->n_nodes * part * sizeof(float);
    at.out = p;
    at.in = p + (size_t)w->n_ranks * part * 2;
    at.rounded = p + 2 * (size_t)w->n_ranks * part * 2;
    return at;
}

size_t wire_bytes(const wire_limits *w, int64_t n_elements) {
    const size_t part = (size_t)wire_part(w, n_elements), halves = w->bf16 ? 2 * (size_t)w->n_ranks + 1 : 0;
    return w->n_ranks ? (size_t)w->n_nodes * part * sizeof(float) + halves * part * 2 : 0;
}
