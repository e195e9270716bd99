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
    token_blocks b;
    columns c;
    hone_err err = {0};
    CHECK_OK(columns_choose(&c, r, NULL, 0, NULL, LABEL_NEEDED, err));
    const token_source from = {r, &c, &classes, t, &none, r->n_rows, NULL};
    CHECK_OK(tokens_encode(&b, &from, 1, err));
    tokens_free(&b);
    come(SIGTERM);
    CHECK_INT(tokens_encode(&b, &from, 1, &err), HONE_EPREEMPTED);
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

static void check_reader(hone_status read(reader *in, hone_err *err), rows_format format,
                         const char *content) {
    rows_store store = {0};
    rows r = {.a = arena_new("rows"), .name = "data", .format = format};
    reader in = {.r = &r, .store = &store, .p = content, .end = content + strlen(content)};
    in.o = (rows_options){.header = 1, .delimiter = ',', .max_field_bytes = 99, .max_row_bytes = 99};
    hone_err err = {0};
    CHECK_INT(read(&in, &err), HONE_EPREEMPTED);
    vec_free(&store.cell);
    vec_free(&store.line);
    vec_free(&store.number);
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
    check_reader(csv_read, ROWS_CSV, "text,label\na,b\n");
    check_reader(jsonl_read, ROWS_JSONL, "{\"text\":\"a\"}\n");
    check_reader(lines_read, ROWS_LINES, "a\nb\n");
    CHECK_INT(source_hash(hash, path, NULL, &err), HONE_EPREEMPTED);
    CHECK_INT(file_read_data(&bytes, a, path, 99, HONE_EDATA, &err), HONE_EPREEMPTED);
    CHECK_INT(file_lock_wait(&wanted, lock, &err), HONE_EPREEMPTED); /* another process tokenises for long */
    CHECK_OK(file_read(&bytes, a, path, 99, HONE_EDATA, err));       /* what a save reads */
    file_lock_close(held);
    arena_free(a);
}
