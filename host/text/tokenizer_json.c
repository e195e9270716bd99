/* tokenizer_json.c - reads tokenizer.json. Every part is one of the kinds in a small table, or refused by
 * name. */
#include <stdio.h>
#include <string.h>

#include "text/added.h"
#include "base/err.h"
#include "base/file.h"

#define FILE_MAX ((size_t)256 << 20)
#define ADDED_MAX 100000
#define ADDED_CODES_MAX 512

typedef struct {
    tokenizer *t;
    const char *path;
    str content;
    hone_err *err;
} reader;

/* "tokenizer.json: line L column C (WHERE): ..." */
static hone_status refuse(const reader *r, const json *at, const char *where, const char *what) {
    int line, column;
    json_place(r->content.p, r->content.n, at ? at->offset : 0, &line, &column);
    return hone_fail(r->err, HONE_EUSAGE, "%s: line %d column %d (%s): %s", r->path, line, column, where,
                     what);
}

static hone_status refuse_kind(const reader *r, const json *at, const char *where, str kind,
                               const char *known) {
    char safe[64], what[256];
    snprintf(what, sizeof what, "\"%s\" is not yet available, expected %s",
             text_escape(safe, sizeof safe, kind.p, kind.n), known);
    return refuse(r, at, where, what);
}

static str kind_of(const json *v) {
    const json *type = json_get(v, "type");
    return type && type->kind == JSON_STRING ? type->string : (str){"", 0};
}

static int flag(const json *v, const char *key, int otherwise) {
    const json *x = json_get(v, key);
    return x && x->kind == JSON_BOOL ? x->boolean : otherwise;
}

static int is_null(const json *v) { return !v || v->kind == JSON_NULL; }

/* ---- the parts ---- */

static hone_status read_normalizer(reader *r, const json *v) {
    tokenizer *t = r->t;
    if (is_null(v)) return HONE_OK;
    if (!str_is(kind_of(v), "BertNormalizer"))
        return refuse_kind(r, v, "normalizer.type", kind_of(v), "BertNormalizer");
    t->has_normalizer = 1;
    t->normalize.clean_text = flag(v, "clean_text", 1);
    t->normalize.chinese_chars = flag(v, "handle_chinese_chars", 1);
    t->normalize.lowercase = flag(v, "lowercase", 1);
    t->normalize.strip_accents = flag(v, "strip_accents", t->normalize.lowercase); /* null: as lowercase */
    return HONE_OK;
}

static hone_status read_pretokenizer(reader *r, const json *v) {
    if (is_null(v)) return HONE_OK;
    if (!str_is(kind_of(v), "BertPreTokenizer"))
        return refuse_kind(r, v, "pre_tokenizer.type", kind_of(v), "BertPreTokenizer");
    r->t->has_pretokenizer = 1;
    return HONE_OK;
}

static hone_status read_entry(reader *r, const json *e) {
    char what[160], safe[64];
    int clash;
    text_escape(safe, sizeof safe, e->key.p, e->key.n);
    if (!e->is_int || e->integer < 0 || e->integer >= VOCAB_MAX) {
        snprintf(what, sizeof what, "id of \"%s\", expected an integer in [0, %d)", safe, VOCAB_MAX);
        return refuse(r, e, "model.vocab", what);
    }
    if (vocab_add(&r->t->vocab, r->t->a, e->key, (int)e->integer, &clash)) return HONE_OK;
    snprintf(what, sizeof what, "id %lld of \"%s\" is given twice", (long long)e->integer, safe);
    return refuse(r, e, "model.vocab", what);
}

static hone_status read_wordpiece(reader *r, const json *v) {
    tokenizer *t = r->t;
    const json *entries = json_get(v, "vocab"), *unk = json_get(v, "unk_token"),
               *prefix = json_get(v, "continuing_subword_prefix"),
               *most = json_get(v, "max_input_chars_per_word");
    if (!entries || entries->kind != JSON_OBJECT)
        return refuse(r, v, "model.vocab", "missing, expected an object of tokens and ids");
    if (entries->n > VOCAB_MAX) return refuse(r, entries, "model.vocab", "too many tokens");
    vocab_init(&t->vocab, t->a, (int)entries->n);
    for (const json *e = entries->child; e; e = e->next) HONE_TRY(read_entry(r, e));
    for (int id = 0; id < t->vocab.n; id++)
        if (!t->vocab.token[id].p) {
            char what[96];
            snprintf(what, sizeof what, "no token has id %d, expected every id up to %d", id, t->vocab.n - 1);
            return refuse(r, entries, "model.vocab", what);
        }
    t->n_model = t->vocab.n;
    const str unknown = unk && unk->kind == JSON_STRING ? unk->string : STR("[UNK]");
    t->unk = vocab_find(&t->vocab, unknown.p, unknown.n);
    if (t->unk < 0) return refuse(r, unk ? unk : v, "model.unk_token", "is not in the vocabulary");
    t->prefix = prefix && prefix->kind == JSON_STRING ? prefix->string : STR("##");
    if (t->prefix.n > 32) return refuse(r, prefix, "model.continuing_subword_prefix", "longer than 32 bytes");
    if (!is_null(most) && (!most->is_int || most->integer < 1 || most->integer > WORDPIECE_MAX_CHARS))
        return refuse(r, most, "model.max_input_chars_per_word", "expected an integer in [1, 500]");
    t->max_chars = is_null(most) ? 100 : (int)most->integer;
    return HONE_OK;
}

