#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utime.h>

#include "../test.h"
#include "data_util.h"
#include "base/file.h"
#include "base/mem.h"
#include "data/cache.h"

static const str yes_no[] = {{"no", 2}, {"yes", 3}};
static const labels known = {2, (str *)(uintptr_t)yes_no};

typedef struct {
    tokenizer *t;
    dataset_options o;
    const char *path;
    char folder[4200];
} setting;

static setting begin(void) {
    static char content[20000];
    setting s = {.t = small_tokenizer(), .o = {.label = LABEL_CLASS, .rows = {.header = -1, .quoting = -1}}};
    size_t n = (size_t)snprintf(content, sizeof content, "text,label\n");
    for (int i = 0; i < 150; i++)
        n += (size_t)snprintf(content + n, sizeof content - n, "my card %s,%s\n", i % 3 ? "is late" : "now",
                              i % 2 ? "yes" : "no");
    s.path = make_text("train.csv", content);
    snprintf(s.folder, sizeof s.folder, "%.*s/cache", (int)(strrchr(s.path, '/') - s.path), s.path);
    return s;
}

static dataset *open_set(setting *s) {
    dataset *d = NULL;
    s->o.cache_folder = s->folder;
    log_set(LOG_QUIET);
    CHECK_OK(dataset_open(&d, s->path, &s->o, s->t, &known, 0, NULL, err));
    return d;
}

/* Path of the only file in the cache with this ending; *n how many there are. */
static const char *find_file(const setting *s, const char *ending, int *n) {
    static char path[8500];
    *n = 0;
    DIR *f = opendir(s->folder);
    CHECK(f != NULL);
    for (struct dirent *e; (e = readdir(f)) != NULL;) {
        const size_t length = strlen(e->d_name), want = strlen(ending);
        if (length < want || strcmp(e->d_name + length - want, ending)) continue;
        snprintf(path, sizeof path, "%s/%s", s->folder, e->d_name);
        ++*n;
    }
    closedir(f);
    return path;
}

TEST(cache_is_mapped_the_second_time_and_equal) {
    setting s = begin();
    dataset *first = open_set(&s);
    CHECK_INT(first->from_cache, 0);
    dataset *second = open_set(&s);
    CHECK_INT(second->from_cache, 1);
    CHECK_INT(second->n, first->n);
    CHECK_INT(second->max_length, first->max_length);
    CHECK_STR(second->key, first->key);
    CHECK_STR(second->sha256, first->sha256);
    CHECK(!memcmp(second->at, first->at, (size_t)(first->n + 1) * sizeof *first->at));
    CHECK(!memcmp(second->id, first->id, (size_t)first->n_tokens * sizeof *first->id));
    CHECK(!memcmp(second->type, first->type, (size_t)first->n_tokens));
    CHECK(!memcmp(second->label, first->label, (size_t)first->n * sizeof *first->label));
    CHECK(!memcmp(second->line, first->line, (size_t)first->n * sizeof *first->line));
    dataset_free(first);
    dataset_free(second);
    s.o.rebuild = 1;
    dataset *third = open_set(&s);
    CHECK_INT(third->from_cache, 0);
    dataset_free(third);
    tokenizer_free(s.t);
}

TEST(cache_of_other_settings_is_another) {
    setting s = begin();
    dataset_free(open_set(&s));
    int n;
    s.o.encode.max_length = 4;
    dataset_free(open_set(&s));
    s.o.max_samples = 10;
    dataset *d = open_set(&s);
    CHECK_INT(d->from_cache, 0);
    CHECK_INT(d->n, 10);
    dataset_free(d);
    find_file(&s, ".tokens", &n);
    CHECK_INT(n, 3);
    d = NULL;
    static const str other_names[] = {{"yes", 3}, {"no", 2}};
    CHECK_OK(dataset_open(&d, s.path, &s.o, s.t, &(labels){2, (str *)(uintptr_t)other_names}, 0, NULL, err));
    CHECK_INT(d->from_cache, 0);
    CHECK_INT(d->label[0], 1);
    dataset_free(d);
    s.path = make_text("train.csv", "text,label\nother,yes\n");
    d = open_set(&s);
    CHECK_INT(d->from_cache, 0);
    CHECK_INT(d->n, 1);
    dataset_free(d);
    tokenizer_free(s.t);
}

