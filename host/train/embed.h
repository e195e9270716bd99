/* embed.h - texts as vectors: the mean of the last layer's rows, or the first of them, and its length made 1 where asked.
 *
 * What a folder of sentence-transformers says is followed: modules.json (Transformer, Pooling by mean or cls, Normalize; a
 * module of another kind is refused) and max_seq_length of sentence_bert_config.json. Another folder: the mean, as it is. */
#ifndef TRAIN_EMBED_H
#define TRAIN_EMBED_H
#include "train/session.h"

typedef struct {
    int first; /* the first row, not the mean */
    int normalize;
    int64_t max_length; /* tokens; 0: nothing is said */
} embed_rules;
/* HONE_EUSAGE: what the files say is not known here; file, line and column. */
hone_status embed_rules_read(embed_rules *out, const char *folder, hone_err *err);

typedef enum {
    EMBED_JSONL,
    EMBED_NPY
} embed_format; /* rows of "index" and "embedding"; numpy's file of [n,D] float32 */
/* A vector a sample of d, in order; flush as predict_rows has it. The session's head is EMBED. */
hone_status embed_rows(session *s, const dataset *d, int normalize, embed_format format, text *out,
                       void (*flush)(void *arg, text *out), void *arg, hone_err *err);
#endif
