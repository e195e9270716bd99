#include <stdlib.h>
#include <zlib.h>

#include "../test.h"
#include "data_util.h"

TEST(lines_are_rows_even_when_empty) {
    rows *r = read_text("a.txt", "one, \"two\"\r\n\nthree\n", NULL);
    CHECK_INT(r->format, ROWS_LINES);
    CHECK_INT(r->n_rows, 3);
    CHECK(str_is(r->column[0], "text"));
    CHECK_STR(cell(r, 0, 0), "one, \"two\"");
    CHECK_STR(cell(r, 1, 0), "");
    CHECK_STR(cell(r, 2, 0), "three");
    CHECK_INT(r->line[2], 3);
    rows_free(r);
    r = read_text("b.txt", "no newline", NULL);
    CHECK_INT(r->n_rows, 1);
    rows_free(r);
}

TEST(format_is_told_by_content_where_the_name_says_nothing) {
    static const struct {
        const char *name, *content;
        rows_format format;
    } cases[] = {
        {"x.txt", "a\tb\nc\td\n", ROWS_TSV},     {"x.txt", "a\tb\nc d\n", ROWS_LINES},
        {"x", "{\"text\":\"a\"}\n", ROWS_JSONL}, {"x", " [ {\"text\":\"a\"}]", ROWS_JSON},
        {"x.txt", "{curly} text\n", ROWS_LINES}, {"x.txt", "[ERROR] disk full\n", ROWS_LINES},
        {"X.CSV", "a,b\n1,2\n", ROWS_CSV},       {"x.TSV", "a,b\n1,2\n", ROWS_TSV},
        {"x.ndjson", "{\"a\":1}\n", ROWS_JSONL}, {"x.txt", "a, b\nc, d\n", ROWS_LINES},
        {"x.json", "\n[{\"a\":1}]", ROWS_JSON},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rows *r = read_text(cases[i].name, cases[i].content, NULL);
        CHECK_INT(r->format, cases[i].format);
        rows_free(r);
    }
    rows *r =
        read_text("x.csv", "one\ntwo\n", &(rows_options){.format = ROWS_LINES, .header = -1, .quoting = -1});
    CHECK_INT(r->n_rows, 2);
    rows_free(r);
}

static const char *make_gz(const char *name, const char *content, size_t n, int members, size_t cut) {
    unsigned char *out = malloc(n + 4096);
    size_t used = 0;
    for (int m = 0; m < members; m++) {
        z_stream z = {0};
        CHECK_INT(deflateInit2(&z, 9, Z_DEFLATED, 16 + MAX_WBITS, 9, Z_DEFAULT_STRATEGY), Z_OK);
        z.next_in = (Bytef *)(uintptr_t)(content + n * (size_t)m / (size_t)members);
        z.avail_in = (uInt)(n * (size_t)(m + 1) / (size_t)members - n * (size_t)m / (size_t)members);
        z.next_out = out + used;
        z.avail_out = (uInt)(n + 4096 - used);
        CHECK_INT(deflate(&z, Z_FINISH), Z_STREAM_END);
        used += z.total_out;
        deflateEnd(&z);
    }
    const char *path = make_file(name, out, used - cut);
    free(out);
    return path;
}

TEST(gz_is_unpacked_in_one_member_or_several) {
    static const char content[] = "text,label\none,x\ntwo,y\n";
    for (int members = 1; members <= 3; members++) {
        rows *r = NULL;
        CHECK_OK(rows_read(&r, make_gz("a.csv.gz", content, sizeof content - 1, members, 0), NULL, err));
        CHECK_INT(r->format, ROWS_CSV);
        CHECK_INT(r->n_rows, 2);
        CHECK_STR(cell(r, 1, 0), "two");
        rows_free(r);
    }
}

TEST(gz_cut_short_or_damaged_is_refused) {
    hone_err err;
    rows *r;
    static const char content[] = "text,label\none,x\ntwo,y\nthree,z\nfour,w\n";
    CHECK_INT(rows_read(&r, make_gz("a.csv.gz", content, sizeof content - 1, 1, 3), NULL, &err), HONE_EDATA);
    CHECK(strstr(err.text, "gzip data ends early; the file is cut short") != NULL);
    char bad[64] = "\x1f\x8b\x08\0\0\0\0\0\0\x03";
    memset(bad + 10, 0xff, 50);
    CHECK_INT(rows_read(&r, make_file("b.csv.gz", bad, 60), NULL, &err), HONE_EDATA);
    CHECK(strstr(err.text, "damaged gzip data") != NULL);
}

TEST(gz_expansion_is_bounded) {
    /* One run of one byte expands about 1,030 times, which is as far as the format goes: read if the bytes
     * may be many. */
    const size_t n = (size_t)8 << 20;
    char *run = malloc(n);
    memset(run, 'a', n);
    for (size_t i = 1000; i < n; i += 1000) run[i] = '\n';
    const char *path = make_gz("a.txt.gz", run, n, 1, 0);
    rows *r;
    CHECK_OK(rows_read(&r, path, NULL, err));
    CHECK_INT(r->n_rows, (long long)(n / 1000) + 1);
    rows_free(r);
    hone_err err;
    rows_options o = {.header = -1, .quoting = -1, .max_unpacked_bytes = (size_t)1 << 20};
    CHECK_INT(rows_read(&r, path, &o, &err), HONE_EDATA);
    CHECK(strstr(err.text, "expands beyond limit at byte ") != NULL);
    CHECK(strstr(err.text, "1048576 bytes (`max_unpacked_bytes`)") != NULL);
    free(run);
}

TEST(what_is_no_file_is_refused) {
    hone_err err;
    rows *r = NULL;
    CHECK_INT(rows_read(&r, test_fixture("data-fixtures"), NULL, &err), HONE_EDATA);
    CHECK(strstr(err.text, "data-fixtures: is a folder; expected a regular file") != NULL);
    CHECK_INT(rows_read(&r, "/dev/zero", NULL, &err), HONE_EDATA);
    CHECK_STR(err.text, "/dev/zero: is no regular file; expected one");
    CHECK_INT(rows_read(&r, test_fixture("data-fixtures/nothing.csv"), NULL, &err), HONE_EDATA);
    CHECK(strstr(err.text, "nothing.csv") != NULL);
    CHECK(r == NULL);
}

TEST(sha256_is_that_of_the_file) {
    rows *r = read_text("abc.txt", "abc", NULL);
    CHECK_STR(r->sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    rows_free(r);
}
