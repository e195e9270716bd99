/* vocab_write.h - the files of a tokenizer whose vocabulary was trained. */
#ifndef TEXT_VOCAB_WRITE_H
#define TEXT_VOCAB_WRITE_H
#include "text/vocab_merge.h"
#include "text/vocab_train.h"

/* Special tokens by kind, in the order of their ids; the roles they have are the keys of tokenizer_config.json. */
typedef struct {
    str token[5];
    const char *role[5]; /* NULL: the role of <|endoftext|>, which has three */
    int n;
} special_tokens;
const special_tokens *vocab_special(vocab_kind kind);

typedef struct {
    const vocab *vocab;
    const double *score; /* Unigram: by id */
    const learned_merge *merge;
    int n_merges;
} trained_vocab;
hone_status vocab_write(const vocab_options *o, const trained_vocab *v, hone_err *err);
#endif
