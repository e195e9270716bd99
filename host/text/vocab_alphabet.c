/* vocab_alphabet.c - which characters a vocabulary knows. */
#include <stdlib.h>

#include "text/vocab_merge.h"

typedef struct {
    uint32_t code;
    int64_t count;
} character_count;

static int compare_counts(const void *a, const void *b) {
    const character_count *x = a, *y = b;
    return x->count != y->count ? (x->count > y->count ? -1 : 1) : x->code < y->code ? -1 : 1;
}

static int compare_codes(const void *a, const void *b) {
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

uint32_t *vocab_alphabet(arena *a, const word_count *word, size_t n_words, int max, int *n) {
    int64_t *count = mem_new(sizeof *count * 0x110000, "characters");
    character_count *known = mem_new(sizeof *known * 0x110000, "characters");
    int n_known = 0;
    for (size_t i = 0; i < n_words; i++) {
        const str w = word[i].word;
        for (size_t k = 0; k < w.n;) {
            uint32_t code;
            const int bytes = utf8_decode(w.p + k, w.n - k, &code);
            if (bytes) count[code] += word[i].count;
            k += bytes ? (size_t)bytes : 1;
        }
    }
    for (uint32_t code = 0; code < 0x110000; code++)
        if (count[code]) known[n_known++] = (character_count){code, count[code]};
    qsort(known, (size_t)n_known, sizeof *known, compare_counts);
    *n = max && n_known > max ? max : n_known;
    uint32_t *out = ARENA_ARRAY(a, (size_t)*n + 1, uint32_t);
    for (int i = 0; i < *n; i++) out[i] = known[i].code;
    qsort(out, (size_t)*n, sizeof *out, compare_codes);
    mem_free(count);
    mem_free(known);
    return out;
}
