/* stream.h - ids to text while they come, one by one, behind a prompt.
 *
 * The text is what tokenizer_decode makes of prompt and ids, without what is final of the prompt alone. Final is what stays
 * as it is whatever comes: it never ends inside a character, and waits for all that a decoder may still change. */
#ifndef TEXT_STREAM_H
#define TEXT_STREAM_H
#include "base/vec.h"
#include "text/tokenizer.h"

typedef struct {
    const tokenizer *tok;
    VEC(int32_t) id; /* prompt and all since */
    text now;    /* what they are as text, special tokens left out */
    size_t from; /* where in it the text begins that is not the prompt's */
} token_stream;

void stream_begin(token_stream *s, const tokenizer *t, const int32_t *prompt, int n); /* of a zeroed one, or anew */
void stream_add(token_stream *s, const int32_t *id, int n);
str stream_text(const token_stream *s);     /* of the ids behind the prompt; a last half character is U+FFFD */
size_t stream_final(const token_stream *s); /* how many bytes of it are final */
void stream_free(token_stream *s);
#endif
