/* conll.c - columns of words: sentences, comments, names of columns, what is refused; and the words of lists. */
#include "../test.h"
#include "data/dataset.h"
#include "data/lists.h"
#include "data_util.h"

static const rows_options words = {.header = -1, .quoting = -1, .words = 1};

static void check_cell(const rows *r, int64_t row, int column, const char *want) {
    list l = {0};
    text joined = {0};
    CHECK_OK(list_read(&l, r, row, column, NULL, err));
    for (int i = 0; i < l.n; i++) {
        if (i) text_str(&joined, " ");
        text_add(&joined, l.item[i].p, l.item[i].n);
    }
    CHECK_STR(joined.p ? joined.p : "", want);
    text_free(&joined);
    list_free(&l);
}

TEST(conll_sentences_end_at_blank_lines_and_documents) {
    rows *r = read_text(
        "a.conll",
        "-DOCSTART- -X- O\n\nEU NNP B-ORG\nrejects VBZ O\n\n\nPeter NNP B-PER\n-DOCSTART- -X- O\n\"q\" X O\n",
        &words);
    CHECK_INT(r->n_rows, 3);
    CHECK_INT(r->n_columns, 3);
    check_cell(r, 0, 0, "EU rejects");
    check_cell(r, 0, 2, "B-ORG O");
    check_cell(r, 1, 0, "Peter");
    check_cell(r, 2, 0, "\"q\"");
    CHECK_INT(r->line[0], 3);
    CHECK_INT(r->line[1], 7);
    CHECK_STR(arena_copy(r->a, r->column[2].p, r->column[2].n), "2");
    rows_free(r);
}

/* A word may be "#", and one of several blanks where columns stand apart by tabs. */
TEST(conll_comments_have_another_number_of_columns) {
    rows *r = read_text("a.tsv", "# id = 1\n#\tO\nNew York\tB-LOC\n\nx\tO\n", &words);
    CHECK_INT(r->format, ROWS_CONLL);
    CHECK_INT(r->n_rows, 2);
    check_cell(r, 0, 1, "O B-LOC");
    list l = {0};
    CHECK_OK(list_read(&l, r, 0, 0, NULL, err));
    CHECK_INT(l.n, 2);
    CHECK(str_is(l.item[1], "New York"));
    list_free(&l);
    rows_free(r);
}

TEST(conll_u_has_names_and_leaves_out_tokens_of_several_words) {
    rows *r =
        read_text("a.conllu",
                  "# text = don't\n1-2\tdon't\t_\t_\t_\t_\t_\t_\t_\t_\n1\tdo\tdo\tAUX\t_\t_\t0\troot\t_\t_\n"
                  "2\tn't\tnot\tPART\t_\t_\t1\tadvmod\t_\t_\n2.1\tgo\tgo\tVERB\t_\t_\t_\t_\t_\t_\n\n",
                  &words);
    CHECK_INT(r->n_rows, 1);
    check_cell(r, 0, rows_column(r, STR("form")), "do n't");
    check_cell(r, 0, rows_column(r, STR("upos")), "AUX PART");
    rows_free(r);
    r = read_text("b.conllup", "# global.columns = FORM NER\nx\tO\n", &words);
    check_cell(r, 0, rows_column(r, STR("FORM")), "x");
    rows_free(r);
}

TEST(conll_is_told_from_texts_by_its_lines) {
    rows *r = read_text("a.txt", "EU B-ORG\nx O\n\ny O\n", &words);
    CHECK_INT(r->format, ROWS_CONLL);
    rows_free(r);
    r = read_text("a.txt", "a text of five words\nand this one has six words\n\n", &words);
    CHECK_INT(r->format, ROWS_LINES);
    check_cell(r, 0, 0, "a text of five words");
    rows_free(r);
    r = read_text("a.txt", "EU B-ORG\nx O\n\ny O\n", &(rows_options){.header = -1, .quoting = -1});
    CHECK_INT(r->format, ROWS_LINES);
    rows_free(r);
}

TEST(conll_lines_of_another_number_of_columns_are_refused) {
    const char *content = "x O\ny\n\n";
    CHECK_STR(refusal("a.conll", content, strlen(content), &words, NULL, HONE_EDATA),
              "a.conll: line 2: 1 column, the lines before have 2");
}

TEST(lists_are_arrays_or_texts_cut_up) {
    rows *r = read_text("a.jsonl", "{\"a\": [\"x y\", 3, \"\\u00e9\"], \"b\": \"p; q ;;r\"}\n", &words);
    list l = {0};
    CHECK_OK(list_read(&l, r, 0, 0, NULL, err));
    CHECK(l.n == 3 && str_is(l.item[0], "x y") && str_is(l.item[1], "3") && str_is(l.item[2], "\xc3\xa9"));
    CHECK_OK(list_read(&l, r, 0, 1, ";", err));
    CHECK(l.n == 3 && str_is(l.item[0], "p") && str_is(l.item[1], "q") && str_is(l.item[2], "r"));
    CHECK_OK(list_read(&l, r, 0, 1, NULL, err));
    CHECK(l.n == 3 && str_is(l.item[1], "q"));
    list_free(&l);
    rows_free(r);
    hone_err err = {0};
    r = read_text("a.jsonl", "{\"a\": [true]}\n", &words);
    CHECK_INT(list_read(&l, r, 0, 0, NULL, &err), HONE_EDATA);
    CHECK(strstr(err.text, "line 1: item 1 of \"a\" is"));
    list_free(&l);
    rows_free(r);
}

