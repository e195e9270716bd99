/* windows.c - windows of questions through the cache: mapped the second time, made anew where anything else is asked or it is
 * damaged. */
#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

#include "../test.h"
#include "data_util.h"
#include "base/file.h"
#include "base/mem.h"
#include "data/cache.h"
#include "data/windows.h"

static const char *folder_of(const char *path) {
    static char folder[4300];
    snprintf(folder, sizeof folder, "%.*s/cache", (int)(strrchr(path, '/') - path), path);
    return folder;
}

/* So many questions of contexts of unlike lengths; the answer is a word of the context. */
static const char *write_questions(const char *name, int n, const char *word) {
    text content = {0};
    text_str(&content, "{\"data\": [{\"paragraphs\": [");
    for (int i = 0; i < n; i++) {
        text_printf(&content, "%s{\"context\": \"", i ? ", " : "");
        for (int k = 0; k < 4 + i % 30; k++) text_str(&content, "my new ");
        text_printf(&content, "%s please\", \"qas\": [{\"id\": \"q%d\", \"question\": \"where is my card?\", \"answers\": [{\"text\": \"%s\", \"answer_start\": %d}]}]}",
                    word, i, word, 7 * (4 + i % 30));
    }
    text_str(&content, "]}]}");
    const char *path = make_file(name, content.p, content.n);
    text_free(&content);
    return path;
}

static dataset *open_windows(const char *path, int64_t max, window_options o, tokenizer *t, pool *p) {
    questions *q = NULL;
    dataset *d = NULL;
    log_set(LOG_QUIET);
    CHECK_OK(questions_read(&q, path, NULL, max, err));
    CHECK_OK(windows_make(&d, q, &o, t, p, err));
    return d;
}

static void check_equal(const dataset *a, const dataset *b) {
    const size_t n = (size_t)a->n, ids = (size_t)a->n_tokens * sizeof(int32_t);
    CHECK(a->n == b->n && a->n_tokens == b->n_tokens && a->max_length == b->max_length);
    CHECK_STR(a->sha256, b->sha256);
    CHECK(!memcmp(a->at, b->at, (n + 1) * sizeof *a->at) && !memcmp(a->id, b->id, ids));
    CHECK(!memcmp(a->type, b->type, (size_t)a->n_tokens) && !memcmp(a->label, b->label, n * sizeof *a->label));
    CHECK(!memcmp(a->span, b->span, 2 * n * sizeof *a->span));
    CHECK(!memcmp(a->from, b->from, ids) && !memcmp(a->to, b->to, ids));
    CHECK(!memcmp(a->windows->question, b->windows->question, n * sizeof(int64_t)));
}

static const char *only_file(const char *folder, int *n) {
    static char path[8500];
    DIR *f = opendir(folder);
    CHECK(f != NULL);
    *n = 0;
    for (struct dirent *e; (e = readdir(f)) != NULL;)
        if (strstr(e->d_name, ".tokens")) snprintf(path, sizeof path, "%s/%s", folder, e->d_name), ++*n;
    closedir(f);
    return path;
}

TEST(windows_are_mapped_the_second_time_and_equal) {
    tokenizer *t = small_tokenizer();
    const char *path = write_questions("a.json", 5000, "refund");
    window_options o = {24, 4, 1, NULL, 0};
    pool *p = pool_new(3);
    dataset *kept = open_windows(path, 0, o, t, NULL);
    CHECK(kept->n > 9000 && kept->max_length == 24);
    o.cache_folder = folder_of(path);
    dataset *first = open_windows(path, 0, o, t, p), *second = open_windows(path, 0, o, t, NULL);
    CHECK_INT(first->from_cache, 0);
    CHECK_INT(second->from_cache, 1);
    check_equal(kept, first);
    check_equal(kept, second);
    o.rebuild = 1;
    dataset *third = open_windows(path, 0, o, t, p);
    CHECK_INT(third->from_cache, 0);
    check_equal(kept, third);
    int n;
    only_file(o.cache_folder, &n);
    CHECK_INT(n, 1);
    dataset_free(kept), dataset_free(first), dataset_free(second), dataset_free(third);
    o.cache_folder = path; /* a file: done without */
    dataset *without = open_windows(path, 0, o, t, p);
    CHECK_INT(without->from_cache, 0);
    dataset_free(without);
    pool_free(p);
    tokenizer_free(t);
}

