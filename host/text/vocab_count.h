/* vocab_count.h - the words of text files and how often each stands there: what vocabularies are trained on.
 *
 * Files are taken in chunks of lines, each counted by one thread into a table of its own; the tables go into the whole
 * in the order of the chunks. So the result is the same for any number of threads, and where words were forgotten to keep
 * within the memory, the same words were. */
#ifndef TEXT_VOCAB_COUNT_H
#define TEXT_VOCAB_COUNT_H
#include "base/host.h"
#include "text/tokenizer_parts.h"

typedef struct {
    str word;
    int64_t count;
} word_count;

typedef struct word_counts word_counts;
typedef struct {
    const char *const *file;
    int n_files;
    normalizer normalizer;
    pretokenizer pretokenizer;
    int with_newline; /* a line keeps the newline at its end */
    size_t max_words; /* different ones at a time; 0: 16 million. Beyond that the rarest are forgotten */
} count_options;

/* Count; HONE_EDATA names file and line of a text that is no UTF-8. A signal ends it (sig_check). */
hone_status vocab_count(word_counts **out, const count_options *o, pool *p, hone_err *err);
/* By count, the greatest first, then by bytes; valid as long as the counts are. */
const word_count *vocab_counted(const word_counts *w, size_t *n);
int64_t vocab_counted_bytes(const word_counts *w); /* of text read */
int64_t vocab_counted_lines(const word_counts *w); /* of text read */
int64_t vocab_forgotten(const word_counts *w);     /* words (with repetition) that were forgotten */
void vocab_count_free(word_counts *w);
#endif
