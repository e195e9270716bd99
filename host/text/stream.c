/* stream.c - the whole text is decoded anew for every id: at a few hundred nanoseconds a token that is nothing beside what a
 * model takes to think of one, and no decoder needs a second form that remembers. */
#include <string.h>

#include "text/stream.h"
#include "text/added.h"

static void decode(token_stream *s) {
    text_clear(&s->now);
    tokenizer_decode(s->tok, s->id.p, (int)s->id.n, 1, &s->now);
}

void stream_add(token_stream *s, const int32_t *id, int n) {
    for (int i = 0; i < n; i++) vec_push(&s->id, id[i]);
    decode(s);
}

str stream_text(const token_stream *s) {
    return s->now.n > s->from ? (str){s->now.p + s->from, s->now.n - s->from} : (str){"", 0};
}

/* Bytes of tokens like <0xE4> are a text only together: until another token ends their run (one that is left out does not),
 * all of it is open. */
static size_t open_run(const token_stream *s) {
    const tokenizer *t = s->tok;
    size_t first = s->id.n;
    int falls_back = 0;
    for (int k = 0; k < t->n_decoder; k++) falls_back |= t->decoder[k].kind == DECODE_BYTE_FALLBACK;
    for (size_t i = s->id.n; falls_back && i-- > 0;) {
        const str token = tokenizer_token(t, s->id.p[i]);
        const added_token *added = added_by_id(t, s->id.p[i]);
        if (!token.n || (added && added->left_out)) continue;
        if (token.n != 6 || memcmp(token.p, "<0x", 3)) break;
        first = i;
    }
    return first;
}

/* Up to where the text stays as it is whatever comes. */
static size_t settled(const token_stream *s) {
    static const char unknown[] = "\xef\xbf\xbd"; /* what half a character is decoded to */
    const size_t closed = open_run(s), end = s->now.n;
    if (closed == s->id.n) return end >= 3 && !memcmp(s->now.p + end - 3, unknown, 3) ? end - 3 : end;
    text whole = {0};
    tokenizer_decode(s->tok, s->id.p, (int)closed, 1, &whole);
    const size_t n = whole.n;
    text_free(&whole);
    return n;
}

void stream_begin(token_stream *s, const tokenizer *t, const int32_t *prompt, int n) {
    s->tok = t;
    s->id.n = 0;
    stream_add(s, prompt, n);
    s->from = settled(s);
}

size_t stream_final(const token_stream *s) {
    const size_t end = settled(s);
    return end > s->from ? end - s->from : 0;
}

void stream_free(token_stream *s) {
    vec_free(&s->id);
    text_free(&s->now);
}
