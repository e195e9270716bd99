/* stream.c - a table that is read block by block: the same rows and refusals as of one that is read whole, in memory that does
 * not grow with the file. */
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

#include "../test.h"
#include "data_util.h"
#include "base/file.h"
#include "base/mem.h"

#define N 2500 /* rows: more than the first block must have */

static const size_t at_once[] = {4, 5, 7, 16, 61, 997, 30000};

static void same_cell(const rows *a, int64_t i, const rows *b, int64_t k, const char *name, size_t window) {
    for (int c = 0; c < a->n_columns; c++) {
        const str x = a->cell[i * a->n_columns + c], y = b->cell[k * b->n_columns + c];
        if (!x.p != !y.p || !str_eq(x, y))
            test_fail(__FILE__, __LINE__, "%s, %zu bytes at once: row %lld, column %d: \"%.*s\", expected \"%.*s\"", name, window,
                      (long long)i, c, (int)y.n, y.p, (int)x.n, x.p);
        if (a->number) CHECK_INT(b->number[k * b->n_columns + c], a->number[i * a->n_columns + c]);
    }
    CHECK_INT(b->line[k], a->line[i]);
}

/* A pass over the blocks of b finds the rows of a; returns how many blocks. */
static int pass_over(const rows *a, rows *b, const char *name, size_t window) {
    int n_blocks = 0, last = 0;
    int64_t i = 0;
    CHECK_INT(b->n_columns, a->n_columns);
    for (int c = 0; c < a->n_columns; c++) CHECK(str_eq(a->column[c], b->column[c]));
    CHECK_OK(rows_next(b, err));
    for (; b->n_rows; n_blocks++) {
        CHECK_INT(b->first, i);
        CHECK(i + b->n_rows <= a->n_rows);
        for (int64_t k = 0; k < b->n_rows; k++) same_cell(a, i++, b, k, name, window);
        CHECK(a->format != ROWS_LINES || b->is_last == (i == a->n_rows));
        last = b->is_last;
        CHECK_OK(rows_next(b, err));
    }
    CHECK_INT(i, a->n_rows);
    CHECK(last || a->format != ROWS_LINES);
    CHECK_STR(b->sha256, a->sha256);
    return n_blocks;
}

/* is_one: one block is right, since all is looked at first. */
static void check_same(const char *path, rows_format format, int header, int is_one) {
    rows_options o = {.format = format, .header = header, .quoting = -1};
    rows *whole = NULL, *blocks = NULL;
    CHECK_OK(rows_read(&whole, path, &o, err));
    for (size_t i = 0; i < sizeof at_once / sizeof *at_once; i++) {
        o.window_bytes = at_once[i];
        CHECK_OK(rows_open(&blocks, path, &o, err));
        const int n = pass_over(whole, blocks, path, at_once[i]);
        if (n < (at_once[i] < 100 ? 20 : at_once[i] < 1000 ? 2 : 1) && !is_one)
            test_fail(__FILE__, __LINE__, "%s, %zu bytes at once: %d blocks", path, at_once[i], n);
        CHECK_OK(rows_rewind(blocks, err));
        CHECK_INT(pass_over(whole, blocks, path, at_once[i]), n);
        rows_free(blocks);
    }
    rows_free(whole);
}

/* N rows of a format; eol ends them. */
static void write_rows(text *out, rows_format format, const char *eol) {
    static const char *const words[] = {"my card", "", "\xe6\x97\xa5\xe6\x9c\xac", "where is it", "\xf0\x9f\x99\x82 \xc3\xa9", "a\rb"};
    for (int i = 0; i < N; i++) {
        const char *w = words[i * 7 % 6];
        if (format == ROWS_JSONL || format == ROWS_JSON) {
            if (format == ROWS_JSON) text_str(out, i ? ",\n" : "[");
            text_printf(out, "{\"text\": \"%s\\u00e9\", \"n\": %d.50%s}", i % 6 == 5 ? "a\\rb" : w, i, i > 2000 ? ", \"late\": [1, {}]" : "");
            if (format == ROWS_JSON) text_str(out, i == N - 1 ? "]\n" : "");
            else if (i < N - 1) text_str(out, i % 10 ? eol : "\n \n");
        } else if (format == ROWS_LINES) text_printf(out, "%s%s", w, i < N - 1 ? eol : "");
        else if (format == ROWS_TSV) text_printf(out, "%d\t\"%s%s", i, *eol == '\r' && !eol[1] ? "x" : w, eol);
        else if (*eol == '\r' && !eol[1]) text_printf(out, "%d,\"%d\"\"\",\"two\rlines\"%s", i, i, eol);
        else if (i % 4) text_printf(out, "%d,%s,%s%s", i, w, i % 9 ? "x" : "\"quoted\"", eol);
        else text_printf(out, "%d,\"%s, \"\"so\"\"%s%s\",%s%s", i, w, eol, eol, i % 8 ? "\"\"" : "y", i % 100 ? eol : "\r\n\r\n\n");
    }
}

