/* forms.c - Unicode's normalization forms (annex 15): decompose, put marks in order, compose. */
#include <string.h>

#include "text/normalizer.h"
#include "text/unicode.h"
#include "base/mem.h"

#define SHORT_RUN 16

/* Stable, by counting: a long run costs no more a mark than a short one. */
static void sort_long_run(edit *mark, size_t n) {
    size_t at[257] = {0};
    edit *in = mem_new(n * sizeof *in, "marks");
    memcpy(in, mark, n * sizeof *in);
    for (size_t i = 0; i < n; i++) at[unicode_combining(in[i].code) + 1]++;
    for (int k = 1; k < 257; k++) at[k] += at[k - 1];
    for (size_t i = 0; i < n; i++) mark[at[unicode_combining(in[i].code)]++] = in[i];
    mem_free(in);
}

/* The marks behind the last starter, in canonical order; stable. */
static void sort_marks(edit *mark, size_t n) {
    if (n > SHORT_RUN) {
        sort_long_run(mark, n);
        return;
    }
    for (size_t i = 1; i < n; i++) {
        const edit x = mark[i];
        const int class = unicode_combining(x.code);
        size_t k = i;
        for (; k > 0 && unicode_combining(mark[k - 1].code) > class; k--) mark[k] = mark[k - 1];
        mark[k] = x;
    }
}

static void decompose(const characters *in, int compat, edits *out) {
    size_t run = out->n; /* first mark behind the last starter */
    for (size_t i = 0; i < in->n; i++) {
        uint32_t to[UNICODE_WIDEST];
        const int n = unicode_decompose(in->code[i], compat, to);
        for (int k = 0; k < n; k++) {
            const int starts = !unicode_combining(to[k]);
            if (starts && out->n > run) sort_marks(out->p + run, out->n - run);
            vec_push(out, (edit){to[k], k > 0});
            if (starts) run = out->n;
        }
    }
    if (out->n > run) sort_marks(out->p + run, out->n - run);
}

/* A mark composes with the starter before it unless one of its own class, or a starter, stands between. */
static void compose(edits *list) {
    size_t kept = 0, starter = 0;
    int has_starter = 0, last = 0; /* class of the last mark that stayed behind the starter; 0: none did */
    for (size_t i = 0; i < list->n; i++) {
        const edit x = list->p[i];
        const int class = unicode_combining(x.code);
        const int blocked = last && last >= class;
        const uint32_t whole = has_starter && !blocked ? unicode_compose(list->p[starter].code, x.code) : 0;
        if (whole) {
            list->p[starter].code = whole;
            list->p[starter].change += x.change - 1;
            continue;
        }
        if (!class) starter = kept, has_starter = 1, last = 0;
        else last = class;
        list->p[kept++] = x;
    }
    list->n = kept;
}

void normalize_form(const characters *in, int compat, int composed, edits *out) {
    decompose(in, compat, out);
    if (composed) compose(out);
}
