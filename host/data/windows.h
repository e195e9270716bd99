/* windows.h - questions with their texts as samples: where both are too long for one, the text is cut into windows that lie
 * over each other, as run_qa.py has it.
 *
 * A window is the question and a part of the context. Windows begin max_length - stride tokens of context behind each other
 * (both without the question and special tokens: the room that a context has), the last one ends with the context. Where the
 * first answer does not lie wholly inside a window, its span is that of the first token, (0, 0): not here. */
#ifndef DATA_WINDOWS_H
#define DATA_WINDOWS_H
#include "data/dataset.h"
#include "data/questions.h"

typedef struct windows {
    const questions *of;
    const int64_t *question; /* [samples] number of the question of each window, ascending */
} windows;

typedef struct {
    int max_length, stride; /* tokens of a window; tokens of context that two windows share */
    int labelled;           /* 0: spans are (-1, -1), which no loss looks at */
    const char *cache_folder; /* NULL: keep in memory, no file */
    int rebuild;
} window_options;

/* A data set with `windows` and (labelled) spans, cut anew or mapped from the cache (cache.h), which is keyed by what was read of
 * which file, tokenizer and options; it owns q from here on, in any case. HONE_EDATA: a question leaves no room
 * for a context (by id); HONE_EUSAGE: the stride leaves none. */
hone_status windows_make(dataset **out, questions *q, const window_options *o, const tokenizer *t, pool *p,
                         hone_err *err);
#endif
