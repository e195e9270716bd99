/* own.h - which part of a flat range of elements is whose.
 *
 * Rank r of n has the elements own_first(all, r, n) .. own_first(all, r + 1, n) - 1: parts in rank order that differ by
 * at most 64 elements but for the last, and begin at multiples of 64. */
#ifndef RUN_OWN_H
#define RUN_OWN_H
#include <stdint.h>

static inline int64_t own_first(int64_t all, int rank, int n) {
    return rank < n ? all * rank / n / 64 * 64 : all;
}
#endif
