/* tokenizer_template.c - the post-processor of tokenizer.json: the special tokens around a text or pair. */
#include <stdio.h>

#include "text/json_reader.h"
#include "base/err.h"

static hone_status refuse_token(const reader *r, const json *at, str token, const char *what) {
    char what_token[160], safe[64];
    snprintf(what_token, sizeof what_token, "\"%s\" %s", text_escape(safe, sizeof safe, token.p, token.n),
             what);
    return reader_refuse(r, at, "post_processor.special_tokens", what_token);
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
        if (form->n == TEMPLATE_MAX) return reader_refuse(r, e, "post_processor", "more than 32 pieces");
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
        return reader_refuse(r, e, "post_processor", "expected Sequence or SpecialToken with an id");
    if (type && (!type->is_int || type->integer < 0 || type->integer > 255))
        return reader_refuse(r, type, "post_processor", "type_id, expected an integer in [0, 255]");
    const int type_id = type ? (int)type->integer : 0;
    if (!sequence) return read_special(r, id, table, type_id, form);
    if (form->n == TEMPLATE_MAX) return reader_refuse(r, e, "post_processor", "more than 32 pieces");
    if (!str_is(id->string, "A") && !str_is(id->string, "B"))
        return reader_refuse(r, id, "post_processor", "unknown sequence, expected \"A\" or \"B\"");
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

void tokenizer_set_roberta(tokenizer *t, int cls, int sep) {
    const template_form single = {.piece = {{cls, 0, 0}, {-1, 0, 0}, {sep, 0, 0}}, .n = 3, .n_special = 2};
    const template_form pair = {
        .piece = {{cls, 0, 0}, {-1, 0, 0}, {sep, 0, 0}, {sep, 0, 0}, {-1, 1, 0}, {sep, 0, 0}},
        .n = 6,
        .n_special = 4};
    t->single = single;
    t->pair = pair;
}

void tokenizer_set_bare(tokenizer *t) {
    const template_form bare = {.piece = {{-1, 0, 0}, {-1, 1, 1}}, .n = 2};
    t->single = t->pair = bare;
}

/* BertProcessing and RobertaProcessing: sep and cls, each [token, id]. */
static hone_status read_processing(reader *r, const json *v, int roberta) {
    tokenizer *t = r->t;
    const json *sep = json_get(v, "sep"), *cls = json_get(v, "cls");
    const json *s = sep && sep->kind == JSON_ARRAY && sep->n == 2 ? sep->child->next : NULL,
               *c = cls && cls->kind == JSON_ARRAY && cls->n == 2 ? cls->child->next : NULL;
    if (!s || !c || !s->is_int || !c->is_int || s->integer < 0 || c->integer < 0 ||
        s->integer >= t->vocab.n || c->integer >= t->vocab.n)
        return reader_refuse(r, v, "post_processor", "expected sep and cls as [token, id]");
    (roberta ? tokenizer_set_roberta : tokenizer_set_template)(t, (int)c->integer, (int)s->integer);
    if (!roberta) return HONE_OK;
    t->trims = reader_flag(v, "trim_offsets", 1);
    t->trims_prefix = reader_flag(v, "add_prefix_space", 1);
    return HONE_OK;
}

static hone_status read_forms(reader *r, const json *v) {
    const json *forms[2] = {json_get(v, "single"), json_get(v, "pair")};
    template_form *to[2] = {&r->t->single, &r->t->pair};
    const json *table = json_get(v, "special_tokens");
    for (int i = 0; i < 2; i++) {
        if (!forms[i] || forms[i]->kind != JSON_ARRAY)
            return reader_refuse(r, v, "post_processor", "expected arrays single and pair");
        *to[i] = (template_form){0};
        for (const json *e = forms[i]->child; e; e = e->next) HONE_TRY(read_piece(r, e, table, to[i]));
    }
    return HONE_OK;
}

static hone_status read_one(reader *r, const json *v) {
    const str kind = reader_kind(v);
    if (str_is(kind, "BertProcessing")) return read_processing(r, v, 0);
    if (str_is(kind, "RobertaProcessing")) return read_processing(r, v, 1);
    if (str_is(kind, "TemplateProcessing")) return read_forms(r, v);
    if (!str_is(kind, "ByteLevel"))
        return reader_refuse_kind(r, v, "post_processor.type", kind,
                                  "TemplateProcessing, BertProcessing, RobertaProcessing or ByteLevel");
    r->t->trims = reader_flag(v, "trim_offsets", 1);
    r->t->trims_prefix = reader_flag(v, "add_prefix_space", 1);
    return HONE_OK;
}

hone_status reader_template(reader *r, const json *v) {
    tokenizer_set_bare(r->t);
    if (reader_null(v)) return HONE_OK;
    if (!str_is(reader_kind(v), "Sequence")) return read_one(r, v);
    const json *list = json_get(v, "processors");
    if (!list || list->kind != JSON_ARRAY)
        return reader_refuse(r, v, "post_processor", "expected an array processors");
    for (const json *e = list->child; e; e = e->next) HONE_TRY(read_one(r, e));
    return HONE_OK;
}
