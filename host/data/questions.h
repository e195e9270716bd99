/* questions.h - questions about texts, whose answers stand in the texts: SQuAD's files, versions 1.1 and 2.0.
 *
 * A .json file is {"data": [{"paragraphs": [{"context", "qas": [{"id", "question", "answers": [{"text", "answer_start"}],
 * "is_impossible"}]}]}]}; other keys are left alone. Any other file is rows with columns question, context and perhaps id,
 * without answers (rows.h). answer_start counts code points; the text must stand there in the context. */
#ifndef DATA_QUESTIONS_H
#define DATA_QUESTIONS_H
#include "data/rows.h"

typedef struct {
    str text;
    int64_t at; /* byte in the context */
} question_answer;

typedef struct {
    str id, text, context; /* text without blanks at its beginning, as run_qa.py takes it */
    const question_answer *answer;
    int n_answers; /* 0: it has none, or the file says nothing */
} question;

typedef struct {
    arena *a;
    const char *name; /* of the file, for messages */
    question *q;
    int64_t n;
    int has_answers;      /* the file says what they are */
    int64_t n_unanswered; /* where it does: questions without one */
    char sha256[65];      /* of the file */
    char key[65];         /* of that, and of how it was read */
} questions;

/* HONE_EDATA: what is wrong, with line and column or the question's id. max: the first so many; 0: all. */
hone_status questions_read(questions **out, const char *path, const rows_options *o, int64_t max,
                           hone_err *err);
void questions_free(questions *q); /* NULL is fine */
#endif
