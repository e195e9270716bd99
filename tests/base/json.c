/* json.c - what is accepted is kept exactly; what is refused is refused with its place. */
#include "base/json.h"
#include "base/file.h"
#include "base/host.h"
#include "test.h"

static arena *a; /* each test is a process of its own */

static const json *read_json(const char *text_in) {
    const json *root;
    a = a ? a : arena_new("test");
    CHECK_OK(json_parse(&root, a, "a.json", text_in, strlen(text_in), HONE_EUSAGE, err));
    return root;
}

static void done(void) {
    arena_free(a);
    a = NULL;
}

/* The text is copied to a block of its exact size, so that a sanitizer sees a byte read too far. */
static void check_refused(const char *bytes, size_t n, const char *message) {
    hone_err err = {0};
    const json *root;
    arena *own = arena_new("test");
    char *exact = arena_copy(own, bytes, n);
    CHECK_INT(json_parse(&root, own, "a.json", exact, n, HONE_EDAMAGED, &err), HONE_EDAMAGED);
    CHECK(root == NULL);
    CHECK_INT(err.status, HONE_EDAMAGED);
    CHECK_STR(err.text, message);
    arena_free(own);
}
#define REFUSED(literal, message) check_refused(literal, sizeof(literal) - 1, "a.json: " message)

TEST(json_keeps_values_of_every_kind) {
    const json *root = read_json(" {\"a\": [1, -2.5, true, false, null, \"x\"], \"b\": {}, \"c\": []}\n");
    CHECK_INT(root->kind, JSON_OBJECT);
    CHECK_INT(root->n, 3);
    CHECK_INT(root->offset, 1);
    const json *list = json_get(root, "a"), *item = list->child;
    CHECK_INT(list->kind, JSON_ARRAY);
    CHECK_INT(list->n, 6);
    CHECK_INT(list->offset, 7);
    CHECK(item->kind == JSON_NUMBER && item->is_int && item->integer == 1 && item->number == 1);
    CHECK_INT(item->offset, 8);
    item = item->next;
    CHECK(item->kind == JSON_NUMBER && !item->is_int && item->number == -2.5);
    CHECK_INT(item->offset, 11);
    item = item->next;
    CHECK(item->kind == JSON_BOOL && item->boolean == 1);
    item = item->next;
    CHECK(item->kind == JSON_BOOL && item->boolean == 0);
    item = item->next;
    CHECK(item->kind == JSON_NULL);
    item = item->next;
    CHECK(item->kind == JSON_STRING && str_is(item->string, "x") && item->string.p[1] == 0);
    CHECK(item->next == NULL);
    CHECK_INT(json_get(root, "b")->n, 0);
    CHECK(json_get(root, "b")->child == NULL);
    CHECK_INT(json_get(root, "c")->kind, JSON_ARRAY);
    CHECK(json_get(root, "d") == NULL && json_get(list, "a") == NULL && json_get(NULL, "a") == NULL);
    done();
}

TEST(json_keeps_integers_of_64_bits) {
    const json *i = read_json("[9007199254740993, 9223372036854775807, -9223372036854775808, "
                              "9223372036854775808, 1e2, -0, 1.0]")
                        ->child;
    CHECK(i->is_int && i->integer == 9007199254740993);
    i = i->next;
    CHECK(i->is_int && i->integer == INT64_MAX);
    i = i->next;
    CHECK(i->is_int && i->integer == INT64_MIN);
    i = i->next;
    CHECK(!i->is_int && i->number == 9223372036854775808.0);
    i = i->next;
    CHECK(!i->is_int && i->number == 100);
    i = i->next;
    CHECK(i->is_int && i->integer == 0);
    i = i->next;
    CHECK(!i->is_int && i->number == 1);
    done();
}

TEST(json_decodes_escapes_and_utf8) {
    const json *root =
        read_json("[\"\\u00e9\\ud83d\\ude00\\n\\\"\\/\\\\\\b\\f\\r\\t\", \"\xc3\xa9\xf0\x9f\x98\x80\"]");
    CHECK_STR(root->child->string.p, "\xc3\xa9\xf0\x9f\x98\x80\n\"/\\\b\f\r\t");
    CHECK_INT(root->child->string.n, 14);
    CHECK_STR(root->child->next->string.p, "\xc3\xa9\xf0\x9f\x98\x80");
    done();
}

TEST(json_accepts_a_single_value) {
    CHECK(read_json("3")->integer == 3);
    CHECK(str_is(read_json("\"\"")->string, ""));
    CHECK(read_json("null")->kind == JSON_NULL);
    done();
}

