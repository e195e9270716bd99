/* vec.h - a growing array of any type, by macro:  VEC(int) ids = {0};  vec_push(&ids, 3);  ids.p[i], ids.n;  vec_free(&ids); */
#ifndef BASE_VEC_H
#define BASE_VEC_H
#include "base/mem.h"

#define VEC(type)                                                                                            \
    struct {                                                                                                 \
        type *p;                                                                                             \
        size_t n, cap;                                                                                       \
    }
void vec_reserve_bytes(void **p, size_t *cap, size_t n, size_t item); /* room for n items */
#define vec_reserve(v, want) vec_reserve_bytes((void **)&(v)->p, &(v)->cap, (want), sizeof *(v)->p)
#define vec_push(v, ...)                                                                                     \
    do {                                                                                                     \
        if ((v)->n == (v)->cap) vec_reserve((v), (v)->n + 1);                                                \
        (v)->p[(v)->n++] = (__VA_ARGS__);                                                                    \
    } while (0)
#define vec_free(v) (mem_free((v)->p), (v)->p = NULL, (v)->n = (v)->cap = 0)
#endif
