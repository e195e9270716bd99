/* json_reader.h - shared by the readers of tokenizer.json's parts: where they are, and how they refuse. */
#ifndef TEXT_JSON_READER_H
#define TEXT_JSON_READER_H
#include "text/tokenizer_parts.h"

typedef struct {
    tokenizer *t;
    const char *path;
    str content;
    hone_err *err;
} reader;

/* "tokenizer.json: line L column C (WHERE): WHAT" */
hone_status reader_refuse(const reader *r, const json *at, const char *where, const char *what);
/* ... "KIND" is not yet available, expected KNOWN */
hone_status reader_refuse_kind(const reader *r, const json *at, const char *where, str kind,
                               const char *known);
str reader_kind(const json *v); /* its "type"; empty: none */
int reader_flag(const json *v, const char *key, int otherwise);
int reader_null(const json *v); /* not there, or null */
str reader_text(const json *v, const char *key, const char *otherwise);

hone_status reader_model(reader *r, const json *v);      /* tokenizer_models.c */
hone_status reader_normalizer(reader *r, const json *v); /* tokenizer_steps.c */
hone_status reader_pretokenizer(reader *r, const json *v);
hone_status reader_decoder(reader *r, const json *v);
hone_status reader_template(reader *r,
                            const json *v); /* tokenizer_template.c; after the model and added tokens */
#endif