static size_t read_all(const char *path, char *out, size_t cap) {
    FILE *f = fopen(path, "rb");
    CHECK(f != NULL);
    const size_t n = fread(out, 1, cap, f);
    fclose(f);
    CHECK(n < cap);
    return n;
}

static void write_all(const char *path, const char *p, size_t n) {
    CHECK_INT(unlink(path), 0);
    FILE *f = fopen(path, "wb");
    CHECK(f != NULL);
    CHECK_INT(fwrite(p, 1, n, f), n);
    fclose(f);
}

TEST(cache_damaged_at_any_place_is_rebuilt) {
    static char good[100000], bad[100000];
    setting s = begin();
    dataset_free(open_set(&s));
    int n_files;
    const char *path = find_file(&s, ".tokens", &n_files);
    CHECK_INT(n_files, 1);
    const size_t n = read_all(path, good, sizeof good);
    for (size_t at = 0; at < n; at += 97) {
        memcpy(bad, good, n);
        bad[at] = (char)(bad[at] ^ 0x10);
        write_all(path, bad, n);
        dataset *d = open_set(&s);
        if (d->from_cache) test_fail(__FILE__, __LINE__, "damage at byte %zu of %zu was not seen", at, n);
        CHECK_INT(d->n, 150);
        dataset_free(d);
        CHECK_INT(read_all(path, bad, sizeof bad), n);
        CHECK(!memcmp(good, bad, n)); /* the rebuilt one is the same file */
    }
    tokenizer_free(s.t);
}

TEST(cache_cut_short_or_longer_is_rebuilt) {
    static char good[100000];
    setting s = begin();
    dataset_free(open_set(&s));
    int n_files;
    const char *path = find_file(&s, ".tokens", &n_files);
    const size_t n = read_all(path, good, sizeof good);
    for (size_t cut = 0; cut < n; cut += 61) {
        write_all(path, good, cut);
        dataset *d = open_set(&s);
        CHECK_INT(d->from_cache, 0);
        dataset_free(d);
    }
    good[n] = 0;
    write_all(path, good, n + 1);
    dataset *d = open_set(&s);
    CHECK_INT(d->from_cache, 0);
    dataset_free(d);
    tokenizer_free(s.t);
}

TEST(cache_of_another_tokenizer_under_this_name_is_not_used) {
    setting s = begin();
    dataset_free(open_set(&s));
    int n_files;
    char first[8500], moved[8500];
    snprintf(first, sizeof first, "%s", find_file(&s, ".tokens", &n_files));
    snprintf(moved, sizeof moved, "%s/moved", s.folder);
    CHECK_INT(rename(first, moved), 0);
    s.o.encode.max_length = 4;
    dataset_free(open_set(&s));
    char second[8500];
    snprintf(second, sizeof second, "%s", find_file(&s, ".tokens", &n_files));
    CHECK_INT(rename(moved, second), 0); /* a whole and valid file, made with other settings */
    dataset *d = open_set(&s);
    CHECK_INT(d->from_cache, 0);
    CHECK_INT(d->max_length, 4);
    dataset_free(d);
    tokenizer_free(s.t);
}