TEST(json_finds_members_of_large_objects) {
    text t = {0};
    text_str(&t, "{");
    for (int i = 0; i < 5000; i++) text_printf(&t, "%s\"key%d\":%d", i ? "," : "", i, i * 3);
    text_str(&t, "}");
    const json *root = read_json(t.p);
    CHECK_INT(root->n, 5000);
    CHECK(root->index != NULL);
    for (int i = 0; i < 5000; i++) {
        char key[16];
        snprintf(key, sizeof key, "key%d", i);
        const json *value = json_get(root, key);
        CHECK(value && value->integer == i * 3 && str_is(value->key, key));
    }
    CHECK(json_get(root, "key5000") == NULL && json_get(root, "") == NULL);
    int i = 0;
    for (const json *child = root->child; child; child = child->next) CHECK_INT(child->integer, 3 * i++);
    text_free(&t);
    done();
}

TEST(json_refuses_what_is_no_value) {
    REFUSED("", "line 1 column 1: the text ends too early; expected a value");
    REFUSED(" \n ", "line 2 column 2: the text ends too early; expected a value");
    REFUSED("x", "line 1 column 1: found 'x'; expected a value");
    REFUSED("[1,\n x]", "line 2 column 2: found 'x'; expected a value");
    REFUSED("tru", "line 1 column 1: found 't'; expected a value");
    REFUSED("nul", "line 1 column 1: found 'n'; expected a value");
    REFUSED("True", "line 1 column 1: found True; expected true");
    REFUSED("[None]", "line 1 column 2: found None; expected null");
    REFUSED("NaN", "line 1 column 1: found NaN; expected a number");
    REFUSED("-Infinity", "line 1 column 1: found -Infinity; expected a number");
    REFUSED("Infinity", "line 1 column 1: found Infinity; expected a number");
    REFUSED("'a'", "line 1 column 1: a single quote; expected double quotes");
    REFUSED("{'a':1}", "line 1 column 2: a single quote; expected double quotes");
    REFUSED("\xc3\xa9", "line 1 column 1: found '\xc3\xa9'; expected a value");
    REFUSED("\x01", "line 1 column 1: found '\\x01'; expected a value");
    REFUSED("\0", "line 1 column 1: found '\\x00'; expected a value");
}

TEST(json_refuses_broken_structure) {
    REFUSED("{\n  \"a\": 1,\n  \"b\": 2,\n}",
            "line 3 column 9: trailing comma; expected no comma before '}'");
    REFUSED("[1,]", "line 1 column 3: trailing comma; expected no comma before ']'");
    REFUSED("[,1]", "line 1 column 2: found ','; expected a value");
    REFUSED("[1 2]", "line 1 column 4: found '2'; expected ',' or ']'");
    REFUSED("{\"a\":1 \"b\":2}", "line 1 column 8: found '\"'; expected ',' or '}'");
    REFUSED("{\"a\" 1}", "line 1 column 6: found '1'; expected ':' after the key");
    REFUSED("{\"a\":}", "line 1 column 6: found '}'; expected a value");
    REFUSED("{a:1}", "line 1 column 2: found 'a'; expected a key in double quotes");
    REFUSED("{1:1}", "line 1 column 2: found '1'; expected a key in double quotes");
    REFUSED("{\"a\":1", "line 1 column 7: the text ends too early; expected ',' or '}'");
    REFUSED("{\"a\":1,", "line 1 column 8: the text ends too early; expected a key in double quotes");
    REFUSED("[", "line 1 column 2: the text ends too early; expected a value");
    REFUSED("[1}", "line 1 column 3: found '}'; expected ',' or ']'");
    REFUSED("{\"a\":1}xyz",
            "line 1 column 8: more text after the end; expected nothing after the first value");
    REFUSED("{\"a\":1}\0junk",
            "line 1 column 8: more text after the end; expected nothing after the first value");
    REFUSED("[1] // end", "line 1 column 5: more text after the end; expected nothing after the first value");
    REFUSED("[ // one\n1]", "line 1 column 3: a comment; expected none: JSON has no comments");
    REFUSED("[1 /* one */]", "line 1 column 4: a comment; expected none: JSON has no comments");
    REFUSED("# head\n[]", "line 1 column 1: a comment; expected none: JSON has no comments");
}

