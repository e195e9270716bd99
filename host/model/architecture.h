/* architecture.h - which tensors a folder of an architecture holds, by name and shape. */
#ifndef MODEL_ARCHITECTURE_H
#define MODEL_ARCHITECTURE_H
#include "model/family.h"
#include "model/params.h"

/* The parameters of this architecture (as config.json names it), in the order of the model, with the names
 * that a folder of it uses: a bare model (BertModel) has no prefix. NULL: not one whose tensors hone knows.
 * n_labels: rows of the classifier, where there is one. */
param_want *architecture_params(arena *a, const model_config *c, const char *architecture, int n_labels,
                                int *n);
/* The family's class with a head; NULL: it has none. Bare models are EMBED's. */
const char *architecture_of(const family *f, head_kind head);
/* Is it of that head (CLASSES stands for REGRESSION and MARKS too)? architecture may be NULL. */
int architecture_is_of(const char *architecture, head_kind head);
/* The hub's name of what it is for: "fill-mask", "text-generation", ..., else "text-classification". */
const char *architecture_task(const char *architecture);
/* Does its head have a row a label? */
int architecture_has_labels(const char *architecture);
/* The role whose rows those are; CLASSIFIER where it has none. architecture may be NULL. */
role architecture_classifier(const char *architecture);
/* Is it a bare model, without a head? */
int architecture_is_bare(const char *architecture);
#endif
