#include "../test.h"
#include "data_util.h"

TEST(jsonl_reads_objects_of_flat_values) {
    rows *r = read_text("a.jsonl",
                        "{\"text\":\"one\",\"label\":3}\n\n  { \"label\" : true , \"text\" : "
                        "\"tw\\u00f6\\n\\ud83d\\ude00\" }\r\n"
                        "{\"text\":null,\"extra\":{\"a\":[1,\"}\"]}}",
                        NULL);
    CHECK_INT(r->n_rows, 3);
    CHECK_INT(r->n_columns, 3);
    CHECK_INT(r->format, ROWS_JSONL);
    CHECK_STR(cell(r, 0, 0), "one");
    CHECK_STR(cell(r, 0, 1), "3");
    CHECK_STR(cell(r, 0, 2), "(absent)");
    CHECK_STR(cell(r, 1, 0), "tw\xc3\xb6\n\xf0\x9f\x98\x80");
    CHECK_STR(cell(r, 1, 1), "True");
    CHECK_STR(cell(r, 2, 0), "(absent)");
    CHECK_STR(cell(r, 2, 2), "{\"a\":[1,\"}\"]}");
    CHECK_INT(r->number[0], CELL_TEXT);
    CHECK_INT(r->number[1], CELL_NUMBER);
    CHECK_INT(r->number[4], CELL_NUMBER);
    CHECK_INT(r->number[8], CELL_NESTED);
    CHECK_INT(r->line[1], 3);
    CHECK_INT(r->line[2], 4);
    rows_free(r);
}

TEST(json_array_reads_like_jsonl_and_keeps_lines) {
    rows *r = read_text(
        "a.json",
        "\xef\xbb\xbf [\n {\"text\": \"a\",\n  \"label\": \"x\"},\n {\"text\": \"b\", \"label\": \"y\"}\n]\n",
        NULL);
    CHECK_INT(r->format, ROWS_JSON);
    CHECK_INT(r->n_rows, 2);
    CHECK_STR(cell(r, 1, 1), "y");
    CHECK_INT(r->line[0], 2);
    CHECK_INT(r->line[1], 4);
    rows_free(r);
    r = read_text("lines.json", "{\"text\":\"a\"}\n{\"text\":\"b\"}\n", NULL);
    CHECK_INT(r->format, ROWS_JSONL);
    CHECK_INT(r->n_rows, 2);
    rows_free(r);
}

