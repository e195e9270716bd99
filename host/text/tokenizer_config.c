/* tokenizer_config.c - tokenizer_config.json beside tokenizer.json or vocab.txt, as transformers (5.24) takes it.
 */
#include <string.h>

#include "text/added.h"
#include "base/err.h"
#include "base/file.h"
#include "base/host.h"

#define CONFIG_MAX ((size_t)16 << 20)

static const char *const role_keys[] = {"unk_token", "sep_token", "pad_token", "cls_token", "mask_token"};
#define N_ROLES 5

static hone_status read_object(const json **out, tokenizer *t, const char *folder, const char *name,
                               hone_err *err) {
    const char *path = path_join(t->a, folder, name);
    str s;
    *out = NULL;
    if (!file_exists(path)) return HONE_OK;
    HONE_TRY(file_read(&s, t->a, path, CONFIG_MAX, HONE_EUSAGE, err));
    HONE_TRY(json_parse(out, t->a, path, s.p, s.n, HONE_EUSAGE, err));
    if ((*out)->kind == JSON_OBJECT) return HONE_OK;
    return hone_fail(err, HONE_EUSAGE, "%s: %s, expected an object", path, json_kind_name((*out)->kind));
}

hone_status tokenizer_read_config(const json **out, tokenizer *t, const char *folder, hone_err *err) {
    HONE_TRY(read_object(out, t, folder, "tokenizer_config.json", err));
    const json *longest = json_get(*out, "model_max_length");
    if (longest && longest->kind == JSON_NUMBER && longest->number >= 1 && longest->number < 1e9)
        t->model_max_length = (int)longest->number;
    return HONE_OK;
}

str tokenizer_config_token(const json *config, const char *key, const char *otherwise) {
    const json *v = json_get(config, key);
    if (v && v->kind == JSON_OBJECT) v = json_get(v, "content");
    if (v && v->kind == JSON_NULL) return (str){"", 0};
    return v && v->kind == JSON_STRING ? v->string : str_of(otherwise);
}

int tokenizer_config_flag(const json *v, const char *key, int otherwise) {
    const json *x = json_get(v, key);
    return x && x->kind == JSON_BOOL ? x->boolean : otherwise;
}

normalize_options tokenizer_config_options(const json *config) {
    const int lowercase = tokenizer_config_flag(config, "do_lower_case", 1);
    return (normalize_options){.clean_text = 1,
                               .chinese_chars = tokenizer_config_flag(config, "tokenize_chinese_chars", 1),
                               .strip_accents = tokenizer_config_flag(config, "strip_accents", lowercase),
                               .lowercase = lowercase};
}

/* ---- beside tokenizer.json ---- */

static int holds(str s, const char *word) {
    const size_t n = strlen(word);
    for (size_t i = 0; i + n <= s.n; i++)
        if (!memcmp(s.p + i, word, n)) return 1;
    return 0;
}

void tokenizer_follow_config(tokenizer *t, const json *config, const char *folder) {
    const json *class = json_get(config, "tokenizer_class");
    if (!config || t->normalizer.n != 1 || t->normalizer.step[0].kind != NORMALIZE_BERT) return;
    if (class && class->kind == JSON_STRING && !holds(class->string, "Bert")) return;
    normalize_options o = tokenizer_config_options(config), *now = &t->normalizer.step[0].bert;
    o.clean_text = now->clean_text;
    if (!memcmp(&o, now, sizeof o)) return;
    log_note("%s: tokenizer_config.json and tokenizer.json differ; the first counts, as in transformers: "
             "do_lower_case %s (not %s), strip_accents %s (not %s), tokenize_chinese_chars %s (not %s)",
             folder, o.lowercase ? "true" : "false", now->lowercase ? "true" : "false",
             o.strip_accents ? "true" : "false", now->strip_accents ? "true" : "false",
             o.chinese_chars ? "true" : "false", now->chinese_chars ? "true" : "false");
    *now = o;
}

/* ---- beside vocab.txt ---- */

