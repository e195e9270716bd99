/* signals.c - each stage of reading and tokenising ends once a signal came, with the status of its kind. */
#include <signal.h>

#include "../test.h"
#include "base/file.h"
#include "data/cache.h"
#include "data/reader.h"
#include "data/tokens.h"
#include "data_util.h"

static const rows_options automatic = {.header = -1, .quoting = -1};
static const dataset_options classes = {.label = LABEL_CLASS, .rows = {.header = -1, .quoting = -1}};

static const labels none;

static void come(int number) {
    sig_install();
    CHECK(!raise(number));
}

/* The rows are there already; what is left is the stage itself. */
static rows *some_rows(void) { return read_text("a.csv", "text,label\nmy card,yes\nwhere,no\n", &automatic); }

TEST(tokenising_ends_at_a_signal) {
    rows *r = some_rows();
    tokenizer *t = small_tokenizer();
    token_blocks b = {0};
    columns c;
    hone_err err = {0};
    CHECK_OK(columns_choose(&c, r, NULL, 0, NULL, LABEL_NEEDED, err));
    const token_source from = {r, &c, &classes, t, &none, r->n_rows, 1, NULL};
    CHECK_OK(tokens_encode(&b, &from, err));
    come(SIGTERM);
    CHECK_INT(tokens_encode(&b, &from, &err), HONE_EPREEMPTED);
    CHECK_STR(err.text, "preempted: there was nothing new to save, rerun the same command to continue");
    tokens_free(&b);
    tokenizer_free(t);
    rows_free(r);
}

TEST(an_interrupt_is_told_from_a_request_to_terminate) {
    rows *r = some_rows();
    labels l;
    arena *a = arena_new("labels");
    hone_err err = {0};
    come(SIGINT);
    CHECK_INT(labels_collect(&l, a, r, 1, &err), HONE_EINTERRUPTED);
    CHECK_STR(err.text, "interrupted: there was nothing new to save");
    arena_free(a);
    rows_free(r);
}

static void check_reader(const char *name, const char *content) {
    rows *r;
    hone_err err = {0};
    CHECK_INT(rows_read(&r, make_text(name, content), &automatic, &err), HONE_EPREEMPTED);
}

/* The rows are in the window already: it is the reader that asks. */
static void check_rows(rows_format format, const char *content) {
    rows r = {.a = arena_new("rows"), .name = "data", .format = format, .n_columns = 1};
    rows_store store = {.texts = arena_new("texts")};
    reader in = {.r = &r, .store = &store, .p = content, .end = content + strlen(content), .rows_max = 9, .line = 1, .eol = '\n'};
    in.o = (rows_options){.header = 1, .delimiter = ',', .max_field_bytes = 99, .max_row_bytes = 99};
    hone_err err = {0};
    if (format == ROWS_JSONL) jsonl_begin(&in);
    CHECK_INT(format == ROWS_JSONL   ? jsonl_read(&in, &err)
              : format == ROWS_LINES ? lines_read(&in, &err)
                                     : csv_read(&in, &err),
              HONE_EPREEMPTED);
    jsonl_end(&in);
    vec_free(&store.cell);
    vec_free(&store.line);
    vec_free(&store.number);
    arena_free(store.texts);
    arena_free(r.a);
}

TEST(reading_ends_at_a_signal_in_every_format) {
    char hash[65];
    str bytes;
    file_lock *held, *wanted;
    hone_err err = {0};
    arena *a = arena_new("bytes");
    const char *path = make_text("a.txt", "some text\n"), *lock = make_text("lock", "");
    CHECK_OK(file_lock_wait(&held, lock, err));
    come(SIGUSR1);
    check_rows(ROWS_CSV, "a\nb\n");
    check_rows(ROWS_JSONL, "{\"text\":\"a\"}\n");
    check_rows(ROWS_LINES, "a\nb\n");
    check_reader("b.csv", "text,label\na,b\n");
    CHECK_INT(source_hash(hash, path, NULL, &err), HONE_EPREEMPTED);
    CHECK_INT(file_read_data(&bytes, a, path, 99, HONE_EDATA, &err), HONE_EPREEMPTED);
    CHECK_INT(file_lock_wait(&wanted, lock, &err), HONE_EPREEMPTED); /* another process tokenises for long */
    CHECK_OK(file_read(&bytes, a, path, 99, HONE_EDATA, err));       /* what a save reads */
    file_lock_close(held);
    arena_free(a);
}
