/* config.c - tokenizer_config.json and the files beside it, as transformers takes them (the golden values are what
 * its AutoTokenizer answered), and what is refused there. */
#include "text_util.h"

static void write_file(const char *name, const char *content, size_t n) {
    char path[4200];
    snprintf(path, sizeof path, "%s/%s", test_folder(), name);
    CHECK_OK(file_write(path, content, n, err));
}

static void remove_file(const char *name) {
    char path[4200];
    snprintf(path, sizeof path, "%s/%s", test_folder(), name);
    remove(path);
}

/* vocab.txt with the words of the small tokenizers. */
static void write_vocab(void) {
    tokenizer *t = load_small("bert");
    text words = {0};
    for (int id = 0; id < tokenizer_size(t); id++) {
        const str word = tokenizer_token(t, id);
        text_add(&words, word.p, word.n);
        text_str(&words, "\n");
    }
    write_file("vocab.txt", words.p, words.n);
    text_free(&words);
    tokenizer_free(t);
}

static void write_small(arena *a, const char *name) {
    str s;
    CHECK_OK(file_read(&s, a, test_fixture(arena_print(a, "tokenizer/%s/tokenizer.json", name)), 1 << 20,
                       HONE_EDATA, err));
    write_file("tokenizer.json", s.p, s.n);
}

TEST(text_tokenizer_config_counts_as_in_transformers) {
    static const encode_options o = {0};
    arena *a = arena_new("configs");
    encoding e = {0};
    int n = 0;
    write_vocab();
    for (const json *row = json_of_file(a, test_fixture("tokenizer/configs.json"))->child; row;
         row = row->next, n++) {
        tokenizer *t = NULL;
        const json *config = member(row, "config"), *small = member(row, "json"), *ids = member(row, "ids");
        const str whole = member(row, "text")->string;
        const char *about = arena_print(a, "tokenizer.json \"%s\", tokenizer_config.json %s",
                                        small->kind == JSON_STRING ? small->string.p : "",
                                        config->kind == JSON_STRING ? config->string.p : "missing");
        remove_file("tokenizer.json");
        remove_file("tokenizer_config.json");
        if (small->kind == JSON_STRING) write_small(a, small->string.p);
        if (config->kind == JSON_STRING)
            write_file("tokenizer_config.json", config->string.p, config->string.n);
        CHECK_OK(tokenizer_load(&t, test_folder(), err));
        CHECK_OK(tokenizer_encode(t, whole, (str){0}, &o, &e, err));
        if ((size_t)e.n != (size_t)ids->n)
            test_fail(__FILE__, __LINE__, "%s: %d ids, expected %d", about, e.n, (int)ids->n);
        const json *id = ids->child;
        for (int i = 0; i < e.n; i++, id = id->next)
            if (e.id[i] != id->integer)
                test_fail(__FILE__, __LINE__, "%s: id %d is %d, expected %lld", about, i, e.id[i],
                          (long long)id->integer);
        tokenizer_free(t);
    }
    CHECK(n > 30);
    encoding_free(&e);
    arena_free(a);
}

static void check_ids(const char *about, const json *list, const encoding *e) {
    if ((int)list->n != e->n)
        test_fail(__FILE__, __LINE__, "%s: %d ids, expected %d", about, e->n, (int)list->n);
    const json *id = list->child;
    for (int i = 0; i < e->n; i++, id = id->next)
        if (e->id[i] != id->integer)
            test_fail(__FILE__, __LINE__, "%s: id %d is %d, expected %lld", about, i, e->id[i],
                      (long long)id->integer);
}

/* vocab.json and merges.txt: GPT2Tokenizer's and RobertaTokenizer's. */
TEST(text_merges_encode_as_in_transformers) {
    static const encode_options o = {0};
    arena *a = arena_new("merges");
    encoding e = {0};
    int n = 0;
    for (const json *row = json_of_file(a, test_fixture("tokenizer/merges.json"))->child; row;
         row = row->next, n++) {
        static const char *const files[] = {"vocab", "merges", "config"};
        static const char *const names[] = {"vocab.json", "merges.txt", "tokenizer_config.json"};
        tokenizer *t = NULL;
        for (int i = 0; i < 3; i++) {
            const str content = member(row, files[i])->string;
            write_file(names[i], content.p, content.n);
        }
        CHECK_OK(tokenizer_load(&t, test_folder(), err));
        CHECK_STR(tokenizer_kind(t), "BPE");
        CHECK_OK(tokenizer_encode(t, member(row, "text")->string, (str){0}, &o, &e, err));
        check_ids(text_of(row, "config"), member(row, "ids"), &e);
        CHECK_OK(tokenizer_encode(t, member(row, "text")->string, member(row, "pair")->string, &o, &e, err));
        check_ids(text_of(row, "config"), member(row, "pair_ids"), &e);
        tokenizer_free(t);
    }
    CHECK_INT(n, 5);
    encoding_free(&e);
    arena_free(a);
}

