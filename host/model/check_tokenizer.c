/* check_tokenizer.c - ids and special tokens, file against file. */
#include <string.h>

#include "base/err.h"
#include "base/file.h"
#include "model/check_tokenizer.h"
#include "model/weights.h"

#define MAX_BYTES ((size_t)256 << 20)
#define FAIL(...) hone_fail(err, HONE_EUSAGE, __VA_ARGS__)

static hone_status read_object(const json **out, arena *a, const char *folder, const char *name, int required,
                               hone_err *err) {
    const char *path;
    str s;
    *out = NULL;
    HONE_TRY(model_file(&path, a, folder, name, err));
    if (!path) return required ? FAIL("no %s", name) : HONE_OK;
    HONE_TRY(file_read(&s, a, path, MAX_BYTES, HONE_EUSAGE, err));
    HONE_TRY(json_parse(out, a, name, s.p, s.n, HONE_EUSAGE, err));
    return (*out)->kind == JSON_OBJECT
               ? HONE_OK
               : FAIL("%s: %s, expected an object", name, json_kind_name((*out)->kind));
}

/* A list [[piece, score], ...] has its ids by position. */
static hone_status find_highest(const json *tokenizer, int64_t *highest, hone_err *err) {
    const json *vocab = json_get(json_get(tokenizer, "model"), "vocab"),
               *added = json_get(tokenizer, "added_tokens");
    if (!vocab || (vocab->kind != JSON_OBJECT && vocab->kind != JSON_ARRAY))
        return FAIL("tokenizer.json: model.vocab: expected the vocabulary");
    *highest = vocab->kind == JSON_ARRAY ? (int64_t)vocab->n - 1 : -1;
    for (const json *item = vocab->kind == JSON_OBJECT ? vocab->child : NULL; item; item = item->next) {
        char shown[60];
        if (!item->is_int || item->integer < 0)
            return FAIL("tokenizer.json: byte %zu: id of \"%s\": expected an integer >= 0", item->offset,
                        text_escape(shown, sizeof shown, item->key.p, item->key.n));
        if (item->integer > *highest) *highest = item->integer;
    }
    for (const json *item = added && added->kind == JSON_ARRAY ? added->child : NULL; item;
         item = item->next) {
        const json *id = json_get(item, "id");
        if (!id || !id->is_int || id->integer < 0)
            return FAIL("tokenizer.json: byte %zu: an added token without an id", item->offset);
        if (id->integer > *highest) *highest = id->integer;
    }
    return HONE_OK;
}

static int64_t find_id(const json *tokenizer, str token) {
    const json *added = json_get(tokenizer, "added_tokens");
    for (const json *item = added && added->kind == JSON_ARRAY ? added->child : NULL; item;
         item = item->next) {
        const json *content = json_get(item, "content"), *id = json_get(item, "id");
        if (content && content->kind == JSON_STRING && str_eq(content->string, token) && id && id->is_int)
            return id->integer;
    }
    const json *id = json_get_str(json_get(json_get(tokenizer, "model"), "vocab"), token);
    return id && id->is_int ? id->integer : -1;
}

static str token_text(const json *value) {
    if (value && value->kind == JSON_OBJECT) value = json_get(value, "content");
    return value && value->kind == JSON_STRING ? value->string : (str){NULL, 0};
}

static hone_status check_specials(const json *tokenizer, const json *settings, const json *map,
                                  const json *config, hone_err *err) {
    static const char *const keys[] = {"pad_token",  "unk_token", "cls_token", "sep_token",
                                       "mask_token", "bos_token", "eos_token"};
    static const char *const ids[] = {"pad_token_id", NULL, NULL, NULL, NULL, "bos_token_id", "eos_token_id"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const str token = token_text(json_get(settings, keys[i])), other = token_text(json_get(map, keys[i]));
        char shown[60];
        if (!token.p) continue;
        text_escape(shown, sizeof shown, token.p, token.n);
        if (other.p && !str_eq(token, other))
            return FAIL("%s is \"%s\" in tokenizer_config.json and another in special_tokens_map.json",
                        keys[i], shown);
        const int64_t id = find_id(tokenizer, token);
        if (id < 0)
            return FAIL("%s \"%s\" of tokenizer_config.json is not in tokenizer.json", keys[i], shown);
        const json *said = ids[i] ? json_get(config, ids[i]) : NULL;
        if (said && said->is_int && said->integer != id)
            return FAIL("%s %lld of config.json, the tokenizer gives \"%s\" id %lld", ids[i],
                        (long long)said->integer, shown, (long long)id);
    }
    return HONE_OK;
}

static hone_status check_files(arena *a, const char *folder, const model_config *c, int *highest,
                               hone_err *err) {
    const json *tokenizer, *settings, *map;
    int64_t last = -1;
    HONE_TRY(read_object(&tokenizer, a, folder, "tokenizer.json", 1, err));
    HONE_TRY(read_object(&settings, a, folder, "tokenizer_config.json", 1, err));
    HONE_TRY(read_object(&map, a, folder, "special_tokens_map.json", 0, err));
    HONE_TRY(find_highest(tokenizer, &last, err));
    if (last >= c->vocab)
        return FAIL("tokenizer has %lld ids, embedding %d rows; highest id used %lld", (long long)last + 1,
                    c->vocab, (long long)last);
    *highest = (int)last;
    return check_specials(tokenizer, settings, map, c->tree, err);
}

hone_status check_tokenizer(const char *folder, const model_config *c, int *highest, hone_err *err) {
    arena *a = arena_new("tokenizer being checked");
    const hone_status status = check_files(a, folder, c, highest, err);
    arena_free(a);
    return status;
}