static dataset *open_words(const char *name, const char *content, const labels *l, hone_err *err,
                           hone_status *status) {
    const dataset_options o = {.label = LABEL_WORDS, .encode = {.max_length = 6}, .rows = words};
    dataset *d = NULL;
    tokenizer *t = small_tokenizer();
    *status = dataset_open(&d, make_text(name, content), &o, t, l, 0, NULL, err);
    tokenizer_free(t);
    return d;
}

/* The first piece of a word has its number and tag; what was cut off is not there. */
TEST(words_have_their_tag_at_their_first_token) {
    static str names[] = {{"B-X", 3}, {"O", 1}};
    const labels l = {2, names};
    hone_err err = {0};
    hone_status status;
    dataset *d = open_words("a.conll", "my O\ncards B-X\nthe O\n\nmy B-X\nmy O\nmy O\nmy O\nmy O\n", &l, &err,
                            &status);
    CHECK_INT(status, HONE_OK);
    CHECK_INT(d->n, 2);
    int seen = 0;
    for (int64_t k = d->at[0]; k < d->at[1]; k++) {
        if (d->word[k] < 0) {
            CHECK_INT(d->tag[k], -1);
            continue;
        }
        CHECK_INT(d->word[k], seen);
        CHECK_INT(d->tag[k], seen == 1 ? 0 : 1);
        seen++;
    }
    CHECK_INT(seen, 3);
    CHECK_INT(d->word[d->at[0]], -1); /* [CLS] */
    CHECK_INT(d->at[2] - d->at[1], 6);
    CHECK_INT(d->n_truncated, 1);
    const int64_t second[] = {1};
    dataset *picked = dataset_pick(d, second, 1);
    CHECK(!memcmp(picked->tag, d->tag + d->at[1], 6 * sizeof(int32_t)));
    CHECK(!memcmp(picked->word, d->word + d->at[1], 6 * sizeof(int32_t)));
    dataset_free(picked);
    dataset_free(d);
}

TEST(words_and_tags_that_do_not_match_are_refused) {
    static str names[] = {{"B-X", 3}, {"O", 1}};
    const labels l = {2, names};
    hone_err err = {0};
    hone_status status;
    open_words("a.jsonl", "{\"tokens\": [\"a\", \"b\"], \"ner_tags\": [\"O\"]}\n", &l, &err, &status);
    CHECK_INT(status, HONE_EDATA);
    CHECK(strstr(err.text, "line 1: 1 tags of 2 words; expected one of each"));
    open_words("a.conll", "a O\nb B-Y\n\n", &l, &err, &status);
    CHECK_INT(status, HONE_EDATA);
    CHECK(strstr(err.text, "label \"B-Y\" not among 2 known; nearest \"B-X\""));
}

/* ---- several labels a text ---- */

static dataset *open_marks(const char *content, const labels *l, const char *delimiter, hone_err *err,
                           hone_status *status) {
    const dataset_options o = {
        .label = LABEL_MARKS, .label_delimiter = delimiter, .rows = {.header = -1, .quoting = -1}};
    dataset *d = NULL;
    tokenizer *t = small_tokenizer();
    *status = dataset_open(&d, make_text("a.csv", content), &o, t, l, 0, NULL, err);
    tokenizer_free(t);
    return d;
}

TEST(several_labels_are_lists_or_columns) {
    static str names[] = {{"a", 1}, {"b", 1}};
    const labels l = {2, names};
    hone_err err = {0};
    hone_status status;
    dataset *d = open_marks("text,label\nmy card,b|a\nmy,\n", &l, "|", &err, &status);
    CHECK_INT(status, HONE_OK);
    CHECK(d->n_targets == 2 && d->target[0] == 1 && d->target[1] == 1 && d->target[2] == 0 &&
          d->target[3] == 0);
    dataset_free(d);
    d = open_marks("b,text,a\n1,my card,0\n,my,1.0\n", &l, NULL, &err, &status);
    CHECK_INT(status, HONE_OK);
    CHECK(d->target[0] == 0 && d->target[1] == 1 && d->target[2] == 1 && d->target[3] != d->target[3]);
    dataset_free(d);
    open_marks("text,label\nmy card,c\n", &l, "|", &err, &status);
    CHECK(status == HONE_EDATA && strstr(err.text, "line 2: label \"c\" not among 2 known"));
    open_marks("b,text,a\n2,my card,0\n", &l, NULL, &err, &status);
    CHECK(status == HONE_EDATA && strstr(err.text, "line 2: \"b\" is \"2\"; expected 1, 0 or nothing"));
}
