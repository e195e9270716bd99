#include <stdlib.h>

#include "../test.h"
#include "data_util.h"
#include "data/audit.h"

static const str names[] = {{"no", 2}, {"unused", 6}, {"yes", 3}};
static const labels known = {3, (str *)(uintptr_t)names};
static const dataset_options classes = {
    .label = LABEL_CLASS, .rows = {.header = -1, .quoting = -1}, .encode = {.max_length = 6}};

static const char content[] = "text,label\nmy card,yes\nmy card,yes\n\"my\ncard\",no\nmy card,no\n ,no\n"
                              "one two three four five six seven,yes\nzebra card zebra quux,no\n";

TEST(audit_finds_what_is_wrong_with_lines) {
    arena *a = arena_new("test");
    tokenizer *t = small_tokenizer();
    audit *u = NULL;
    CHECK_OK(audit_file(&u, a, make_text("train.csv", content), &classes, t, &known, 0, NULL, err));
    CHECK_INT(u->n_rows, 7);
    CHECK_INT(u->count[0], 4);
    CHECK_INT(u->count[1], 0);
    CHECK_INT(u->count[2], 3);
    CHECK_INT(u->duplicates.n, 1);
    CHECK_INT(u->duplicates.row[0].line, 3);
    CHECK_INT(u->duplicates.row[0].other, 2);
    CHECK_INT(u->contradictions.n, 1);
    CHECK_INT(u->contradictions.row[0].line, 6);
    CHECK_STR(u->contradictions.row[0].label.p, "no");
    CHECK_STR(u->contradictions.row[0].other_label.p, "yes");
    CHECK_INT(u->empty.n, 1);
    CHECK_INT(u->empty.row[0].line, 7);
    CHECK_INT(u->cut.n, 1);
    CHECK_INT(u->cut.row[0].line, 8);
    CHECK_INT(u->n_cut_tokens, 3);
    CHECK_INT(u->n_unknown, 3);
    CHECK_INT(u->n_pieces, 2);
    CHECK_STR(u->piece[0].piece.p, "zebra");
    CHECK_INT(u->piece[0].n, 2);
    CHECK_INT(u->piece[0].line, 9);
    CHECK_INT(u->length_min, 2);
    CHECK_INT(u->length_median, 4);
    CHECK_INT(u->length_max, 9);
    CHECK_INT(u->n_buckets, 2);
    CHECK_INT(u->bucket_rows[0], 6);
    CHECK_INT(u->bucket_rows[1], 1);
    text w = {0};
    CHECK_INT(audit_warnings(u, &w), 6);
    CHECK_STR(
        without_folder(w.p),
        "train.csv: 1 of 3 classes have no row, first \"unused\"\n"
        "train.csv: 1 rows repeat a text under another label, first line 6 (\"no\") and line 2 (\"yes\")\n"
        "train.csv: 1 rows repeat an earlier row, first line 3\n"
        "train.csv: 1 rows have no text, first line 7\n"
        "train.csv: 14 % of rows truncated at 6 tokens (mean loss 3 tokens)\n"
        "train.csv: 3 tokens (10 %) are unknown to the tokenizer\n");
    text_free(&w);
    arena_free(a);
    tokenizer_free(t);
}

TEST(audit_compares_with_another_file) {
    arena *a = arena_new("test");
    tokenizer *t = small_tokenizer();
    audit *u = NULL;
    const char *train = make_text("train.csv", content);
    const char *eval = make_text("eval.csv", "text,label\nnew,no\nmy card,yes\n\"my\ncard\",no\n");
    CHECK_OK(audit_file(&u, a, eval, &classes, t, &known, 0, NULL, err));
    CHECK_OK(audit_compare(u, a, eval, train, &classes, &classes, err));
    CHECK_INT(u->overlap.n, 2);
    CHECK_INT(u->overlap.row[0].line, 3);
    CHECK_INT(u->overlap.row[0].other, 2);
    CHECK_INT(u->overlap.row[1].line, 4);
    CHECK_INT(u->overlap.row[1].other, 4);
    text w = {0};
    audit_warnings(u, &w);
    CHECK(strstr(without_folder(w.p), "2 rows of eval.csv are also in train.csv, first line 3\n") != NULL);
    text_free(&w);
    arena_free(a);
    tokenizer_free(t);
}

TEST(audit_prints_text_and_json) {
    arena *a = arena_new("test");
    tokenizer *t = small_tokenizer();
    audit *u = NULL;
    CHECK_OK(audit_file(&u, a, make_text("train.csv", content), &classes, t, &known, 0, NULL, err));
    text out = {0};
    audit_print(u, &out);
    CHECK(strstr(out.p, "7 rows, text text (guessed), label label\n") != NULL);
    CHECK(strstr(out.p, "tokens a row: min 2, median 4, mean 4.7, 95 % 6, max 9 (limit 6)\n") != NULL);
    CHECK(strstr(out.p, "  line 6 and line 2: \"my card\"  no / yes\n") != NULL);
    CHECK(strstr(out.p, "\"zebra\" 2 times, first in line 9\n") != NULL);
    text_clear(&out);
    audit_json(u, &out);
    const char *j = without_folder(out.p);
    CHECK(strstr(j, "{\"file\":\"train.csv\",\"rows\":7,\"text_columns\":\"text\",\"label_column\":\"label\","
                    "\"classes\":{\"no\":4,\"unused\":0,\"yes\":3},\"unlabelled\":0,\"tokens\":30,\"cut_"
                    "tokens\":3,") == j);
    CHECK(
        strstr(j,
               "\"contradictions\":{\"count\":1,\"first\":[{\"line\":6,\"other_line\":2,\"text\":\"my card\","
               "\"label\":\"no\",\"other_label\":\"yes\"}]}") != NULL);
    CHECK(strstr(j, "\"empty\":{\"count\":1,\"first\":[{\"line\":7,\"text\":\" \"}]}") != NULL);
    text_free(&out);
    arena_free(a);
    tokenizer_free(t);
}

TEST(audit_of_targets_and_one_class) {
    arena *a = arena_new("test");
    tokenizer *t = small_tokenizer();
    audit *u = NULL;
    dataset_options o = {.label = LABEL_TARGET, .rows = {.header = -1, .quoting = -1}};
    CHECK_OK(
        audit_file(&u, a, make_text("a.csv", "text,label\na,1\nthe,2\nis,6\n"), &o, t, NULL, 0, NULL, err));
    CHECK_NEAR(u->target_min, 1, 0);
    CHECK_NEAR(u->target_mean, 3, 1e-12);
    CHECK_NEAR(u->target_max, 6, 0);
    text w = {0};
    CHECK_INT(audit_warnings(u, &w), 0);
    CHECK_OK(audit_file(&u, a, make_text("a.csv", "text,label\na,yes\nthe,yes\n"), &classes, t, &known, 0,
                        NULL, err));
    CHECK_INT(audit_warnings(u, &w), 1);
    CHECK_STR(without_folder(w.p), "a.csv: all 2 rows have one label: \"yes\"\n");
    text_free(&w);
    arena_free(a);
    tokenizer_free(t);
}