TEST(rows_are_the_same_whatever_is_read_at_once) {
    static const struct {
        const char *name, *head, *eol;
        rows_format format;
        int header;
    } files[] = {{"a.csv", "\xef\xbb\xbfid,text,\r\n", "\n", ROWS_CSV, 1}, {"b.csv", "", "\r\n", ROWS_CSV, 0},
                 {"c.csv", "\r\r\"i\"\"d\",text,label\r", "\r", ROWS_CSV, 1}, {"d.tsv", "id\ttext\n", "\n", ROWS_TSV, 1},
                 {"e.txt", "", "\n", ROWS_LINES, 0}, {"f.txt", "\xef\xbb\xbf", "\r\n", ROWS_LINES, 0},
                 {"g.jsonl", "", "\n", ROWS_JSONL, 0}, {"h.jsonl", "\n\n", "\r\n", ROWS_JSONL, 0}, {"i.json", "\n ", "\n", ROWS_JSON, 0}};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        text content = {0};
        text_str(&content, files[i].head);
        write_rows(&content, files[i].format, files[i].eol);
        check_same(make_file(files[i].name, content.p, content.n), files[i].format, files[i].header,
                   files[i].format == ROWS_JSON || !strcmp(files[i].eol, "\r")); /* a file without LF ends rows with CR */
        text_free(&content);
    }
}

TEST(rows_of_packed_files_are_the_same_whatever_is_read_at_once) {
    text content = {0};
    text_str(&content, "id,text,label\n");
    write_rows(&content, ROWS_CSV, "\n");
    const char *path = make_text("packed.csv.gz", "");
    const size_t half = content.n / 2;
    for (int member = 0; member < 2; member++) { /* two members, the second one holds no whole row at first */
        gzFile f = gzopen(path, member ? "ab" : "wb");
        CHECK(f != NULL);
        CHECK_INT(gzwrite(f, content.p + (member ? half : 0), (unsigned)(member ? content.n - half : half)), member ? content.n - half : half);
        CHECK_INT(gzclose(f), Z_OK);
    }
    check_same(path, ROWS_CSV, 1, 0);
    text_free(&content);
}

