/* text_metrics.h - how near a predicted answer is to a given one, as SQuAD's scripts (evaluate-v1.1.py, -v2.0.py) have it.
 *
 * Both are made small letters, without ASCII punctuation and the words a, an, the, and cut at white space. Exact: the words
 * are the same. F1: of the words they share. (Letters become small one by one: a Greek capital sigma at the end of a word is
 * not told from one within it.) */
#ifndef TRAIN_TEXT_METRICS_H
#define TRAIN_TEXT_METRICS_H
#include "base/str.h"

/* The words with a blank between, appended. */
void answer_normalize(str s, text *out);
/* 1 or 0; and 0 .. 1, where of two answers without words empty_f1 says what that is worth (version 1.1: 0; 2.0: 1). */
int answer_exact(str given, str predicted);
double answer_f1(str given, str predicted, double empty_f1);
#endif
