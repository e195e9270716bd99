#include <stdio.h>
#include <string.h>

#include "data/questions.h"
#include "base/err.h"
#include "base/file.h"
#include "base/host.h"
#include "base/json.h"
#include "base/vec.h"
#include "data/cache.h"
#include "data/reader.h"

#define UNPACKED_BYTES ((size_t)4 << 30)

typedef struct {
    questions *all;
    VEC(question) q;
    int64_t max;
    str bytes; /* of the file */
    hone_err *err;
} reading;

/* "NAME: line L: WHAT is KIND, expected ..." */
static hone_status refuse(const reading *r, const json *at, const char *what, hone_err *err) {
    int line, column;
    json_place(r->bytes.p, r->bytes.n, at->offset, &line, &column);
    return hone_fail(err, HONE_EDATA, "%s: line %d column %d: %s", r->all->name, line, column, what);
}

/* A member of a kind. */
static hone_status take(const json **out, const reading *r, const json *object, const char *key,
                        json_kind kind, hone_err *err) {
    char what[120];
    *out = json_get(object, key);
    if (*out && (*out)->kind == kind) return HONE_OK;
    snprintf(what, sizeof what, "\"%s\" is %s; expected %s", key,
             *out ? json_kind_name((*out)->kind) : "missing",
             kind == JSON_ARRAY    ? "a list"
             : kind == JSON_STRING ? "text"
                                   : "a number");
    return refuse(r, *out ? *out : object, what, err);
}

/* The byte of a code point; n where there are not so many. */
static size_t byte_of(str s, int64_t point) {
    size_t i = 0;
    for (; i < s.n; i++)
        if (((uint8_t)s.p[i] & 0xc0) != 0x80 && point-- == 0) break;
    return i;
}

static hone_status read_answers(question *q, const reading *r, const json *list, hone_err *err) {
    question_answer *answer = ARENA_ARRAY(r->all->a, list->n + 1, question_answer);
    for (const json *item = list->child; item; item = item->next) {
        const json *words, *start;
        HONE_TRY(take(&words, r, item, "text", JSON_STRING, err));
        HONE_TRY(take(&start, r, item, "answer_start", JSON_NUMBER, err));
        if (!start->is_int || start->integer < 0)
            return refuse(r, start, "\"answer_start\" is no place in the context", err);
        const size_t at = byte_of(q->context, start->integer);
        if (at + words->string.n > q->context.n ||
            memcmp(q->context.p + at, words->string.p, words->string.n)) {
            char shown[80], id[80], what[240];
            snprintf(what, sizeof what,
                     "question \"%s\": the answer \"%s\" does not stand at %lld of the context",
                     text_escape(id, sizeof id, q->id.p, q->id.n),
                     text_escape(shown, sizeof shown, words->string.p, words->string.n),
                     (long long)start->integer);
            return refuse(r, item, what, err);
        }
        answer[q->n_answers++] = (question_answer){words->string, (int64_t)at};
    }
    q->answer = answer;
    return HONE_OK;
}

static str without_blanks(str s) {
    while (s.n && strchr(" \t\n\r\v\f", s.p[0])) s.p++, s.n--;
    return s;
}

static hone_status read_question(reading *r, const json *item, str context, hone_err *err) {
    const json *id, *asked, *answers = json_get(item, "answers"),
                            *impossible = json_get(item, "is_impossible");
    question q = {.context = context};
    HONE_TRY(take(&id, r, item, "id", JSON_STRING, err));
    HONE_TRY(take(&asked, r, item, "question", JSON_STRING, err));
    q.id = id->string;
    q.text = without_blanks(asked->string);
    const int none = impossible && impossible->kind == JSON_BOOL && impossible->boolean;
    if (answers && answers->kind != JSON_ARRAY) return refuse(r, answers, "\"answers\" is no list", err);
    if (r->q.n && !!answers != r->all->has_answers)
        return refuse(r, item, "some questions have \"answers\", and others not; expected all or none", err);
    r->all->has_answers = answers != NULL;
    if (answers && !none) HONE_TRY(read_answers(&q, r, answers, err));
    r->all->n_unanswered += answers && !q.n_answers;
    vec_push(&r->q, q);
    return HONE_OK;
}

static int is_full(const reading *r) { return r->max && (int64_t)r->q.n >= r->max; }

