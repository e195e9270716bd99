/* reader.h - between rows.c and the readers: what a format's reader is handed and fills. Internal to
 * host/data. */
#ifndef DATA_READER_H
#define DATA_READER_H
#include "base/file.h"
#include "base/vec.h"
#include "data/rows.h"

/* What a table owns beside its arena. */
typedef struct {
    VEC(str) cell;
    VEC(int32_t) line;
    VEC(uint8_t) number;
    void *unpacked; /* bytes of a .gz file */
    file_view view; /* of a mapped one */
} rows_store;

typedef struct {
    rows *r;             /* name and arena are set; a reader sets column, n_columns and n_rows */
    rows_store *store;   /* a reader pushes cells and lines here */
    rows_options o;      /* resolved: nothing automatic is left */
    const char *p, *end; /* valid UTF-8 without NUL and without BOM; *end is a NUL */
} reader;

hone_status csv_read(reader *in, hone_err *err);   /* CSV and TSV */
hone_status jsonl_read(reader *in, hone_err *err); /* JSON and JSONL */
hone_status lines_read(reader *in, hone_err *err);
hone_status conll_read(reader *in, hone_err *err);
int conll_looks_so(const char *p, const char *end); /* columns of words, by the first lines */

/* D7: a field or row beyond its bound, with the name of the option. Every row is checked; that is where a
 * signal ends the reading. */
hone_status reader_check_field(const reader *in, size_t n, int64_t line, hone_err *err);
hone_status reader_check_row(const reader *in, size_t n, int64_t line, hone_err *err);

/* A whole file's bytes: read, unpacked where the name ends in ".gz" and the content is gzip, checked (valid
 * UTF-8, no NUL, no UTF-16), without BOM. sha256 is that of the file as it lies on the disk. *unpacked: to be
 * freed, or NULL. */
hone_status source_read(str *out, void **unpacked, char sha256[65], arena *a, const char *path,
                        const char *name, size_t bound, hone_err *err);
/* The same of a mapped file, which is not packed. */
hone_status source_check(str *bytes, char sha256[65], const char *name, hone_err *err);
/* SHA-256 of bytes that may be many: a signal ends it. */
hone_status source_hash_bytes(char hex[65], str bytes, hone_err *err);
#endif
