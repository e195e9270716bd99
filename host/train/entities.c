/* entities.c - where an entity begins and ends follows from two neighbouring tags (Tjong Kim Sang's conlleval). */
#include <stdlib.h>
#include <string.h>

#include "train/entities.h"

static str type_name(str tag) { return tag.n > 2 ? (str){tag.p + 2, tag.n - 2} : STR(""); }

int entities_are_tagged(const labels *l) {
    int parts = 0;
    for (int i = 0; i < l->n; i++) {
        const str tag = l->name[i];
        if (str_is(tag, "O")) continue;
        if (tag.n < 3 || !strchr("BIES", tag.p[0]) || tag.p[1] != '-') return 0;
        parts++;
    }
    return parts > 0;
}

static int by_text(const void *a, const void *b) { return str_compare(*(const str *)a, *(const str *)b); }

void entities_init(entities *e, arena *a, const labels *l) {
    *e = (entities){.part = arena_alloc(a, (size_t)l->n + 1),
                    .type_of = ARENA_ARRAY(a, (size_t)l->n + 1, int),
                    .type = ARENA_ARRAY(a, (size_t)l->n + 1, str)};
    for (int i = 0; i < l->n; i++) {
        const str tag = l->name[i], name = type_name(tag);
        int known = 0;
        e->part[i] = tag.n ? tag.p[0] : 'O';
        for (int t = 0; t < e->n_types; t++) known |= str_eq(e->type[t], name);
        if (!known) e->type[e->n_types++] = name;
    }
    qsort(e->type, (size_t)e->n_types, sizeof *e->type, by_text);
    for (int i = 0; i < l->n; i++)
        for (int t = 0; t < e->n_types; t++)
            if (str_eq(e->type[t], type_name(l->name[i]))) e->type_of[i] = t;
    e->labelled = ARENA_ARRAY(a, 3 * (size_t)e->n_types + 1, int64_t);
    e->predicted = e->labelled + e->n_types;
    e->right = e->predicted + e->n_types;
}

void entities_clear(entities *e) { memset(e->labelled, 0, 3 * (size_t)e->n_types * sizeof *e->labelled); }

/* A word's tag, and where the entity that it may be in began. */
typedef struct {
    char part;
    int type;
    int64_t from;
} at_word;

static int is_one_of(char part, const char *parts) { return part && strchr(parts, part) != NULL; }

static int ends(at_word last, char part, int type) {
    if (is_one_of(last.part, "ES")) return 1;
    if (is_one_of(last.part, "BI") && is_one_of(part, "BSO")) return 1;
    return !is_one_of(last.part, "O.") && last.type != type;
}

static int begins(at_word last, char part, int type) {
    if (is_one_of(part, "BS")) return 1;
    if (is_one_of(part, "EI") && is_one_of(last.part, "ESO")) return 1;
    return !is_one_of(part, "O.") && last.type != type;
}

/* Move on to the next tag; 1 if an entity ended before it, which *ended then is. */
static int step(at_word *at, char part, int type, int64_t i, at_word *ended) {
    const int over = ends(*at, part, type);
    *ended = *at;
    if (begins(*at, part, type)) at->from = i;
    at->part = part;
    at->type = type;
    return over;
}

void entities_add(entities *e, const int32_t *label, const int32_t *predicted, int64_t n) {
    at_word a = {'O', -1, 0}, b = a, ended_a, ended_b;
    for (int64_t i = 0; i <= n; i++) { /* behind the last word stands none */
        const int end = i == n;
        const int in_a =
                      step(&a, end ? 'O' : e->part[label[i]], end ? -1 : e->type_of[label[i]], i, &ended_a),
                  in_b = step(&b, end ? 'O' : e->part[predicted[i]], end ? -1 : e->type_of[predicted[i]], i,
                              &ended_b);
        if (in_a) e->labelled[ended_a.type]++;
        if (in_b) e->predicted[ended_b.type]++;
        if (in_a && in_b && ended_a.type == ended_b.type && ended_a.from == ended_b.from)
            e->right[ended_a.type]++;
    }
}

static double ratio(double a, double b) { return b > 0 ? a / b : 0; }

void entities_of_type(const entities *e, int t, double out[3], int64_t *support) {
    int64_t labelled = 0, predicted = 0, right = 0;
    for (int k = 0; k < e->n_types; k++) {
        if (t >= 0 && k != t) continue;
        labelled += e->labelled[k], predicted += e->predicted[k], right += e->right[k];
    }
    out[0] = ratio((double)right, (double)predicted);
    out[1] = ratio((double)right, (double)labelled);
    out[2] = ratio(2 * out[0] * out[1], out[0] + out[1]);
    *support = labelled;
}

void entities_means(const entities *e, double *f1_macro, double *f1_weighted) {
    double sum = 0, weighted = 0, n = 0, all = 0;
    for (int t = 0; t < e->n_types; t++) {
        double f[3];
        int64_t support;
        if (!e->labelled[t] && !e->predicted[t]) continue;
        entities_of_type(e, t, f, &support);
        sum += f[2];
        weighted += f[2] * (double)support;
        n++;
        all += (double)support;
    }
    *f1_macro = ratio(sum, n);
    *f1_weighted = ratio(weighted, all);
}
