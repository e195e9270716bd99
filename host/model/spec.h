/* spec.h - a model as a graph: what the family's row and config.json describe, written op by op.
 *
 * One transformer serves all families: embeddings, blocks, a head. Read embed, block and heads in spec.c as
 * the text book; passes of the plan make them fast later. */
#ifndef MODEL_SPEC_H
#define MODEL_SPEC_H
#include "model/graph.h"

/* WORDS: the words under masks, of the rows of space "word". PRETRAINING: these, and whether the second of two texts follows
 * the first; the loss is the sum of both means. NEXT: each token's next one, of all rows. TOKENS: all words, of the rows of space
 * "word". */
typedef struct {
    head_kind kind;
    int n_outputs;              /* classes, or targets (1) */
    int64_t words_max;          /* WORDS, PRETRAINING, TOKENS, word_logits: rows of space "word" */
    int word_logits;            /* evaluation of all with words: logits of the rows of space "word", which are few, no losses */
    int pool_first;             /* EMBED: the first row, not the mean of all */
    double smoothing;           /* of labels */
    const double *class_weight; /* [n_outputs] or NULL; MARKS: of the positive class */
} head_spec;

/* What a written model gives to the plan. */
typedef struct {
    int tok, seq, word;      /* its row spaces; word 0: none */
    hone_v logits, row_loss; /* [seq, word or tok; n_outputs] (0: of a vocabulary, in chunks), [seq, word or tok]f (EMBED: 0);
                              * PRETRAINING: [seq, 2], [word]f; with word_logits [word, V], 0 */
    hone_v sequence_loss;    /* training of PRETRAINING: [seq]f, beside that of the words; else 0 */
    hone_v best;             /* evaluation of words: the likeliest one [rows of row_loss]i; else 0 */
    hone_v gx;               /* training: gradient of the logits, where there are any */
    hone_v scale;            /* INPUT [1]f */
    hone_v sequence_scale;   /* the same, of sequence_loss */
} model_values;

/* Write embeddings, blocks and head into the program that was begun. Spaces are made on the first call and
 * found again on the second (evaluation shares them). */
void spec_write(graph *g, const head_spec *h, int64_t tokens_max, int64_t seqs_max, model_values *out);

/* A causal family going on with texts: keys and values of the rows of "tok" go to their rows of the caches (space "cache":
 * `cached` rows for each sequence), and the logits [seq,V] of what follows are made for the row of "tok" that each row of
 * "seq" picks. Returns these. */
hone_v spec_write_decoder(graph *g, int64_t tokens_max, int64_t seqs_max, int64_t cached);
/* After it, in a program of its own: rows of all caches copied to other rows of theirs, all read before one is written. */
void spec_write_moves(graph *g, int64_t rows_max);
#endif