TEST(cache_built_by_many_processes_at_once_is_good) {
    setting s = begin();
    pid_t child[6];
    for (int i = 0; i < 6; i++) {
        child[i] = fork();
        CHECK(child[i] >= 0);
        if (child[i]) continue;
        dataset *d = open_set(&s);
        _exit(d->n == 150 && d->id[0] == 2 ? 0 : 1);
    }
    for (int i = 0; i < 6; i++) {
        int status = -1;
        CHECK_INT(waitpid(child[i], &status, 0), child[i]);
        CHECK_INT(status, 0);
    }
    int n;
    find_file(&s, ".tokens", &n);
    CHECK_INT(n, 1);
    dataset *d = open_set(&s);
    CHECK_INT(d->from_cache, 1);
    dataset_free(d);
    tokenizer_free(s.t);
}

static void make_old(const char *path) {
    /* Its times, as far as they can be set, lie in the past; ctime cannot be set, so the test waits for it.
     */
    struct utimbuf old = {1000000000, 1000000000};
    CHECK_INT(utime(path, &old), 0);
    sleep(3);
}

TEST(cache_remembers_a_source_that_has_not_changed) {
    setting s = begin();
    make_old(s.path);
    dataset *d = open_set(&s);
    char key[65];
    memcpy(key, d->key, 65);
    dataset_free(d);
    int n;
    find_file(&s, ".source", &n);
    CHECK_INT(n, 1);
    CHECK_INT(chmod(s.path, 0600), 0); /* ctime moves: the note is out of date and the file is read again */
    d = open_set(&s);
    CHECK_STR(d->key, key);
    CHECK_INT(d->from_cache, 1);
    dataset_free(d);
    /* Same size and mtime, other content: must be seen. */
    FILE *f = fopen(s.path, "r+b");
    CHECK(f != NULL);
    CHECK_INT(fwrite("text,label\nmy CARD", 1, 18, f), 18);
    fclose(f);
    struct utimbuf old = {1000000000, 1000000000};
    CHECK_INT(utime(s.path, &old), 0);
    d = open_set(&s);
    CHECK(strcmp(d->key, key) != 0);
    dataset_free(d);
    tokenizer_free(s.t);
}

TEST(cache_keeps_labels_and_rebuilds_damaged_ones) {
    setting s = begin();
    s.o.cache_folder = s.folder;
    arena *a = arena_new("test");
    static char good[4096];
    int n = 0;
    size_t bytes = 0;
    for (int i = 0; i < 12; i++) {
        labels l;
        CHECK_OK(dataset_labels(&l, a, s.path, &s.o, err));
        CHECK_INT(l.n, 2);
        CHECK_STR(l.name[0].p, "no");
        CHECK_STR(l.name[1].p, "yes");
        const char *path = find_file(&s, ".labels", &n);
        CHECK_INT(n, 1);
        bytes = read_all(path, good, sizeof good);
        good[(size_t)i * 7 % bytes] ^= 1;
        write_all(path, good, bytes);
    }
    s.o.cache_folder = NULL;
    labels l;
    CHECK_OK(dataset_labels(&l, a, s.path, &s.o, err));
    CHECK_INT(l.n, 2);
    arena_free(a);
    tokenizer_free(s.t);
}

TEST(cache_that_cannot_be_written_is_done_without) {
    setting s = begin();
    snprintf(s.folder, sizeof s.folder, "%s/below", s.path); /* below a file */
    dataset *d = open_set(&s);
    CHECK_INT(d->n, 150);
    CHECK_INT(d->from_cache, 0);
    dataset_free(d);
    tokenizer_free(s.t);
}

