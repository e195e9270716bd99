/* decode.c - ids to text, as the library's WordPiece decoder has it. */
#include <string.h>

#include "text/added.h"

/* The clean-up of what tokenizing spread, one replacement after the other, of one token's text at a time. */
static const struct {
    const char *from, *to;
} repairs[] = {{" .", "."},   {" ?", "?"},     {" !", "!"},    {" ,", ","},
               {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},  {" do not", " don't"},
               {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};

static void replace_all(text *t, const char *from, const char *to, text *spare) {
    const size_t n = strlen(from);
    size_t done = 0;
    text_clear(spare);
    for (size_t i = 0; i + n <= t->n;) {
        if (memcmp(t->p + i, from, n)) {
            i++;
            continue;
        }
        text_add(spare, t->p + done, i - done);
        text_str(spare, to);
        done = i += n;
    }
    if (!done) return;
    text_add(spare, t->p + done, t->n - done);
    const text swap = *t;
    *t = *spare;
    *spare = swap;
}

static int begins_with(str s, str prefix) { return s.n >= prefix.n && !memcmp(s.p, prefix.p, prefix.n); }

void tokenizer_decode(const tokenizer *t, const int32_t *ids, int n, int skip_special, text *out) {
    text piece = {0}, spare = {0};
    int first = 1;
    for (int i = 0; i < n; i++) {
        const str token = tokenizer_token(t, ids[i]);
        const added_token *added = added_by_id(t, ids[i]);
        if (!token.n || (skip_special && added && added->left_out)) continue;
        text_clear(&piece);
        if (!first && t->has_decoder && begins_with(token, t->decoder_prefix)) {
            text_add(&piece, token.p + t->decoder_prefix.n, token.n - t->decoder_prefix.n);
        } else {
            if (!first) text_add(&piece, " ", 1);
            text_add(&piece, token.p, token.n);
        }
        if (t->has_decoder && t->cleanup && piece.n)
            for (size_t k = 0; k < sizeof repairs / sizeof *repairs; k++)
                replace_all(&piece, repairs[k].from, repairs[k].to, &spare);
        if (piece.n) text_add(out, piece.p, piece.n);
        first = 0;
    }
    text_free(&piece);
    text_free(&spare);
}
