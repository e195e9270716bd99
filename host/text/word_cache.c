/* word_cache.c - a word has one place, by its hash; who comes later takes it. */
#include <string.h>

#include "text/word_cache.h"
#include "base/hash.h"

#define N_WORDS 8192
#define WORD_BYTES 32 /* longer words are cut anew each time, and those of more pieces */
#define WORD_PIECES 8

typedef struct {
    uint8_t n_bytes, n_pieces; /* n_bytes 0: nothing is here */
    char bytes[WORD_BYTES];
    piece piece[WORD_PIECES];
} entry;

struct word_cache {
    entry entry[N_WORDS];
    char owner[65]; /* fingerprint of the tokenizer */
    cut_scratch scratch;
    pieces pieces;
};

void cut_scratch_free(cut_scratch *s) {
    vec_free(&s->number);
    vec_free(&s->heap);
    vec_free(&s->score);
}

word_cache *word_cache_new(void) { return mem_new(sizeof(word_cache), "words seen"); }

void word_cache_free(word_cache *c) {
    if (!c) return;
    cut_scratch_free(&c->scratch);
    vec_free(&c->pieces);
    mem_free(c);
}

const piece *word_cache_cut(word_cache *c, const tokenizer *t, str word, int *n) {
    if (memcmp(c->owner, t->sha256, sizeof c->owner)) {
        for (int i = 0; i < N_WORDS; i++) c->entry[i].n_bytes = 0;
        memcpy(c->owner, t->sha256, sizeof c->owner);
    }
    entry *e = word.n <= WORD_BYTES ? &c->entry[hash64(word.p, word.n, 0) & (N_WORDS - 1)] : NULL;
    if (e && e->n_bytes == word.n && !memcmp(e->bytes, word.p, word.n)) {
        *n = e->n_pieces;
        return e->piece;
    }
    t->model->cut(t, word, &c->scratch, &c->pieces);
    *n = (int)c->pieces.n;
    if (e && c->pieces.n <= WORD_PIECES) {
        e->n_bytes = (uint8_t)word.n;
        e->n_pieces = (uint8_t)c->pieces.n;
        memcpy(e->bytes, word.p, word.n);
        if (c->pieces.n) memcpy(e->piece, c->pieces.p, c->pieces.n * sizeof *e->piece);
    }
    return c->pieces.p;
}
