/* cases.c - own texts through small tokenizers, against what the library answered
 * (scripts/golden/tokenizer.py). */
#include "text_util.h"
#include "base/mem.h"

/* In the files U+0000 stands as U+F8FF. */
static str text_with_nul(arena *a, str s) {
    char *p = arena_copy(a, s.p, s.n);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (i + 3 <= s.n && !memcmp(s.p + i, "\xef\xa3\xbf", 3)) p[n++] = 0, i += 2;
        else p[n++] = s.p[i];
    }
    return (str){p, n};
}

static void check_numbers(const json *row, const char *key, const char *about, const json *list, int n,
                          const int32_t *ours) {
    if ((int)list->n != n)
        test_fail(__FILE__, __LINE__, "%s \"%s\" (%s): %d %s, expected %d", text_of(row, "tokenizer"),
                  text_of(row, "text"), about, n, key, (int)list->n);
    int i = 0;
    for (const json *x = list->child; x; x = x->next, i++)
        if (x->integer != ours[i])
            test_fail(__FILE__, __LINE__, "%s \"%s\" (%s): %s[%d] is %d, expected %lld",
                      text_of(row, "tokenizer"), text_of(row, "text"), about, key, i, ours[i],
                      (long long)x->integer);
}

static void check_encoding(const json *row, const encoding *e, str first, str second) {
    const size_t n = (size_t)e->n;
    int32_t *types = mem_new((n + 1) * sizeof *types, "types"),
            *special = mem_new((n + 1) * sizeof *special, "special"),
            *offsets = mem_new((2 * n + 1) * sizeof *offsets, "offsets");
    const int odd =
        !strcmp(text_of(row, "tokenizer"), "unclean"); /* types 0 5: the second text, elsewhere 1 */
    const json *second_text = json_get(row, "second"); /* 1: a token of the second text; absent: types tell */
    const json *of = second_text ? second_text->child : NULL;
    for (size_t i = 0; i < n; i++) {
        int32_t both[2] = {e->from[i], e->to[i]};
        types[i] = e->type[i];
        special[i] = e->special[i];
        const int in_second = of ? of->integer == 1 : types[i] == (odd ? 5 : 1);
        if (of) of = of->next;
        if (!e->special[i]) offsets_in_characters(in_second ? second : first, both, 2);
        memcpy(offsets + 2 * i, both, sizeof both);
    }
    const char *about = second.p ? second.p : "";
    check_numbers(row, "ids", about, member(row, "ids"), e->n, e->id);
    check_numbers(row, "types", about, member(row, "types"), e->n, types);
    check_numbers(row, "special", about, member(row, "special"), e->n, special);
    check_numbers(row, "offsets", about, member(row, "offsets"), 2 * e->n, offsets);
    mem_free(types);
    mem_free(special);
    mem_free(offsets);
}

static encode_options options_of(const json *row) {
    const json *strategy = json_get(row, "strategy"), *length = json_get(row, "max_length");
    encode_options o = {.max_length = length ? (int)length->integer : 0,
                        .no_special = json_get(row, "no_special") != NULL};
    if (strategy && str_is(strategy->string, "only_first")) o.strategy = TRUNCATE_ONLY_FIRST;
    if (strategy && str_is(strategy->string, "only_second")) o.strategy = TRUNCATE_ONLY_SECOND;
    return o;
}

TEST(text_cases_encode_as_the_library_does) {
    arena *a = arena_new("cases");
    encoding e = {0};
    tokenizer *t = NULL;
    const char *loaded = "";
    int n = 0, n_refused = 0;
    for (const json *row = json_of_file(a, test_fixture("tokenizer/cases.json"))->child; row;
         row = row->next, n++) {
        if (strcmp(loaded, text_of(row, "tokenizer"))) {
            tokenizer_free(t);
            t = load_small(loaded = text_of(row, "tokenizer"));
        }
        const json *pair = json_get(row, "pair");
        const str first = text_with_nul(a, member(row, "text")->string);
        const str second = pair ? text_with_nul(a, pair->string) : (str){0};
        const encode_options o = options_of(row);
        hone_err err = {0};
        const hone_status status = tokenizer_encode(t, first, second, &o, &e, &err);
        if (json_get(row, "refused")) {
            CHECK(status == HONE_EDATA || status == HONE_EUSAGE);
            n_refused++;
            continue;
        }
        if (status) test_fail(__FILE__, __LINE__, "\"%s\": %s", text_of(row, "text"), err.text);
        check_encoding(row, &e, first, second);
    }
    CHECK(n > 1414 && n_refused > 0);
    encoding_free(&e);
    tokenizer_free(t);
    arena_free(a);
}

