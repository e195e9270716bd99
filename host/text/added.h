/* added.h - added tokens: found in text before the model sees it. */
#ifndef TEXT_ADDED_H
#define TEXT_ADDED_H
#include "text/tokenizer_parts.h"

/* Take one more added token. The last one of an id replaces those before it, as in the library. */
void added_put(tokenizer *t, const added_token *x);
/* After the last one: what is looked for, in the order in which it is tried. */
void added_prepare(tokenizer *t);
/* The added token that has this id, NULL: none. */
const added_token *added_by_id(const tokenizer *t, int id);

/* A stretch of characters: an added token (id 0 or more) or what lies between two of them (id -1). */
typedef struct {
    size_t first, end;
    int id;
} stretch;
/* The next stretch from *at on; 0: none is left. normalized: look for the tokens that are found in normalised
 * text. Matches are leftmost, then longest; a match that is refused as no whole word is passed over.
 * As in the library a token of white space may lie within what the token before it took by rstrip. */
typedef struct {
    const characters *c;
    int normalized;
    size_t done, at; /* handed out up to here; looked through up to here */
    stretch waiting; /* the token behind the stretch just handed out; end 0: none */
} added_search;
int added_next(const tokenizer *t, added_search *s, stretch *out);
#endif
