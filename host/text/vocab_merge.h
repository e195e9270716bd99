/* vocab_merge.h - learns merges: byte-pair encoding, and WordPiece in the way of the `tokenizers` library (which trains
 * it by merges too).
 *
 * Again and again the pair of neighbours that stands most often, counted over all words, becomes one token. Of pairs that
 * stand as often, that with the smaller first id comes first, then that with the smaller second id. Ids are given in this
 * order: special tokens, single characters by code point, (WordPiece) "##" and single characters by code point, merges.
 * For byte-level BPE this is what BpeTrainer (tokenizers 0.23) gives, token by token; its WordPieceTrainer numbers "##"
 * characters in the order of a hash table, so there equal counts fall out otherwise, and from run to run. */
#ifndef TEXT_VOCAB_MERGE_H
#define TEXT_VOCAB_MERGE_H
#include "text/vocab_count.h"

typedef struct {
    int size;          /* ids wanted; fewer come out where no pair is left */
    int64_t min_count; /* a pair that stands less often is not merged */
    int max_characters; /* alphabet: the commonest so many, others are unknown; words with them are passed over */
    const char *prefix; /* WordPiece: "##"; "": BPE */
    int bytes;          /* the alphabet is the 256 characters that bytes are written as */
    const str *special;
    int n_special;
} merge_options;

typedef struct {
    int32_t first, second, id;
} learned_merge;

typedef struct {
    arena *a;
    vocab vocab;
    learned_merge *merge;
    int n_merges;
} learned_merges;

/* Free with vocab_merge_free. A signal ends it (sig_check). */
hone_status vocab_merge(learned_merges **out, const word_count *word, size_t n_words, const merge_options *o,
                        hone_err *err);
void vocab_merge_free(learned_merges *m);

/* The commonest characters of all words, at most max (0: all), by code point. Returned in a. */
uint32_t *vocab_alphabet(arena *a, const word_count *word, size_t n_words, int max, int *n);
#endif
