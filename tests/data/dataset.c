#include <math.h>

#include "../test.h"
#include "data_util.h"
#include "base/file.h"

static const str yes_no[] = {{"no", 2}, {"yes", 3}};
static const labels known = {2, (str *)(uintptr_t)yes_no};

static dataset *open_text(const char *name, const char *content, const dataset_options *o, const labels *l,
                          int optional) {
    tokenizer *t = small_tokenizer();
    dataset *d = NULL;
    CHECK_OK(dataset_open(&d, make_text(name, content), o, t, l, optional, NULL, err));
    tokenizer_free(t);
    return d;
}

static const char *fails(const char *name, const char *content, const dataset_options *o, int optional) {
    static char out[1100];
    tokenizer *t = small_tokenizer();
    dataset *d = NULL;
    hone_err err = {0};
    CHECK_INT(dataset_open(&d, make_text(name, content), o, t, &known, optional, NULL, &err), HONE_EDATA);
    CHECK(d == NULL);
    tokenizer_free(t);
    snprintf(out, sizeof out, "%s", without_folder(err.text));
    return out;
}

static const dataset_options classes = {.label = LABEL_CLASS, .rows = {.header = -1, .quoting = -1}};
static const dataset_options target = {.label = LABEL_TARGET, .rows = {.header = -1, .quoting = -1}};

TEST(dataset_holds_ids_labels_and_lines) {
    dataset *d =
        open_text("a.csv", "text,label\nmy card,yes\n\"where\nis it?\",no\n,yes\n", &classes, &known, 0);
    CHECK_INT(d->n, 3);
    CHECK_INT(d->at[0], 0);
    CHECK_INT(d->at[1], 4);     /* [CLS] my card [SEP] */
    CHECK_INT(d->at[2], 4 + 6); /* [CLS] where is [UNK] ? [SEP] */
    CHECK_INT(d->at[3], 4 + 6 + 2);
    CHECK_INT(d->n_tokens, 12);
    CHECK_INT(d->id[0], 2);
    CHECK_INT(d->id[1], 8);
    CHECK_INT(d->id[2], 7);
    CHECK_INT(d->id[3], 3);
    CHECK_INT(d->id[7], 1);
    CHECK_INT(d->label[0], 1);
    CHECK_INT(d->label[1], 0);
    CHECK_INT(d->line[1], 3);
    CHECK_INT(d->line[2], 5);
    CHECK_INT(d->max_length, 6);
    CHECK_INT(d->n_unknown, 1);
    CHECK_INT(d->n_empty, 1);
    CHECK(d->target == NULL);
    CHECK_INT(d->from_cache, 0);
    dataset_free(d);
}

TEST(dataset_pairs_two_columns_or_joins_them) {
    static const char *const names[] = {"a", "b", "c"};
    dataset_options o = classes;
    o.text_columns = names;
    o.n_text_columns = 2;
    dataset *d = open_text("a.csv", "a,b,c,label\nmy card,is late,now,yes\n", &o, &known, 0);
    CHECK_INT(d->n_tokens, 7);
    CHECK_INT(d->type[3], 0);
    CHECK_INT(d->type[4], 1);
    dataset_free(d);
    o.join_texts = 1;
    d = open_text("a.csv", "a,b,c,label\nmy card,is late,now,yes\n", &o, &known, 0);
    CHECK_INT(d->n_tokens, 6);
    CHECK_INT(d->type[5], 0);
    dataset_free(d);
    o.n_text_columns = 3;
    o.text_column_delimiter = " , ";
    d = open_text("a.csv", "a,b,c,label\nmy card,is late,now,yes\n", &o, &known, 0);
    CHECK_INT(d->n_tokens, 9);
    dataset_free(d);
}

TEST(dataset_truncates_and_counts_what_is_lost) {
    dataset_options o = classes;
    o.encode.max_length = 4;
    o.max_samples = 2;
    dataset *d = open_text("a.csv", "text,label\none two three four,yes\none,no\ntwo,no\n", &o, &known, 0);
    CHECK_INT(d->n, 2);
    CHECK_INT(d->n_truncated, 1);
    CHECK_INT(d->n_cut_tokens, 2);
    CHECK_INT(d->max_length, 4);
    dataset_free(d);
}