TEST(json_refuses_broken_numbers) {
    REFUSED("007", "line 1 column 1: a number with a leading zero; expected no zero before other digits");
    REFUSED("[-01]", "line 1 column 2: a number with a leading zero; expected no zero before other digits");
    REFUSED("1.", "line 1 column 1: a number that ends with its point; expected digits after the point");
    REFUSED("[1.e5]", "line 1 column 2: a number that ends with its point; expected digits after the point");
    REFUSED(".5", "line 1 column 1: found '.'; expected a value");
    REFUSED("+1", "line 1 column 1: found '+'; expected a value");
    REFUSED("-", "line 1 column 1: a sign without a number; expected digits after -");
    REFUSED("1e", "line 1 column 1: a number without its exponent; expected digits after e");
    REFUSED("1e+", "line 1 column 1: a number without its exponent; expected digits after e");
    REFUSED("[1e999]", "line 1 column 2: a number too large for a double; expected at most 1.79e308");
    REFUSED("0x10", "line 1 column 2: more text after the end; expected nothing after the first value");
    REFUSED("1111111111111111111111111111111111111111111111111111111111111111",
            "line 1 column 1: a number of more than 63 characters; expected a shorter one");
    CHECK(read_json("111111111111111111111111111111111111111111111111111111111111111")->number > 1e62);
    CHECK(read_json("1e-999")->number == 0);
    done();
}

TEST(json_refuses_broken_text) {
    REFUSED("[\"abc", "line 1 column 2: text that never ends; expected a closing double quote");
    REFUSED("\"\\", "line 1 column 2: the text ends inside an escape; expected a character after \\");
    REFUSED("\"a\nb\"",
            "line 1 column 3: control byte \\x0a inside text; expected \\n, or a closing quote before it");
    REFUSED("\"a\tb\"", "line 1 column 3: control byte \\x09 inside text; expected \\t");
    REFUSED("\"\x1f\"",
            "line 1 column 2: control byte \\x1f inside text; expected an escape such as \\u001f");
    REFUSED("\"a\0b\"",
            "line 1 column 3: control byte \\x00 inside text; expected an escape such as \\u001f");
    REFUSED("\"\\q\"",
            "line 1 column 2: an unknown escape; expected one of \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX");
    REFUSED("\"\\u12g4\"", "line 1 column 2: a broken escape; expected \\u and four hexadecimal digits");
    REFUSED("\"\\u12", "line 1 column 2: a broken escape; expected \\u and four hexadecimal digits");
    REFUSED("\"\\ud800\"", "line 1 column 2: half a surrogate pair; expected both halves, high one first");
    REFUSED("\"\\ud800\\u0041\"",
            "line 1 column 2: half a surrogate pair; expected both halves, high one first");
    REFUSED("\"\\udc00\\ud800\"",
            "line 1 column 2: half a surrogate pair; expected both halves, high one first");
    REFUSED("{\"a\\u0000b\":1}", "line 1 column 4: the character U+0000; expected text without NUL");
    REFUSED("\"\\u0000\"", "line 1 column 2: the character U+0000; expected text without NUL");
    REFUSED("[\n\"\xff\"]", "line 2 column 2: invalid UTF-8 (byte ff); expected UTF-8");
    REFUSED("\"\xc0\xaf\"", "line 1 column 2: invalid UTF-8 (byte c0); expected UTF-8");
    REFUSED("\"\xed\xa0\x80\"", "line 1 column 2: invalid UTF-8 (byte ed); expected UTF-8");
    REFUSED("\"\xf0\x9f\x98", "line 1 column 2: invalid UTF-8 (byte f0); expected UTF-8");
    REFUSED("\xef\xbb\xbf{}", "line 1 column 1: a byte order mark; expected UTF-8 without one");
}

TEST(json_refuses_a_key_given_twice) {
    REFUSED("{\"a\":1,\n \"b\":2,\n \"a\":3}",
            "line 3 column 2: key \"a\" is given twice, first on line 1; expected each key once");
    REFUSED("{\"a\":1,\"\\u0061\":2}",
            "line 1 column 8: key \"a\" is given twice, first on line 1; expected each key once");
    REFUSED("[{\"x\\n\":1},{\"x\\n\":1,\"x\\n\":1}]",
            "line 1 column 21: key \"x\\x0a\" is given twice, first on line 1; expected each key once");
    text t = {0};
    text_str(&t, "{");
    for (int i = 0; i < 40; i++) text_printf(&t, "\"k%d\":0,\n", i);
    text_str(&t, "\"k7\":0}");
    check_refused(
        t.p, t.n,
        "a.json: line 41 column 1: key \"k7\" is given twice, first on line 8; expected each key once");
    text_free(&t);
    read_json("{\"a\":1,\"A\":2,\"b\":{\"a\":1}}"); /* case matters, and so does the object */
    done();
}

