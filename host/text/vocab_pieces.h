/* vocab_pieces.h - learns the pieces of a Unigram vocabulary and their probabilities, as Kudo (2018, Subword
 * Regularization) and SentencePiece do: begin with far too many substrings of words, fit probabilities by expectation
 * maximisation over all ways to cut each word, take away the pieces whose loss costs least, again and again.
 *
 * Sums are made by a fixed number of shards of words, added in order: the same bits for any number of threads. The
 * vocabulary is not that of the library's UnigramTrainer, whose first substrings come from a suffix array of the text. */
#ifndef TEXT_VOCAB_PIECES_H
#define TEXT_VOCAB_PIECES_H
#include "text/vocab_count.h"

typedef struct {
    int size; /* ids wanted, special tokens among them; fewer where the text has not so many substrings */
    int64_t min_count;  /* substrings that stand less often are no pieces */
    int max_characters; /* alphabet: the commonest so many, 0: all; they are pieces in any case */
    const str *special; /* the first ids, score 0 */
    int n_special;
} piece_options;

typedef struct {
    arena *a;
    vocab vocab;
    double *score; /* by id: logarithm of the probability */
} learned_pieces;

hone_status vocab_pieces(learned_pieces **out, const word_count *word, size_t n_words, const piece_options *o,
                         pool *p, hone_err *err);
void vocab_pieces_free(learned_pieces *m);
#endif
