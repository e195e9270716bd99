/* rows_out.h - where a command's rows go: stdout, or the file of --output. */
#ifndef CLI_ROWS_OUT_H
#define CLI_ROWS_OUT_H
#include "base/file.h"
#include "base/str.h"

/* Starts as {0}. */
typedef struct {
    file_writer *file; /* NULL: stdout */
    hone_status status;
    hone_err *err;
} rows_out;

hone_status rows_out_begin(rows_out *o, const char *path, hone_err *err); /* path NULL: stdout */
/* Takes what is there and empties it: the flush of predict_rows and embed_rows; arg: a rows_out. What goes wrong is said at the end. */
void rows_out_add(void *arg, text *rows);
/* status: of what made the rows; a file is complete, or not there. Returns it, or what went wrong with the file. */
hone_status rows_out_end(rows_out *o, hone_status status, hone_err *err);
#endif
