/* tokenizer.c - a tokenizer as a whole: loading, asking, its fingerprint. */
#include <string.h>

#include "text/tokenizer_parts.h"
#include "base/err.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"

/* ---- fingerprint: everything that decides ids ---- */

static void hash_int(sha256 *s, int64_t x) { sha256_add(s, &x, sizeof x); }

static void hash_str(sha256 *s, str x) {
    hash_int(s, (int64_t)x.n);
    sha256_add(s, x.p, x.n);
}

static void hash_form(sha256 *s, const template_form *f) {
    hash_int(s, f->n);
    for (int i = 0; i < f->n; i++) {
        hash_int(s, f->piece[i].id);
        hash_int(s, f->piece[i].pair);
        hash_int(s, f->piece[i].type);
    }
}

static void make_sha256(tokenizer *t) {
    sha256 s;
    uint8_t digest[32];
    sha256_begin(&s);
    hash_str(&s, STR("hone tokenizer 1"));
    hash_int(&s, t->vocab.n);
    for (int id = 0; id < t->vocab.n; id++) hash_str(&s, t->vocab.token[id]);
    const int64_t numbers[] = {t->n_model,
                               t->has_normalizer,
                               t->has_pretokenizer,
                               t->normalize.clean_text,
                               t->normalize.chinese_chars,
                               t->normalize.strip_accents,
                               t->normalize.lowercase,
                               t->unk,
                               t->max_chars};
    sha256_add(&s, numbers, sizeof numbers);
    hash_str(&s, t->prefix);
    for (int i = 0; i < t->n_added; i++) {
        const added_token *x = &t->added[i];
        hash_str(&s, x->content);
        const int64_t flags[] = {x->id, x->single_word, x->lstrip, x->rstrip, x->normalized};
        sha256_add(&s, flags, sizeof flags);
    }
    hash_form(&s, &t->single);
    hash_form(&s, &t->pair);
    sha256_end(&s, digest);
    sha256_hex(digest, t->sha256);
}

/* ---- loading ---- */

/* What is looked for in text: the content, in normalised text its normalised form. */
static void prepare_added(tokenizer *t) {
    characters c = {0};
    for (int i = 0; i < t->n_added; i++) {
        added_token *x = &t->added[i];
        c.n = 0;
        normalize_text(&c, x->normalized && t->has_normalizer ? &t->normalize : NULL, x->content, 0);
        x->n_codes = (int)c.n;
        x->code = ARENA_ARRAY(t->a, c.n + 1, uint32_t);
        if (!c.n) continue;
        memcpy(x->code, c.code, sizeof *c.code * c.n);
        uint8_t *starts = x->normalized ? t->starts_normalized : t->starts_added;
        starts[x->code[0] & 255] = starts[(unsigned char)x->content.p[0]] = 1;
    }
    characters_free(&c);
}

static int find_role(const tokenizer *t, const char *token) {
    const int id = vocab_find(&t->vocab, token, strlen(token));
    return id;
}

static hone_status load(tokenizer *t, const char *folder, hone_err *err) {
    const char *whole = path_join(t->a, folder, "tokenizer.json"),
               *words = path_join(t->a, folder, "vocab.txt");
    const json *config;
    if (file_exists(whole)) {
        HONE_TRY(tokenizer_from_json(t, whole, err));
        HONE_TRY(tokenizer_read_config(&config, t, folder, err));
    } else if (file_exists(words)) {
        HONE_TRY(tokenizer_from_vocab(t, folder, err));
    } else {
        hone_fail(err, HONE_EUSAGE, "%s: no tokenizer.json and no vocab.txt, expected one of them", folder);
        return hone_hint(err, "tokenizer_name may name another folder");
    }
    prepare_added(t);
    t->roles = (tokenizer_roles){t->unk, find_role(t, "[CLS]"), find_role(t, "[SEP]"), find_role(t, "[PAD]"),
                                 find_role(t, "[MASK]")};
    make_sha256(t);
    return HONE_OK;
}

hone_status tokenizer_load(tokenizer **out, const char *folder, hone_err *err) {
    arena *a = arena_new("tokenizer");
    tokenizer *t = ARENA_NEW(a, tokenizer);
    t->a = a;
    const hone_status status = load(t, folder, err);
    if (status) {
        arena_free(a);
        return status;
    }
    *out = t;
    return HONE_OK;
}

void tokenizer_free(tokenizer *t) {
    if (t) arena_free(t->a);
}

/* ---- asking ---- */

int tokenizer_size(const tokenizer *t) { return t->vocab.n; }
int tokenizer_id(const tokenizer *t, str token) { return vocab_find(&t->vocab, token.p, token.n); }
str tokenizer_token(const tokenizer *t, int id) {
    return id >= 0 && id < t->vocab.n && t->vocab.token[id].p ? t->vocab.token[id] : (str){"", 0};
}
const char *tokenizer_kind(const tokenizer *t) { return t->a ? "WordPiece" : ""; }
tokenizer_roles tokenizer_special(const tokenizer *t) { return t->roles; }
int tokenizer_model_max_length(const tokenizer *t) { return t->model_max_length; }
const char *tokenizer_sha256(const tokenizer *t) { return t->sha256; }

int tokenizer_is_special(const tokenizer *t, int id) {
    for (int i = 0; i < t->n_added; i++)
        if (t->added[i].id == id) return t->added[i].special;
    return 0;
}

/* ---- decoding ---- */

/* The library's clean-up of what tokenizing spread: in this order, on each token's text. */
static void clean_up(text *out, str token) {
    static const char *const from[] = {" .",  " ?",      " !",  " ,",   " ' ", " n't",
                                       " 'm", " do not", " 's", " 've", " 're"};
    static const char *const to[] = {".", "?", "!", ",", "'", "n't", "'m", " don't", "'s", "'ve", "'re"};
    text a = {0}, b = {0};
    text_add(&a, token.p, token.n);
    for (size_t k = 0; k < sizeof from / sizeof *from; k++) {
        const size_t n = strlen(from[k]);
        text_clear(&b);
        for (size_t i = 0; i < a.n;) {
            if (i + n <= a.n && !memcmp(a.p + i, from[k], n)) {
                text_str(&b, to[k]);
                i += n;
            } else text_add(&b, a.p + i++, 1);
        }
        const text swap = a;
        a = b;
        b = swap;
    }
    text_add(out, a.p, a.n);
    text_free(&a);
    text_free(&b);
}

void tokenizer_decode(const tokenizer *t, const int32_t *ids, int n, int skip_special, text *out) {
    int first = 1;
    text piece = {0};
    for (int i = 0; i < n; i++) {
        if (skip_special && tokenizer_is_special(t, ids[i])) continue;
        str token = tokenizer_token(t, ids[i]);
        if (!token.n) continue;
        text_clear(&piece);
        const int goes_on = !first && token.n >= t->decoder_prefix.n &&
                            !memcmp(token.p, t->decoder_prefix.p, t->decoder_prefix.n);
        if (goes_on) token.p += t->decoder_prefix.n, token.n -= t->decoder_prefix.n;
        else if (!first) text_str(&piece, " ");
        text_add(&piece, token.p, token.n);
        if (t->cleanup) clean_up(out, (str){piece.p ? piece.p : "", piece.n});
        else text_add(out, piece.p, piece.n);
        first = 0;
    }
    text_free(&piece);
}
