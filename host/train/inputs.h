/* inputs.h - the data sets of a job: which labels there are, what is trained on, evaluated and tested. */
#ifndef TRAIN_INPUTS_H
#define TRAIN_INPUTS_H
#include "train/session.h"

typedef struct {
    arena *a;
    dataset *train, *validation, *test; /* NULL: the job has none */
    dataset *whole;                     /* what train and validation were split from; NULL: they were not */
    dataset *unshuffled;  /* the rows as they lie in the file, where shuffle_train_dataset was asked for */
    double *class_weight; /* [classes] or NULL */
} inputs;

/* Decide s->labels and s->n_outputs (words have none): the labels file, else the model's own id2label if it names every label
 * of train_file, else the sorted labels of train_file. */
hone_status inputs_labels(session *s, hone_err *err);
/* Of words: make the texts of *d samples, each with at least one word to guess; the first max_samples of them (0: all).
 * fill-mask: pieces of documents, with line_by_line the texts themselves, with cross_documents blocks over all. pretrain: the pairs of an evaluation.
 * text-generation: pieces of documents, with cross_documents blocks over all of them. Of other tasks nothing changes.
 * HONE_EDATA: none are left. */
hone_status inputs_samples(dataset **d, const session *s, const char *path, int64_t max_samples, hone_err *err);
/* A file as the samples of the session's task, at most max_samples (0: all). labelled 0: labels of the file are not read, 1: a
 * row need not have one, 2: each has one. */
hone_status inputs_read(dataset **out, const session *s, const char *path, int64_t max_samples, int labelled, hone_err *err);
/* inputs_labels, then open the data sets. */
hone_status inputs_open(inputs **out, session *s, hone_err *err);
void inputs_close(inputs *in); /* NULL is fine */
#endif
