/* vocab_train.c - count words, learn, write. */
#include "text/vocab_train.h"
#include "text/vocab_count.h"
#include "text/vocab_merge.h"
#include "text/vocab_pieces.h"
#include "text/vocab_write.h"
#include "base/err.h"

/* What text goes through before it is cut, as the written tokenizer.json says it. */
static count_options counting(const vocab_options *o) {
    static const uint32_t blank[] = {' '};
    count_options c = {.file = o->file, .n_files = o->n_files, .max_words = o->max_words};
    switch (o->kind) {
    case VOCAB_WORDPIECE:
        c.normalizer = (normalizer){
            .step = {{.kind = NORMALIZE_BERT, .bert = {1, 1, o->lowercase, o->lowercase}}}, .n = 1};
        c.pretokenizer = (pretokenizer){.cut = CUT_BERT};
        break;
    case VOCAB_GPT2:
    case VOCAB_ROBERTA:
        c.pretokenizer = (pretokenizer){.cut = CUT_GPT2, .bytes = 1, .prefix_space = o->prefix_space};
        c.with_newline = 1;
        break;
    case VOCAB_UNIGRAM:
        c.normalizer = (normalizer){
            .step =
                {{.kind = NORMALIZE_NMT},
                 {.kind = NORMALIZE_NFKC},
                 {.kind = NORMALIZE_REPLACE, .from = blank, .n_from = 1, .least = 2, .to = blank, .n_to = 1}},
            .n = 3};
        c.pretokenizer = (pretokenizer){.mark = 0x2581, .scheme = MARK_ALWAYS, .at_marks = 1};
        break;
    case VOCAB_MOLECULES:
        c.pretokenizer = (pretokenizer){.cut = CUT_SMILES};
        break;
    case VOCAB_CHARACTERS:
        break;
    }
    return c;
}

static hone_status too_small(const vocab_options *o, int need, hone_err *err) {
    return hone_fail(err, HONE_EUSAGE,
                     "--size %d: special tokens and single characters are %d, expected more than those",
                     o->size, need);
}

static hone_status by_merges(vocab_report *out, const vocab_options *o, const word_count *word, size_t n,
                             hone_err *err) {
    const special_tokens *s = vocab_special(o->kind);
    const int by_characters = o->kind == VOCAB_WORDPIECE;
    const merge_options m = {.size = o->size,
                             .min_count = o->min_count,
                             .max_characters = o->max_characters,
                             .prefix = by_characters ? "##" : "",
                             .bytes = !by_characters,
                             .special = s->token,
                             .n_special = s->n};
    learned_merges *learned = NULL;
    const uint64_t start = clock_ns();
    HONE_TRY(vocab_merge(&learned, word, n, &m, err));
    const trained_vocab v = {
        .vocab = &learned->vocab, .merge = learned->merge, .n_merges = learned->n_merges};
    out->train_s = (double)(clock_ns() - start) * 1e-9;
    out->size = learned->vocab.n;
    out->n_merges = learned->n_merges;
    const hone_status status =
        learned->vocab.n > o->size ? too_small(o, learned->vocab.n, err) : vocab_write(o, &v, err);
    vocab_merge_free(learned);
    return status;
}

static hone_status by_pieces(vocab_report *out, const vocab_options *o, const word_count *word, size_t n,
                             pool *p, hone_err *err) {
    const special_tokens *s = vocab_special(o->kind);
    const piece_options m = {.size = o->size,
                             .min_count = o->min_count,
                             .max_characters = o->max_characters,
                             .special = s->token,
                             .n_special = s->n};
    learned_pieces *learned = NULL;
    const uint64_t start = clock_ns();
    HONE_TRY(vocab_pieces(&learned, word, n, &m, p, err));
    const trained_vocab v = {.vocab = &learned->vocab, .score = learned->score};
    out->train_s = (double)(clock_ns() - start) * 1e-9;
    out->size = learned->vocab.n;
    const hone_status status =
        learned->vocab.n > o->size ? too_small(o, learned->vocab.n, err) : vocab_write(o, &v, err);
    vocab_pieces_free(learned);
    return status;
}

/* Whole words (symbols of molecules, the commonest first) or single characters (by code point) are the tokens. */
static hone_status as_they_are(vocab_report *out, const vocab_options *o, const word_count *word, size_t n,
                               hone_err *err) {
    arena *a = arena_new("vocabulary");
    const special_tokens *s = vocab_special(o->kind);
    vocab v;
    int clash, n_codes = 0;
    vocab_init(&v, a, o->size);
    for (int i = 0; i < s->n; i++) vocab_add(&v, a, s->token[i], v.n, &clash);
    for (size_t i = 0; i < n && v.n < o->size && o->kind == VOCAB_MOLECULES && word[i].count >= o->min_count;
         i++)
        vocab_add(&v, a, word[i].word, v.n, &clash);
    const uint32_t *code = o->kind == VOCAB_CHARACTERS
                               ? vocab_alphabet(a, word, n, o->size > s->n ? o->size - s->n : 1, &n_codes)
                               : NULL;
    for (int i = 0; i < n_codes && v.n < o->size; i++) {
        char c[4];
        const size_t bytes = (size_t)utf8_encode(code[i], c);
        vocab_add(&v, a, (str){arena_copy(a, c, bytes), bytes}, v.n, &clash);
    }
    const trained_vocab trained = {.vocab = &v};
    out->size = v.n;
    const hone_status status = v.n > o->size ? too_small(o, v.n, err) : vocab_write(o, &trained, err);
    arena_free(a);
    return status;
}

hone_status vocab_train(vocab_report *out, const vocab_options *o, pool *p, hone_err *err) {
    const count_options c = counting(o);
    word_counts *counts = NULL;
    size_t n = 0;
    *out = (vocab_report){0};
    const uint64_t start = clock_ns();
    HONE_TRY(vocab_count(&counts, &c, p, err));
    const word_count *word = vocab_counted(counts, &n);
    out->count_s = (double)(clock_ns() - start) * 1e-9;
    out->n_bytes = vocab_counted_bytes(counts);
    out->n_lines = vocab_counted_lines(counts);
    out->n_words = (int64_t)n;
    out->n_forgotten = vocab_forgotten(counts);
    hone_status status;
    if (!n) status = hone_fail(err, HONE_EDATA, "%s: no words, expected text", o->file[0]);
    else if (o->kind <= VOCAB_ROBERTA) status = by_merges(out, o, word, n, err);
    else if (o->kind == VOCAB_UNIGRAM) status = by_pieces(out, o, word, n, p, err);
    else status = as_they_are(out, o, word, n, err);
    out->write_s = (double)(clock_ns() - start) * 1e-9 - out->count_s - out->train_s;
    vocab_count_free(counts);
    return status;
}
