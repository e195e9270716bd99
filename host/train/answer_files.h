/* answer_files.h - the files that run_qa.py leaves: PREFIX_predictions.json (id to text), PREFIX_nbest_predictions.json (id to
 * the answers weighed) and, where questions may have none, PREFIX_null_odds.json. */
#ifndef TRAIN_ANSWER_FILES_H
#define TRAIN_ANSWER_FILES_H
#include "train/answers.h"

typedef struct {
    const dataset *d;
    int negative;
    text predictions, nbest, odds;
} answer_files;

void answer_files_add(void *files, const answered *a); /* an answers_each */
/* Written into a folder; the texts are given back in any case. */
hone_status answer_files_end(answer_files *f, const char *folder, const char *prefix, hone_err *err);
void answer_files_drop(answer_files *f);
#endif
