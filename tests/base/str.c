/* str.c - slices, UTF-8, numbers, growing texts, escaping and near words. */
#include <locale.h>

#include "base/err.h"
#include "base/str.h"
#include "test.h"

TEST(str_compares_bytes) {
    CHECK(str_eq(STR("ab"), str_of("ab")) && !str_eq(STR("ab"), STR("abc")) && str_eq(STR(""), str_of(NULL)));
    CHECK(str_is(STR("x"), "x") && !str_is(STR("x"), "xy"));
    CHECK(str_compare(STR("a"), STR("b")) < 0 && str_compare(STR("ab"), STR("a")) > 0 &&
          str_compare(STR("a"), STR("a")) == 0);
    CHECK(str_compare(STR("\xff"), STR("a")) > 0 && str_compare(STR(""), STR("a")) < 0);
}

TEST(patterns_match_whole_names) {
    CHECK(str_matches("*pooler*", "bert.pooler.dense.bias") && str_matches("a?c", "abc") && str_matches("*", ""));
    CHECK(!str_matches("pooler", "bert.pooler") && !str_matches("a?c", "ac") && !str_matches("*x", "xy") && !str_matches("", "a"));
}

TEST(utf8_round_trips_every_code_point) {
    for (uint32_t code = 0; code <= 0x110010; code++) {
        char bytes[4];
        uint32_t back = 0;
        const int n = utf8_encode(code, bytes);
        const int valid = code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
        CHECK_INT(n, !valid ? 0 : code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4);
        if (!valid) continue;
        CHECK_INT(utf8_decode(bytes, (size_t)n, &back), n);
        CHECK_INT(back, code);
        CHECK_INT(utf8_decode(bytes, (size_t)n - 1, &back), 0);
    }
}

TEST(utf8_refuses_what_is_no_utf8) {
    static const char *const bad[] = {"\x80",
                                      "\xbf",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xe0\x80\x80",
                                      "\xe0\x9f\xbf",
                                      "\xed\xa0\x80",
                                      "\xed\xbf\xbf",
                                      "\xf0\x80\x80\x80",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xff",
                                      "\xfe",
                                      "\xc3(",
                                      "\xe2\x82(",
                                      "\xf0\x9f\x98("};
    uint32_t code;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_INT(utf8_decode(bad[i], strlen(bad[i]), &code), 0);
        char padded[40];
        size_t at = 99;
        for (size_t before = 0; before < 20; before++) {
            const int n =
                snprintf(padded, sizeof padded, "%.*s%s", (int)before, "aaaaaaaaaaaaaaaaaaaaaa", bad[i]);
            CHECK(!utf8_valid(padded, (size_t)n, &at));
            CHECK_INT(at, before);
        }
    }
    CHECK(utf8_valid("abcdefgh\xc3\xa9xyz12345678", 20, NULL) && utf8_valid("", 0, NULL));
}