static hone_status read_article(reading *r, const json *article, hone_err *err) {
    const json *paragraphs, *context, *qas;
    HONE_TRY(take(&paragraphs, r, article, "paragraphs", JSON_ARRAY, err));
    for (const json *p = paragraphs->child; p && !is_full(r); p = p->next) {
        HONE_TRY(sig_check(err));
        HONE_TRY(take(&context, r, p, "context", JSON_STRING, err));
        HONE_TRY(take(&qas, r, p, "qas", JSON_ARRAY, err));
        for (const json *q = qas->child; q && !is_full(r); q = q->next)
            HONE_TRY(read_question(r, q, context->string, err));
    }
    return HONE_OK;
}

static hone_status read_squad(reading *r, const char *path, hone_err *err) {
    questions *all = r->all;
    const json *root, *data;
    source *file;
    const char *p = NULL, *end = NULL;
    HONE_TRY(source_open(&file, path, all->name, UNPACKED_BYTES, 0, err));
    hone_status status = source_all(file, &p, &end, err);
    r->bytes = (str){p, (size_t)(end - p)};
    source_hash_so_far(file, all->sha256);
    if (!status) status = json_parse(&root, all->a, all->name, r->bytes.p, r->bytes.n, HONE_EDATA, err);
    if (!status && take(&data, r, root, "data", JSON_ARRAY, err))
        status = hone_hint(
            err, "questions are read as SQuAD has them, or as rows with columns question and context");
    for (const json *article = status ? NULL : data->child; article && !status && !is_full(r);
         article = article->next)
        status = read_article(r, article, err);
    source_close(file);
    return status;
}

static hone_status read_rows(reading *r, const char *path, const rows_options *o, hone_err *err) {
    rows *t;
    HONE_TRY(rows_read(&t, path, o, err));
    const int asked = rows_column(t, STR("question")), context = rows_column(t, STR("context")),
              id = rows_column(t, STR("id"));
    hone_status status = HONE_OK;
    if (asked < 0 || context < 0)
        status = hone_fail(err, HONE_EDATA, "%s: no column \"%s\"; expected question and context", t->name,
                           asked < 0 ? "question" : "context");
    memcpy(r->all->sha256, t->sha256, 65);
    for (int64_t i = 0; i < t->n_rows && !status && !is_full(r); i++) {
        const str *row = t->cell + i * t->n_columns;
        arena *a = r->all->a;
        question q = {
            .text = without_blanks(
                (str){arena_copy(a, row[asked].p ? row[asked].p : "", row[asked].n), row[asked].n}),
            .context = {arena_copy(a, row[context].p ? row[context].p : "", row[context].n), row[context].n}};
        q.id = id >= 0 ? (str){arena_copy(a, row[id].p ? row[id].p : "", row[id].n), row[id].n}
                       : str_of(arena_print(a, "%lld", (long long)i));
        vec_push(&r->q, q);
    }
    rows_free(t);
    return status;
}

static int is_json(const char *path) {
    size_t n = strlen(path);
    if (n > 3 && !strcmp(path + n - 3, ".gz")) n -= 3;
    return n >= 5 && !strncmp(path + n - 5, ".json", 5);
}

static void make_key(questions *q, int is_squad, const rows_options *o, int64_t max) {
    text d = {0};
    text_printf(&d, "questions\nfile %s\nsquad %d samples %lld\n", q->sha256, is_squad, (long long)max);
    if (!is_squad && o)
        text_printf(&d, "format %d header %d quoting %d delimiter %d bounds %zu %zu\n", (int)o->format, o->header, o->quoting,
                    (int)o->delimiter, o->max_field_bytes, o->max_row_bytes);
    cache_key(&d, q->key);
}

hone_status questions_read(questions **out, const char *path, const rows_options *o, int64_t max,
                           hone_err *err) {
    arena *a = arena_new("questions");
    char shown[400];
    questions *all = ARENA_NEW(a, questions);
    reading r = {.all = all, .max = max};
    text_escape(shown, sizeof shown, path, strlen(path));
    all->a = a;
    all->name = arena_copy(a, shown, strlen(shown));
    const int is_squad = is_json(path);
    hone_status status = is_squad ? read_squad(&r, path, err) : read_rows(&r, path, o, err);
    make_key(all, is_squad, o, max);
    if (!status && !r.q.n) status = hone_fail(err, HONE_EDATA, "%s: no questions", all->name);
    all->n = (int64_t)r.q.n;
    all->q = ARENA_ARRAY(a, r.q.n + 1, question);
    if (r.q.n) memcpy(all->q, r.q.p, r.q.n * sizeof *all->q);
    vec_free(&r.q);
    if (status) questions_free(all);
    else *out = all;
    return status;
}

void questions_free(questions *q) {
    if (q) arena_free(q->a);
}
