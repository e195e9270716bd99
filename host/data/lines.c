#include <string.h>

#include "data/reader.h"

void lines_begin(reader *in) {
    rows *r = in->r;
    r->n_columns = 1;
    r->column = ARENA_NEW(r->a, str);
    r->column[0] = STR("text");
}

hone_status lines_read(reader *in, hone_err *err) {
    rows *r = in->r;
    while (in->p < in->end && r->n_rows < in->rows_max) {
        const char *p = in->p, *eol = memchr(p, '\n', (size_t)(in->end - p)), *to = eol ? eol : in->end;
        const char *next = eol ? eol + 1 : in->end;
        if (in->line >= INT32_MAX)
            return hone_fail(err, HONE_EDATA, "%s: more than %d lines", r->name, INT32_MAX);
        HONE_TRY(reader_check_field(in, (size_t)(to - p), in->line, err));
        HONE_TRY(reader_check_row(in, (size_t)(to - p), in->line, err));
        if (in->more && next == in->end) break;
        if (to > p && to[-1] == '\r') to--;
        vec_push(&in->store->cell, (str){p, (size_t)(to - p)});
        vec_push(&in->store->line, (int32_t)in->line);
        in->p = next;
        in->line++;
        r->n_rows++;
    }
    return HONE_OK;
}