TEST(text_ids_decode_as_the_library_does) {
    arena *a = arena_new("decoded");
    text out = {0};
    tokenizer *t = NULL;
    const char *loaded = "";
    int n = 0;
    for (const json *row = json_of_file(a, test_fixture("tokenizer/decoded.json"))->child; row;
         row = row->next, n++) {
        if (strcmp(loaded, text_of(row, "tokenizer"))) {
            tokenizer_free(t);
            t = load_small(loaded = text_of(row, "tokenizer"));
        }
        const json *list = member(row, "ids");
        int32_t *ids = ARENA_ARRAY(a, list->n + 1, int32_t);
        int n_ids = 0;
        for (const json *x = list->child; x; x = x->next) ids[n_ids++] = (int32_t)x->integer;
        text_clear(&out);
        tokenizer_decode(t, ids, n_ids, member(row, "skip")->boolean, &out);
        if (!str_eq((str){out.p, out.n}, text_with_nul(a, member(row, "text")->string)))
            test_fail(__FILE__, __LINE__, "%s, row %d: \"%s\", expected \"%s\"", text_of(row, "tokenizer"), n,
                      out.n ? out.p : "", text_of(row, "text"));
    }
    CHECK(n > 800);
    text_free(&out);
    tokenizer_free(t);
    arena_free(a);
}

TEST(text_counts_what_is_cut_and_unknown) {
    tokenizer *t = load_small("bert");
    encoding e = {0};
    encode_options o = {0};
    CHECK_OK(tokenizer_encode(t, STR("hello xyzzyq fox xyzzyq"), (str){0}, &o, &e, err));
    CHECK_INT(e.n, 6);
    CHECK_INT(e.n_unknown, 2);
    CHECK_INT(e.n_cut, 0);
    o.max_length = 4; /* one of the unknown words goes */
    CHECK_OK(tokenizer_encode(t, STR("hello xyzzyq fox xyzzyq"), (str){0}, &o, &e, err));
    CHECK_INT(e.n, 4);
    CHECK_INT(e.n_unknown, 1);
    CHECK_INT(e.n_cut, 2);
    CHECK_INT(e.from[2], 6);
    CHECK_INT(e.to[2], 12);
    encoding_free(&e);
    tokenizer_free(t);
}

TEST(text_tokenizer_tells_what_it_holds) {
    tokenizer *t = load_small("added"), *same = load_small("added"), *other = load_small("bert");
    const tokenizer_roles r = tokenizer_special(t);
    CHECK_INT(r.unk, 1);
    CHECK_INT(r.cls, 2);
    CHECK_INT(r.sep, 3);
    CHECK_INT(r.pad, 0);
    CHECK_INT(r.mask, 4);
    CHECK_STR(tokenizer_kind(t), "WordPiece");
    CHECK(tokenizer_is_special(t, 3) && !tokenizer_is_special(t, 5) && !tokenizer_is_special(t, -1));
    CHECK(tokenizer_size(t) > tokenizer_size(other));
    CHECK_INT(tokenizer_id(t, STR("hello")), 5);
    CHECK_INT(tokenizer_id(t, STR("no such")), -1);
    CHECK(str_is(tokenizer_token(t, 6), "world"));
    CHECK_INT(tokenizer_token(t, tokenizer_size(t)).n, 0);
    CHECK_STR(tokenizer_sha256(t), tokenizer_sha256(same));
    CHECK(strcmp(tokenizer_sha256(t), tokenizer_sha256(other)));
    tokenizer_free(t);
    tokenizer_free(same);
    tokenizer_free(other);
}
