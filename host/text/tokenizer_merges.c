/* tokenizer_merges.c - vocab.json and merges.txt with tokenizer_config.json, as transformers' GPT2Tokenizer and
 * RobertaTokenizer read them. */
#include <string.h>

#include "text/added.h"
#include "text/bpe.h"
#include "base/err.h"
#include "base/file.h"

#define FILE_MAX ((size_t)256 << 20)

static hone_status read_vocab(tokenizer *t, const char *path, hone_err *err) {
    str s;
    const json *root;
    HONE_TRY(file_read(&s, t->a, path, FILE_MAX, HONE_EUSAGE, err));
    HONE_TRY(json_parse(&root, t->a, path, s.p, s.n, HONE_EUSAGE, err));
    if (root->kind != JSON_OBJECT || root->n > VOCAB_MAX)
        return hone_fail(err, HONE_EUSAGE, "%s: expected an object of tokens and ids", path);
    vocab_init(&t->vocab, t->a, (int)root->n);
    for (const json *e = root->child; e; e = e->next) {
        char shown[64];
        int clash;
        text_escape(shown, sizeof shown, e->key.p, e->key.n);
        if (!e->is_int || e->integer < 0 || e->integer >= VOCAB_MAX)
            return hone_fail(err, HONE_EUSAGE, "%s: byte %zu: id of \"%s\", expected an integer in [0, %d)",
                             path, e->offset, shown, VOCAB_MAX);
        if (!vocab_add(&t->vocab, t->a, e->key, (int)e->integer, &clash))
            return hone_fail(err, HONE_EUSAGE, "%s: byte %zu: id %lld of \"%s\" is given twice", path,
                             e->offset, (long long)e->integer, shown);
    }
    t->n_model = t->vocab.n;
    for (int id = 0; id < t->vocab.n; id++)
        if (!t->vocab.token[id].p) return hone_fail(err, HONE_EUSAGE, "%s: no token has id %d", path, id);
    return t->vocab.n ? HONE_OK : hone_fail(err, HONE_EUSAGE, "%s: no tokens", path);
}

static hone_status read_merges(tokenizer *t, const char *path, hone_err *err) {
    str s;
    size_t bad;
    int n_lines = 1, line = 0;
    HONE_TRY(file_read(&s, t->a, path, FILE_MAX, HONE_EUSAGE, err));
    if (!utf8_valid(s.p, s.n, &bad))
        return hone_fail(err, HONE_EUSAGE, "%s: byte %zu: invalid UTF-8", path, bad);
    for (size_t i = 0; i < s.n; i++) n_lines += s.p[i] == '\n';
    if (n_lines > VOCAB_MAX) return hone_fail(err, HONE_EUSAGE, "%s: more than %d lines", path, VOCAB_MAX);
    bpe_model *m = bpe_new(t->a, n_lines);
    for (size_t from = 0; from < s.n;) {
        const char *end = memchr(s.p + from, '\n', s.n - from);
        str x = {s.p + from, (end ? (size_t)(end - s.p) : s.n) - from};
        from += x.n + 1;
        line++;
        if (x.n && x.p[x.n - 1] == '\r') x.n--;
        if (x.n >= 8 && !memcmp(x.p, "#version", 8)) continue;
        const char *blank = memchr(x.p, ' ', x.n);
        const str first = {x.p, blank ? (size_t)(blank - x.p) : 0},
                  second = {blank ? blank + 1 : x.p, blank ? x.n - first.n - 1 : 0};
        if (!x.n && from >= s.n) break; /* an empty last line */
        if (!first.n || !second.n || memchr(second.p, ' ', second.n))
            return hone_fail(err, HONE_EUSAGE, "%s: line %d: expected two pieces with a blank between", path,
                             line);
        const char *what = bpe_add(m, &t->vocab, first, second);
        char shown[64];
        if (what)
            return hone_fail(err, HONE_EUSAGE, "%s: line %d: \"%s\": %s", path, line,
                             text_escape(shown, sizeof shown, x.p, x.n), what);
    }
    bpe_prepare(m, &t->vocab, 1);
    t->bpe = m;
    return HONE_OK;
}

