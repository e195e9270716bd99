/* params.c - which tensor is which parameter, and what becomes of the rest. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/host.h"
#include "base/mem.h"
#include "model/family.h"
#include "model/params.h"

#define PART ((int64_t)1 << 17) /* elements that are read, checked and put while they lie in the cache */

struct params {
    arena *a;
    const family *family;
    const char *folder; /* NULL: none */
    params_options options;
    const param_want *want;
    int n, n_new;
    weights *w;
    int *source; /* tensor of each want, -1: new */
    int padded;  /* the want whose row pad_id is zero where it is new (torch: padding_idx), -1: none */
    int pad_id;
    const char *new_names;
    const char **ignored, **unexpected;
    int n_ignored, n_unexpected;
};

int64_t param_elements(const param_want *w) {
    int64_t n = 1;
    for (int d = 0; d < w->n_dims; d++) HONE_ASSERT(!__builtin_mul_overflow(n, w->dim[d], &n));
    return n;
}

int64_t param_stored_dim(const param_want *w, int d) { return w->dim[w->transposed ? 1 - d : d]; }

void param_transpose(float *to, const float *from, int64_t rows, int64_t columns) {
    enum { TILE = 16 };
    for (int64_t r = 0; r < rows; r += TILE)
        for (int64_t c = 0; c < columns; c += TILE)
            for (int64_t i = r; i < r + TILE && i < rows; i++)
                for (int64_t k = c; k < c + TILE && k < columns; k++) to[k * rows + i] = from[i * columns + k];
}

param_want *params_of_plan(arena *a, const hone_plan *plan) {
    param_want *want = ARENA_ARRAY(a, (size_t)plan->n_params, param_want);
    for (int i = 0; i < plan->n_params; i++) {
        const hone_param *p = &plan->param[i + 1];
        const hone_value *v = &plan->value[p->value];
        want[i] =
            (param_want){.name = p->name, .n_dims = v->n_dims, .transposed = p->transposed, .init = p->init,
                         .init_std = p->init_std};
        for (int d = 0; d < v->n_dims; d++) want[i].dim[d] = v->dim[d].n;
    }
    return want;
}

/* ---- names
 * ---------------------------------------------------------------------------------------------------*/
/* "...LayerNorm.weight" as old files call it, or NULL. */
static const char *old_norm_name(arena *a, const char *name) {
    static const char *const now[] = {"LayerNorm.weight", "LayerNorm.bias"}, *const then[] = {
                                                                                 "LayerNorm.gamma",
                                                                                 "LayerNorm.beta"};
    const size_t n = strlen(name);
    for (int i = 0; i < 2; i++) {
        const size_t length = strlen(now[i]);
        if (n >= length && !strcmp(name + n - length, now[i]))
            return arena_print(a, "%.*s%s", (int)(n - length), name, then[i]);
    }
    return NULL;
}

/* name without the family's prefix; name itself where it has none. */
static const char *bare_name(const family *f, const char *name) {
    const size_t n = strlen(f->prefix);
    return strncmp(name, f->prefix, n) ? name : name + n;
}

/* The folder's tensor of a name, under whichever of its names; -1: none. */
static int find_tensor(const params *p, const char *name) {
    int at = weights_find(p->w, name);
    if (at >= 0) return at;
    const char *bare = bare_name(p->family, name);
    if (bare != name && (at = weights_find(p->w, bare)) >= 0) return at;
    const char *old = old_norm_name(p->a, name);
    if (!old) return -1;
    at = weights_find(p->w, old);
    return at >= 0 || bare == name ? at : weights_find(p->w, bare_name(p->family, old));
}

/* Does name begin as the pattern says, in which {i} is a number? */
static int begins_as(const char *name, const char *pattern) {
    while (*pattern) {
        if (!strncmp(pattern, "{i}", 3)) {
            const size_t digits = strspn(name, "0123456789");
            if (!digits) return 0;
            name += digits, pattern += 3;
        } else if (*name++ != *pattern++) return 0;
    }
    return 1;
}

static int is_ignored(const family *f, const char *name) {
    const char *bare = bare_name(f, name);
    for (int i = 0; f->ignored[i]; i++)
        if (begins_as(bare, f->ignored[i])) return 1;
    return 0;
}

/* ---- shapes
 * --------------------------------------------------------------------------------------------------*/