TEST(json_nests_64_deep_and_no_deeper) {
    char deep[400] = "", *p = deep;
    for (int i = 0; i < 64; i++) *p++ = '[';
    for (int i = 0; i < 64; i++) *p++ = ']';
    read_json(deep);
    for (p = deep; p < deep + 399; p++) *p = '[';
    check_refused(deep, 399, "a.json: line 1 column 65: nested deeper than 64; expected at most 64 levels");
    check_refused(deep, 65, "a.json: line 1 column 65: nested deeper than 64; expected at most 64 levels");
    done();
}

TEST(json_refuses_every_truncation) {
    static const char whole[] =
        "{\"a\\u00e9\": [1, -2.5e3, true, null, \"x\\ny\"], \"b\": {\"c\": \"\xc3\xa9\"}}";
    for (size_t n = 0; n < sizeof whole - 1; n++) {
        hone_err err = {0};
        const json *root;
        arena *own = arena_new("test");
        CHECK_INT(json_parse(&root, own, "a.json", arena_copy(own, whole, n), n, HONE_EDATA, &err),
                  HONE_EDATA);
        CHECK(strstr(err.text, "a.json: line 1 column ") == err.text);
        arena_free(own);
    }
}

TEST(json_survives_every_changed_byte) {
    static const char whole[] =
        "{\"k\": [1, -2.5e3, true, null, \"x\\u00e9\\ud83d\\ude00\"], \"b\": {\"c\": 0.1}}";
    char changed[sizeof whole];
    int refused = 0;
    for (size_t i = 0; i < sizeof whole - 1; i++)
        for (int byte = 0; byte < 256; byte++) {
            const json *root;
            arena *own = arena_new("test");
            memcpy(changed, whole, sizeof whole);
            changed[i] = (char)byte;
            refused +=
                json_parse(&root, own, "a.json", changed, sizeof whole - 1, HONE_EDATA, NULL) != HONE_OK;
            arena_free(own);
        }
    CHECK(refused > 10000);
}

TEST(json_reads_a_large_vocabulary_in_linear_time) {
    text t = {0};
    text_str(&t, "{");
    for (int i = 0; i < 160000; i++) text_printf(&t, "%s\"word%d\":%d", i ? "," : "", i, i);
    text_str(&t, "}");
    const uint64_t start = clock_ns();
    const json *root = read_json(t.p);
    for (int i = 0; i < 160000; i++) {
        char key[16];
        snprintf(key, sizeof key, "word%d", i);
        CHECK_INT(json_get(root, key)->integer, i);
    }
    CHECK(clock_ns() - start < 10000000000u); /* one by one it would take minutes */
    text_free(&t);
    done();
}

TEST(json_reads_a_real_tokenizer) {
    const char *folder = test_model_or_skip();
    char path[4096];
    str whole;
    const json *root;
    snprintf(path, sizeof path, "%s/tokenizer.json", folder);
    a = arena_new("test");
    CHECK_OK(file_read(&whole, a, path, 1 << 24, HONE_EUSAGE, err));
    const uint64_t start = clock_ns();
    CHECK_OK(json_parse(&root, a, "tokenizer.json", whole.p, whole.n, HONE_EUSAGE, err));
    fprintf(stderr, "tokenizer.json: %zu bytes in %.2f ms\n", whole.n, (double)(clock_ns() - start) * 1e-6);
    const json *vocab = json_get(json_get(root, "model"), "vocab");
    CHECK_INT(vocab->n, 30522);
    CHECK_INT(json_get(vocab, "[SEP]")->integer, 102);
    done();
}

TEST(json_places_count_lines_and_bytes) {
    int line, column;
    json_place("ab\ncd\n", 6, 0, &line, &column);
    CHECK(line == 1 && column == 1);
    json_place("ab\ncd\n", 6, 2, &line, &column);
    CHECK(line == 1 && column == 3);
    json_place("ab\ncd\n", 6, 3, &line, &column);
    CHECK(line == 2 && column == 1);
    json_place("ab\ncd\n", 6, 99, &line, &column);
    CHECK(line == 3 && column == 1);
    CHECK_STR(json_kind_name(JSON_OBJECT), "an object");
    CHECK_STR(json_kind_name(JSON_STRING), "text");
}
