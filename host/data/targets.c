#include <math.h>
#include <string.h>

#include "data/targets.h"
#include "data/index.h"
#include "data/lists.h"
#include "base/err.h"

hone_status targets_check_texts(const rows *r, const columns *c, int64_t n, hone_err *err) {
    if (!r->number) return HONE_OK; /* the other formats have every cell, and only text */
    for (int64_t i = 0; i < n; i++)
        for (int k = 0; k < c->n_text; k++) {
            const int64_t at = i * r->n_columns + c->text[k];
            const str name = r->column[c->text[k]];
            char shown[80];
            text_escape(shown, sizeof shown, name.p, name.n);
            if (r->number[at] == CELL_NESTED)
                return hone_fail(err, HONE_EDATA, "%s: line %d: \"%s\" is an %s; expected text", r->name,
                                 (int)r->line[i], shown, r->cell[at].p[0] == '[' ? "array" : "object");
            if (!r->cell[at].p)
                return hone_fail(err, HONE_EDATA, "%s: line %d: no \"%s\"; expected text", r->name,
                                 (int)r->line[i], shown);
        }
    return HONE_OK;
}

hone_status targets_refuse_label(const rows *r, int64_t row, str cell, const labels *known, hone_err *err) {
    char shown[160], near_shown[160];
    arena *a = arena_new("known labels");
    const char **names = ARENA_ARRAY(a, (size_t)known->n + 1, const char *);
    for (int i = 0; i < known->n; i++) names[i] = arena_copy(a, known->name[i].p, known->name[i].n);
    const char *nearest = nearest_word(arena_copy(a, cell.p, cell.n), names, known->n);
    text_escape(shown, sizeof shown, cell.p, cell.n);
    if (nearest)
        hone_fail(err, HONE_EDATA, "%s: line %d: label \"%s\" not among %d known; nearest \"%s\"", r->name,
                  (int)r->line[row], shown, known->n,
                  text_escape(near_shown, sizeof near_shown, nearest, strlen(nearest)));
    else
        hone_fail(err, HONE_EDATA, "%s: line %d: label \"%s\" not among %d known", r->name, (int)r->line[row],
                  shown, known->n);
    arena_free(a);
    return HONE_EDATA;
}

/* nan, inf, or digits that no double can hold: a number, but no finite one. */
static int is_number_beyond(str s) {
    size_t i = s.n && (s.p[0] == '-' || s.p[0] == '+');
    int digits = 0;
    const str rest = {s.p + i, s.n - i};
    static const char *const words[] = {"nan", "inf", "infinity"};
    for (size_t w = 0; w < sizeof words / sizeof *words; w++) {
        size_t k = 0;
        while (k < rest.n && words[w][k] && (rest.p[k] | 0x20) == words[w][k]) k++;
        if (k == rest.n && !words[w][k]) return 1;
    }
    for (; i < s.n; i++) {
        if (s.p[i] >= '0' && s.p[i] <= '9') digits = 1;
        else if (!strchr(".eE+-", s.p[i])) return 0;
    }
    return digits;
}

static hone_status read_target(double *out, const rows *r, int64_t row, str cell, hone_err *err) {
    char shown[80];
    if (str_to_double(cell, out) && isfinite(*out)) return HONE_OK;
    text_escape(shown, sizeof shown, cell.p, cell.n);
    if (is_number_beyond(cell))
        return hone_fail(err, HONE_EDATA, "%s: line %d: target not finite: \"%s\"", r->name,
                         (int)r->line[row], shown);
    return hone_fail(err, HONE_EDATA, "%s: line %d: target \"%s\" is not a number", r->name,
                     (int)r->line[row], shown);
}

static hone_status read_class(int32_t *out, const rows *r, int64_t row, str cell, const str_index *ids,
                              const labels *known, int optional, hone_err *err) {
    *out = (int32_t)str_index_find(ids, cell);
    if (*out >= 0 || (optional && str_is(cell, "-1"))) return HONE_OK;
    return targets_refuse_label(r, row, cell, known, err);
}

