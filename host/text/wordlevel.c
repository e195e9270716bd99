/* wordlevel.c - a word is a token, or unknown. */
#include "text/tokenizer_parts.h"

static void cut_nothing(const tokenizer *t, str word, cut_scratch *s, pieces *out) {
    (void)s;
    const int id = vocab_find(&t->vocab, word.p, word.n);
    out->n = 0;
    vec_push(out, (piece){id >= 0 && id < t->n_model ? id : t->unk, (int32_t)word.n});
}

const model_kind wordlevel_kind = {"WordLevel", cut_nothing};
