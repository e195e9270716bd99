/* reader.h - between rows.c and the readers: what a format's reader is handed and fills. Internal to
 * host/data. */
#ifndef DATA_READER_H
#define DATA_READER_H
#include "base/file.h"
#include "base/vec.h"
#include "data/rows.h"

/* A file's bytes from front to back through a window: unpacked where the content is gzip, checked (valid UTF-8, no NUL, no
 * UTF-16), without BOM. It is read and not mapped, since a mapped file that becomes shorter ends the process. */
typedef struct source source;
/* bound: of unpacked bytes. at_once: bytes read at a time; 0: READ_AT_ONCE. name is borrowed. */
hone_status source_open(source **out, const char *path, const char *name, size_t bound, size_t at_once, hone_err *err);
/* Keep what stands from *p to *end (both NULL at first; **end is a NUL) and put more behind it; all of it moves. *more 0: the
 * file ends there. */
hone_status source_more(source *s, const char **p, const char **end, int *more, hone_err *err);
hone_status source_all(source *s, const char **p, const char **end, hone_err *err); /* the same up to the end */
hone_status source_rewind(source *s, hone_err *err);                                /* from the front again */
/* Hash of the bytes read, as they lie on the disk: at the end the file's. */
void source_hash_so_far(const source *s, char hex[65]);
void source_close(source *s); /* NULL is fine; the window goes with it */

/* What a table owns beside its arena. */
typedef struct {
    VEC(str) cell;
    VEC(int32_t) line;
    VEC(uint8_t) number;
    arena *texts; /* cells that do not stand in the file as they are; of a block */
} rows_store;

/* Readers go through the window row by row. A row that reaches `end` while there is more may be a part of one: it is left
 * for the next call, which sees more of it. */
typedef struct {
    rows *r;             /* name and arena are set; a reader adds cells and rows */
    rows_store *store;   /* a reader pushes cells and lines here */
    rows_options o;      /* resolved: nothing automatic is left */
    const char *p, *end; /* valid UTF-8 without NUL and without BOM; *end is a NUL. A reader moves p behind the rows it read */
    int more;            /* the file goes on behind end */
    int64_t rows_max;    /* as many rows, and the reader stops */
    int64_t line;        /* of p in the file, from 1 */
    char eol;            /* CSV, TSV: what ends a row */
    struct keys *keys;   /* JSONL: their numbers */
} reader;

/* begin: names the columns, once, and steps over a header. *begun 0: the window holds too little for that. */
hone_status csv_begin(reader *in, int *begun, hone_err *err);
hone_status csv_read(reader *in, hone_err *err); /* CSV and TSV */
void lines_begin(reader *in);
hone_status lines_read(reader *in, hone_err *err);
void jsonl_begin(reader *in);
hone_status jsonl_read(reader *in, hone_err *err); /* JSONL, and JSON that is all in the window */
void jsonl_close_columns(reader *in);              /* what was seen so far are all: rows get their final width */
void jsonl_end(reader *in);
hone_status conll_read(reader *in, hone_err *err);  /* all in the window */
int conll_looks_so(const char *p, const char *end); /* columns of words, by the first lines */

/* D7: a field or row beyond its bound, with the name of the option. Every row is checked; that is where a
 * signal ends the reading. */
hone_status reader_refuse_field(const reader *in, int64_t line, hone_err *err);
static inline hone_status reader_check_field(const reader *in, size_t n, int64_t line, hone_err *err) {
    return n <= in->o.max_field_bytes ? HONE_OK : reader_refuse_field(in, line, err);
}
hone_status reader_check_row(const reader *in, size_t n, int64_t line, hone_err *err);
hone_status reader_refuse_change(const reader *in, hone_err *err); /* what another pass found is not there any more */

/* SHA-256 of a file, which is not held. */
hone_status source_hash_file(char hex[65], const char *path, hone_err *err);
#endif
