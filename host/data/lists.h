/* lists.h - a cell that holds several things: a JSON array of text and numbers, or text that is cut up. */
#ifndef DATA_LISTS_H
#define DATA_LISTS_H
#include "data/rows.h"

/* Items live in the rows, or in the list's own memory until it is read again. */
typedef struct {
    str *item;
    int n;
    size_t cap;
    arena *a;
} list;

/* The items of a cell. Text is cut at the delimiter (outer blanks of an item are no part of it), or where that is " " or NULL
 * at white space; an empty cell has no items. HONE_EDATA: an array with something else in it. */
hone_status list_read(list *out, const rows *r, int64_t row, int column, const char *delimiter,
                      hone_err *err);
void list_free(list *l); /* of a zeroed one: fine */
#endif
