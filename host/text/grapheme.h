/* grapheme.h - where a grapheme cluster ends (Unicode, annex 29), which a map of characters asks for. Clusters of
 * Indic conjuncts (rule GB9c) are not joined: no cluster of less than 6 bytes holds one, and others are not used. */
#ifndef TEXT_GRAPHEME_H
#define TEXT_GRAPHEME_H
#include <stddef.h>
#include <stdint.h>

size_t grapheme_end(const uint32_t *code, size_t at, size_t n); /* of the cluster that begins at `at` < n */
#endif
