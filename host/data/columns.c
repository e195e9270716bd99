#include <string.h>

#include "data/columns.h"
#include "base/err.h"

/* Pairs by name, as the GLUE, SNLI, MNLI, QQP, QNLI and similar sets have them. */
static const char *const pairs[][2] = {
    {"sentence1", "sentence2"},   {"premise", "hypothesis"}, {"question1", "question2"},
    {"question", "sentence"},     {"question", "context"},   {"question", "passage"},
    {"text1", "text2"},           {"text", "hypothesis"},    {"text_a", "text_b"},
    {"sentence_a", "sentence_b"}, {"query", "passage"},
};
static const char *const singles[] = {"sentence", "text"};

#define N_OF(x) ((int)(sizeof(x) / sizeof(x)[0]))

/* No column of that name: say which there are. */
static hone_status refuse_column(const rows *r, const char *name, const char *option, hone_err *err) {
    char list[600], shown[80];
    size_t n = 0;
    list[0] = 0;
    for (int i = 0; i < r->n_columns; i++) {
        text_escape(shown, sizeof shown, r->column[i].p, r->column[i].n);
        const size_t length = strlen(shown);
        if (n + length + 8 > sizeof list) {
            memcpy(list + n, ", ...", 6);
            break;
        }
        if (n) memcpy(list + n, ", ", 2), n += 2;
        memcpy(list + n, shown, length + 1);
        n += length;
    }
    text_escape(shown, sizeof shown, name, strlen(name));
    hone_fail(err, HONE_EUSAGE, "%s: no column \"%s\"; have: %s", r->name, shown, list);
    hone_hint(err, "name the column with `%s`", option);
    return HONE_EUSAGE;
}

static int holds(const columns *c, int column) {
    for (int i = 0; i < c->n_text; i++)
        if (c->text[i] == column) return 1;
    return 0;
}

/* Whether a column holds a word anywhere in the first rows: ids, counts and scores do not. */
static int has_words(const rows *r, int column) {
    int any = 0;
    for (int64_t i = 0; i < r->n_rows && i < 1000; i++) {
        const str cell = r->cell[i * r->n_columns + column];
        double ignored;
        if (!cell.n) continue;
        if (r->number && r->number[i * r->n_columns + column] != CELL_TEXT) return 0;
        if (!str_to_double(cell, &ignored)) return 1;
        any = 1;
    }
    return !any; /* nothing but empty cells: might be text */
}

static int guess_by_name(columns *out, const rows *r) {
    for (int i = 0; i < N_OF(pairs); i++) {
        const int a = rows_column(r, str_of(pairs[i][0])), b = rows_column(r, str_of(pairs[i][1]));
        if (a < 0 || b < 0 || a == out->label || b == out->label) continue;
        *out = (columns){.text = {a, b}, .n_text = 2, .label = out->label, .guessed = 1};
        return 1;
    }
    for (int i = 0; i < N_OF(singles); i++) {
        const int a = rows_column(r, str_of(singles[i]));
        if (a < 0 || a == out->label) continue;
        *out = (columns){.text = {a}, .n_text = 1, .label = out->label, .guessed = 1};
        return 1;
    }
    return 0;
}

/* The columns with words, label apart: one is the text, two are a pair; more are for the user to choose from.
 */
static int guess_by_content(columns *out, const rows *r) {
    out->n_text = 0;
    out->guessed = 1;
    for (int i = 0; i < r->n_columns; i++) {
        if (i == out->label || !has_words(r, i)) continue;
        if (out->n_text == 2) return 0;
        out->text[out->n_text++] = i;
    }
    return out->n_text > 0;
}

/* The one column that is not a text, or -1. */
static int only_other(const columns *c, const rows *r) {
    int found = -1;
    for (int i = 0; i < r->n_columns; i++)
        if (!holds(c, i)) {
            if (found >= 0) return -1;
            found = i;
        }
    return found;
}

static int first_of(const rows *r, const char *const *names, int n, int otherwise) {
    for (int i = 0; i < n; i++)
        for (int c = 0; c < r->n_columns; c++)
            if (str_is(r->column[c], names[i])) return c;
    return otherwise;
}

static hone_status choose_words(columns *out, const rows *r, const char *const *text_names, int n_text, const char *label,
                                label_wish wish, hone_err *err) {
    static const char *const words[] = {"tokens", "words", "form", "text"}, *const tags[] = {"ner_tags", "tags", "upos", "label", "labels"};
    if (n_text > 1)
        return hone_fail(err, HONE_EUSAGE, "%d text columns, expected one of words", n_text);
    out->text[0] = n_text ? rows_column(r, str_of(text_names[0])) : first_of(r, words, N_OF(words), 0);
    if (out->text[0] < 0) return refuse_column(r, text_names[0], "text_column_names", err);
    out->n_text = 1;
    out->guessed = !n_text;
    if (wish == LABEL_NOT_WANTED) return HONE_OK;
    out->label = label ? rows_column(r, str_of(label)) : first_of(r, tags, N_OF(tags), r->n_columns - 1);
    if (out->label == out->text[0]) out->label = -1;
    if (out->label < 0 && wish == LABEL_NEEDED) return refuse_column(r, label ? label : "tags", "label_column_name", err);
    return HONE_OK;
}

hone_status columns_choose(columns *out, const rows *r, const char *const *text_names, int n_text,
                           const char *label, label_wish wish, hone_err *err) {
    *out = (columns){.label = -1};
    if (r->words) return choose_words(out, r, text_names, n_text, label, wish, err);
    if (n_text > COLUMNS_TEXT_MAX)
        return hone_fail(err, HONE_EUSAGE, "%d text columns; at most %d", n_text, COLUMNS_TEXT_MAX);
    for (int i = 0; i < n_text; i++) {
        out->text[i] = rows_column(r, str_of(text_names[i]));
        if (out->text[i] < 0) return refuse_column(r, text_names[i], "text_column_names", err);
        out->n_text = i + 1;
    }
    const char *label_name = label ? label : "label";
    int found = rows_column(r, str_of(label_name));
    if (found >= 0 && holds(out, found)) {
        if (label)
            return hone_fail(err, HONE_EUSAGE, "%s: column \"%s\" is both text and label", r->name,
                             label_name);
        found = -1;
    }
    if (label && found < 0 && wish == LABEL_NEEDED) return refuse_column(r, label, "label_column_name", err);
    out->label = found;
    if (!n_text && !guess_by_name(out, r)) {
        /* Without a label to set apart, columns of words cannot be told from columns of labels. */
        const int label_missing = found < 0 && wish == LABEL_NEEDED;
        if (label_missing) return refuse_column(r, label_name, "label_column_name", err);
        if (!guess_by_content(out, r)) return refuse_column(r, "text", "text_column_names", err);
    }
    if (out->label < 0 && !label && wish == LABEL_NEEDED) out->label = only_other(out, r);
    if (out->label < 0 && wish == LABEL_NEEDED) return refuse_column(r, label_name, "label_column_name", err);
    if (wish == LABEL_NOT_WANTED) out->label = -1;
    return HONE_OK;
}
