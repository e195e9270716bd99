/* normalize.h - BERT's normalisation: text in, cleaned text out, with the place that every character came
 * from.
 *
 * Order, as BertNormalizer has it: clean_text, spaces around CJK characters, decomposition and stripping of
 * accents, lower-casing. */
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
void characters_free(characters *c);
#endif
