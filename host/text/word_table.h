/* word_table.h - texts and how often each was seen: open addressing, with the bytes in one pool. */
#ifndef TEXT_WORD_TABLE_H
#define TEXT_WORD_TABLE_H
#include "base/str.h"

typedef struct {
    uint64_t hash;
    size_t at, n; /* bytes in the pool; n 0: the slot is empty */
    int64_t count;
} word_slot;

typedef struct {
    word_slot *slot;
    size_t n_slots, n_words;
    text bytes;
} word_table;

/* A word of 1 byte or more with its hash64 was seen count times more. */
void word_table_add(word_table *t, str word, uint64_t hash, int64_t count);
void word_table_free(word_table *t); /* of a zeroed one: fine */
#endif
