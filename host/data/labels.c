#include <stdlib.h>
#include <string.h>

#include "data/dataset.h"
#include "data/index.h"
#include "data/lists.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"

static int by_text(const void *a, const void *b) { return str_compare(*(const str *)a, *(const str *)b); }

static hone_status refuse_many(const rows *r, int64_t row, hone_err *err) {
    return hone_fail(err, HONE_EDATA, "%s: line %d: more than 1000000 different labels; is this the label column?", r->name,
                     (int)r->line[row]);
}

/* The distinct names, sorted; `seen` borrows them. */
static void keep_names(labels *out, arena *a, const str_index *seen) {
    out->n = (int)seen->n;
    out->name = ARENA_ARRAY(a, (size_t)seen->n + 1, str);
    for (int64_t i = 0; i < seen->n; i++)
        out->name[i] = (str){arena_copy(a, seen->key[i].p, seen->key[i].n), seen->key[i].n};
    qsort(out->name, (size_t)out->n, sizeof *out->name, by_text);
}

/* Names are copied when they are first seen: the next block of rows takes their place. */
static void note(str_index *seen, arena *names, str name) {
    if (str_index_find(seen, name) < 0) str_index_add(seen, (str){arena_copy(names, name.p, name.n), name.n}, NULL);
}

static hone_status note_cell(str_index *seen, arena *names, const rows *r, int64_t i, int column, hone_err *err) {
    const str cell = r->cell[i * r->n_columns + column];
    if (r->number && r->number[i * r->n_columns + column] == CELL_NESTED)
        return hone_fail(err, HONE_EDATA, "%s: line %d: label is an array or object; expected text or a number", r->name,
                         (int)r->line[i]);
    if (cell.n) note(seen, names, cell);
    return HONE_OK;
}

static hone_status note_list(str_index *seen, arena *names, list *items, const rows *r, int64_t i, int column,
                             const char *delimiter, hone_err *err) {
    HONE_TRY(list_read(items, r, i, column, delimiter, err));
    for (int k = 0; k < items->n; k++) note(seen, names, items->item[k]);
    return HONE_OK;
}

/* lists: cells are lists. */
static hone_status collect(labels *out, arena *a, rows *r, int column, int lists, const char *delimiter, hone_err *err) {
    str_index seen = {0};
    list items = {0};
    arena *names = arena_new("labels");
    hone_status status = HONE_OK;
    for (; r->n_rows && status == HONE_OK; status = status == HONE_OK ? rows_next(r, err) : status)
        for (int64_t i = 0; i < r->n_rows && status == HONE_OK; i++) {
            status = sig_check(err);
            if (status == HONE_OK)
                status = lists ? note_list(&seen, names, &items, r, i, column, delimiter, err)
                               : note_cell(&seen, names, r, i, column, err);
            if (status == HONE_OK && seen.n > 1000000) status = refuse_many(r, i, err);
        }
    if (status == HONE_OK) keep_names(out, a, &seen);
    list_free(&items);
    str_index_free(&seen);
    arena_free(names);
    return status;
}

hone_status labels_collect(labels *out, arena *a, rows *r, int column, hone_err *err) {
    return collect(out, a, r, column, 0, NULL, err);
}

hone_status labels_collect_lists(labels *out, arena *a, rows *r, int column, const char *delimiter, hone_err *err) {
    return collect(out, a, r, column, 1, delimiter, err);
}

hone_status labels_read(labels *out, arena *a, const char *path, hone_err *err) {
    rows *r;
    HONE_TRY(rows_read(&r, path, &(rows_options){.format = ROWS_LINES}, err));
    str_index seen = {0};
    hone_status status = HONE_OK;
    out->n = 0;
    out->name = ARENA_ARRAY(a, (size_t)r->n_rows + 1, str);
    for (int64_t i = 0; i < r->n_rows && status == HONE_OK; i++) {
        int twice;
        const int64_t first = str_index_add(&seen, r->cell[i], &twice);
        char shown[80];
        if (!r->cell[i].n)
            status = hone_fail(err, HONE_EDATA, "%s: line %d: empty; expected the name of a label", r->name,
                               (int)r->line[i]);
        else if (twice)
            status =
                hone_fail(err, HONE_EDATA, "%s: line %d: label \"%s\" given twice, first in line %lld",
                          r->name, (int)r->line[i],
                          text_escape(shown, sizeof shown, r->cell[i].p, r->cell[i].n), (long long)first + 1);
        else out->name[out->n++] = (str){arena_copy(a, r->cell[i].p, r->cell[i].n), r->cell[i].n};
    }
    str_index_free(&seen);
    rows_free(r);
    return status;
}

int labels_find(const labels *l, str name) {
    for (int i = 0; i < l->n; i++)
        if (str_eq(l->name[i], name)) return i;
    return -1;
}
