/* tokenizer_json.c - reads tokenizer.json. Every part is one of the kinds in a small table, or refused by
 * name. */
#include <stdio.h>
#include <string.h>

#include "text/added.h"
#include "text/json_reader.h"
#include "base/err.h"
#include "base/file.h"

#define FILE_MAX ((size_t)256 << 20)
#define ADDED_MAX 100000

hone_status reader_refuse(const reader *r, const json *at, const char *where, const char *what) {
    int line, column;
    json_place(r->content.p, r->content.n, at ? at->offset : 0, &line, &column);
    return hone_fail(r->err, HONE_EUSAGE, "%s: line %d column %d (%s): %s", r->path, line, column, where,
                     what);
}

hone_status reader_refuse_kind(const reader *r, const json *at, const char *where, str kind,
                               const char *known) {
    char safe[64], what[256];
    snprintf(what, sizeof what, "\"%s\" is not yet available, expected %s",
             text_escape(safe, sizeof safe, kind.p, kind.n), known);
    return reader_refuse(r, at, where, what);
}

str reader_kind(const json *v) {
    const json *type = json_get(v, "type");
    return type && type->kind == JSON_STRING ? type->string : (str){"", 0};
}

int reader_flag(const json *v, const char *key, int otherwise) {
    const json *x = json_get(v, key);
    return x && x->kind == JSON_BOOL ? x->boolean : otherwise;
}

int reader_null(const json *v) { return !v || v->kind == JSON_NULL; }

str reader_text(const json *v, const char *key, const char *otherwise) {
    const json *x = json_get(v, key);
    return x && x->kind == JSON_STRING ? x->string : str_of(otherwise);
}

static hone_status read_added(reader *r, const json *list) {
    tokenizer *t = r->t;
    if (reader_null(list)) return HONE_OK;
    if (list->kind != JSON_ARRAY || list->n > ADDED_MAX)
        return reader_refuse(r, list, "added_tokens", "expected an array of at most 100,000");
    for (const json *e = list->child; e; e = e->next) {
        const json *content = json_get(e, "content"), *id = json_get(e, "id");
        int clash;
        if (!content || content->kind != JSON_STRING || !id || !id->is_int || id->integer < 0 ||
            id->integer >= VOCAB_MAX)
            return reader_refuse(r, e, "added_tokens", "expected objects with content and id");
        const int there = vocab_find(&t->vocab, content->string.p, content->string.n);
        if (there >= 0 && there != id->integer)
            return reader_refuse(r, e, "added_tokens", "has another id in the vocabulary");
        if (there < 0 && !vocab_add(&t->vocab, t->a, content->string, (int)id->integer, &clash))
            return reader_refuse(r, e, "added_tokens", "has the id of another token");
        const added_token x = {.content = content->string,
                               .id = (int)id->integer,
                               .single_word = reader_flag(e, "single_word", 0),
                               .lstrip = reader_flag(e, "lstrip", 0),
                               .rstrip = reader_flag(e, "rstrip", 0),
                               .normalized = reader_flag(e, "normalized", !reader_flag(e, "special", 0)),
                               .special = reader_flag(e, "special", 0)};
        added_put(t, &x);
    }
    return HONE_OK;
}

hone_status tokenizer_from_json(tokenizer *t, const char *path, hone_err *err) {
    reader r = {.t = t, .path = path, .err = err};
    const json *root;
    HONE_TRY(file_read(&r.content, t->a, path, FILE_MAX, HONE_EUSAGE, err));
    HONE_TRY(json_parse(&root, t->a, path, r.content.p, r.content.n, HONE_EUSAGE, err));
    if (root->kind != JSON_OBJECT) return reader_refuse(&r, root, "file", "expected an object");
    HONE_TRY(reader_pretokenizer(&r, json_get(root, "pre_tokenizer"))); /* BPE asks it for bytes */
    HONE_TRY(reader_model(&r, json_get(root, "model")));
    HONE_TRY(reader_normalizer(&r, json_get(root, "normalizer")));
    HONE_TRY(read_added(&r, json_get(root, "added_tokens")));
    HONE_TRY(reader_template(&r, json_get(root, "post_processor")));
    return reader_decoder(&r, json_get(root, "decoder"));
}