TEST(dataset_targets_are_numbers) {
    dataset *d = open_text("a.csv", "text,label\na,0.5\nb,-1e3\n", &target, NULL, 0);
    CHECK_NEAR(d->target[0], 0.5, 0);
    CHECK_NEAR(d->target[1], -1000, 0);
    CHECK_INT(d->label[0], -1);
    dataset_free(d);
    d = open_text("a.csv", "text,label\na,\nb,2\n", &target, NULL, 1);
    CHECK(isnan(d->target[0]));
    CHECK_NEAR(d->target[1], 2, 0);
    dataset_free(d);
    CHECK_STR(fails("a.csv", "text,label\na,1\nb,NaN\n", &target, 0),
              "a.csv: line 3: target not finite: \"NaN\"");
    CHECK_STR(fails("a.csv", "text,label\na,1e400\n", &target, 0),
              "a.csv: line 2: target not finite: \"1e400\"");
    CHECK_STR(fails("a.csv", "text,label\na,-Infinity\n", &target, 0),
              "a.csv: line 2: target not finite: \"-Infinity\"");
    CHECK_STR(fails("a.csv", "text,label\na,high\n", &target, 0),
              "a.csv: line 2: target \"high\" is not a number");
    CHECK_STR(fails("a.csv", "text,label\na,\n", &target, 0),
              "a.csv: line 2: target is empty; expected a number");
}

TEST(dataset_refuses_labels_that_are_not_known) {
    CHECK_STR(fails("train.csv", "text,label\na,yes\nb,yess\n", &classes, 0),
              "train.csv: line 3: label \"yess\" not among 2 known; nearest \"yes\"");
    CHECK_STR(fails("train.csv", "text,label\na,0.5\n", &classes, 0),
              "train.csv: line 2: label \"0.5\" not among 2 known");
    CHECK_STR(fails("train.csv", "text,label\na,\n", &classes, 0),
              "train.csv: line 2: label is empty; expected one of 2 known");
    CHECK_STR(fails("train.csv", "text,label\na,b\x1b[31m\n", &classes, 0),
              "train.csv: line 2: label \"b\\x1b[31m\" not among 2 known");
    dataset *d = open_text("a.csv", "text,label\na,\nb,-1\nc,yes\n", &classes, &known, 1);
    CHECK_INT(d->label[0], -1);
    CHECK_INT(d->label[1], -1);
    CHECK_INT(d->label[2], 1);
    dataset_free(d);
    CHECK_STR(fails("a.csv", "text,label\na,maybe\n", &classes, 1),
              "a.csv: line 2: label \"maybe\" not among 2 known");
}

TEST(dataset_refuses_json_cells_that_are_no_text) {
    CHECK_STR(fails("a.jsonl", "{\"text\":\"a\",\"label\":\"yes\"}\n{\"label\":\"no\"}\n", &classes, 0),
              "a.jsonl: line 2: no \"text\"; expected text");
    CHECK_STR(fails("a.jsonl", "{\"text\":[\"a\"],\"label\":\"yes\"}\n", &classes, 0),
              "a.jsonl: line 1: \"text\" is an array; expected text");
    CHECK_STR(fails("a.jsonl", "{\"text\":{},\"label\":\"yes\"}\n", &classes, 0),
              "a.jsonl: line 1: \"text\" is an object; expected text");
    CHECK_STR(fails("a.jsonl", "{\"text\":\"a\",\"label\":[]}\n", &classes, 0),
              "a.jsonl: line 1: label is an array or object; expected text or a number");
    CHECK_STR(fails("a.jsonl", "{\"text\":\"a\"}\n{\"text\":\"a\",\"label\":\"yes\"}\n", &classes, 0),
              "a.jsonl: line 1: label is empty; expected one of 2 known");
    dataset *d = open_text("a.jsonl", "{\"text\":1,\"label\":\"yes\",\"other\":[1]}\n", &classes, &known, 0);
    CHECK_INT(d->n, 1);
    dataset_free(d);
}

