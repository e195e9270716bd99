#include <stdlib.h>

#include "../test.h"
#include "data_util.h"

static const rows_options headerless = {.header = 0, .quoting = -1};

TEST(csv_reads_plain_rows_with_their_lines) {
    rows *r = read_text("a.csv", "text,label\none,x\ntwo words,y\n", NULL);
    CHECK_INT(r->n_rows, 2);
    CHECK_INT(r->n_columns, 2);
    CHECK(str_is(r->column[0], "text") && str_is(r->column[1], "label"));
    CHECK_STR(cell(r, 0, 0), "one");
    CHECK_STR(cell(r, 1, 0), "two words");
    CHECK_STR(cell(r, 1, 1), "y");
    CHECK_INT(r->line[0], 2);
    CHECK_INT(r->line[1], 3);
    CHECK_INT(r->format, ROWS_CSV);
    CHECK(r->number == NULL);
    rows_free(r);
}

TEST(csv_quotes_hold_newlines_delimiters_and_doubled_quotes) {
    rows *r = read_text(
        "a.csv",
        "\"te\"\"xt\",label\r\n\"a,\r\nb\",\"\"\r\n\"say \"\"hi\"\"\",\"\"\"\"\r\nin \"the\" middle,z", NULL);
    CHECK(str_is(r->column[0], "te\"xt"));
    CHECK_INT(r->n_rows, 3);
    CHECK_STR(cell(r, 0, 0), "a,\r\nb");
    CHECK_STR(cell(r, 0, 1), "");
    CHECK_STR(cell(r, 1, 0), "say \"hi\"");
    CHECK_STR(cell(r, 1, 1), "\"");
    CHECK_STR(cell(r, 2, 0), "in \"the\" middle");
    CHECK_STR(cell(r, 2, 1), "z");
    CHECK_INT(r->line[0], 2);
    CHECK_INT(r->line[1], 4); /* the quoted newline is a line of its own */
    CHECK_INT(r->line[2], 5);
    rows_free(r);
}

TEST(csv_takes_bom_crlf_blank_lines_and_no_last_newline) {
    rows *r = read_text("a.csv", "\xef\xbb\xbftext,label\r\n\r\nx,1\r\n\n  ,2\r\ny,3", NULL);
    CHECK(str_is(r->column[0], "text"));
    CHECK_INT(r->n_rows, 3);
    CHECK_STR(cell(r, 1, 0), "  ");
    CHECK_STR(cell(r, 2, 1), "3");
    CHECK_INT(r->line[0], 3);
    CHECK_INT(r->line[1], 5);
    rows_free(r);
}

TEST(csv_keeps_outer_blanks_and_a_lone_carriage_return) {
    rows *r = read_text("a.csv", "a,b\n x ,y\rz \n", NULL);
    CHECK_INT(r->n_rows, 1);
    CHECK_STR(cell(r, 0, 0), " x ");
    CHECK_STR(cell(r, 0, 1), "y\rz ");
    rows_free(r);
    r = read_text("old_mac.csv", "a,b\r1,\"2\r3\"\r4,5\r", NULL);
    CHECK_INT(r->n_rows, 2);
    CHECK_STR(cell(r, 0, 1), "2\r3");
    CHECK_STR(cell(r, 1, 0), "4");
    CHECK_INT(r->line[1], 4);
    rows_free(r);
}

TEST(csv_headerless_columns_are_numbers) {
    rows *r = read_text("a.csv", "one,two,0.5\r\nthree,four,1.5\r\n", &headerless);
    CHECK_INT(r->n_rows, 2);
    CHECK(str_is(r->column[2], "2"));
    CHECK_INT(rows_column(r, STR("1")), 1);
    CHECK_INT(rows_column(r, STR("3")), -1);
    CHECK_STR(cell(r, 0, 0), "one");
    CHECK_INT(r->line[0], 1);
    rows_free(r);
}

TEST(csv_unnamed_columns_get_names_and_numbers_find_columns) {
    rows *r = read_text("a.csv", ",text,\n0,x,y\n", NULL);
    CHECK(str_is(r->column[0], "Unnamed: 0") && str_is(r->column[2], "Unnamed: 2"));
    CHECK_INT(rows_column(r, STR("text")), 1);
    CHECK_INT(rows_column(r, STR("2")), 2);
    CHECK_INT(rows_column(r, STR("-1")), -1);
    CHECK_INT(rows_column(r, STR("nothing")), -1);
    rows_free(r);
    r = read_text("b.csv", "2,1,0\nx,y,z\n", NULL); /* a name wins over a number */
    CHECK_INT(rows_column(r, STR("0")), 2);
    rows_free(r);
}

TEST(csv_delimiter_and_quoting_can_be_given) {
    rows *r = read_text("a.csv", "a;b\n\"1;2\";'3'\n",
                        &(rows_options){.header = -1, .quoting = -1, .delimiter = ';'});
    CHECK_STR(cell(r, 0, 0), "1;2");
    CHECK_STR(cell(r, 0, 1), "'3'");
    rows_free(r);
    r = read_text("b.csv", "a,b\n\"x,y\"\n", &(rows_options){.header = -1, .quoting = 0});
    CHECK_STR(cell(r, 0, 0), "\"x");
    CHECK_STR(cell(r, 0, 1), "y\"");
    rows_free(r);
}