static const struct {
    const model_kind *kind;
    hone_status (*read)(reader *r, const json *v);
} models[] = {{&wordpiece_kind, read_wordpiece}};

static hone_status read_model(reader *r, const json *v) {
    if (!v || v->kind != JSON_OBJECT) return refuse(r, v, "model", "missing, expected an object");
    const json *type = json_get(v, "type");
    const str kind = type ? kind_of(v) : STR("WordPiece"); /* old files do not say */
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        if (str_is(kind, models[i].kind->name)) {
            r->t->model = models[i].kind;
            return models[i].read(r, v);
        }
    return refuse_kind(r, type, "model.type", kind, "WordPiece");
}

static hone_status read_added(reader *r, const json *list) {
    tokenizer *t = r->t;
    if (is_null(list)) return HONE_OK;
    if (list->kind != JSON_ARRAY || list->n > ADDED_MAX)
        return refuse(r, list, "added_tokens", "expected an array of at most 100,000");
    for (const json *e = list->child; e; e = e->next) {
        const json *content = json_get(e, "content"), *id = json_get(e, "id");
        int clash;
        if (!content || content->kind != JSON_STRING || !id || !id->is_int || id->integer < 0 ||
            id->integer >= VOCAB_MAX)
            return refuse(r, e, "added_tokens", "expected objects with content and id");
        const int there = vocab_find(&t->vocab, content->string.p, content->string.n);
        if (there >= 0 && there != id->integer)
            return refuse(r, e, "added_tokens", "has another id in the vocabulary");
        if (there < 0 && !vocab_add(&t->vocab, t->a, content->string, (int)id->integer, &clash))
            return refuse(r, e, "added_tokens", "has the id of another token");
        const added_token x = {.content = content->string,
                               .id = (int)id->integer,
                               .single_word = flag(e, "single_word", 0),
                               .lstrip = flag(e, "lstrip", 0),
                               .rstrip = flag(e, "rstrip", 0),
                               .normalized = flag(e, "normalized", !flag(e, "special", 0)),
                               .special = flag(e, "special", 0)};
        added_put(t, &x);
    }
    return HONE_OK;
}

/* ---- the template ---- */

static hone_status refuse_token(const reader *r, const json *at, str token, const char *what) {
    char what_token[160], safe[64];
    snprintf(what_token, sizeof what_token, "\"%s\" %s", text_escape(safe, sizeof safe, token.p, token.n),
             what);
    return refuse(r, at, "post_processor.special_tokens", what_token);
}

/* A special token of the template is one id or more, which its own table gives. */
static hone_status read_special(reader *r, const json *id, const json *table, int type_id,
                                template_form *form) {
    const json *ids = json_get(json_get_str(table, id->string), "ids");
    if (!ids || ids->kind != JSON_ARRAY)
        return refuse_token(r, id, id->string,
                            "is named by the template and missing, expected it with its ids");
    for (const json *e = ids->child; e; e = e->next) {
        if (!e->is_int || e->integer < 0 || e->integer >= r->t->vocab.n || !r->t->vocab.token[e->integer].p)
            return refuse_token(r, e, id->string, "has an id that no token has");
        if (form->n == TEMPLATE_MAX) return refuse(r, e, "post_processor", "more than 32 pieces");
        form->piece[form->n++] = (template_piece){(int)e->integer, 0, type_id};
        form->n_special++;
    }
    return HONE_OK;
}