TEST(dataset_is_the_same_for_any_number_of_threads) {
    static char content[200000];
    size_t n = (size_t)snprintf(content, sizeof content, "text,label\n");
    for (int i = 0; i < 3000; i++)
        n += (size_t)snprintf(content + n, sizeof content - n, "my card %s %d,%s\n",
                              i % 3 ? "is late" : "now", i, i % 2 ? "yes" : "no");
    tokenizer *t = small_tokenizer();
    const char *path = make_text("a.csv", content);
    dataset *one = NULL, *many = NULL;
    CHECK_OK(dataset_open(&one, path, &classes, t, &known, 0, NULL, err));
    for (int threads = 1; threads <= 3; threads++) {
        pool *p = pool_new(threads);
        CHECK_OK(dataset_open(&many, path, &classes, t, &known, 0, p, err));
        CHECK_INT(many->n_tokens, one->n_tokens);
        CHECK(!memcmp(many->at, one->at, (size_t)(one->n + 1) * sizeof *one->at));
        CHECK(!memcmp(many->id, one->id, (size_t)one->n_tokens * sizeof *one->id));
        CHECK(!memcmp(many->label, one->label, (size_t)one->n * sizeof *one->label));
        CHECK_STR(many->key, one->key);
        dataset_free(many);
        pool_free(p);
    }
    dataset_free(one);
    tokenizer_free(t);
}

TEST(dataset_pick_copies_the_named_samples) {
    dataset *d =
        open_text("a.csv", "text,label\none,yes\none two,no\none two three,yes\n", &classes, &known, 0);
    const int64_t index[] = {2, 0};
    dataset *p = dataset_pick(d, index, 2);
    CHECK_INT(p->n, 2);
    CHECK_INT(p->at[1], 5);
    CHECK_INT(p->at[2], 8);
    CHECK_INT(p->line[0], 4);
    CHECK_INT(p->label[0], 1);
    CHECK_INT(p->max_length, 5);
    CHECK(!memcmp(p->id, d->id + d->at[2], 5 * sizeof *p->id));
    dataset_free(d);
    CHECK_INT(p->id[5], 2);
    dataset_free(p);
}

TEST(dataset_regroup_cuts_all_texts_into_blocks) {
    dataset *d = open_text("a.csv", "text,label\none,yes\none two,no\none two three,yes\n", &classes, &known, 0);
    CHECK_INT(d->n_tokens, 3 + 4 + 5);
    int32_t id[12];
    memcpy(id, d->id, sizeof id);
    dataset_regroup(d, 5);
    CHECK_INT(d->n, 2);
    CHECK_INT(d->n_tokens, 10);
    CHECK_INT(d->max_length, 5);
    CHECK(d->at[0] == 0 && d->at[1] == 5 && d->at[2] == 10);
    CHECK(d->line[0] == 2 && d->line[1] == 3); /* where a block begins */
    CHECK(d->label[0] == -1 && d->label[1] == -1);
    CHECK(!memcmp(d->id, id, 10 * sizeof *id));
    const int64_t index[] = {1};
    dataset *p = dataset_pick(d, index, 1);
    CHECK(!memcmp(p->id, id + 5, 5 * sizeof *id));
    dataset_free(p);
    dataset_free(d);
}

static dataset *open_documents(const char *name, const char *content, text_ends ends) {
    const dataset_options o = {
        .encode = {.no_special = 1}, .ends = ends, .end_id = 4, .rows = {.header = -1, .quoting = -1}};
    return open_text(name, content, &o, NULL, 0);
}

static void check_lengths(const dataset *d, int n, const int *length) {
    CHECK_INT(d->n, n);
    for (int i = 0; i < n; i++) CHECK_INT(d->at[i + 1] - d->at[i], length[i]);
}

/* Of lines those between empty ones, of a table each text; samples have special tokens, and picked ones too. */
TEST(dataset_pieces_lie_in_one_document) {
    dataset *d = open_documents("b.txt", "my card\nmy\n\n\nmy card my card\nmy\n", ENDS_NOT);
    int32_t id[5], type[5];
    CHECK_INT(d->n, 6);
    dataset_pieces(d, 5, 2, 3);
    check_lengths(d, 3, (const int[]){5, 5, 4});
    CHECK(d->max_length == 5 && d->n_tokens == 14);
    CHECK(d->line[0] == 1 && d->line[1] == 5 && d->line[2] == 5);
    CHECK_INT(dataset_tokens(d, 2, id, type), 4);
    CHECK(id[0] == 2 && id[1] == d->id[6] && id[2] == d->id[7] && id[3] == 3 && !type[3]);
    const int64_t index[] = {2, 0};
    dataset *p = dataset_pick(d, index, 2);
    check_lengths(p, 2, (const int[]){4, 5});
    CHECK(!memcmp(p->id, id, 4 * sizeof *id) && p->id[4] == 2 && p->id[8] == 3 && p->line[0] == 5);
    dataset_free(p);
    const int64_t kept[] = {1, 2};
    dataset_keep(&d, kept, 2);
    check_lengths(d, 2, (const int[]){5, 4});
    CHECK(d->n_tokens == 9 && d->line[0] == 5 && dataset_tokens(d, 1, id, NULL) == 4 && id[2] == d->id[7]);
    dataset_free(d);
    d = open_documents("b.csv", "text\nmy card\nmy\nmy card my card\n", ENDS_NOT);
    dataset_pieces(d, 5, 2, 3);
    check_lengths(d, 4, (const int[]){4, 3, 5, 3});
    dataset_free(d);
}

