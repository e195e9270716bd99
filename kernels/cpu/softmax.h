/* softmax.h - the largest of a row, and the sum of exp(x - largest). */
#ifndef CPU_SOFTMAX_H
#define CPU_SOFTMAX_H
#include "vec.h"
#include "cpu.h"

#define SOFTMAX_ROWS 8 /* rows of an item */

static inline __attribute__((unused)) float softmax_top(const void *x, int64_t n, int bf) {
    vf top = vf_set(-__builtin_inff());
    int64_t i = 0;
    for (; i + VW <= n; i += VW) top = vf_max(ld(x, i, bf), top);
    float most_of_all = vf_top(top);
    const vf rest = i < n ? ld_n(x, i, n - i, bf) : vf_set(0);
    for (int lane = 0; lane < n - i; lane++)
        most_of_all = rest[lane] > most_of_all ? rest[lane] : most_of_all;
    return most_of_all;
}

static inline __attribute__((unused)) float softmax_sum(const void *x, int64_t n, float top, int bf) {
    vf sum = vf_set(0);
    for (int64_t i = 0; i < n; i += VW) sum += vf_first(vf_exp(ld_n(x, i, n - i, bf) - top), n - i);
    return vf_sum(sum);
}
#endif
