/* folder.h - a whole folder handed back, made of a tiny model. */
#ifndef TESTS_MODEL_FOLDER_H
#define TESTS_MODEL_FOLDER_H
#include "model/export.h"
#include "make.h"

/* Values of parameter i by formula; params_get. */
hone_status formula_values(void *want, int i, float *to, hone_err *err);

/* Export a tiny model of this config with n_labels labels (NULL: the config's) and the plain tokenizer into
 * NAME in the test's folder, or in HONE_EXPORTS where that is set, to be looked at by
 * scripts/golden/model.py. Returns its path. */
const char *make_export(const char *config, const char *name, const char *architecture, const str *label,
                        int n_labels);

/* The whole of a file; fails the test where it is not there. */
str slurp(arena *a, const char *folder, const char *name);
#endif
