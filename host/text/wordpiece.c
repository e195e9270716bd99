/* wordpiece.c - the longest piece that the vocabulary has, again and again; a word that cannot be cut so is
 * [UNK]. */
#include <string.h>

#include "text/tokenizer_parts.h"
#include "base/mem.h"

#define WORD_BYTES                                                                                           \
    2048 /* a longer word has more than max_chars characters anyway, or is cut in a buffer of its own */

static void put_unknown(const tokenizer *t, const characters *c, size_t first, size_t end, int type,
                        encoding *e) {
    encoding_put(e, t->unk, type, c->from[first], c->to[end - 1], 0);
    e->n_unknown++;
}

/* Piece by piece over the bytes of the word; at[i]: byte at which its character i begins. */
static int cut_word(const tokenizer *t, const char *word, const int *at, int n, const characters *c,
                    size_t first, int type, encoding *e) {
    char piece[WORD_BYTES + 64];
    const int before = e->n;
    memcpy(piece, t->prefix.p, t->prefix.n);
    for (int i = 0; i < n;) {
        int id = -1, k = n;
        for (; k > i; k--) {
            const size_t bytes = (size_t)(at[k] - at[i]), with = bytes + (i ? t->prefix.n : 0);
            if ((int)with > t->vocab.longest) continue;
            if (i) {
                memcpy(piece + t->prefix.n, word + at[i], bytes);
                id = vocab_find(&t->vocab, piece, with);
            } else id = vocab_find(&t->vocab, word, bytes);
            if (id >= 0 && id < t->n_model) break;
            id = -1;
        }
        if (id < 0) {
            e->n = before;
            return 0;
        }
        encoding_put(e, id, type, c->from[first + (size_t)i], c->to[first + (size_t)k - 1], 0);
        i = k;
    }
    return 1;
}

static void encode_word(const tokenizer *t, const characters *c, size_t first, size_t end, int type,
                        encoding *e) {
    char word[WORD_BYTES + 8];
    int at[WORD_BYTES / 4 + 2], n = 0, bytes = 0;
    const size_t n_chars = end - first;
    if (n_chars > (size_t)t->max_chars || n_chars > WORD_BYTES / 4) {
        put_unknown(t, c, first, end, type, e);
        return;
    }
    for (size_t i = first; i < end; i++) {
        at[n++] = bytes;
        bytes += utf8_encode(c->code[i], word + bytes);
    }
    at[n] = bytes;
    if (!cut_word(t, word, at, n, c, first, type, e)) put_unknown(t, c, first, end, type, e);
}

const model_kind wordpiece_kind = {"WordPiece", encode_word};
