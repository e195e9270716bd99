/* parity_model.h - the model and the job that scripts/golden/logits.py and training.py used, made here
 * without Python.
 *
 * The folder is written and read by code of its own, so that an error in host/model cannot hide itself. */
#ifndef PARITY_MODEL_H
#define PARITY_MODEL_H
#include "base/arena.h"
#include "base/file.h"
#include "base/json.h"

#define PARITY_LABELS 77

/* MiniLM (folder source) as BertForSequenceClassification in folder to: body and pooler as they are, the head
 * given by bert.py's formula, labels as in categories (a JSON array), all dropouts set to dropout ("0.0",
 * "0.1"). */
void parity_model_write(const char *to, const char *source, const char *categories, const char *dropout);

/* A safetensors file of fp32 tensors. */
typedef struct {
    file_view file;
    const json *header;
    const char *data; /* where offset 0 lies */
} tensors;
void tensors_open(tensors *t, arena *a, const char *path);
const float *tensors_find(const tensors *t, const char *name,
                          int64_t n); /* n elements; else the test fails */
void tensors_close(tensors *t);

/* Run the built command (HONE_BIN, else that of the build) with a line of arguments in a shell, its output
 * going to files "stdout" and "stderr" of folder; the test fails, showing stderr, unless it ends with 0.
 * Returns stdout's path, in a. */
const char *parity_run(arena *a, const char *folder, const char *arguments);
#endif