TEST(integers_are_read_whole) {
    int64_t x = 5;
    CHECK(str_to_int64(STR("0"), &x) && x == 0);
    CHECK(str_to_int64(STR("-12"), &x) && x == -12);
    CHECK(str_to_int64(STR("+12"), &x) && x == 12);
    CHECK(str_to_int64(STR("9223372036854775807"), &x) && x == INT64_MAX);
    CHECK(str_to_int64(STR("-9223372036854775808"), &x) && x == INT64_MIN);
    static const char *const bad[] = {"",
                                      "-",
                                      "+",
                                      "1 ",
                                      " 1",
                                      "1.0",
                                      "1e3",
                                      "0x1",
                                      "9223372036854775808",
                                      "-9223372036854775809",
                                      "99999999999999999999",
                                      "--1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) CHECK(!str_to_int64(str_of(bad[i]), &x));
}

TEST(doubles_are_read_whole_in_any_locale) {
    static const char *const locales[] = {"C", "de_DE.UTF-8",
                                          "fr_FR.UTF-8"}; /* those that the machine lacks change nothing */
    for (size_t k = 0; k < 3; k++) {
        double x = 5;
        setlocale(LC_ALL, locales[k]);
        CHECK(str_to_double(STR("0.1"), &x) && x == 0.1);
        CHECK(str_to_double(STR("-2.5e-3"), &x) && x == -0.0025);
        CHECK(str_to_double(STR("1E+2"), &x) && x == 100);
        CHECK(str_to_double(STR("5."), &x) && x == 5);
        CHECK(str_to_double(STR(".5"), &x) && x == 0.5);
        CHECK(str_to_double((str){"3.25xyz", 4}, &x) && x == 3.25);
        text t = {0};
        text_double(&t, 0.1);
        text_str(&t, " ");
        text_double(&t, 5e-4);
        text_str(&t, " ");
        text_double(&t, -12345678.9);
        CHECK_STR(t.p, "0.1 0.0005 -12345678.9");
        text_free(&t);
    }
    double x;
    static const char *const bad[] = {"",     ".",   "-",     "1e", "1e+", "nan", "inf",
                                      "0x10", "1,5", "1e999", " 1", "1 ",  "1f"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) CHECK(!str_to_double(str_of(bad[i]), &x));
}

TEST(text_grows_and_prints) {
    text t = {0};
    for (int i = 0; i < 10000; i++) text_printf(&t, "%d,", i % 10);
    CHECK_INT(t.n, 20000);
    CHECK(strlen(t.p) == t.n && !strncmp(t.p + 19996, "8,9,", 4));
    char large[3000];
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = 0;
    text_clear(&t);
    CHECK_STR(t.p, "");
    text_printf(&t, "<%s>", large);
    CHECK_INT(t.n, 3001);
    text_free(&t);
    CHECK(t.p == NULL && t.n == 0);
    text_add(&t, "", 0);
    CHECK_STR(t.p, "");
    text_free(&t);
}

TEST(text_json_is_valid_whatever_the_bytes) {
    text t = {0};
    text_json(&t, "a\"b\\\n\r\t\x01\x7f\xc3\xa9\xff\0z", 14);
    CHECK_STR(t.p, "\"a\\\"b\\\\\\n\\r\\t\\u0001\\u007f\xc3\xa9\xef\xbf\xbd\\u0000z\"");
    text_free(&t);
}

TEST(foreign_text_is_escaped_and_cut) {
    char out[16];
    CHECK_STR(text_escape(out, sizeof out, "caf\xc3\xa9\n\x1b", 7), "caf\xc3\xa9\\x0a\\x1b");
    CHECK_STR(text_escape(out, sizeof out, "\xff\x80", 2), "\\xff\\x80");
    CHECK_STR(text_escape(out, sizeof out, "123456789012345", 15), "123456789012345");
    CHECK_STR(text_escape(out, sizeof out, "1234567890123456", 16), "123456789012...");
    CHECK_STR(text_escape(out, sizeof out, "12345678901\xc3\xa9xyz", 16), "12345678901...");
    CHECK_STR(text_escape(out, sizeof out, "\xc2\x9b[31m", 6),
              "\\xc2\\x9b[31m"); /* C1: a terminal would obey it */
    CHECK_STR(text_escape(out, sizeof out, "", 0), "");
    char guarded[24];
    for (size_t room = 8; room < 24; room++) {
        memset(guarded, 'G', sizeof guarded);
        text_escape(guarded, room, "a\x01\xc3\xa9\x02\xf0\x9f\x98\x80wxyz\x03zzzzzzzzzzz", 26);
        CHECK(strlen(guarded) < room);
        for (size_t i = room; i < sizeof guarded; i++) CHECK(guarded[i] == 'G');
    }
}

TEST(near_words_are_found_and_far_ones_not) {
    static const char *const words[] = {"learning_rate", "weight_decay", "warmup_ratio", "warmup_steps",
                                        "seed"};
    CHECK_STR(nearest_word("learnin_rate", words, 5), "learning_rate");
    CHECK_STR(nearest_word("leraning_rate", words, 5), "learning_rate");
    CHECK_STR(nearest_word("warmup_step", words, 5), "warmup_steps");
    CHECK_STR(nearest_word("sed", words, 5), "seed");
    CHECK(nearest_word("momentum", words, 5) == NULL);
    CHECK(nearest_word("x", words, 5) == NULL && nearest_word("", words, 5) == NULL &&
          nearest_word("seed", words, 0) == NULL);
    char large[100];
    memset(large, 'a', sizeof large - 1);
    large[99] = 0;
    CHECK(nearest_word(large, words, 5) == NULL);
}

TEST(failures_are_one_printable_line) {
    hone_err err = {0};
    CHECK_INT(hone_fail(&err, HONE_EDATA, "a.csv: line %d: \"%s\"", 3, "x\ny\x1b[0m"), HONE_EDATA);
    CHECK_STR(err.text, "a.csv: line 3: \"x\\x0ay\\x1b[0m\"");
    CHECK_INT(err.status, HONE_EDATA);
    CHECK_STR(err.hint, "");
    CHECK_INT(hone_hint(&err, "remove\n%s", "it"), HONE_EDATA);
    CHECK_STR(err.hint, "remove\\x0ait");
    CHECK_INT(hone_fail(&err, HONE_EUSAGE, "again: %s", err.text),
              HONE_EUSAGE); /* err's own text as an argument */
    CHECK(!strncmp(err.text, "again: a.csv: line 3", 20) && !err.hint[0]);
    CHECK_INT(hone_fail(NULL, HONE_ECOMM, "x"), HONE_ECOMM);
    char large[1500];
    memset(large, 'a', sizeof large);
    memcpy(large + 1022, "\xc3\xa9", 3); /* would be cut in its middle */
    hone_fail(&err, HONE_EDATA, "%s", large);
    CHECK_INT(strlen(err.text), 1022);
}

TEST(statuses_have_exit_codes_and_sentences) {
    CHECK_INT(hone_status_exit(HONE_OK), 0);
    CHECK_INT(hone_status_exit(HONE_EUSAGE), 2);
    CHECK_INT(hone_status_exit(HONE_EINTERRUPTED), 130);
    CHECK_INT(hone_status_exit((hone_status)99), 70);
    CHECK_STR(hone_status_text(HONE_OK), "done");
    CHECK_STR(hone_status_text((hone_status)99), "unknown status");
}
