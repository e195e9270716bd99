/* spec.h - a model as a graph: what the family's row and config.json describe, written op by op.
 *
 * One transformer serves all families: embeddings, blocks, a head. Read embed, block and heads in spec.c as
 * the text book; passes of the plan make them fast later. */
#ifndef MODEL_SPEC_H
#define MODEL_SPEC_H
#include "model/graph.h"

/* WORDS: the words under masks, TOKENS: all words, of the rows of space "word". */
typedef struct {
    head_kind kind;
    int n_outputs;              /* classes, or targets (1) */
    int64_t words_max;          /* WORDS, TOKENS: rows of space "word" */
    int pool_first;             /* EMBED: the first row, not the mean of all */
    double smoothing;           /* of labels */
    const double *class_weight; /* [n_outputs] or NULL; MARKS: of the positive class */
} head_spec;

/* What a written model gives to the plan. */
typedef struct {
    int tok, seq, word;      /* its row spaces; word 0: none */
    hone_v logits, row_loss; /* [seq, word or tok; n_outputs] (0: of a vocabulary, in chunks), [seq or word]f (EMBED: 0) */
    hone_v best;             /* evaluation of words: the likeliest one [word]i; else 0 */
    hone_v gx;               /* training: gradient of the logits, where there are any */
    hone_v scale;            /* INPUT [1]f */
} model_values;

/* Write embeddings, blocks and head into the program that was begun. Spaces are made on the first call and
 * found again on the second (evaluation shares them). */
void spec_write(graph *g, const head_spec *h, int64_t tokens_max, int64_t seqs_max, model_values *out);
#endif
