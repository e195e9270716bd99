/* word_table.c - at most half of the slots are taken. */
#include <string.h>

#include "text/word_table.h"
#include "base/mem.h"

void word_table_free(word_table *t) {
    mem_free(t->slot);
    text_free(&t->bytes);
    *t = (word_table){0};
}

static void grow(word_table *t) {
    const size_t n = t->n_slots ? 2 * t->n_slots : 4096;
    word_slot *more = mem_new(n * sizeof *more, "words");
    for (size_t i = 0; i < t->n_slots; i++) {
        if (!t->slot[i].n) continue;
        size_t h = t->slot[i].hash & (n - 1);
        while (more[h].n) h = (h + 1) & (n - 1);
        more[h] = t->slot[i];
    }
    mem_free(t->slot);
    t->slot = more;
    t->n_slots = n;
}

void word_table_add(word_table *t, str word, uint64_t hash, int64_t count) {
    if (2 * (t->n_words + 1) > t->n_slots) grow(t);
    size_t h = hash & (t->n_slots - 1);
    for (; t->slot[h].n; h = (h + 1) & (t->n_slots - 1)) {
        word_slot *s = &t->slot[h];
        if (s->hash == hash && s->n == word.n && !memcmp(t->bytes.p + s->at, word.p, word.n)) {
            s->count += count;
            return;
        }
    }
    t->slot[h] = (word_slot){hash, t->bytes.n, word.n, count};
    text_add(&t->bytes, word.p, word.n);
    t->n_words++;
}
