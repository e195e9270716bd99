/* normalize.h - text as characters with the places that they came from, and BERT's normalisation of it.
 *
 * Order, as BertNormalizer has it: clean_text, spaces around CJK characters, decomposition and stripping of
 * accents, lower-casing. What other normalizers do is in normalizer.h. */
#ifndef TEXT_NORMALIZE_H
#define TEXT_NORMALIZE_H
#include "base/str.h"

typedef struct {
    int clean_text, chinese_chars, strip_accents, lowercase;
} normalize_options;

/* Characters, each with the bytes [from, to) of the text that it came from. */
typedef struct {
    uint32_t *code;
    int32_t *from, *to;
    size_t n, cap;
} characters;

/* Append the characters of s; at: offset of s in the text. options NULL: as they are. */
void normalize_text(characters *out, const normalize_options *options, str s, size_t at);
void characters_reserve(characters *c, size_t more); /* room for so many more than n */
static inline void characters_put(characters *c, uint32_t code, int32_t from, int32_t to) {
    c->code[c->n] = code;
    c->from[c->n] = from;
    c->to[c->n++] = to;
}
void characters_free(characters *c);
#endif
