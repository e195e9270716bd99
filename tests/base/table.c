/* table.c - columns as people, Markdown and spreadsheets read them. */
#include "base/table.h"
#include "test.h"

static table *new_table(void) {
    table *t = table_new(3);
    static const char *const cells[] = {"label", "n",   "note", "caf\xc3\xa9",  "12",
                                        "",      "a,b", "-3.5", "say \"x\" | y"};
    for (int i = 0; i < 9; i++) table_cell(t, "%s", cells[i]);
    return t;
}

TEST(table_aligns_by_characters) {
    table *t = new_table();
    text out = {0};
    table_print(t, &out);
    CHECK_STR(out.p, "label     n  note\n"
                     "-----  ----  -----------\n"
                     "caf\xc3\xa9     12\n"
                     "a,b    -3.5  say \"x\" | y\n");
    text_free(&out);
    table_free(t);
    table_free(NULL);
}

TEST(table_prints_markdown_and_csv) {
    table *t = new_table();
    text out = {0};
    table_markdown(t, &out);
    CHECK_STR(out.p, "| label | n | note |\n| --- | ---: | --- |\n| caf\xc3\xa9 | 12 |  |\n| a,b | -3.5 | "
                     "say \"x\" \\| y |\n");
    text_clear(&out);
    table_csv(t, &out);
    CHECK_STR(out.p, "label,n,note\ncaf\xc3\xa9,12,\n\"a,b\",-3.5,\"say \"\"x\"\" | y\"\n");
    text_free(&out);
    table_free(t);
}

TEST(table_fills_its_last_row) {
    table *t = table_new(2);
    text out = {0};
    table_cell(t, "a");
    table_cell(t, "b");
    table_cell(t, "%300d", 7);
    table_csv(t, &out);
    CHECK_INT(out.n, 4 + 302);
    text_free(&out);
    table_free(t);
}

TEST(bytes_are_written_for_people) {
    char out[24];
    bytes_text(out, 0);
    CHECK_STR(out, "0 B");
    bytes_text(out, 1023);
    CHECK_STR(out, "1023 B");
    bytes_text(out, 1536);
    CHECK_STR(out, "1.5 KiB");
    bytes_text(out, 77668024);
    CHECK_STR(out, "74.07 MiB");
    bytes_text(out, 2147483648.0);
    CHECK_STR(out, "2.0 GiB");
    bytes_text(out, -1536);
    CHECK_STR(out, "-1.5 KiB");
    bytes_text(out, 1e30);
    CHECK(strlen(out) < 24);
}
