/* fill.h - the likeliest words behind the masks of texts, as transformers' fill-mask pipeline gives them. */
#ifndef TRAIN_FILL_H
#define TRAIN_FILL_H
#include "train/words.h"

typedef struct {
    int top;    /* words for each mask; 1 .. vocabulary */
    int people; /* text instead of JSON rows */
} fill_options;

/* How a session is started for d: batches of a few samples. HONE_EDATA: a sample without a mask (path and line are named), or
 * with more of them than fit. */
hone_status fill_limits(session_limits *out, const session *s, const dataset *d, const char *path,
                        hone_err *err);

/* One row a sample, in order: {"index":0,"masks":[[{"token":"...","id":1,"score":0.5,"sequence":"..."},...],...]}. token: the id
 * decoded; sequence: the text with it in its place (of several masks: with its special tokens, as the others stay). flush is
 * called whenever out has grown beyond 64 KiB and at the end.
 *   HONE_EUSAGE  the folder has no head of words: guesses would be drawn from new weights */
hone_status fill_rows(session *s, const dataset *d, const fill_options *o, text *out,
                      void (*flush)(void *arg, text *out), void *arg, hone_err *err);
#endif