static int has(const tokenizer *t, const char *token) {
    return vocab_find(&t->vocab, token, strlen(token)) >= 0;
}

/* The class that tokenizer_config.json names; without one, a vocabulary with RoBERTa's special tokens is RoBERTa's. */
static int is_roberta(const tokenizer *t, const json *config) {
    const json *class = json_get(config, "tokenizer_class");
    if (class && class->kind == JSON_STRING) return strstr(class->string.p, "Roberta") != NULL;
    return has(t, "<s>") && has(t, "</s>") && has(t, "<mask>");
}

/* A special token by its key of tokenizer_config.json; required: it must be in the vocabulary. *id: -1: not there. */
static hone_status add_special(tokenizer *t, const json *config, const char *key, const char *preset,
                               int required, int *id, const char *path, hone_err *err) {
    const str token = tokenizer_config_token(config, key, preset);
    const json *v = json_get(config, key);
    *id = vocab_find(&t->vocab, token.p, token.n);
    if (*id < 0) {
        char shown[64];
        if (!required) return HONE_OK;
        return hone_fail(err, HONE_EUSAGE, "%s: no \"%s\" (%s) among %d tokens", path,
                         text_escape(shown, sizeof shown, token.p, token.n), key, t->vocab.n);
    }
    const int as_object = v && v->kind == JSON_OBJECT;
    const added_token x = {.content = token,
                           .id = *id,
                           .special = 1,
                           .single_word = tokenizer_config_flag(as_object ? v : NULL, "single_word", 0),
                           .lstrip = tokenizer_config_flag(as_object ? v : NULL, "lstrip", 0),
                           .rstrip = tokenizer_config_flag(as_object ? v : NULL, "rstrip", 0)};
    added_put(t, &x);
    return HONE_OK;
}

hone_status tokenizer_from_merges(const json **out, tokenizer *t, const char *folder, hone_err *err) {
    static const char end[] = "<|endoftext|>";
    const char *words = path_join(t->a, folder, "vocab.json"),
               *merges = path_join(t->a, folder, "merges.txt");
    int id[5], any;
    HONE_TRY(tokenizer_read_config(out, t, folder, err));
    const json *config = *out;
    HONE_TRY(read_vocab(t, words, err));
    HONE_TRY(read_merges(t, merges, err));
    t->model = &bpe_kind;
    t->unk = -1; /* bytes know no unknown */
    t->pretokenizer = (pretokenizer){
        .cut = CUT_GPT2, .bytes = 1, .prefix_space = tokenizer_config_flag(config, "add_prefix_space", 0)};
    t->decoder[t->n_decoder++] = (decode_step){.kind = DECODE_BYTES};
    if (is_roberta(t, config)) {
        static const char *const keys[5] = {"cls_token", "pad_token", "sep_token", "unk_token", "mask_token"};
        static const char *const presets[5] = {"<s>", "<pad>", "</s>", "<unk>", "<mask>"};
        for (int i = 0; i < 5; i++)
            HONE_TRY(add_special(t, config, keys[i], presets[i], i == 0 || i == 2, &id[i], words, err));
        tokenizer_set_roberta(t, id[0], id[2]);
        t->trims = 1;
        t->trims_prefix = t->pretokenizer.prefix_space;
    } else {
        static const char *const keys[4] = {"bos_token", "eos_token", "unk_token", "pad_token"};
        for (int i = 0; i < 4; i++)
            HONE_TRY(add_special(t, config, keys[i], i < 3 ? end : "", 0, &any, words, err));
        tokenizer_set_bare(t);
    }
    return tokenizer_check_listed(t, config, folder, err);
}
