/* verify_values.c - what must hold of the table of values, whatever program reads it. */
#include "plan/passes.h"

static hone_status wrong(const graph *g, const char *after, int v, const char *what, int other,
                         hone_err *err) {
    return hone_fail(err, HONE_EBUG, "after %s: value %d, %s: %s%s%s", after, v, g->value[v].name, what,
                     other ? " " : "", other ? g->value[other].name : "");
}

static hone_status check_dims(const graph *g, const char *after, int v, hone_err *err) {
    const hone_value *x = &g->value[v];
    if (x->n_dims < 1 || x->n_dims > 3)
        return wrong(g, after, v, "has no dimensions, or more than three", 0, err);
    for (int d = 0; d < x->n_dims; d++) {
        const hone_dim *e = &x->dim[d];
        if (e->n < 1) return wrong(g, after, v, "has an extent below 1", 0, err);
        if (e->space < 0 || e->space > g->n_spaces)
            return wrong(g, after, v, "is in a row space that there is not", 0, err);
        if (e->space && e->n != g->space[e->space].cap)
            return wrong(g, after, v, "has other rows than its space has capacity", 0, err);
    }
    if (x->n_dims > 1 && x->ld < graph_width(g, v))
        return wrong(g, after, v, "has rows closer together than they are wide", 0, err);
    return HONE_OK;
}

static hone_status check_view(const graph *g, const char *after, int v, hone_err *err) {
    const hone_value *x = &g->value[v], *b = &g->value[x->base];
    if (x->base < 0 || x->base > g->n_values) return wrong(g, after, v, "is a view of nothing", 0, err);
    if (b->base) return wrong(g, after, v, "is a view of a view,", x->base, err);
    if (x->cls != b->cls || x->dtype != b->dtype)
        return wrong(g, after, v, "is of another class or type than", x->base, err);
    const int space = x->dim[0].space, slice_of = g->space[space].slice_of;
    if (slice_of && slice_of == b->dim[0].space) {
        if (x->row_at != g->space[space].slice_at || x->row_at + x->dim[0].n > b->dim[0].n)
            return wrong(g, after, v, "has rows beyond those of", x->base, err);
    } else if (space != b->dim[0].space || x->dim[0].n != b->dim[0].n || x->row_at)
        return wrong(g, after, v, "has other rows than", x->base, err);
    if (x->ld != b->ld || x->at < 0 || x->at + graph_width(g, v) > b->ld)
        return wrong(g, after, v, "has columns beyond those of", x->base, err);
    return HONE_OK;
}

hone_status verify_values(const graph *g, const char *after, hone_err *err) {
    for (int v = 1; v <= g->n_values; v++) {
        const hone_value *x = &g->value[v];
        if (x->cls <= HONE_CLASS_NONE || x->cls >= HONE_N_CLASSES)
            return wrong(g, after, v, "is in no slab", 0, err);
        if (x->dtype < 0 || x->dtype >= HONE_N_DTYPES) return wrong(g, after, v, "is of no type", 0, err);
        HONE_TRY(check_dims(g, after, v, err));
        if (x->base) HONE_TRY(check_view(g, after, v, err));
        if (x->param < 0 || x->param > g->n_params)
            return wrong(g, after, v, "belongs to a parameter that there is not", 0, err);
        if (x->cls == HONE_CONST && !x->data)
            return wrong(g, after, v, "is a constant without contents", 0, err);
        if (x->cls == HONE_INPUT && !x->base && (x->fill <= HONE_FILL_NONE || x->fill >= HONE_N_FILLS))
            return wrong(g, after, v, "is an input that nobody fills", 0, err);
        if (x->fill == HONE_FILL_ORDER && (x->fill_of < 1 || x->fill_of > g->n_values ||
                                           g->value[x->fill_of].dim[0].space != x->dim[0].space))
            return wrong(g, after, v, "is the order of nothing in its row space", 0, err);
        if (x->fill == HONE_FILL_LIST &&
            (x->dtype != HONE_I32 || x->fill_of < 1 || x->fill_of > g->n_values ||
             g->value[x->fill_of].fill != HONE_FILL_AT))
            return wrong(g, after, v, "is the work list of no ranges", 0, err);
    }
    return HONE_OK;
}
