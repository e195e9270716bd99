/* tokenizer.c - a tokenizer as a whole: loading, asking, its fingerprint. */
#include <stdlib.h>
#include <string.h>

#include "text/added.h"
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

static int compare_ids(const void *a, const void *b) {
    return (*(const added_token *const *)a)->id - (*(const added_token *const *)b)->id;
}

/* The order in which added tokens are listed decides nothing: a folder with vocab.txt and the one written from it
 * have the same fingerprint. */
static void make_sha256(tokenizer *t) {
    sha256 s;
    uint8_t digest[32];
    const added_token **by_id = mem_new(sizeof *by_id * (size_t)(t->n_added + 1), "added tokens");
    for (int i = 0; i < t->n_added; i++) by_id[i] = &t->added[i];
    qsort(by_id, (size_t)t->n_added, sizeof *by_id, compare_ids);
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
        const added_token *x = by_id[i];
        hash_str(&s, x->content);
        const int64_t flags[] = {x->id, x->single_word, x->lstrip, x->rstrip, x->normalized, x->special};
        sha256_add(&s, flags, sizeof flags);
    }
    hash_form(&s, &t->single);
    hash_form(&s, &t->pair);
    sha256_end(&s, digest);
    sha256_hex(digest, t->sha256);
    mem_free(by_id);
}

/* ---- loading ---- */

static int find_role(const tokenizer *t, const json *config, const char *key, const char *otherwise) {
    const str token = tokenizer_config_token(config, key, otherwise);
    return vocab_find(&t->vocab, token.p, token.n);
}

static hone_status load(tokenizer *t, const char *folder, hone_err *err) {
    const char *whole = path_join(t->a, folder, "tokenizer.json"),
               *words = path_join(t->a, folder, "vocab.txt");
    const json *config = NULL;
    if (file_exists(whole)) {
        HONE_TRY(tokenizer_from_json(t, whole, err));
        HONE_TRY(tokenizer_read_config(&config, t, folder, err));
        tokenizer_follow_config(t, config, folder);
    } else if (file_exists(words)) {
        HONE_TRY(tokenizer_from_vocab(&config, t, folder, err));
    } else {
        hone_fail(err, HONE_EUSAGE, "%s: no tokenizer.json and no vocab.txt, expected one of them", folder);
        return hone_hint(err, "tokenizer_name may name another folder");
    }
    added_prepare(t);
    t->roles = (tokenizer_roles){.unk = t->unk,
                                 .cls = find_role(t, config, "cls_token", "[CLS]"),
                                 .sep = find_role(t, config, "sep_token", "[SEP]"),
                                 .pad = find_role(t, config, "pad_token", "[PAD]"),
                                 .mask = find_role(t, config, "mask_token", "[MASK]")};
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
    const added_token *x = added_by_id(t, id);
    if (x) return x->shown;
    return id >= 0 && id < t->vocab.n && t->vocab.token[id].p ? t->vocab.token[id] : (str){"", 0};
}
const char *tokenizer_kind(const tokenizer *t) { return t->model->name; }
tokenizer_roles tokenizer_special(const tokenizer *t) { return t->roles; }
int tokenizer_model_max_length(const tokenizer *t) { return t->model_max_length; }
const char *tokenizer_sha256(const tokenizer *t) { return t->sha256; }

int tokenizer_is_special(const tokenizer *t, int id) {
    const added_token *x = added_by_id(t, id);
    return x && x->special;
}
