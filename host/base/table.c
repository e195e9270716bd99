/* table.c - columns for people. */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/table.h"
#include "base/vec.h"

struct table {
    int n_columns;
    arena *a;
    VEC(str) cells; /* row by row */
    size_t *widths; /* of each column, so far */
};

table *table_new(int n_columns) {
    HONE_ASSERT(n_columns > 0);
    table *t = mem_new(sizeof *t, "table");
    t->n_columns = n_columns;
    t->a = arena_new("table");
    t->widths = ARENA_ARRAY(t->a, (size_t)n_columns, size_t);
    return t;
}

/* Characters, not bytes: what follows a first byte in UTF-8 takes no room. */
static size_t get_width(str cell) {
    size_t width = 0;
    for (size_t i = 0; i < cell.n; i++) width += ((unsigned char)cell.p[i] & 0xc0) != 0x80;
    return width;
}

void table_cell(table *t, const char *fmt, ...) {
    char short_cell[256];
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    const int n = vsnprintf(short_cell, sizeof short_cell, fmt, args);
    HONE_ASSERT(n >= 0);
    char *cell = arena_alloc(t->a, (size_t)n + 1);
    vsnprintf(cell, (size_t)n + 1, fmt, again);
    va_end(again);
    va_end(args);
    size_t *widest = &t->widths[t->cells.n % (size_t)t->n_columns];
    const size_t width = get_width((str){cell, (size_t)n});
    if (width > *widest) *widest = width;
    vec_push(&t->cells, ((str){cell, (size_t)n}));
}

/* Rows; what the last one lacks reads as empty. */
static size_t count_rows(const table *t) {
    const size_t n = (size_t)t->n_columns;
    return (t->cells.n + n - 1) / n;
}

static str get_cell(const table *t, size_t row, int column) {
    const size_t i = row * (size_t)t->n_columns + (size_t)column;
    return i < t->cells.n ? t->cells.p[i] : (str){"", 0};
}

static int starts_number(str cell) {
    return cell.n > 0 && (isdigit((unsigned char)cell.p[0]) || strchr("+-.", cell.p[0]));
}

/* The head stands on the side on which the first filled cell below it does. */
static int stands_right(const table *t, size_t row, int column) {
    for (size_t below = row ? row : 1; below < count_rows(t); below++) {
        const str cell = get_cell(t, below, column);
        if (row || cell.n) return starts_number(cell);
    }
    return 0;
}

static void add_spaces(text *out, size_t n) {
    while (n-- > 0) text_add(out, " ", 1);
}

void table_print(const table *t, text *out) {
    for (size_t row = 0; row < count_rows(t); row++) {
        for (int column = 0; column < t->n_columns; column++) {
            const str cell = get_cell(t, row, column);
            const size_t space = t->widths[column] - get_width(cell);
            const int right = stands_right(t, row, column), last = column == t->n_columns - 1;
            if (column) text_str(out, "  ");
            if (right) add_spaces(out, space);
            text_add(out, cell.p, cell.n);
            if (!right && !last) add_spaces(out, space);
        }
        while (out->n > 0 && out->p[out->n - 1] == ' ')
            out->p[--out->n] = 0; /* empty last cells leave no trace */
        text_str(out, "\n");
        if (row > 0) continue;
        for (int column = 0; column < t->n_columns; column++) {
            if (column) text_str(out, "  ");
            for (size_t i = t->widths[column]; i > 0; i--) text_str(out, "-");
        }
        text_str(out, "\n");
    }
}

void table_markdown(const table *t, text *out) {
    for (size_t row = 0; row < count_rows(t); row++) {
        text_str(out, "|");
        for (int column = 0; column < t->n_columns; column++) {
            const str cell = get_cell(t, row, column);
            text_str(out, " ");
            for (size_t i = 0; i < cell.n; i++) {
                if (cell.p[i] == '|') text_str(out, "\\|");
                else if (cell.p[i] == '\n') text_str(out, " ");
                else text_add(out, cell.p + i, 1);
            }
            text_str(out, " |");
        }
        text_str(out, "\n");
        if (row > 0) continue;
        text_str(out, "|");
        for (int column = 0; column < t->n_columns; column++)
            text_str(out, stands_right(t, 0, column) ? " ---: |" : " --- |");
        text_str(out, "\n");
    }
}

void table_csv(const table *t, text *out) {
    for (size_t row = 0; row < count_rows(t); row++)
        for (int column = 0; column < t->n_columns; column++) {
            const str cell = get_cell(t, row, column);
            int quoted = 0;
            for (size_t i = 0; i < cell.n; i++) quoted |= !!memchr(",\"\n\r", cell.p[i], 4);
            if (quoted) text_str(out, "\"");
            for (size_t i = 0; i < cell.n; i++) {
                if (cell.p[i] == '"') text_str(out, "\"");
                text_add(out, cell.p + i, 1);
            }
            if (quoted) text_str(out, "\"");
            text_str(out, column == t->n_columns - 1 ? "\n" : ",");
        }
}

void table_free(table *t) {
    if (!t) return;
    vec_free(&t->cells);
    arena_free(t->a);
    mem_free(t);
}

void bytes_text(char out[24], double bytes) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    int unit = 0;
    double size = bytes < 0 ? -bytes : bytes;
    for (; size >= 1024 && unit < 5; size /= 1024) unit++;
    if (unit == 0) snprintf(out, 24, "%.0f B", bytes);
    else
        snprintf(out, 24, "%s%.*f %s", bytes < 0 ? "-" : "",
                 size == (double)(int64_t)(size * 10) / 10 ? 1 : 2, size < 1e9 ? size : 1e9, units[unit]);
}
