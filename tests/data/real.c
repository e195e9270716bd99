#include <stdlib.h>

#include "../test.h"
#include "data_util.h"
#include "data/columns.h"

/* Counts are those of the data sets' own descriptions, measured with other readers. */

static rows *read_real(const char *file, const rows_options *o) {
    rows *r = NULL;
    CHECK_OK(rows_read(&r, test_data_or_skip(file), o, err));
    return r;
}

static int64_t count_cells(const rows *r, int column, const char *value) {
    int64_t n = 0;
    for (int64_t i = 0; i < r->n_rows; i++) n += str_is(r->cell[i * r->n_columns + column], value);
    return n;
}

static int64_t count_holding(const rows *r, int column, const char *piece) {
    int64_t n = 0;
    for (int64_t i = 0; i < r->n_rows; i++) {
        const str s = r->cell[i * r->n_columns + column];
        n += s.n && memmem(s.p, s.n, piece, strlen(piece)) != NULL;
    }
    return n;
}

static const rows_options headerless = {.header = 0, .quoting = -1};

TEST(real_banking77) {
    rows *r = read_real("banking77/train.csv", NULL);
    CHECK_INT(r->n_rows, 10003);
    CHECK_INT(r->n_columns, 2);
    CHECK_INT(count_holding(r, 0, "\n"), 10);
    CHECK_INT(count_holding(r, 0, "\""), 21);
    labels l;
    arena *a = arena_new("test");
    columns c;
    CHECK_OK(columns_choose(&c, r, NULL, 0, NULL, LABEL_NEEDED, err));
    CHECK(c.text[0] == 0 && c.n_text == 1 && c.label == 1);
    CHECK_STR(cell(r, 0, 0), "I am still waiting on my card?");
    CHECK_OK(labels_collect(&l, a, r, 1, err));
    CHECK_INT(l.n, 77);
    rows_free(r);
    r = read_real("banking77/test.csv", NULL);
    CHECK_INT(r->n_rows, 3080);
    CHECK_INT(count_holding(r, 0, "\n"), 3);
    CHECK_INT(count_holding(r, 0, "\""), 8);
    for (int i = 0; i < l.n; i++) CHECK_INT(count_cells(r, 1, l.name[i].p), 40);
    rows_free(r);
    arena_free(a);
}

TEST(real_hate_offensive) {
    rows *r = read_real("hate-offensive/labeled_data.csv", NULL);
    CHECK_INT(r->n_rows, 24783);
    CHECK_INT(r->n_columns, 7);
    CHECK(str_is(r->column[0], "Unnamed: 0"));
    const int class = rows_column(r, STR("class")), tweet = rows_column(r, STR("tweet"));
    CHECK_INT(count_cells(r, class, "0"), 1430);
    CHECK_INT(count_cells(r, class, "1"), 19190);
    CHECK_INT(count_cells(r, class, "2"), 4163);
    CHECK_INT(count_holding(r, tweet, "\n"), 917);
    columns c;
    CHECK_OK(columns_choose(&c, r, NULL, 0, "class", LABEL_NEEDED, err));
    CHECK(c.n_text == 1 && c.text[0] == tweet);
    CHECK(r->line[r->n_rows - 1] <= 26954);
    rows_free(r);
}

TEST(real_mrpc_has_no_quoting) {
    rows *r = read_real("mrpc/msr_paraphrase_train.txt", NULL);
    CHECK_INT(r->format, ROWS_TSV);
    CHECK_INT(r->n_rows, 4076);
    CHECK(str_is(r->column[0], "Quality"));
    CHECK_INT(count_cells(r, 0, "1"), 2753);
    CHECK_INT(count_cells(r, 0, "0"), 1323);
    rows_free(r);
    r = read_real("mrpc/msr_paraphrase_test.txt", NULL);
    CHECK_INT(r->n_rows, 1725);
    CHECK_INT(count_cells(r, 0, "1"), 1147);
    rows_free(r);
}

TEST(real_headerless_files) {
    rows *r = read_real("stsb/stsb-en-train.csv", &headerless);
    CHECK_INT(r->n_rows, 5749);
    CHECK_INT(r->n_columns, 3);
    rows_free(r);
    r = read_real("stsb/stsb-en-test.csv", &headerless);
    CHECK_INT(r->n_rows, 1379);
    rows_free(r);
    r = read_real("goemotions/train.tsv.gz", &headerless);
    CHECK_INT(r->n_rows, 43410);
    CHECK_INT(r->n_columns, 3);
    rows_free(r);
    r = read_real("tatoeba-deu-eng/deu.txt.gz", &headerless);
    CHECK_INT(r->n_rows, 169197);
    CHECK_INT(r->n_columns, 2);
    rows_free(r);
}

TEST(real_tables_in_other_formats) {
    static const struct {
        const char *file;
        int64_t rows;
        int columns;
    } cases[] = {
        {"sst2/glue/train.tsv.gz", 60614, 2},
        {"sst2/glue/dev.tsv", 6735, 2},
        {"movie-reviews/movie_reviews.jsonl.gz", 2000, 4},
        {"snli/snli-dev.tsv", 9842, 3},
        {"rte/rte123.tsv", 4167, 7},
        {"molecules/BBBP.csv", 2050, 4},
        {"molecules/tox21.csv", 7831, 14},
        {"molecules/ESOL_delaney-processed.csv", 1128, 10},
        {"unfair-tos/unfair_tos.en.tsv.gz", 17383, 5},
        {"unicode/udhr2.jsonl.gz", 388, 2},
        {"tokenizer/bert-uncased-gold-squad-questions.jsonl.gz", 10570, 4},
        {"speeches/inaugural.jsonl.gz", 59, 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rows *r = read_real(cases[i].file, NULL);
        if (r->n_rows != cases[i].rows || r->n_columns != cases[i].columns)
            test_fail(__FILE__, __LINE__, "%s: %lld rows of %d columns, expected %lld of %d", cases[i].file,
                      (long long)r->n_rows, r->n_columns, (long long)cases[i].rows, cases[i].columns);
        rows_free(r);
    }
    const rows_options lines = {.format = ROWS_LINES};
    rows *r = read_real("mr/rt-polarity.pos", &lines);
    CHECK_INT(r->n_rows, 5331);
    rows_free(r);
    r = read_real("goemotions/labels.txt", &lines);
    CHECK_INT(r->n_rows, 28);
    rows_free(r);
}
