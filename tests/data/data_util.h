/* data_util.h - what the tests of host/data share: small files made on the spot, and messages without their
 * folder. */
#ifndef DATA_UTIL_H
#define DATA_UTIL_H
#include "data/rows.h"
#include "data/dataset.h"

/* Write n bytes to NAME in this test's folder; returns its path (one of a few static buffers). */
const char *make_file(const char *name, const void *bytes, size_t n);
const char *make_text(const char *name, const char *content);
/* Read a file made of content; must work. */
rows *read_text(const char *name, const char *content, const rows_options *o);
/* Read a file made of content; must fail. The message without the folder, borrowed; *hint may be NULL. */
const char *refusal(const char *name, const void *content, size_t n, const rows_options *o, const char **hint,
                    hone_status status);
const char *without_folder(const char *message);
/* Cell of a row as C text, borrowed. */
const char *cell(const rows *r, int64_t row, int column);
/* The fixture's tokenizer: some thirty words, lower-casing. */
tokenizer *small_tokenizer(void);
#define REFUSES(name, content, message)                                                                      \
    CHECK_STR(refusal(name, content, strlen(content), NULL, NULL, HONE_EDATA), message)
#endif
