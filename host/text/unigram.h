/* unigram.h - a word is cut where the sum of its pieces' scores (logarithms of probabilities) is greatest. */
#ifndef TEXT_UNIGRAM_H
#define TEXT_UNIGRAM_H
#include "text/tokenizer_parts.h"

#define UNIGRAM_UNKNOWN 10.0 /* an unknown character scores so much below the least score */

/* A tree of the vocabulary's bytes. The children of a node stand side by side, sorted. */
typedef struct {
    int32_t child, id; /* first child; token that ends here, -1: none */
    int16_t n;         /* children */
    uint8_t byte;
} trie_node;

struct unigram_model {
    const double *score; /* by id */
    double unknown;      /* score of an unknown character */
    int byte_fallback;
    int32_t fallback_id[256]; /* of "<0x0A>"; -1: none */
    trie_node *node;          /* the root is 0 */
};

/* score[i]: of token i of the vocabulary, of which there are n. Borrowed. */
const unigram_model *unigram_build(arena *a, const vocab *v, int n, const double *score, int byte_fallback);
/* The child of a node by byte, 0: none. */
static inline int32_t trie_step(const trie_node *node, int32_t at, uint8_t byte) {
    int32_t low = node[at].child, high = low + node[at].n;
    while (low < high) {
        const int32_t mid = low + (high - low) / 2;
        if (node[mid].byte < byte) low = mid + 1;
        else high = mid;
    }
    return low < node[at].child + node[at].n && node[low].byte == byte ? low : 0;
}
#endif
