/* rows.h - a data file as rows of named fields: the one shape that every reader (csv, jsonl, lines) gives.
 *
 * A table is read as a stream: rows_next gives one block of rows after another, and what is held at a time is bounded,
 * however long the file is (a JSON array and CoNLL's columns alone are read whole). rows_read reads all of a small one.
 *
 * Formats, by content and name: CSV and TSV (RFC 4180: quoted newlines, doubled quotes, CRLF, BOM; TSV
 * without quoting by default), JSON array of objects, JSONL, plain lines (one field named "text"), and where words are
 * asked for CoNLL's columns (a line a word; a row is a sentence, its cells are lists). ".gz" is
 * read through zlib with a bound on its expansion. */
#ifndef DATA_ROWS_H
#define DATA_ROWS_H
#include "base/arena.h"
#include "base/str.h"

typedef enum { ROWS_AUTO, ROWS_CSV, ROWS_TSV, ROWS_JSON, ROWS_JSONL, ROWS_LINES, ROWS_CONLL } rows_format;

typedef struct {
    rows_format format;
    int header;     /* 1 has one, 0 none (columns are then named "0", "1", ...), -1: CSV and TSV have one */
    int quoting;    /* 1 quotes mean something, 0 they are text, -1: CSV yes, TSV no */
    char delimiter; /* 0: ',' or tab by format */
    int words;      /* 1: rows of words are wanted, so files may be CoNLL's */
    size_t max_field_bytes;    /* 0: ROWS_FIELD_BYTES */
    size_t max_row_bytes;      /* 0: ROWS_ROW_BYTES */
    size_t max_unpacked_bytes; /* of a .gz file; 0: ROWS_UNPACKED_BYTES */
    size_t window_bytes;       /* read at a time; 0: 512 KiB. Rows are the same whatever it is */
} rows_options;

#define ROWS_FIELD_BYTES ((size_t)16 << 20)
#define ROWS_ROW_BYTES ((size_t)64 << 20)
#define ROWS_UNPACKED_BYTES ((size_t)32 << 30)
#define ROWS_COLUMNS 4096

typedef struct {
    arena *a;
    const char *name; /* file name for messages */
    int n_columns;
    str *column; /* names */
    int64_t first;   /* number of the block's first row in the file, from 0 */
    int64_t n_rows;  /* of the block; 0: none is read yet, or the last one was */
    str *cell;       /* [n_rows * n_columns], valid until the next block is read; p NULL: absent or null (JSON) */
    int32_t *line;   /* [n_rows] physical line of the row's start, from 1 */
    uint8_t *number; /* JSON: a cell_kind for each cell; NULL for text formats */
    int is_last;     /* no row of plain lines follows the block's last one */
    char sha256[65]; /* of the file's bytes, once all blocks were read; before "" */
    rows_format format;
    int words;   /* as the options said */
    void *owner; /* private */
} rows;

/* What a JSON cell was. Numbers and booleans are kept as Python prints them (3, 0.5, 1e+20, True); of an
 * array or an object the text is kept as it stands, so that only a job that uses such a column is refused. */
typedef enum { CELL_TEXT, CELL_NUMBER, CELL_NESTED } cell_kind;

/* The readers, in short:
 *   CSV, TSV   A row ends with LF or CRLF; a lone CR is text, except in a file without any LF, where it ends
 * a row. Blank lines are skipped. A column without a name is "Unnamed: 3" (its number from 0), as pandas has
 * it. JSON       Every element or line is an object with flat values; a key that a row lacks is an absent
 * cell. lines      Every line is a row, empty ones too, so that answers can be matched with questions. CoNLL
 * Blank lines end a sentence, and so do lines of -DOCSTART-; columns stand apart by tabs, in a file without tabs by blanks.
 * A line that begins with # and has not the file's number of columns is a comment. Columns are called "0", "1", ...; ten of
 * them as CoNLL-U calls them (id, form, lemma, upos, ...), whose words of several tokens ("3-4") and empty ones ("3.1") are
 * left out; "# global.columns = ..." names them otherwise. A cell is a JSON array of text. AUTO
 * by name (.csv .tsv .json .jsonl .ndjson, a ".gz" after it ignored), where .json is an array or JSONL by its
 * first byte. Other names, and "-", by content: JSONL and JSON arrays of objects by their first bytes, TSV
 * where the first lines all have the same number of tabs (not 0), else lines.
 *
 * Open PATH ("-": standard input) for reading block by block; columns are known from here on. HONE_EDATA with line and byte
 * on anything wrong, there or in rows_next (bad-inputs D1 to D8, D15, D16). */
hone_status rows_open(rows **out, const char *path, const rows_options *o, hone_err *err);
/* The next block, in which cells, lines and texts of the one before are gone. A file without rows is refused. */
hone_status rows_next(rows *r, hone_err *err);
/* From the first block on again. A file that is not the same any more is refused, at its end at the latest. */
hone_status rows_rewind(rows *r, hone_err *err);
/* All of PATH as one block, which nothing follows. */
hone_status rows_read(rows **out, const char *path, const rows_options *o, hone_err *err);
void rows_free(rows *r);
/* Column by name, or by number where the name is a number and no column has that name; -1: none. */
int rows_column(const rows *r, str name);
#endif
