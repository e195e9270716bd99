/* hone.h - hone inside another C program: train a job, load a model, predict.
 *
 *     hone_err err = {0};
 *     hone_model *m;
 *     if (hone_model_open(&m, "out", NULL, &err)) return fprintf(stderr, "%s\n", err.text), 1;
 *     const char *texts[] = {"my card has not arrived"};
 *     float scores[77];
 *     hone_model_predict(m, texts, NULL, 1, scores, &err);
 *     puts(hone_model_label(m, 3));
 *     hone_model_close(m);
 *
 * Link with -lhone. Nothing here prints to stdout; notes and warnings go to stderr unless hone_quiet was called. */
#ifndef HONE_HONE_H
#define HONE_HONE_H
#include "hone/status.h"
#include <stdint.h>

#if defined(__GNUC__)
#define HONE_API __attribute__((visibility("default")))
#else
#define HONE_API
#endif
#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    const char *device; /* "auto" (NULL), "ref", "cpu" */
    int threads;        /* 0: all the cores this process may use */
} hone_options;

HONE_API const char *hone_version(void);
HONE_API void hone_quiet(void); /* warnings and errors only */

/* Train the job of a file, with n_overrides pairs "field", "value" over it. json (may be NULL) takes the summary of
 * outputs.md as one JSON object, cut to json_bytes. Returns what `hone train` would end with. */
HONE_API hone_status hone_train(const char *job_file, const char *const *overrides, int n_overrides, char *json, size_t json_bytes,
                                hone_err *err);

/* A model folder, or a run's folder, opened for prediction. One thread at a time may use it. */
typedef struct hone_model hone_model;
HONE_API hone_status hone_model_open(hone_model **out, const char *folder, const hone_options *options, hone_err *err);
HONE_API void hone_model_close(hone_model *model); /* NULL is fine */
HONE_API int hone_model_labels(const hone_model *model);
HONE_API const char *hone_model_label(const hone_model *model, int label); /* lives as long as the model */

/* Probabilities [n, labels] of n texts, UTF-8 and NUL-terminated (pairs: second texts, or NULL). For a regression: the
 * values. HONE_EDATA: a text is not UTF-8. */
HONE_API hone_status hone_model_predict(hone_model *model, const char *const *texts, const char *const *pairs, int n, float *scores,
                                        hone_err *err);
#ifdef __cplusplus
}
#endif
#endif
