/* entities.h - names of people, places, ... in tagged texts, counted as seqeval counts them where it is not told a scheme
 * (conlleval's rules): BIO, IOB1, IOB2, BIOES and what lies between are all read.
 *
 * A tag is a part (B I O E S) and a type behind a hyphen. Figures over all types are by entity (micro); f1_macro is the mean
 * over the types that occur among labels or predictions, f1_weighted that by how many entities there are. */
#ifndef TRAIN_ENTITIES_H
#define TRAIN_ENTITIES_H
#include "base/arena.h"
#include "data/dataset.h"

typedef struct {
    char *part;   /* [labels] first character of each tag */
    int *type_of; /* [labels] */
    str *type;    /* [n_types] sorted; empty: that of O */
    int n_types;
    int64_t *labelled, *predicted, *right; /* [n_types] entities */
} entities;

/* Do these labels tag entities: is each of them O, or of a part and a type? */
int entities_are_tagged(const labels *l);
void entities_init(entities *e, arena *a, const labels *l); /* of labels that do, which are borrowed */
void entities_clear(entities *e);
/* One text: the labels of its words and what was predicted of each. */
void entities_add(entities *e, const int32_t *label, const int32_t *predicted, int64_t n);
/* Precision, recall, F1 of type t, or of all (t < 0); *support: entities among the labels. 0 of 0 is 0. */
void entities_of_type(const entities *e, int t, double out[3], int64_t *support);
void entities_means(const entities *e, double *f1_macro, double *f1_weighted);
#endif