/* N good rows, and then something wrong: refused in the same words as when all is read at once. */
TEST(refusals_are_the_same_whatever_is_read_at_once) {
    static const struct {
        const char *name;
        rows_format format;
        const char *wrong, *says;
    } files[] = {
        {"a.csv", ROWS_CSV, "1,\"open\n\n", "a.csv: line 2502 opened a quote never closed by end of file"},
        {"a.csv", ROWS_CSV, "1,\"a\nb\"c,2\nd,e\n", "a.csv: line 2503 byte 3: text after a closing quote; expected the delimiter or the end of the row"},
        {"a.csv", ROWS_CSV, "1,2,3\nd,e\n", "a.csv: line 2502: 3 fields, header has 2"},
        {"a.csv", ROWS_CSV, "1\nd,e\n", "a.csv: line 2502: 1 field, header has 2"},
        {"a.csv", ROWS_CSV, "1,\xe6\x97\xa5 \xe6\x97 2\n", "a.csv: line 2502 byte 7: invalid UTF-8 byte 0xe6; expected UTF-8"},
        {"a.csv", ROWS_CSV, "1,2\xf0\x9f\x99", "a.csv: line 2502 byte 4: invalid UTF-8 byte 0xf0; expected UTF-8"},
        {"b.jsonl", ROWS_JSONL, "{\"text\": \"b\", }\n", "b.jsonl: line 2501 column 15: expected a key in double quotes"},
        {"b.jsonl", ROWS_JSONL, "{\"text\": \"b\n", "b.jsonl: line 2501 column 10: string is not closed"},
        {"b.jsonl", ROWS_JSONL, "{\"text\": \"b\"} 1\n", "b.jsonl: line 2501 column 15: something after the object; expected one object a line"},
        {"b.jsonl", ROWS_JSONL, "{\"text\": \"b\", \"text\": 2}\n", "b.jsonl: line 2501 column 15: key \"text\" given twice"},
        {"c.txt", ROWS_LINES, "0123456789012345678901234567890\n", "c.txt: line 2501: field above 30 bytes (`max_field_bytes`)"},
        {"c.txt", ROWS_LINES, "a\n\xff\n", "c.txt: line 2502 byte 1: invalid UTF-8 byte 0xff; expected UTF-8"},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        text content = {0};
        if (files[i].format == ROWS_CSV) text_str(&content, "text,label\n");
        for (int k = 0; k < N; k++)
            text_str(&content, files[i].format == ROWS_CSV ? "a,b\n" : files[i].format == ROWS_LINES ? "a\n" : "{\"text\": \"a\"}\n");
        text_str(&content, files[i].wrong);
        const char *path = make_file(files[i].name, content.p, content.n);
        for (size_t w = 0; w <= sizeof at_once / sizeof *at_once; w++) {
            const rows_options o = {.format = files[i].format, .header = -1, .quoting = -1, .max_field_bytes = 30,
                                    .window_bytes = w ? at_once[w - 1] : 0};
            rows *r = NULL;
            hone_err err = {0};
            hone_status status = w ? rows_open(&r, path, &o, &err) : rows_read(&r, path, &o, &err);
            for (int n = 1; status == HONE_OK && n;) status = rows_next(r, &err), n = r->n_rows > 0;
            CHECK_INT(status, HONE_EDATA);
            CHECK_STR(without_folder(err.text), files[i].says);
            rows_free(r);
        }
        text_free(&content);
    }
}

TEST(a_row_too_long_is_refused_before_all_of_it_is_read) {
    text content = {0};
    hone_err err = {0};
    rows *r = NULL;
    for (int i = 0; i < 400000; i++) text_str(&content, "0123456789");
    const rows_options o = {.header = -1, .quoting = -1, .max_field_bytes = 50000, .max_row_bytes = 100000, .window_bytes = 1000};
    static const struct {
        const char *name, *head, *says;
    } files[] = {{"a.txt", "", "a.txt: line 1: field above 50000 bytes (`max_field_bytes`)"},
                 {"a.csv", "text\n\"", "a.csv: line 2: field above 50000 bytes (`max_field_bytes`)"},
                 {"b.csv", "text\n", "b.csv: line 2: field above 50000 bytes (`max_field_bytes`)"},
                 {"c.jsonl", "{\"text\": \"", "c.jsonl: line 1: row above 100000 bytes (`max_row_bytes`)"}};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        text all = {0};
        text_str(&all, files[i].head);
        text_add(&all, content.p, content.n);
        const char *path = make_file(files[i].name, all.p, all.n);
        text_free(&all);
        mem_peak_begin();
        const size_t before = mem_live_bytes();
        hone_status status = rows_open(&r, path, &o, &err);
        if (status == HONE_OK) status = rows_next(r, &err);
        CHECK_INT(status, HONE_EDATA);
        CHECK_STR(without_folder(err.text), files[i].says);
        rows_free(r);
        CHECK(mem_peak_bytes() - before < 500000);
    }
    text_free(&content);
}

