/* outside.h - the rows that belong to no sequence. */
#ifndef CPU_OUTSIDE_H
#define CPU_OUTSIDE_H
#include "cpu.h"

static inline int is_inside(const hone_tensor *at, int64_t n) {
    for (int64_t b = 0; b < at->dim[0]; b++) {
        const hone_range r = ranges(at)[b];
        if (n >= r.first && n < (int64_t)r.first + r.n) return 1;
    }
    return 0;
}

/* Calls visit(arg, first, n) for ranges of rows that make up the rows in no sequence. A batch packs its
 * sequences in ascending order, which makes this one pass; other orders are searched row by row. */
static inline __attribute__((unused)) void visit_outside(const hone_tensor *at, int64_t n_rows,
                                                         void (*visit)(void *arg, int64_t first, int64_t n),
                                                         void *arg) {
    int64_t end = 0;
    int is_ascending = 1;
    for (int64_t b = 0; b < at->dim[0]; b++) {
        const hone_range r = ranges(at)[b];
        if (r.n < 1) continue;
        is_ascending &= r.first >= end;
        end = (int64_t)r.first + r.n;
    }
    if (!is_ascending) {
        for (int64_t n = 0; n < n_rows; n++)
            if (!is_inside(at, n)) visit(arg, n, 1);
        return;
    }
    end = 0;
    for (int64_t b = 0; b < at->dim[0]; b++) {
        const hone_range r = ranges(at)[b];
        if (r.n < 1) continue;
        if (r.first > end) visit(arg, end, r.first - end);
        end = (int64_t)r.first + r.n;
    }
    if (end < n_rows) visit(arg, end, n_rows - end);
}

/* A visit: zeros in these rows of a tensor. */
static inline __attribute__((unused)) void zero_rows(void *arg, int64_t first, int64_t n) {
    const hone_tensor *t = arg;
    for (int64_t r = first; r < first + n; r++)
        __builtin_memset(cell(t, r, 0), 0, (size_t)(width(t) * element_bytes(t)));
}
#endif
