/* word_cache.h - the pieces of words seen lately: most words of a text were met before. One a thread. */
#ifndef TEXT_WORD_CACHE_H
#define TEXT_WORD_CACHE_H
#include "text/tokenizer_parts.h"

typedef struct word_cache word_cache;
word_cache *word_cache_new(void);
void word_cache_free(word_cache *c); /* NULL is fine */
/* The pieces of a word of 1 byte or more, n of them; valid until the next call. Another tokenizer than that of the call
 * before is known by its fingerprint. */
const piece *word_cache_cut(word_cache *c, const tokenizer *t, str word, int *n);
#endif