TEST(dataset_ends_texts_or_files_or_what_is_empty) {
    static const char lines[] = "my card\n\nmy\n", table[] = "text\nmy card\n\"\"\nmy\n";
    dataset *d = open_documents("a.txt", lines, ENDS_TEXTS);
    check_lengths(d, 3, (const int[]){3, 1, 2});
    CHECK(d->id[2] == 4 && d->id[3] == 4 && d->id[5] == 4);
    dataset_free(d);
    d = open_documents("a.txt", lines, ENDS_FILE);
    check_lengths(d, 3, (const int[]){2, 0, 2});
    CHECK(d->id[1] != 4 && d->id[3] == 4);
    dataset_free(d);
    d = open_documents("a.csv", table, ENDS_FILE);
    check_lengths(d, 3, (const int[]){3, 1, 2});
    dataset_free(d);
    d = open_documents("a.csv", table, ENDS_EMPTY);
    check_lengths(d, 3, (const int[]){2, 1, 1});
    CHECK_INT(d->id[2], 4);
    dataset_free(d);
}

TEST(dataset_cut_makes_pieces_of_documents_none_of_a_single_token) {
    dataset *d = open_documents("a.txt", "my my my my\nmy my my my my my\nmy\nmy my my my my my my my\n\n", ENDS_TEXTS);
    CHECK_INT(d->n_tokens, 5 + 7 + 2 + 9 + 1);
    dataset_cut(d, 4, 4);
    check_lengths(d, 9, (const int[]){3, 2, 4, 3, 2, 4, 3, 2, 1});
    CHECK_INT(d->max_length, 4);
    CHECK(d->line[0] == 1 && d->line[1] == 1 && d->line[2] == 2 && d->line[4] == 3 && d->line[7] == 4 && d->line[8] == 5);
    dataset_free(d);
}

TEST(dataset_split_takes_its_share_of_every_class) {
    static char content[60000];
    size_t n = (size_t)snprintf(content, sizeof content, "text,label\n");
    for (int i = 0; i < 1000; i++)
        n += (size_t)snprintf(content + n, sizeof content - n, "one,%s\n", i % 10 ? "yes" : "no");
    dataset *d = open_text("a.csv", content, &classes, &known, 0);
    static int64_t train[1000], validation[1000], again[1000], other[1000];
    int64_t n_train, n_validation, n_again, ignored;
    dataset_split(d, 0.2, 42, train, &n_train, validation, &n_validation);
    CHECK_INT(n_train, 800);
    CHECK_INT(n_validation, 200);
    int rare = 0;
    char seen[1000] = {0};
    for (int i = 0; i < 200; i++) {
        rare += d->label[validation[i]] == 0;
        seen[validation[i]]++;
        CHECK(i == 0 || validation[i] > validation[i - 1]);
    }
    for (int i = 0; i < 800; i++) {
        seen[train[i]]++;
        CHECK(i == 0 || train[i] > train[i - 1]);
    }
    CHECK_INT(rare, 20);
    for (int i = 0; i < 1000; i++) CHECK_INT(seen[i], 1);
    dataset_split(d, 0.2, 42, other, &ignored, again, &n_again);
    CHECK(n_again == 200 && !memcmp(again, validation, sizeof *again * 200));
    dataset_split(d, 0.2, 43, other, &ignored, again, &n_again);
    CHECK(n_again == 200 && memcmp(again, validation, sizeof *again * 200));
    dataset_free(d);
    d = open_text("b.csv", "text,label\na,yes\nb,no\nc,no\n", &classes, &known, 0);
    dataset_split(d, 0.01, 1, train, &n_train, validation, &n_validation);
    CHECK_INT(n_validation, 1); /* one of the class of two; the class of one stays in training */
    CHECK_INT(d->label[validation[0]], 0);
    dataset_free(d);
}
