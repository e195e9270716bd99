/* charsmap.h - SentencePiece's precompiled map of characters (nmt_nfkc and its like), as it lies in tokenizer.json.
 *
 * Bytes: size of the trie in bytes (u32), the trie (darts-clone's double array of u32), then the replacements, each
 * ending with NUL; a leaf's value is where its replacement begins. */
#ifndef TEXT_CHARSMAP_H
#define TEXT_CHARSMAP_H
#include "base/arena.h"
#include "text/normalizer.h"

/* Decode base64 text and look at every unit that matters; NULL: it is no such map, *what says why. */
const charsmap *charsmap_read(arena *a, str base64, const char **what);
/* The replacement of the shortest prefix of key that the map holds: 1, or 0: none. */
int charsmap_find(const charsmap *m, str key, str *out);
/* What the library does with it: a grapheme cluster of less than 6 bytes is looked up as a whole, and where that
 * finds anything all of it is replaced; else each character is looked up. */
void charsmap_run(const charsmap *m, const characters *in, edits *out);
#endif
