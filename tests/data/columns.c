#include "../test.h"
#include "data_util.h"
#include "data/columns.h"

/* Columns chosen from a header and one row, as "text,text|label" by name. */
static const char *choose(const char *content, const char *const *names, int n, const char *label,
                          label_wish wish) {
    static char out[400];
    columns c;
    rows *r = read_text("train.csv", content, NULL);
    CHECK_OK(columns_choose(&c, r, names, n, label, wish, err));
    size_t at = 0;
    for (int i = 0; i < c.n_text; i++)
        at += (size_t)snprintf(out + at, sizeof out - at, "%s%.*s", i ? "," : "", (int)r->column[c.text[i]].n,
                               r->column[c.text[i]].p);
    if (c.label >= 0)
        snprintf(out + at, sizeof out - at, "|%.*s", (int)r->column[c.label].n, r->column[c.label].p);
    CHECK_INT(c.guessed, n == 0);
    rows_free(r);
    return out;
}

static const char *cannot_choose(const char *content, const char *const *names, int n, const char *label,
                                 label_wish wish) {
    static char out[1100];
    columns c;
    hone_err err = {0};
    rows *r = read_text("train.csv", content, NULL);
    CHECK_INT(columns_choose(&c, r, names, n, label, wish, &err), HONE_EUSAGE);
    snprintf(out, sizeof out, "%s", without_folder(err.text));
    rows_free(r);
    return out;
}

TEST(columns_are_guessed_by_name) {
    CHECK_STR(choose("text,category\na,x\n", NULL, 0, NULL, LABEL_NEEDED), "text|category");
    CHECK_STR(choose("label,sentence\nx,a\n", NULL, 0, NULL, LABEL_NEEDED), "sentence|label");
    CHECK_STR(choose("idx,sentence1,sentence2,label\n0,a,b,1\n", NULL, 0, NULL, LABEL_NEEDED),
              "sentence1,sentence2|label");
    CHECK_STR(choose("hypothesis,premise,label\na,b,1\n", NULL, 0, NULL, LABEL_NEEDED),
              "premise,hypothesis|label");
    CHECK_STR(choose("text,hypothesis,label,task\na,b,YES,IR\n", NULL, 0, NULL, LABEL_NEEDED),
              "text,hypothesis|label");
    CHECK_STR(choose("text,label\na,x\n", NULL, 0, NULL, LABEL_NOT_WANTED), "text");
    CHECK_STR(choose("text\na\n", NULL, 0, NULL, LABEL_IF_THERE), "text");
}

TEST(columns_are_guessed_by_content_where_words_are) {
    CHECK_STR(choose("id,label,utterance,score\n7,x,hello there,0.5\n", NULL, 0, NULL, LABEL_NEEDED),
              "utterance|label");
    CHECK_STR(choose("Quality,#1 ID,#2 ID,#1 String,#2 String\n1,70,71,a b,c d\n", NULL, 0, "Quality",
                     LABEL_NEEDED),
              "#1 String,#2 String|Quality");
    CHECK_STR(choose("anything,label\n12,x\nword,y\n", NULL, 0, NULL, LABEL_NEEDED), "anything|label");
}

TEST(columns_can_be_named_or_numbered) {
    static const char *const names[] = {"b", "0"};
    CHECK_STR(choose("a,b,c\n1,2,3\n", names, 2, NULL, LABEL_NEEDED), "b,a|c");
    CHECK_STR(choose("a,b,c\n1,2,3\n", names, 1, "2", LABEL_NEEDED), "b|c");
    CHECK_STR(choose("a,b,c\n1,2,3\n", names, 1, "z", LABEL_IF_THERE), "b");
}

TEST(columns_not_found_are_listed) {
    static const char *const names[] = {"text"};
    CHECK_STR(cannot_choose("sentence,label\na,x\n", names, 1, NULL, LABEL_NEEDED),
              "train.csv: no column \"text\"; have: sentence, label");
    CHECK_STR(cannot_choose("text,class\na,x\n", NULL, 0, "label", LABEL_NEEDED),
              "train.csv: no column \"label\"; have: text, class");
    CHECK_STR(cannot_choose("a,b,c\nx,y,z\n", NULL, 0, NULL, LABEL_NEEDED),
              "train.csv: no column \"label\"; have: a, b, c");
    CHECK_STR(cannot_choose("a,b,c,label\nx,y,z,1\n", NULL, 0, NULL, LABEL_NEEDED),
              "train.csv: no column \"text\"; have: a, b, c, label");
    CHECK_STR(cannot_choose("text,a,b\nx,y,z\n", NULL, 0, NULL, LABEL_NEEDED),
              "train.csv: no column \"label\"; have: text, a, b");
    static const char *const both[] = {"a"};
    hone_err err;
    columns c;
    rows *r = read_text("train.csv", "a,b\n1,2\n", NULL);
    CHECK_INT(columns_choose(&c, r, both, 1, "a", LABEL_NEEDED, &err), HONE_EUSAGE);
    CHECK_STR(without_folder(err.text), "train.csv: column \"a\" is both text and label");
    static const char *const wrong[] = {"te\nxt"};
    CHECK_INT(columns_choose(&c, r, wrong, 1, NULL, LABEL_NEEDED, &err), HONE_EUSAGE);
    CHECK_STR(err.hint, "name the column with `text_column_names`");
    CHECK_STR(without_folder(err.text), "train.csv: no column \"te\\x0axt\"; have: a, b");
    rows_free(r);
}
