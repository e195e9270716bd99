/* rows_out.c - rows to stdout or to a file. */
#include "cli/rows_out.h"
#include "base/err.h"
#include "base/host.h"

hone_status rows_out_begin(rows_out *o, const char *path, hone_err *err) {
    o->err = err;
    return path ? file_write_begin(&o->file, path, err) : HONE_OK;
}

void rows_out_add(void *arg, text *rows) {
    rows_out *o = arg;
    if (!o->file) stdout_add(rows->p, rows->n);
    else if (!o->status) o->status = file_write_add(o->file, rows->p, rows->n, o->err);
    text_clear(rows);
}

hone_status rows_out_end(rows_out *o, hone_status status, hone_err *err) {
    if (!status) status = o->status;
    if (!o->file) return status;
    if (!status) return file_write_end(o->file, NULL, err);
    file_write_abort(o->file);
    return status;
}