TEST(text_tokenizer_without_a_mask_token_has_none) {
    static const char config[] = "{\"mask_token\":null,\"model_max_length\":1e30}";
    tokenizer *t = NULL;
    write_vocab();
    write_file("tokenizer_config.json", config, strlen(config));
    CHECK_OK(tokenizer_load(&t, test_folder(), err));
    CHECK_INT(tokenizer_special(t).mask, -1);
    CHECK_INT(tokenizer_special(t).pad, 0);
    CHECK_INT(tokenizer_model_max_length(t), 0);
    CHECK(!tokenizer_is_special(t, 4));
    tokenizer_free(t);
}

/* A folder with vocab.txt and this file must be refused, with these words. */
static void must_refuse(const char *name, const char *content, const char *words, const char *more) {
    tokenizer *t = NULL;
    hone_err err = {0};
    write_vocab();
    write_file(name, content, strlen(content));
    CHECK_INT(tokenizer_load(&t, test_folder(), &err), HONE_EUSAGE);
    if (!strstr(err.text, words) || !strstr(err.text, more) || !strstr(err.text, name))
        test_fail(__FILE__, __LINE__, "\"%s\" holds no \"%s\", \"%s\" and \"%s\"", err.text, name, words,
                  more);
    remove_file(name);
}

TEST(text_vocabulary_with_other_added_tokens_is_refused_by_name) {
    const char *config = "tokenizer_config.json";
    must_refuse(config, "{\"added_tokens_decoder\":{\"999\":{\"content\":\"<ent>\",\"special\":true}}}",
                "added_tokens_decoder", "\"<ent>\"");
    must_refuse(config, "{\"added_tokens_decoder\":{\"4\":{\"content\":\"[MASK]\",\"lstrip\":true}}}",
                "added_tokens_decoder", "\"[MASK]\"");
    must_refuse(config, "{\"additional_special_tokens\":[\"<ent>\"]}", "additional_special_tokens",
                "\"<ent>\"");
    must_refuse(config, "{\"additional_special_tokens\":[7]}", "additional_special_tokens",
                "expected tokens");
    must_refuse(config, "{\"extra_special_tokens\":{\"e\":\"hello\"}}", "extra_special_tokens", "\"hello\"");
    must_refuse(config, "{\"mask_token\":{\"content\":\"[MASK]\",\"lstrip\":true}}", "mask_token",
                "\"[MASK]\"");
    must_refuse(config, "[]", "expected an object", "a list");
    must_refuse("added_tokens.json", "{\"<ent>\":999}", "added token", "\"<ent>\"");
    must_refuse("special_tokens_map.json", "{\"additional_special_tokens\":[\"<ent>\"]}",
                "additional_special_tokens", "\"<ent>\"");
    must_refuse("special_tokens_map.json", "{\"cls_token\":\"hello\"}", "cls_token", "differs");
}

/* What tokenizers 0.23.3 answered; on the last text it stops with "bad split", and hone passes that match over. */
TEST(text_added_tokens_of_white_space_overlap_as_in_the_library) {
    static const char tokens[] =
        "{\"added_tokens\":[{\"id\":3,\"content\":\" \",\"rstrip\":true,\"normalized\":false},"
        "{\"id\":4,\"content\":\"\\t\",\"lstrip\":true,\"normalized\":false}],"
        "\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},"
        "\"model\":{\"type\":\"WordPiece\",\"vocab\":{\"[UNK]\":0,\"a\":1,\"b\":2}}}";
    static const struct {
        const char *text;
        int n, id[5], from[5], to[5];
    } cases[] = {{"a   b", 5, {1, 3, 3, 3, 2}, {0, 1, 2, 3, 4}, {1, 4, 4, 4, 5}},
                 {" a", 2, {3, 1}, {0, 1}, {1, 2}},
                 {"a \tb", 3, {1, 3, 2}, {0, 1, 3}, {1, 3, 4}},
                 {"a \t \tb", 4, {1, 3, 3, 2}, {0, 1, 3, 5}, {1, 5, 5, 6}}};
    static const encode_options o = {0};
    tokenizer *t = NULL;
    encoding e = {0};
    write_file("tokenizer.json", tokens, sizeof tokens - 1);
    CHECK_OK(tokenizer_load(&t, test_folder(), err));
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        CHECK_OK(tokenizer_encode(t, str_of(cases[k].text), (str){0}, &o, &e, err));
        CHECK_INT(e.n, cases[k].n);
        for (int i = 0; i < e.n; i++) {
            CHECK_INT(e.id[i], cases[k].id[i]);
            CHECK_INT(e.from[i], cases[k].from[i]);
            CHECK_INT(e.to[i], cases[k].to[i]);
        }
    }
    encoding_free(&e);
    tokenizer_free(t);
}
