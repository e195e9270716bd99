/* wordpiece.c - the longest piece that the vocabulary has, again and again; a word that cannot be cut so is
 * [UNK]. */
#include <string.h>

#include "text/tokenizer_parts.h"

#define WORD_BYTES (4 * WORDPIECE_MAX_CHARS)

/* Piece by piece; 0: some part of the word is no piece. */
static int cut_word(const tokenizer *t, str word, pieces *out) {
    char piece_bytes[WORD_BYTES + 64];
    memcpy(piece_bytes, t->prefix.p, t->prefix.n);
    for (size_t i = 0; i < word.n;) {
        int id = -1;
        size_t k = word.n;
        const size_t prefix = i ? t->prefix.n : 0, longest = (size_t)t->vocab.longest;
        if (k - i + prefix > longest) k = longest > prefix ? i + longest - prefix : i;
        if (i) memcpy(piece_bytes + prefix, word.p + i, k - i);
        for (; k > i; k--) {
            if (k < word.n && ((uint8_t)word.p[k] & 0xc0) == 0x80) continue; /* not within a character */
            id = vocab_find(&t->vocab, i ? piece_bytes : word.p, k - i + prefix);
            if (id >= 0 && id < t->n_model) break;
            id = -1;
        }
        if (id < 0) return 0;
        vec_push(out, (piece){id, (int32_t)k});
        i = k;
    }
    return 1;
}

static void cut_wordpiece(const tokenizer *t, str word, cut_scratch *s, pieces *out) {
    (void)s;
    int n_chars = 0;
    for (size_t i = 0; i < word.n && n_chars <= t->max_chars; i++)
        n_chars += ((uint8_t)word.p[i] & 0xc0) != 0x80;
    out->n = 0;
    if (n_chars <= t->max_chars && cut_word(t, word, out)) return;
    out->n = 0;
    vec_push(out, (piece){t->unk, (int32_t)word.n});
}

const model_kind wordpiece_kind = {"WordPiece", cut_wordpiece};