/* A token that the configuration lists: text, or an object with content. */
static hone_status check_listed(const tokenizer *t, const json *v, const char *file, const char *key,
                                hone_err *err) {
    const json *content = v->kind == JSON_OBJECT ? json_get(v, "content") : v;
    if (!content || content->kind != JSON_STRING)
        return hone_fail(err, HONE_EUSAGE, "%s (%s): expected tokens", file, key);
    const added_token *x = NULL;
    const int id = vocab_find(&t->vocab, content->string.p, content->string.n);
    for (int i = 0; i < t->n_added; i++)
        if (t->added[i].id == id) x = &t->added[i];
    if (x && tokenizer_config_flag(v, "lstrip", x->lstrip) == x->lstrip &&
        tokenizer_config_flag(v, "rstrip", 0) == x->rstrip &&
        tokenizer_config_flag(v, "single_word", 0) == x->single_word &&
        tokenizer_config_flag(v, "special", 1) && !tokenizer_config_flag(v, "normalized", 0))
        return HONE_OK;
    char safe[64];
    hone_fail(err, HONE_EUSAGE, "%s (%s): the added token \"%s\" is not yet available with vocab.txt", file,
              key, text_escape(safe, sizeof safe, content->string.p, content->string.n));
    return hone_hint(err,
                     "a tokenizer.json in the folder may hold it: transformers' save_pretrained makes one");
}

static hone_status check_list(const tokenizer *t, const json *root, const char *file, const char *key,
                              hone_err *err) {
    const json *list = json_get(root, key);
    if (!list || (list->kind != JSON_ARRAY && list->kind != JSON_OBJECT)) return HONE_OK;
    for (const json *e = list->child; e; e = e->next) HONE_TRY(check_listed(t, e, file, key, err));
    return HONE_OK;
}

static int added_is_special(const tokenizer *t, str token) {
    for (int i = 0; i < t->n_added; i++)
        if (str_eq(t->added[i].content, token)) return t->added[i].special;
    return 0;
}

hone_status tokenizer_check_listed(tokenizer *t, const json *config, const char *folder, hone_err *err) {
    static const char *const lists[] = {"additional_special_tokens", "extra_special_tokens",
                                        "added_tokens_decoder"};
    static const char *const presets[] = {"[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"};
    const char *own_path = path_join(t->a, folder, "tokenizer_config.json"),
               *map_path = path_join(t->a, folder, "special_tokens_map.json"),
               *added_path = path_join(t->a, folder, "added_tokens.json");
    const json *map, *added;
    for (int i = 0; i < 3; i++) HONE_TRY(check_list(t, config, own_path, lists[i], err));
    for (int i = 0; i < N_ROLES; i++) {
        const json *role = json_get(config, role_keys[i]);
        if (role && role->kind == JSON_OBJECT) HONE_TRY(check_listed(t, role, own_path, role_keys[i], err));
    }
    if (json_get(config, "added_tokens_decoder")) return HONE_OK; /* the older files count no more */
    HONE_TRY(read_object(&map, t, folder, "special_tokens_map.json", err));
    HONE_TRY(read_object(&added, t, folder, "added_tokens.json", err));
    HONE_TRY(check_list(t, map, map_path, "additional_special_tokens", err));
    for (int i = 0; i < N_ROLES; i++) {
        if (!json_get(map, role_keys[i])) continue;
        const str other = tokenizer_config_token(map, role_keys[i], "");
        const int merges = t->bpe && !json_get(config, role_keys[i]) && added_is_special(t, other);
        const str own = merges ? other : tokenizer_config_token(config, role_keys[i], presets[i]);
        if (own.n != other.n || memcmp(own.p, other.p, own.n))
            return hone_fail(err, HONE_EUSAGE, "%s (%s): differs from tokenizer_config.json", map_path,
                             role_keys[i]);
    }
    for (const json *e = added ? added->child : NULL; e; e = e->next) {
        const json token = {.kind = JSON_STRING, .string = e->key};
        HONE_TRY(check_listed(t, &token, added_path, "content", err));
    }
    return HONE_OK;
}