TEST(tsv_has_no_quoting_unless_asked) {
    rows *r = read_text("a.tsv", "a\tb\n\"open\tclose\"\n\"x\ty\n", NULL);
    CHECK_INT(r->format, ROWS_TSV);
    CHECK_INT(r->n_rows, 2);
    CHECK_STR(cell(r, 0, 0), "\"open");
    CHECK_STR(cell(r, 1, 0), "\"x");
    rows_free(r);
    r = read_text("a.tsv", "a\tb\n\"open\tclose\"\tx\n", &(rows_options){.header = -1, .quoting = 1});
    CHECK_STR(cell(r, 0, 0), "open\tclose");
    rows_free(r);
}

TEST(csv_refusals_name_the_place) {
    REFUSES("train.csv", "", "train.csv: no rows");
    REFUSES("train.csv", "text,label\n", "train.csv: no rows");
    REFUSES("train.csv", "\n\n", "train.csv: no rows");
    REFUSES("train.csv", "a,b\n1,2\n\"3\n4,5\n6,7\n",
            "train.csv: line 3 opened a quote never closed by end of file");
    REFUSES("train.csv", "a,b\n\"x\"\"", "train.csv: line 2 opened a quote never closed by end of file");
    REFUSES("train.csv", "a,b,c,d\n1,2,3,4\n\"x\ny\",2,3\n", "train.csv: line 3: 3 fields, header has 4");
    REFUSES("train.csv", "a,b\nx\n", "train.csv: line 2: 1 field, header has 2");
    REFUSES("train.csv", "a,b\nx,y,z\n", "train.csv: line 2: 3 fields, header has 2");
    REFUSES("train.csv", "a,label,c,d,label\n1,2,3,4,5\n",
            "train.csv: line 1: columns 2 and 5 both \"label\"; expected each name once");
    REFUSES(
        "train.csv", "a,b\n1,2\n\"x\" y,2\n",
        "train.csv: line 3 byte 4: text after a closing quote; expected the delimiter or the end of the row");
    CHECK_STR(refusal("train.csv", "1,2\n3\n", 6, &headerless, NULL, HONE_EDATA),
              "train.csv: line 2: 1 field, first row has 2");
    const char *hint;
    refusal("train.csv", "a,b\nx,y,z\n", 10, NULL, &hint, HONE_EDATA);
    CHECK_STR(hint, "put a field that holds the delimiter in double quotes");
}

TEST(csv_bounds_fields_rows_and_columns) {
    rows_options o = {.header = -1, .quoting = -1, .max_field_bytes = 8, .max_row_bytes = 12};
    CHECK_STR(refusal("a.csv", "a,b\n123456789,1\n", 16, &o, NULL, HONE_EDATA),
              "a.csv: line 2: field above 8 bytes (`max_field_bytes`)");
    CHECK_STR(refusal("a.csv", "a,b\n\"123456789\",1\n", 18, &o, NULL, HONE_EDATA),
              "a.csv: line 2: field above 8 bytes (`max_field_bytes`)");
    CHECK_STR(refusal("a.csv", "a,b\n12345678,12345678\n", 22, &o, NULL, HONE_EDATA),
              "a.csv: line 2: row above 12 bytes (`max_row_bytes`)");
    const size_t n = ((size_t)16 << 20) + 10;
    char *big = malloc(n);
    memset(big, 'x', n);
    CHECK_STR(refusal("train.csv", big, n, NULL, NULL, HONE_EDATA),
              "train.csv: line 1: field above 16 MiB (`max_field_bytes`)");
    memset(big, ',', 5000);
    CHECK_STR(refusal("train.csv", big, 5000, NULL, NULL, HONE_EDATA),
              "train.csv: line 1: more than 4096 columns");
    free(big);
}

TEST(csv_scan_finds_every_place_in_long_fields) {
    /* The delimiter at each distance from the field's start, so that every lane of the scan is hit. */
    for (int n = 0; n < 70; n++) {
        char content[200], want[80];
        memset(want, 'w', (size_t)n);
        want[n] = 0;
        snprintf(content, sizeof content, "a,b\n%s,%s\n", want, want);
        rows *r = read_text("a.csv", content, NULL);
        CHECK_INT(r->n_rows, 1);
        CHECK_STR(cell(r, 0, 0), want);
        CHECK_STR(cell(r, 0, 1), want);
        rows_free(r);
    }
}

TEST(files_that_are_no_utf8_are_named) {
    CHECK_STR(refusal("a.csv", "\xff\xfet\0e\0x\0", 8, NULL, NULL, HONE_EDATA),
              "a.csv: looks like UTF-16 (BOM ff fe); expected UTF-8");
    CHECK_STR(refusal("a.csv", "\xfe\xff\0t\0e\0x", 8, NULL, NULL, HONE_EDATA),
              "a.csv: looks like UTF-16 (BOM fe ff); expected UTF-8");
    CHECK_STR(refusal("a.csv", "t\0e\0x\0", 6, NULL, NULL, HONE_EDATA),
              "a.csv: looks like UTF-16 (every other byte is NUL); expected UTF-8");
    const char *hint;
    CHECK_STR(
        refusal("a.csv", "text,label\nx,1\nna\xc3\xafve,2\nca bon caf\xe9,3\n", 38, NULL, &hint, HONE_EDATA),
        "a.csv: line 4 byte 11: invalid UTF-8 byte 0xe9; expected UTF-8");
    CHECK_STR(hint, "convert it, for example: iconv -f ISO-8859-1 -t UTF-8");
    CHECK_STR(refusal("a.csv", "text,label\nx\0,1\n", 16, NULL, NULL, HONE_EDATA),
              "a.csv: line 2 byte 2: NUL byte; expected UTF-8 text");
    CHECK_STR(refusal("a.csv", "text\n\xed\xa0\x80\n", 9, NULL, NULL, HONE_EDATA),
              "a.csv: line 2 byte 1: invalid UTF-8 byte 0xed; expected UTF-8");
}