static int same_shape(const param_want *w, const stored_tensor *t) {
    if (w->n_dims != t->n_dims) return 0;
    for (int d = 0; d < w->n_dims; d++)
        if (param_stored_dim(w, d) != t->dim[d]) return 0;
    return 1;
}

static const char *print_shape(char out[100], int n_dims, const int64_t *dim) {
    size_t used = 1;
    out[0] = '[';
    for (int d = 0; d < n_dims && used < 70; d++)
        used += (size_t)snprintf(out + used, 100 - used, d ? ",%lld" : "%lld", (long long)dim[d]);
    snprintf(out + used, 100 - used, "]");
    return out;
}

/* A head whose rows alone differ is of another task size; other differences are a wrong shape. */
static int differs_in_rows(const param_want *w, const stored_tensor *t) {
    if (w->n_dims != t->n_dims || w->n_dims < 1) return 0;
    for (int d = 1; d < w->n_dims; d++)
        if (w->dim[d] != t->dim[d]) return 0;
    return 1;
}

static hone_status refuse_shape(const params *p, const param_want *w, const stored_tensor *t, hone_err *err) {
    char shown[160], is[100], wants[100];
    int64_t dim[3];
    for (int d = 0; d < w->n_dims; d++) dim[d] = param_stored_dim(w, d);
    print_shape(is, t->n_dims, t->dim);
    print_shape(wants, w->n_dims, dim);
    text_escape(shown, sizeof shown, t->name, strlen(t->name));
    if (family_is_head(p->family, w->name) && differs_in_rows(w, t)) {
        hone_fail(err, HONE_EUSAGE, "%s: head has %lld labels, data has %lld (\"%s\" is %s)", p->folder,
                  (long long)t->dim[0], (long long)w->dim[0], shown, is);
        return hone_hint(err, "ignore_mismatched_sizes: true starts a new head");
    }
    return hone_fail(err, HONE_EDAMAGED, "%s: \"%s\" is %s, config.json says %s", p->folder, shown, is,
                     wants);
}

/* ---- matching
 * ------------------------------------------------------------------------------------------------*/
static hone_status match_wants(params *p, uint8_t *used, hone_err *err) {
    int n_missing = 0;
    const char *first = NULL;
    for (int i = 0; i < p->n; i++) {
        const param_want *w = &p->want[i];
        const int at = find_tensor(p, w->name), head = family_is_head(p->family, w->name);
        p->source[i] = at;
        if (at < 0) {
            if (head) continue;
            if (!n_missing++) first = w->name;
            continue;
        }
        const stored_tensor *t = p->w->tensor[at];
        used[at] = 1;
        if (!same_shape(w, t)) {
            if (!(head && p->options.ignore_sizes)) return refuse_shape(p, w, t, err);
            p->source[i] = -1;
        } else if (!stored_type_is_float(t->type))
            return hone_fail(err, HONE_EDAMAGED, "%s: \"%s\" is of type %s, expected F32, F16, BF16 or F64",
                             p->folder, w->name, stored_type_name(t->type));
    }
    if (!n_missing) return HONE_OK;
    hone_fail(err, HONE_EDAMAGED, "%s: missing %d of %d tensors: %s%s", p->folder, n_missing, p->n, first,
              n_missing > 1 ? " ..." : "");
    return hone_hint(err, "is config.json of the same model as the weights?");
}

static hone_status begin_anew(params *p, hone_err *err) {
    for (int k = 0; k < p->options.n_reinit; k++) {
        int found = 0;
        for (int i = 0; i < p->n; i++)
            if (str_matches(p->options.reinit[k], p->want[i].name)) found = 1, p->source[i] = -1;
        if (found) continue;
        hone_fail(err, HONE_EUSAGE, "reinit: \"%.128s\" matches none of %d parameters, expected a pattern like \"*pooler*\"",
                  p->options.reinit[k], p->n);
        return hone_hint(err, "the first parameter is called %s", p->want[0].name);
    }
    return HONE_OK;
}

/* Half a layer in the folder would be worse than none: weight and bias are new together. */
static void pair_new(params *p) {
    for (int i = 0; i < p->n; i++) {
        if (p->source[i] >= 0) continue;
        const char *dot = strrchr(p->want[i].name, '.');
        const size_t module = dot ? (size_t)(dot - p->want[i].name) + 1 : 0;
        for (int k = 0; k < p->n && module; k++)
            if (!strncmp(p->want[k].name, p->want[i].name, module) && !strchr(p->want[k].name + module, '.'))
                p->source[k] = -1;
    }
}