/* Seal two samples of two tokens each, after spoil has put something wrong into them, and open the file. */
static const char *reason(void (*spoil)(dataset *d, char *memory, const cache_layout *l), cache_want asked) {
    static const char key[] = "00000000000000000000000000000000000000000000000000000000000000aa";
    static const char other[] = "00000000000000000000000000000000000000000000000000000000000000bb";
    const cache_want made = {
        .key = key, .source = key, .tokenizer = key, .n_ids = 10, .n_labels = 2};
    if (!asked.key) asked = made;
    if (!asked.tokenizer) asked.tokenizer = other;
    if (!asked.source) asked.source = other;
    asked.n_ids = 10, asked.n_labels = 2;
    cache_layout l;
    CHECK(cache_lay_out(&l, 2, 4, 0, 0));
    char *memory = mem_new(l.bytes, "test");
    dataset *d = dataset_new();
    cache_point(d, memory, &l);
    d->n = 2, d->n_tokens = 4, d->max_length = 2;
    for (int i = 0; i < 3; i++) ((int64_t *)(memory + l.at))[i] = 2 * i;
    for (int i = 0; i < 2; i++) ((int32_t *)(memory + l.line))[i] = i + 2;
    for (int i = 0; i < 4; i++) ((int32_t *)(memory + l.id))[i] = i;
    spoil(d, memory, &l);
    cache_seal(d, memory, &l, &made, NULL);
    dataset_free(d);
    const char *path = make_file("a.tokens", memory, l.bytes), *why = "it was used";
    mem_free(memory);
    d = cache_open(path, &asked, NULL, &why);
    CHECK((d != NULL) == (why == NULL));
    dataset_free(d);
    return why ? why : "none";
}

static void spoil_nothing(dataset *d, char *m, const cache_layout *l) { (void)d, (void)m, (void)l; }
static void spoil_id(dataset *d, char *m, const cache_layout *l) {
    (void)d, ((int32_t *)(m + l->id))[3] = 10;
}
static void spoil_id_sign(dataset *d, char *m, const cache_layout *l) {
    (void)d, ((int32_t *)(m + l->id))[0] = -1;
}
static void spoil_type(dataset *d, char *m, const cache_layout *l) { (void)d, m[l->type + 1] = 2; }
static void spoil_label(dataset *d, char *m, const cache_layout *l) {
    (void)d, ((int32_t *)(m + l->label))[1] = 2;
}
static void spoil_line(dataset *d, char *m, const cache_layout *l) {
    (void)d, ((int32_t *)(m + l->line))[0] = 0;
}
static void spoil_order(dataset *d, char *m, const cache_layout *l) {
    (void)d, ((int64_t *)(m + l->at))[1] = 5;
}
static void spoil_end(dataset *d, char *m, const cache_layout *l) {
    (void)d, ((int64_t *)(m + l->at))[2] = 3;
}
static void spoil_longest(dataset *d, char *m, const cache_layout *l) { (void)m, (void)l, d->max_length = 1; }

TEST(cache_with_right_hashes_and_wrong_numbers_is_refused) {
    const cache_want same = {0};
    CHECK_STR(reason(spoil_nothing, same), "none");
    CHECK_STR(reason(spoil_id, same), "damaged (a token id, type or place is out of range)");
    CHECK_STR(reason(spoil_id_sign, same), "damaged (a token id, type or place is out of range)");
    CHECK_STR(reason(spoil_type, same), "damaged (a token id, type or place is out of range)");
    CHECK_STR(reason(spoil_label, same), "damaged (a label is out of range)");
    CHECK_STR(reason(spoil_line, same), "damaged (a line number is out of range)");
    CHECK_STR(reason(spoil_order, same), "damaged (offsets are not in order)");
    CHECK_STR(reason(spoil_end, same), "damaged (offsets do not fit the tokens)");
    CHECK_STR(reason(spoil_longest, same), "damaged (its longest sample is not what it says)");
}

TEST(cache_made_from_something_else_says_from_what) {
    static const char key[] = "00000000000000000000000000000000000000000000000000000000000000aa";
    CHECK_STR(reason(spoil_nothing, (cache_want){.key = key, .source = key}), "made by another tokenizer");
    CHECK_STR(reason(spoil_nothing, (cache_want){.key = key, .tokenizer = key}),
              "stale (made from other data or settings)");
    CHECK_STR(
        reason(spoil_nothing, (cache_want){.key = key, .source = key, .tokenizer = key, .n_targets = 1}),
        "stale (made from other data or settings)");
}