TEST(json_numbers_are_kept_as_python_prints_them) {
    static const char *const pairs[][2] = {
        {"0", "0"},
        {"-0", "0"},
        {"007e0", NULL},
        {"12345678901234567890", "12345678901234567890"},
        {"1.0", "1.0"},
        {"0.1", "0.1"},
        {"-2.50", "-2.5"},
        {"1e5", "100000.0"},
        {"1e16", "1e+16"},
        {"1e15", "1000000000000000.0"},
        {"1e-4", "0.0001"},
        {"1e-5", "1e-05"},
        {"0.30000000000000004", "0.30000000000000004"},
        {"1.7976931348623157e308", "1.7976931348623157e+308"},
        {"123456.789", "123456.789"},
        {"-0.0", "-0.0"},
        {"5e-324", "5e-324"},
        {"2.5E+3", "2500.0"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        char line[200];
        snprintf(line, sizeof line, "{\"x\":%s}\n", pairs[i][0]);
        if (!pairs[i][1]) {
            refusal("a.jsonl", line, strlen(line), NULL, NULL, HONE_EDATA);
            continue;
        }
        rows *r = read_text("a.jsonl", line, NULL);
        CHECK_STR(cell(r, 0, 0), pairs[i][1]);
        rows_free(r);
    }
}

TEST(jsonl_columns_may_appear_late_and_in_any_order) {
    char content[8000];
    size_t n = 0;
    for (int i = 0; i < 40; i++)
        n += (size_t)snprintf(content + n, sizeof content - n, "{\"k%d\":%d,\"k0\":\"z\"}\n", i + 1, i);
    rows *r = read_text("a.jsonl", content, NULL);
    CHECK_INT(r->n_rows, 40);
    CHECK_INT(r->n_columns, 41);
    for (int i = 0; i < 40; i++) {
        char name[16], want[16];
        snprintf(name, sizeof name, "k%d", i + 1);
        snprintf(want, sizeof want, "%d", i);
        const int c = rows_column(r, str_of(name));
        CHECK_STR(cell(r, i, c), want);
        CHECK_STR(cell(r, (i + 1) % 40, c), "(absent)");
        CHECK_STR(cell(r, i, rows_column(r, STR("k0"))), "z");
    }
    rows_free(r);
}

TEST(json_refusals_name_line_and_column) {
    REFUSES("a.jsonl", "", "a.jsonl: no rows");
    REFUSES("a.jsonl", "{\"a\":1}\n[1]\n", "a.jsonl: line 2: expected an object");
    REFUSES("a.jsonl", "[{\"a\":1}]\n", "a.jsonl: line 1: expected an object");
    REFUSES("a.jsonl", "{\"a\":1}\n\"x\"\n", "a.jsonl: line 2: expected an object");
    REFUSES("a.jsonl", "{\"a\":1\n", "a.jsonl: line 1 column 7: object is not closed; expected ',' or '}'");
    REFUSES("a.jsonl", "{\"a\":1} {\"a\":2}\n",
            "a.jsonl: line 1 column 9: something after the object; expected one object a line");
    REFUSES("a.jsonl", "{\"a\":1}\n{\"a\":NaN}\n",
            "a.jsonl: line 2 column 6: NaN and Infinity are not JSON; expected a finite number or null");
    REFUSES("a.jsonl", "{\"a\":-Infinity}\n",
            "a.jsonl: line 1 column 6: NaN and Infinity are not JSON; expected a finite number or null");
    REFUSES("a.jsonl", "{\"a\":1e999}\n", "a.jsonl: line 1 column 6: number is not finite in 64 bits");
    REFUSES("a.jsonl", "{\"a\":01}\n",
            "a.jsonl: line 1 column 6: not a JSON value; expected text, a number, true, false or null");
    REFUSES("a.jsonl", "{\"a\":1.}\n", "a.jsonl: line 1 column 6: number has no digits after its point");
    REFUSES("a.jsonl", "{\"a\":1e+}\n", "a.jsonl: line 1 column 6: number has no digits in its exponent");
    REFUSES("a.jsonl", "{\"a\":'x'}\n",
            "a.jsonl: line 1 column 6: not a JSON value; expected text, a number, true, false or null");
    REFUSES("a.jsonl", "{\"a\":1,}\n", "a.jsonl: line 1 column 8: expected a key in double quotes");
    REFUSES("a.jsonl", "{\"a\" 1}\n", "a.jsonl: line 1 column 6: expected ':'");
    REFUSES("a.jsonl", "{\"a\":1 \"b\":2}\n", "a.jsonl: line 1 column 8: expected ',' or '}'");
    REFUSES("a.jsonl", "{\"a\":1,\"b\":2,\"a\":3}\n", "a.jsonl: line 1 column 14: key \"a\" given twice");
    REFUSES("a.jsonl", "{\"a\":\"x\n\"}\n", "a.jsonl: line 1 column 6: string is not closed");
    REFUSES("a.jsonl", "{\"a\":\"x\ty\"}\n",
            "a.jsonl: line 1 column 8: control byte 0x09 in a string; expected an escape");
    REFUSES(
        "a.jsonl", "{\"a\":\"\\x\"}\n",
        "a.jsonl: line 1 column 7: unknown escape; expected one of \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u");
    REFUSES("a.jsonl", "{\"a\":\"\\u12g4\"}\n",
            "a.jsonl: line 1 column 7: broken \\u escape; expected four hexadecimal digits");
    REFUSES("a.jsonl", "{\"a\":\"\\ud83d\"}\n",
            "a.jsonl: line 1 column 7: half of a surrogate pair; expected a whole character");
    REFUSES("a.jsonl", "{\"a\":\"\\u0000\"}\n",
            "a.jsonl: line 1 column 7: \\u0000 in text; expected text without NUL");
    REFUSES("a.jsonl", "{\"a\":[1,2}\n", "a.jsonl: line 1 column 10: bracket closes another kind");
    REFUSES("a.jsonl", "{\"a\":[1,2\n", "a.jsonl: line 1 column 6: nested value is not closed");
    REFUSES("a.json", "[{\"a\":1},]", "a.json: line 1: expected an object");
    REFUSES("a.json", "[]", "a.json: no rows");
    REFUSES("a.json", "[{\"a\":1}\n{\"a\":2}]", "a.json: line 2 column 1: expected ',' or ']'");
    REFUSES("a.json", "[{\"a\":1}] x",
            "a.json: line 1 column 11: something after the array; expected the end of the file");
    REFUSES("a.json", "{\n\"data\": []}",
            "a.json: line 1 column 2: object is not closed; expected ',' or '}'");
    REFUSES("a.json", "3", "a.json: line 1 column 1: expected an array of objects");
}

TEST(json_nesting_is_bounded) {
    char content[400];
    int n = snprintf(content, sizeof content, "{\"a\":");
    for (int i = 0; i < 65; i++) content[n++] = '[';
    for (int i = 0; i < 65; i++) content[n++] = ']';
    content[n++] = '}';
    CHECK_STR(refusal("a.jsonl", content, (size_t)n, NULL, NULL, HONE_EDATA),
              "a.jsonl: line 1 column 70: nesting deeper than 64");
}

TEST(json_truncated_anywhere_is_refused_or_shorter) {
    static const char whole[] =
        "[{\"a\":\"x\\u00e9\\\"\",\"b\":[1,{\"c\":null}]},{\"a\":-1.5e3,\"b\":false}]";
    for (size_t n = 0; n < sizeof whole - 1; n++) refusal("a.json", whole, n, NULL, NULL, HONE_EDATA);
    rows *r = read_text("a.json", whole, NULL);
    CHECK_INT(r->n_rows, 2);
    rows_free(r);
}