TEST(windows_of_other_settings_or_questions_are_others) {
    tokenizer *t = small_tokenizer();
    const char *path = write_questions("a.json", 40, "refund");
    const window_options o = {24, 4, 1, folder_of(path), 0};
    const window_options others[] = {{25, 4, 1, o.cache_folder, 0}, {24, 5, 1, o.cache_folder, 0}, {24, 4, 0, o.cache_folder, 0}};
    dataset_free(open_windows(path, 0, o, t, NULL));
    for (size_t i = 0; i < 5; i++) {
        if (i == 4) path = write_questions("a.json", 40, "bill");
        dataset *d = open_windows(path, i == 3 ? 30 : 0, i < 3 ? others[i] : o, t, NULL);
        CHECK_INT(d->from_cache, 0);
        dataset_free(d);
        int n;
        only_file(o.cache_folder, &n);
        CHECK_INT(n, (int)i + 2);
    }
    tokenizer_free(t);
}

TEST(windows_damaged_at_any_place_are_made_anew) {
    static char good[200000], bad[200000];
    tokenizer *t = small_tokenizer();
    const char *path = write_questions("a.json", 12, "refund");
    const window_options o = {24, 4, 1, folder_of(path), 0};
    dataset *right = open_windows(path, 0, o, t, NULL);
    int n_files;
    const char *file = only_file(o.cache_folder, &n_files);
    FILE *f = fopen(file, "rb");
    const size_t n = fread(good, 1, sizeof good, f);
    fclose(f);
    CHECK(n > 1000 && n < sizeof good);
    for (size_t at = 0; at < n; at += 97) {
        memcpy(bad, good, n);
        bad[at] = (char)(bad[at] ^ 0x10);
        CHECK_INT(unlink(file), 0);
        f = fopen(file, "wb");
        CHECK_INT(fwrite(bad, 1, at % 2 ? n : n - 1, f), at % 2 ? n : n - 1); /* or cut short */
        fclose(f);
        dataset *d = open_windows(path, 0, o, t, NULL);
        if (d->from_cache) test_fail(__FILE__, __LINE__, "damage at byte %zu of %zu was not seen", at, n);
        check_equal(right, d);
        dataset_free(d);
    }
    dataset_free(right);
    tokenizer_free(t);
}

/* A file with right hashes whose numbers lie elsewhere: another file's content under this key. */
TEST(windows_that_do_not_fit_their_questions_are_made_anew) {
    tokenizer *t = small_tokenizer();
    const char *path = write_questions("a.json", 2, "refund");
    const window_options o = {24, 4, 1, folder_of(path), 0};
    dataset *d = open_windows(path, 0, o, t, NULL);
    int n_files;
    char file[8500];
    snprintf(file, sizeof file, "%s", only_file(o.cache_folder, &n_files));
    for (int spoilt = 0; spoilt < 6; spoilt++) {
        cache_layout l;
        cache_want want = {.key = d->key, .source = d->sha256, .tokenizer = tokenizer_sha256(t), .n_ids = tokenizer_size(t), .kind = CACHE_WINDOWS};
        CHECK(cache_lay_out(&l, d->n, d->n_tokens, 0, CACHE_WINDOWS));
        char *memory = mem_new(l.bytes, "test");
        FILE *f = fopen(file, "rb");
        CHECK_INT(fread(memory, 1, l.bytes, f), l.bytes);
        fclose(f);
        int32_t *line = (int32_t *)(memory + l.line), *to = (int32_t *)(memory + l.to), *span = (int32_t *)(memory + l.span);
        if (spoilt == 1) line[d->n - 1] = 3;
        if (spoilt == 2) line[d->n - 1] = 1;
        if (spoilt == 3) to[d->n_tokens - 2] = 10000;
        if (spoilt == 4) to[d->n_tokens - 1] = 5;
        if (spoilt == 5) span[0] = (int32_t)(d->at[1] - d->at[0]);
        dataset *whole = dataset_new();
        cache_point(whole, memory, &l);
        whole->n = d->n, whole->n_tokens = d->n_tokens, whole->max_length = d->max_length;
        cache_seal(whole, memory, &l, &want, NULL);
        dataset_free(whole);
        CHECK_INT(unlink(file), 0);
        f = fopen(file, "wb");
        CHECK_INT(fwrite(memory, 1, l.bytes, f), l.bytes);
        fclose(f);
        mem_free(memory);
        dataset *again = open_windows(path, 0, o, t, NULL);
        CHECK_INT(again->from_cache, !spoilt);
        check_equal(d, again);
        dataset_free(again);
    }
    dataset_free(d);
    tokenizer_free(t);
}
