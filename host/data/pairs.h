/* pairs.h - samples of next-sentence prediction: two runs of sentences of which the second follows the first or stands in
 * another document, drawn anew in every epoch, a function of seed, epoch and document alone.
 *
 * Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers", NAACL 2019, section 3.1 and appendix A.2, in the
 * procedure of the program that the authors published with it: the sentences of a document are gathered until they fill a
 * sample, now and then (p_short) a shorter one of any length from 2 on; the first run ends after one of them, any but the last.
 * The second run is the rest of them (label 0), or, with p_random and where there is but one, sentences of any other document
 * from any one on that fill the sample (label 1), and the rest is gathered again. While both are longer than the sample the
 * longer one (the second of equal ones) loses its first or last token, whichever a coin says. Around them stand special
 * tokens: [CLS] first [SEP] second [SEP], of type 0 up to the first [SEP]. One thing is other than there: p_short is drawn for
 * each sample, not for each document, so that a book is not cut into short samples as a whole. */
#ifndef DATA_PAIRS_H
#define DATA_PAIRS_H
#include "data/dataset.h"

#define PAIRS_SPECIAL 3 /* [CLS], [SEP], [SEP] */
#define PAIRS_LENGTH_MIN (PAIRS_SPECIAL + 2)

typedef enum { PAIRS_FOLLOWS, PAIRS_RANDOM } pair_label;

typedef struct {
    uint64_t seed;
    int length; /* tokens of a sample, special ones included: at least PAIRS_LENGTH_MIN */
    double p_random, p_short;
    int32_t cls, sep;
    /* What the tokens are to sentences, [vocab]: a line is cut behind an END, and what CLOSES after it (a quotation mark).
     * NULL: a line is a sentence. */
    const uint8_t *ends;
} pair_rule;
enum { PAIRS_GOES_ON, PAIRS_END, PAIRS_CLOSES };

/* d, whose samples are the lines of a file without special tokens and whose empty ones stand between documents, becomes a
 * data set of pairs of the first max_samples drawn in an epoch (0: all), and those of `epoch` are drawn. It keeps r's table.
 *   HONE_EDATA  fewer than two documents, or none of two sentences; name: the file, for the message */
hone_status pairs_begin(dataset *d, const pair_rule *r, int64_t max_samples, int64_t epoch, const char *name,
                        hone_err *err);

/* Samples of another epoch (below 2^24) take the place of those that d has: its counts, at, label and pair are others then. Of a data set
 * that is not drawn nothing changes. */
void dataset_epoch(dataset *d, int64_t epoch);

/* Private to host/data: what dataset_free gives back. */
void pairs_free(void *source);
#endif
