/* tokenizer.c - a tokenizer as a whole: loading and asking. */
#include <string.h>

#include "text/added.h"
#include "base/err.h"
#include "base/file.h"

/* ---- loading ---- */

/* The id of a token by role: as tokenizer_config.json names it, else by the names that are usual. */
static int find_role(const tokenizer *t, const json *config, const char *key, const char *const usual[3]) {
    const str token = tokenizer_config_token(config, key, usual[0]);
    int id = vocab_find(&t->vocab, token.p, token.n);
    for (int i = 1; i < 3 && id < 0 && usual[i] && !json_get(config, key); i++)
        id = vocab_find(&t->vocab, usual[i], strlen(usual[i]));
    return id;
}

static void find_roles(tokenizer *t, const json *config) {
    static const char end[] = "<|endoftext|>";
    tokenizer_roles *r = &t->roles;
    r->unk = t->unk;
    r->cls = find_role(t, config, "cls_token", (const char *const[3]){"[CLS]", "<s>", NULL});
    r->sep = find_role(t, config, "sep_token", (const char *const[3]){"[SEP]", "</s>", NULL});
    r->pad = find_role(t, config, "pad_token", (const char *const[3]){"[PAD]", "<pad>", NULL});
    r->mask = find_role(t, config, "mask_token", (const char *const[3]){"[MASK]", "<mask>", NULL});
    r->bos = find_role(t, config, "bos_token", (const char *const[3]){end, "<s>", NULL});
    r->eos = find_role(t, config, "eos_token", (const char *const[3]){end, "</s>", NULL});
}

static hone_status load(tokenizer *t, const char *folder, hone_err *err) {
    const char *whole = path_join(t->a, folder, "tokenizer.json"),
               *words = path_join(t->a, folder, "vocab.txt"), *merges = path_join(t->a, folder, "merges.txt");
    const json *config = NULL;
    if (file_exists(whole)) {
        HONE_TRY(tokenizer_from_json(t, whole, err));
        HONE_TRY(tokenizer_read_config(&config, t, folder, err));
        tokenizer_follow_config(t, config, folder);
    } else if (file_exists(words)) {
        HONE_TRY(tokenizer_from_vocab(&config, t, folder, err));
    } else if (file_exists(merges)) {
        HONE_TRY(tokenizer_from_merges(&config, t, folder, err));
    } else {
        hone_fail(
            err, HONE_EUSAGE,
            "%s: no tokenizer.json and no vocab.txt, expected one of them, or vocab.json with merges.txt",
            folder);
        return hone_hint(err, "tokenizer_name may name another folder");
    }
    added_prepare(t);
    find_roles(t, config);
    tokenizer_fingerprint(t);
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