TEST(a_file_that_changes_between_passes_is_refused) {
    const rows_options o = {.header = -1, .quoting = -1, .window_bytes = 1000};
    for (int kind = 0; kind < 4; kind++) {
        text content = {0};
        text_str(&content, kind == 3 ? "" : "text,label\n");
        for (int i = 0; i < N; i++) text_str(&content, kind == 3 ? "{\"a\": \"some\"}\n" : "some,text\n");
        const char *path = make_file(kind == 3 ? "a.jsonl" : "a.csv", content.p, content.n);
        rows *r = NULL;
        hone_err err = {0};
        CHECK_OK(rows_open(&r, path, &o, err));
        do CHECK_OK(rows_next(r, err));
        while (r->n_rows);
        if (kind == 0) content.p[content.n - 2] = 'T';                        /* another letter */
        if (kind == 1) content.p[2] = ',';                                    /* another column */
        if (kind == 2) CHECK_INT(truncate(path, (off_t)content.n / 2), 0);    /* what is mapped would end the process here */
        if (kind == 3) memcpy(content.p + content.n - 13, "\"b\"", 3);        /* another key */
        if (kind != 2) make_file(kind == 3 ? "a.jsonl" : "a.csv", content.p, content.n);
        hone_status status = rows_rewind(r, &err);
        for (int n = 1; status == HONE_OK && n;) status = rows_next(r, &err), n = r->n_rows > 0;
        CHECK_INT(status, HONE_EDATA);
        CHECK_STR(strstr(err.text, ": ") + 2, kind == 2 ? "became shorter while it was read; expected it to stay as it is"
                                                        : "changed while it was read");
        rows_free(r);
        text_free(&content);
    }
}

/* A file of so many bytes, in rows of a few words. */
static const char *write_large(const char *name, rows_format format, size_t bytes) {
    static const char *const row[] = {[ROWS_CSV] = "\"my card, the new one\",yes\n", [ROWS_TSV] = "my card is late\tno\n",
                                      [ROWS_JSONL] = "{\"text\": \"my card is late\", \"label\": \"yes\"}\n",
                                      [ROWS_LINES] = "where is my new card\n"};
    text content = {0};
    if (format == ROWS_CSV || format == ROWS_TSV) text_str(&content, format == ROWS_CSV ? "text,label\n" : "text\tlabel\n");
    while (content.n < bytes) text_str(&content, row[format]);
    const char *path = make_file(name, content.p, content.n);
    text_free(&content);
    return path;
}

/* The most memory that is taken while a file is tokenised into the cache. */
static size_t bytes_taken(const char *path, rows_format format, pool *p, int64_t *n_rows) {
    static const str names[] = {{"no", 2}, {"yes", 3}};
    static int number;
    char folder[4300];
    snprintf(folder, sizeof folder, "%s.cache%d", path, number++);
    tokenizer *t = small_tokenizer();
    dataset_options o = {.label = format == ROWS_LINES ? LABEL_NONE : LABEL_CLASS, .cache_folder = folder,
                         .rows = {.header = -1, .quoting = -1}};
    dataset *d = NULL;
    labels l = {0};
    arena *a = arena_new("test");
    mem_peak_begin();
    const size_t before = mem_live_bytes();
    if (o.label) CHECK_OK(dataset_labels(&l, a, path, &o, err));
    CHECK_OK(dataset_open(&d, path, &o, t, &(labels){2, (str *)(uintptr_t)names}, 0, p, err));
    const size_t taken = mem_peak_bytes() - before;
    *n_rows = d->n;
    CHECK_INT(d->from_cache, 0);
    dataset_free(d);
    arena_free(a);
    tokenizer_free(t);
    return taken;
}

TEST(memory_of_reading_does_not_grow_with_the_file) {
    static const struct {
        const char *name;
        rows_format format;
        size_t small, large;
    } files[] = {{"a.csv", ROWS_CSV, 3000000, 50000000}, {"a.tsv", ROWS_TSV, 2000000, 12000000},
                 {"a.jsonl", ROWS_JSONL, 3000000, 16000000}, {"a.txt", ROWS_LINES, 2000000, 12000000}};
    log_set(LOG_QUIET);
    for (int n_threads = 1; n_threads < 4; n_threads += 2) {
        pool *p = pool_new(n_threads);
        for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
            int64_t few, many;
            const size_t small = bytes_taken(write_large(files[i].name, files[i].format, files[i].small), files[i].format, p, &few),
                         large = bytes_taken(write_large(files[i].name, files[i].format, files[i].large), files[i].format, p, &many);
            CHECK(many > 5 * few);
            if (small > (size_t)8 << 20) test_fail(__FILE__, __LINE__, "%s: %zu bytes are taken", files[i].name, small);
            if (large > small + ((size_t)n_threads << 20)) /* not all threads may have had work with the small one */
                test_fail(__FILE__, __LINE__, "%s: %zu bytes are taken for %lld rows, %zu for %lld", files[i].name, large,
                          (long long)many, small, (long long)few);
        }
        pool_free(p);
    }
}
