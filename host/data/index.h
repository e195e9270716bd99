/* index.h - strings to numbers: a hash table with open addressing, for column names, labels and duplicates.
 *
 * Keys are borrowed and must outlive the index. Numbers are given in order of first appearance, from 0. */
#ifndef DATA_INDEX_H
#define DATA_INDEX_H
#include "base/str.h"

typedef struct {
    str *key; /* [n] in order of number */
    int64_t n, cap;
    int64_t *slot; /* private: number + 1, 0 free */
    int64_t n_slots;
} str_index;

int64_t str_index_find(const str_index *x, str key); /* -1: not there */
int64_t str_index_add(str_index *x, str key,
                      int *was_there); /* its number, new or old; was_there may be NULL */
void str_index_free(str_index *x);     /* of a zeroed one: fine */
#endif