static hone_status read_piece(reader *r, const json *e, const json *table, template_form *form) {
    const json *sequence = json_get(e, "Sequence"), *special = json_get(e, "SpecialToken"),
               *x = sequence ? sequence : special;
    const json *id = json_get(x, "id"), *type = json_get(x, "type_id");
    if (!x || !id || id->kind != JSON_STRING)
        return refuse(r, e, "post_processor", "expected Sequence or SpecialToken with an id");
    if (type && (!type->is_int || type->integer < 0 || type->integer > 255))
        return refuse(r, type, "post_processor", "type_id, expected an integer in [0, 255]");
    const int type_id = type ? (int)type->integer : 0;
    if (!sequence) return read_special(r, id, table, type_id, form);
    if (form->n == TEMPLATE_MAX) return refuse(r, e, "post_processor", "more than 32 pieces");
    if (!str_is(id->string, "A") && !str_is(id->string, "B"))
        return refuse(r, id, "post_processor", "unknown sequence, expected \"A\" or \"B\"");
    form->piece[form->n++] = (template_piece){-1, str_is(id->string, "B"), type_id};
    return HONE_OK;
}

void tokenizer_set_template(tokenizer *t, int cls, int sep) {
    const template_form single = {.piece = {{cls, 0, 0}, {-1, 0, 0}, {sep, 0, 0}}, .n = 3, .n_special = 2};
    const template_form pair = {
        .piece = {{cls, 0, 0}, {-1, 0, 0}, {sep, 0, 0}, {-1, 1, 1}, {sep, 0, 1}}, .n = 5, .n_special = 3};
    t->single = single;
    t->pair = pair;
}

static hone_status read_template(reader *r, const json *v) {
    static const template_form bare = {.piece = {{-1, 0, 0}, {-1, 1, 1}}, .n = 2};
    tokenizer *t = r->t;
    if (is_null(v)) {
        t->single = t->pair = bare;
        return HONE_OK;
    }
    if (str_is(kind_of(v), "BertProcessing")) {
        const json *sep = json_get(v, "sep"), *cls = json_get(v, "cls");
        const json *s = sep && sep->kind == JSON_ARRAY && sep->n == 2 ? sep->child->next : NULL,
                   *c = cls && cls->kind == JSON_ARRAY && cls->n == 2 ? cls->child->next : NULL;
        if (!s || !c || !s->is_int || !c->is_int || s->integer < 0 || c->integer < 0 ||
            s->integer >= t->vocab.n || c->integer >= t->vocab.n)
            return refuse(r, v, "post_processor", "expected sep and cls as [token, id]");
        tokenizer_set_template(t, (int)c->integer, (int)s->integer);
        return HONE_OK;
    }
    if (!str_is(kind_of(v), "TemplateProcessing"))
        return refuse_kind(r, v, "post_processor.type", kind_of(v), "TemplateProcessing or BertProcessing");
    const json *forms[2] = {json_get(v, "single"), json_get(v, "pair")};
    template_form *to[2] = {&t->single, &t->pair};
    const json *table = json_get(v, "special_tokens");
    for (int i = 0; i < 2; i++) {
        if (!forms[i] || forms[i]->kind != JSON_ARRAY)
            return refuse(r, v, "post_processor", "expected arrays single and pair");
        for (const json *e = forms[i]->child; e; e = e->next) HONE_TRY(read_piece(r, e, table, to[i]));
    }
    return HONE_OK;
}

static hone_status read_decoder(reader *r, const json *v) {
    r->t->decoder_prefix = STR("##");
    if (is_null(v)) return HONE_OK; /* tokens with a blank between */
    if (!str_is(kind_of(v), "WordPiece")) return refuse_kind(r, v, "decoder.type", kind_of(v), "WordPiece");
    const json *prefix = json_get(v, "prefix");
    if (prefix && prefix->kind == JSON_STRING) r->t->decoder_prefix = prefix->string;
    r->t->has_decoder = 1;
    r->t->cleanup = flag(v, "cleanup", 1);
    return HONE_OK;
}

hone_status tokenizer_from_json(tokenizer *t, const char *path, hone_err *err) {
    reader r = {.t = t, .path = path, .err = err};
    const json *root;
    HONE_TRY(file_read(&r.content, t->a, path, FILE_MAX, HONE_EUSAGE, err));
    HONE_TRY(json_parse(&root, t->a, path, r.content.p, r.content.n, HONE_EUSAGE, err));
    if (root->kind != JSON_OBJECT) return refuse(&r, root, "file", "expected an object");
    HONE_TRY(read_model(&r, json_get(root, "model")));
    HONE_TRY(read_normalizer(&r, json_get(root, "normalizer")));
    HONE_TRY(read_pretokenizer(&r, json_get(root, "pre_tokenizer")));
    HONE_TRY(read_added(&r, json_get(root, "added_tokens")));
    HONE_TRY(read_template(&r, json_get(root, "post_processor")));
    return read_decoder(&r, json_get(root, "decoder"));
}
