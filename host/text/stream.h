/* stream.h - ids to text while they come, one by one, behind a prompt.
 *
 * What is handed out is final: the pieces put together are what tokenizer_decode makes of prompt and ids, without what is
 * final of the prompt alone. So a piece never ends inside a character, and waits for whatever a decoder may still change. */
#ifndef TEXT_STREAM_H
#define TEXT_STREAM_H
#include "base/vec.h"
#include "text/tokenizer.h"

typedef struct {
    const tokenizer *tok;
    VEC(int32_t) id; /* prompt and all since */
    text now;    /* what they are as text, special tokens left out */
    size_t from; /* where in it the text begins that is not the prompt's */
    size_t said; /* up to where it has been handed out */
} token_stream;

void stream_begin(token_stream *s, const tokenizer *t, const int32_t *prompt, int n); /* of a zeroed one, or anew */
void stream_add(token_stream *s, int32_t id);
void stream_copy(token_stream *to, const token_stream *from); /* to: a zeroed one, or anew */
str stream_text(const token_stream *s);  /* of the ids behind the prompt, the last of which may be half a character */
str stream_piece(token_stream *s, int at_end); /* what is final now (at the end: all) and was not handed out yet */
void stream_free(token_stream *s);
#endif