static void list_new(params *p) {
    text names = {0};
    for (int i = 0; i < p->n; i++) {
        if (p->source[i] >= 0) continue;
        p->n_new++;
        text_printf(&names, "%s%s", names.n ? ", " : "", p->want[i].name);
    }
    p->new_names = arena_copy(p->a, names.p ? names.p : "", names.n);
    text_free(&names);
}

static void list_unused(params *p, const uint8_t *used) {
    p->ignored = ARENA_ARRAY(p->a, (size_t)p->w->n, const char *);
    p->unexpected = ARENA_ARRAY(p->a, (size_t)p->w->n, const char *);
    for (int i = 0; i < p->w->n; i++) {
        const char *name = p->w->tensor[i]->name;
        if (used[i]) continue;
        if (is_ignored(p->family, name)) p->ignored[p->n_ignored++] = name;
        else p->unexpected[p->n_unexpected++] = name;
    }
}

static hone_status report_unused(const params *p, hone_err *err) {
    char shown[120], list[420] = "";
    for (int i = 0; i < p->n_unexpected && i < 3; i++)
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s\"%s\"", i ? ", " : "",
                 text_escape(shown, sizeof shown, p->unexpected[i], strlen(p->unexpected[i])));
    if (p->n_unexpected && p->options.strict)
        return hone_fail(err, HONE_EDAMAGED, "%s: %d unexpected tensors: %s%s", p->folder, p->n_unexpected,
                         list, p->n_unexpected > 3 ? " ..." : "");
    if (p->options.quiet) return HONE_OK;
    if (p->n_unexpected)
        log_warn("%s: %d unexpected tensors are not used: %s%s", p->folder, p->n_unexpected, list,
                 p->n_unexpected > 3 ? " ..." : "");
    if (p->n_ignored)
        log_debug("%s: %d tensors of other heads and buffers are not used", p->folder, p->n_ignored);
    if (p->n_new) log_note("%s: made new from the seed: %s", p->folder, p->new_names);
    return HONE_OK;
}

static hone_status match_folder(params *p, hone_err *err) {
    if (!p->folder) {
        for (int i = 0; i < p->n; i++) p->source[i] = -1;
        list_new(p);
        return HONE_OK;
    }
    HONE_TRY(weights_open(&p->w, p->folder, err));
    uint8_t *used = arena_alloc(p->a, (size_t)p->w->n);
    HONE_TRY(match_wants(p, used, err));
    HONE_TRY(begin_anew(p, err));
    pair_new(p);
    list_new(p);
    list_unused(p, used);
    return report_unused(p, err);
}

hone_status params_open(params **out, const model_config *c, const char *folder, const param_want *want,
                        int n, const params_options *o, hone_err *err) {
    arena *a = arena_new("parameters");
    params *p = ARENA_NEW(a, params);
    param_want *copy = ARENA_ARRAY(a, (size_t)n, param_want);
    for (int i = 0; i < n; i++) {
        copy[i] = want[i];
        copy[i].name = arena_copy(a, want[i].name, strlen(want[i].name));
    }
    p->a = a;
    p->family = c->family;
    p->folder = folder ? arena_copy(a, folder, strlen(folder)) : NULL;
    p->options = *o;
    p->want = copy;
    p->n = n;
    p->source = ARENA_ARRAY(a, (size_t)n, int);
    p->padded = -1;
    p->pad_id = c->pad_id;
    const char *word = family_tensor(a, c->family, ROLE_WORD, 0, "weight");
    for (int i = 0; i < n && c->pad_id >= 0 && !c->family->causal; i++) /* decoders have no row that means nothing */
        if (!strcmp(copy[i].name, word)) p->padded = i;
    const hone_status status = match_folder(p, err);
    if (status) {
        params_close(p);
        return status;
    }
    *out = p;
    return HONE_OK;
}

void params_close(params *p) {
    if (!p) return;
    weights_close(p->w);
    arena_free(p->a);
}

