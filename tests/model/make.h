/* make.h - files and folders of models, good and bad, as tests need them. */
#ifndef TESTS_MODEL_MAKE_H
#define TESTS_MODEL_MAKE_H
#include "model/family.h"
#include "model/params.h"
#include "test.h"

/* A file FOLDER/NAME of these bytes; returns its path (one of some in turn). */
const char *make_file(const char *folder, const char *name, const void *p, size_t n);
const char *make_text(const char *folder, const char *name, const char *content);
const char *make_path(const char *folder, const char *name);

/* A safetensors file: this header (as it stands), then n_data bytes 0, 1, 2 ... */
const char *make_safetensors(const char *folder, const char *name, const char *header, size_t n_data);

/* Fails the test unless the call failed with this status and the text ends so (the path in front
 * aside). */
void check_refused(const char *file, int line, hone_status status, hone_status want, const hone_err *err,
                   const char *ending);
#define CHECK_REFUSED(call, want, text)                                                                      \
    do {                                                                                                     \
        hone_err check_err = {0};                                                                            \
        hone_err *err = &check_err;                                                                          \
        const hone_status check_status = (call);                                                             \
        check_refused(__FILE__, __LINE__, check_status, want, err, text);                                    \
    } while (0)

/* A tiny model of a family: D 8, L 2, H 2, F 16, V 20, S 12, and what a classifier of n_labels wants. */
extern const char tiny_bert[], tiny_distilbert[], tiny_roberta[], tiny_gpt2[];
model_config *make_config(const char *content);
param_want *make_wants(arena *a, const model_config *c, int n_labels, int *n);
/* Values of parameter i, made by a formula. */
void make_values(float *to, int64_t n, int i);
/* Write these parameters to FOLDER/model.safetensors, each name turned by rename (NULL: left out; itself
 * NULL: none). A transposed one's values are in the order of the file. */
typedef const char *renamer(const char *name);
void make_weights(const char *folder, const param_want *want, int n, stored_type type, renamer *rename);
#endif
