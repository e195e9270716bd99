/* tokenizer_vocab.c - vocab.txt with tokenizer_config.json, as transformers' BertTokenizer reads them. */
#include <string.h>

#include "text/added.h"
#include "base/err.h"
#include "base/file.h"

hone_status tokenizer_from_vocab(const json **out, tokenizer *t, const char *folder, hone_err *err) {
    static const char *const keys[] = {"unk_token", "sep_token", "pad_token", "cls_token", "mask_token"};
    static const char *const presets[] = {"[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"};
    const char *path = path_join(t->a, folder, "vocab.txt");
    int id[5];
    HONE_TRY(tokenizer_read_config(out, t, folder, err));
    const json *config = *out;
    HONE_TRY(vocab_read(&t->vocab, t->a, path, err));
    t->n_model = t->vocab.n;
    for (int i = 0; i < 5; i++) {
        const str token = tokenizer_config_token(config, keys[i], presets[i]);
        char safe[64];
        id[i] = vocab_find(&t->vocab, token.p, token.n);
        if (id[i] < 0 && (i == 0 || i == 1 || i == 3))
            return hone_fail(err, HONE_EUSAGE, "%s: no \"%s\" (%s) among %d tokens", path,
                             text_escape(safe, sizeof safe, token.p, token.n), keys[i], t->vocab.n);
        const added_token x = {.content = token, .id = id[i], .special = 1};
        if (id[i] >= 0) added_put(t, &x);
    }
    t->model = &wordpiece_kind;
    t->unk = id[0];
    t->prefix = STR("##");
    t->max_chars = 100;
    t->decoder[t->n_decoder++] = (decode_step){.kind = DECODE_WORDPIECE, .prefix = STR("##"), .cleanup = 1};
    t->normalizer.n = 1;
    t->normalizer.step[0] =
        (normalize_step){.kind = NORMALIZE_BERT, .bert = tokenizer_config_options(config)};
    t->pretokenizer.cut = CUT_BERT;
    tokenizer_set_template(t, id[3], id[1]);
    return tokenizer_check_listed(t, config, folder, err);
}