static hone_status read_row(int32_t *label, double *target, const rows *r, int column, label_kind kind,
                            const str_index *ids, const labels *known, int optional, int64_t i,
                            hone_err *err) {
    const str cell = r->cell[i * r->n_columns + column];
    if (r->number && r->number[i * r->n_columns + column] == CELL_NESTED)
        return hone_fail(err, HONE_EDATA,
                         "%s: line %d: label is an array or object; expected text or a number", r->name,
                         (int)r->line[i]);
    if (!cell.n) {
        if (optional) return HONE_OK;
        return kind == LABEL_CLASS
                   ? hone_fail(err, HONE_EDATA, "%s: line %d: label is empty; expected one of %d known",
                               r->name, (int)r->line[i], known->n)
                   : hone_fail(err, HONE_EDATA, "%s: line %d: target is empty; expected a number", r->name,
                               (int)r->line[i]);
    }
    return kind == LABEL_CLASS ? read_class(&label[i], r, i, cell, ids, known, optional, err)
                               : read_target(&target[i], r, i, cell, err);
}

hone_status targets_read(int32_t *label, double *target, const rows *r, int column, label_kind kind,
                         const labels *known, int optional, int64_t n, hone_err *err) {
    str_index ids = {0};
    hone_status status = HONE_OK;
    for (int64_t i = 0; i < n; i++) {
        if (kind == LABEL_TARGET) target[i] = NAN;
        else label[i] = -1;
    }
    if ((kind != LABEL_CLASS && kind != LABEL_TARGET) || column < 0) return HONE_OK;
    for (int i = 0; kind == LABEL_CLASS && i < known->n; i++) str_index_add(&ids, known->name[i], NULL);
    for (int64_t i = 0; i < n && status == HONE_OK; i++) {
        status = sig_check(err);
        if (status == HONE_OK)
            status = read_row(label, target, r, column, kind, &ids, known, optional, i, err);
    }
    str_index_free(&ids);
    return status;
}

/* ---- several of the classes ---- */

int targets_are_columns(const rows *r, const labels *known) {
    for (int c = 0; c < known->n; c++) {
        int found = 0;
        for (int i = 0; i < r->n_columns && !found; i++) found = str_eq(r->column[i], known->name[c]);
        if (!found) return 0;
    }
    return known->n > 0;
}

static hone_status read_mark(double *out, const rows *r, int64_t row, int column, hone_err *err) {
    const str cell = r->cell[row * r->n_columns + column];
    char shown[80], name[80];
    double x;
    *out = NAN;
    if (!cell.n) return HONE_OK;
    if (str_is(cell, "True") || str_is(cell, "true")) *out = 1;
    else if (str_is(cell, "False") || str_is(cell, "false")) *out = 0;
    else if (str_to_double(cell, &x) && (x == 0 || x == 1)) *out = x;
    else
        return hone_fail(err, HONE_EDATA, "%s: line %d: \"%s\" is \"%s\"; expected 1, 0 or nothing", r->name, (int)r->line[row],
                         text_escape(name, sizeof name, r->column[column].p, r->column[column].n),
                         text_escape(shown, sizeof shown, cell.p, cell.n));
    return HONE_OK;
}

static hone_status read_list(double *mark, const rows *r, int64_t row, int column, const char *delimiter, list *items,
                             const str_index *ids, const labels *known, hone_err *err) {
    HONE_TRY(list_read(items, r, row, column, delimiter, err));
    for (int c = 0; c < known->n; c++) mark[c] = 0;
    for (int k = 0; k < items->n; k++) {
        const int64_t c = str_index_find(ids, items->item[k]);
        if (c < 0) return targets_refuse_label(r, row, items->item[k], known, err);
        mark[c] = 1;
    }
    return HONE_OK;
}

hone_status targets_read_marks(double *mark, const rows *r, int column, const char *delimiter, const labels *known,
                               int optional, int64_t n, hone_err *err) {
    str_index ids = {0};
    list items = {0};
    hone_status status = HONE_OK;
    const int n_marks = known->n, by_name = column < 0 && targets_are_columns(r, known);
    for (int64_t i = 0; i < n * n_marks; i++) mark[i] = NAN;
    if (column < 0 && !by_name)
        return optional ? HONE_OK : hone_fail(err, HONE_EDATA, "%s: no column of labels", r->name);
    for (int c = 0; c < n_marks; c++) str_index_add(&ids, known->name[c], NULL);
    for (int64_t i = 0; i < n && status == HONE_OK; i++) {
        status = sig_check(err);
        if (status == HONE_OK && !by_name)
            status = read_list(mark + i * n_marks, r, i, column, delimiter, &items, &ids, known, err);
        for (int c = 0; c < n_marks && status == HONE_OK && by_name; c++)
            status = read_mark(mark + i * n_marks + c, r, i, rows_column(r, known->name[c]), err);
    }
    list_free(&items);
    str_index_free(&ids);
    return status;
}
