/* table.h - columns of text, aligned, for people. Cells are copied. A cell that starts with a digit, sign or point is
 * set to the right. */
#ifndef BASE_TABLE_H
#define BASE_TABLE_H
#include "base/str.h"

typedef struct table table;
table *table_new(int n_columns);
void table_cell(table *t, const char *fmt, ...) HONE_PRINTF(2, 3);
void table_print(const table *t, text *out); /* first row is the head, with a rule under it */
void table_markdown(const table *t, text *out);
void table_csv(const table *t, text *out);
void table_free(table *t);
/* "1.5 KiB", "74.07 MiB" */
void bytes_text(char out[24], double bytes);
#endif
