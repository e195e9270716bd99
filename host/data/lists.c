#include <string.h>

#include "data/lists.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"

static void push(list *l, str item) {
    if ((size_t)l->n == l->cap) {
        const size_t cap = l->cap ? 2 * l->cap : 64;
        l->item = mem_grow(l->item, l->cap * sizeof *l->item, cap * sizeof *l->item, "items of a list");
        l->cap = cap;
    }
    l->item[l->n++] = item;
}

static int is_space(char c) { return c && strchr(" \t\n\r\v\f", c); }

static str trim(str s) {
    while (s.n && is_space(s.p[0])) s.p++, s.n--;
    while (s.n && is_space(s.p[s.n - 1])) s.n--;
    return s;
}

static void cut_text(list *l, str cell, const char *delimiter) {
    const int blanks = !delimiter || !strcmp(delimiter, " ");
    const size_t width = blanks ? 1 : strlen(delimiter);
    size_t from = 0;
    for (size_t i = 0; i <= cell.n; i++) {
        const int end = i == cell.n;
        if (!end &&
            (blanks ? !is_space(cell.p[i]) : cell.n - i < width || memcmp(cell.p + i, delimiter, width)))
            continue;
        const str item = trim((str){cell.p + from, i - from});
        if (item.n) push(l, item);
        from = i + width;
        if (!end) i += width - 1;
    }
}

static hone_status cut_array(list *l, const rows *r, int64_t row, int column, str cell, hone_err *err) {
    const json *root;
    char shown[80];
    arena_free(l->a);
    l->a = arena_new("items of a list");
    HONE_TRY(json_parse(&root, l->a, r->name, cell.p, cell.n, HONE_EDATA, err));
    text_escape(shown, sizeof shown, r->column[column].p, r->column[column].n);
    if (root->kind != JSON_ARRAY)
        return hone_fail(err, HONE_EDATA, "%s: line %d: \"%s\" is %s; expected a list", r->name,
                         (int)r->line[row], shown, json_kind_name(root->kind));
    for (const json *v = root->child; v; v = v->next) {
        if (v->kind == JSON_STRING) push(l, v->string);
        else if (v->kind == JSON_NUMBER && v->is_int)
            push(l, str_of(arena_print(l->a, "%lld", (long long)v->integer)));
        else
            return hone_fail(err, HONE_EDATA,
                             "%s: line %d: item %d of \"%s\" is %s; expected text or an integer", r->name,
                             (int)r->line[row], l->n + 1, shown, json_kind_name(v->kind));
    }
    return HONE_OK;
}

hone_status list_read(list *out, const rows *r, int64_t row, int column, const char *delimiter,
                      hone_err *err) {
    const int64_t at = row * r->n_columns + column;
    const str cell = r->cell[at];
    out->n = 0;
    if (r->number && r->number[at] == CELL_NESTED) return cut_array(out, r, row, column, cell, err);
    if (cell.n) cut_text(out, cell, delimiter);
    return HONE_OK;
}

void list_free(list *l) {
    mem_free(l->item);
    arena_free(l->a);
    *l = (list){0};
}