int params_is_new(const params *p, int i) { return p->source[i] < 0; }
int params_n_new(const params *p) { return p->n_new; }
const char *params_new_names(const params *p) { return p->new_names; }
const stored_tensor *params_source(const params *p, int i) {
    return p->source[i] < 0 ? NULL : p->w->tensor[p->source[i]];
}

const char *const *params_ignored(const params *p, int *n) {
    *n = p->n_ignored;
    return p->ignored;
}

const char *const *params_unexpected(const params *p, int *n) {
    *n = p->n_unexpected;
    return p->unexpected;
}

/* ---- numbers
 * -------------------------------------------------------------------------------------------------*/
typedef struct {
    int64_t n, index; /* how many; the first one's place */
    const char *name;
} not_finite;

/* Infinity or NaN. Whether there is any is one pass without a branch. */
static void count_not_finite(not_finite *found, const char *name, const float *x, int64_t first, int64_t n) {
    int bad = 0;
    for (int64_t i = 0; i < n; i++) bad |= !(fabsf(x[i]) <= 3.402823466e38f);
    for (int64_t i = 0; bad && i < n; i++) {
        if (isfinite(x[i])) continue;
        if (!found->n++) found->index = first + i, found->name = name;
    }
}

static hone_status report_not_finite(const params *p, const not_finite *found, hone_err *err) {
    if (!found->n) return HONE_OK;
    if (p->options.strict)
        return hone_fail(err, HONE_ENOTFINITE, "%s: %lld non-finite values, first in \"%s\" at index %lld",
                         p->folder, (long long)found->n, found->name, (long long)found->index);
    log_warn("%s: %lld non-finite values, first in \"%s\" at index %lld", p->folder, (long long)found->n,
             found->name, (long long)found->index);
    return HONE_OK;
}

hone_status params_read(const params *p, int i, int64_t first, int64_t n, float *to, hone_err *err) {
    const int at = p->source[i];
    const param_want *w = &p->want[i];
    if (!w->transposed) return safetensors_floats(p->w->of[at], p->w->tensor[at], first, n, to, err);
    HONE_ASSERT(!first && n == param_elements(w));
    float *stored = mem_new((size_t)n * sizeof *stored, "a parameter as it is stored");
    const hone_status status = safetensors_floats(p->w->of[at], p->w->tensor[at], 0, n, stored, err);
    if (!status) param_transpose(to, stored, w->dim[1], w->dim[0]);
    mem_free(stored);
    return status;
}

static void init_part(const params *p, int i, int64_t first, int64_t n, float *to) {
    const param_want *w = &p->want[i];
    param_init(to, first, n, w, p->options.seed);
    if (i != p->padded) return;
    const int64_t row = p->pad_id * w->dim[1];
    for (int64_t k = row > first ? row : first; k < row + w->dim[1] && k < first + n; k++) to[k - first] = 0;
}

/* How many of the `left` numbers are read at once. */
static int64_t part_of(const param_want *w, int64_t left) { return w->transposed || left < PART ? left : PART; }

static hone_status fill_one(const params *p, int i, float *part, not_finite *found, params_put *put, void *to,
                            hone_err *err) {
    const param_want *w = &p->want[i];
    const int64_t all = param_elements(w);
    for (int64_t first = 0, n; first < all; first += n) {
        n = part_of(w, all - first);
        if (p->source[i] < 0) init_part(p, i, first, n, part);
        else {
            HONE_TRY(params_read(p, i, first, n, part, err));
            count_not_finite(found, w->name, part, first, n);
        }
        HONE_TRY(put(to, i, first, n, part, err));
    }
    return HONE_OK;
}

hone_status params_fill(params *p, params_put *put, void *to, hone_err *err) {
    not_finite found = {0};
    hone_status status = HONE_OK;
    int64_t most = 1;
    for (int i = 0; i < p->n; i++) {
        const int64_t n = part_of(&p->want[i], param_elements(&p->want[i]));
        most = n > most ? n : most;
    }
    float *part = mem_new((size_t)most * sizeof *part, "a part of a parameter being loaded");
    for (int i = 0; i < p->n && !status; i++) {
        if (p->source[i] >= 0) status = safetensors_unchanged(p->w->of[p->source[i]], err);
        if (!status) status = fill_one(p, i, part, &found, put, to, err);
    }
    mem_free(part);
    if (!status && p->w) status = weights_unchanged(p->w, err);
    return status ? status : report_not_finite(p, &found, err);
}
