/* columns.h - which columns of a table are the text and which is the label.
 *
 * Named by the job (text_column_names, label_column_name), else guessed as transformers' example scripts do:
 * the label is "label", else the only column that is no text; the text is a known pair (sentence1 and
 * sentence2, premise and hypothesis, question1 and question2, question and sentence, ...), else "sentence" or
 * "text", else the columns that are not just numbers, if those are one or two. Of rows of words (as run_ner.py): the words are
 * "tokens", "words" or "form", else the first column; their tags "ner_tags", "tags" or "upos", else "label" or the last
 * one. */
#ifndef DATA_COLUMNS_H
#define DATA_COLUMNS_H
#include "data/rows.h"

#define COLUMNS_TEXT_MAX 64

typedef enum { LABEL_NOT_WANTED, LABEL_IF_THERE, LABEL_NEEDED } label_wish;

typedef struct {
    int text[COLUMNS_TEXT_MAX]; /* column numbers */
    int n_text;                 /* at least 1 */
    int label;                  /* -1: none */
    int guessed;                /* 1: the text columns were not named by the job */
} columns;

/* text, n_text: names or numbers given by the job, n_text 0: none. label: NULL: not given.
 *   HONE_EUSAGE  no such column (with those that are there), or nothing to guess from (bad-inputs D4) */
hone_status columns_choose(columns *out, const rows *r, const char *const *text, int n_text,
                           const char *label, label_wish wish, hone_err *err);
#endif
