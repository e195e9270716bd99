/* grad.c - ref's gradients against central differences, in fp64.
 *
 * Take L = sum over the results y of a forward op of dy y, dy random (of a loss: L = sum of loss). The op's
 * rule says which ops make the gradients of L from which values; they are played, and each gradient is
 * compared with (L(x + h) - L(x - h)) / 2h at some of its elements. Gradients with "+" are played again with
 * something to add to. */
#include "harness.h"

enum { MAX_NAMED = 48, MAX_SAMPLES = 24 };
static const double grad_bound = 1e-6;

/* The values that a rule can name: operands of the forward op, d + result, and what clauses have made. */
typedef struct {
    char name[24];
    int64_t dim[3], n;
    double *x;     /* owned */
    int32_t *word; /* borrowed from the forward's operands, or owned if it is an order */
    int owns_word, is_gradient;
} named;

typedef struct {
    cases_values *forward;
    cases_result *out;
    named value[MAX_NAMED];
    int n_values;
} scene;

static named *find_named(scene *s, const char *name) {
    for (int i = 0; i < s->n_values; i++)
        if (!strcmp(s->value[i].name, name)) return &s->value[i];
    return NULL;
}

static named *add_named(scene *s, const char *name, const operand_values *like) {
    if (s->n_values == MAX_NAMED) abort();
    named *v = &s->value[s->n_values++];
    *v = (named){.n = like->rows * like->width};
    snprintf(v->name, sizeof v->name, "%s", name);
    memcpy(v->dim, like->dim, sizeof v->dim);
    if (like->x) {
        v->x = calloc((size_t)v->n + 1, sizeof(double));
        if (!v->x) abort();
        memcpy(v->x, like->x, (size_t)v->n * sizeof(double));
    }
    v->word = like->word;
    return v;
}

static void free_scene(scene *s) {
    for (int i = 0; i < s->n_values; i++) {
        free(s->value[i].x);
        if (s->value[i].owns_word) free(s->value[i].word);
    }
}

/* Does the rule hold the word "d" + name, alone? */
static int rule_names_gradient(const char *rule, const char *name) {
    const size_t length = strlen(name);
    for (const char *p = rule; (p = strchr(p, 'd')); p++)
        if ((p == rule || p[-1] == ' ') && !strncmp(p + 1, name, length) && strchr(" ;", p[1 + length]))
            return 1;
    return 0;
}

static const char *rule_of(const cases_case *k) { return k->rule ? k->rule : hone_op_find(k->op)->rule; }

/* Rows sorted by id, -1 last, stable: the companion "id.order". */
static named *add_order(scene *s, const char *name, const named *id) {
    operand_values like = {.rows = id->n, .width = 1, .dim = {id->n, 1, 1}};
    named *v = add_named(s, name, &like);
    v->word = calloc((size_t)id->n + 1, sizeof(int32_t));
    if (!v->word) abort();
    v->owns_word = 1;
    for (int32_t i = 0; i < id->n; i++) {
        int32_t at = i;
        for (; at > 0 && (uint32_t)id->word[v->word[at - 1]] > (uint32_t)id->word[i]; at--)
            v->word[at] = v->word[at - 1];
        v->word[at] = i;
    }
    return v;
}

static int play_forward(scene *s) {
    cases_values *f = s->forward;
    image im = {0};
    const int ok =
        image_init(&im, f, HONE_F64, f->on->ref, f->on->ref_device, s->out->what, sizeof s->out->what) &&
        image_play(&im, (slice){0}, s->out->what, sizeof s->out->what);
    if (ok) image_read(&im, f);
    image_deinit(&im);
    return ok;
}

/* What a rule's clause needs, ready to be played: extents come from the values, those of results from their
 * target. */
typedef struct {
    cases_case k;
    const hone_op_info *op;
    char operand[HONE_MAX_IN][24], target[HONE_MAX_OUT][24];
    int n_operands, n_targets;
} clause;

static void bind_dims(cases_case *k, const hone_operand *o, const int64_t dim[3]) {
    for (int d = 0; d < o->n_dims; d++)
        if (o->dim[d] >= 'A') k->extent[CASES_LETTER(o->dim[d])] = dim[d];
}

/* Read "OP a b c -> da db"; 0 if it makes nothing that is wanted. "." stands for an operand left unbound. */
static int read_clause(scene *s, const char *text, clause *c) {
    char word[24];
    int n, to_results = 0;
    *c = (clause){.k = *s->forward->k};
    if (sscanf(text, "%23s%n", word, &n) != 1) return 0;
    c->k.op = (hone_op)hone_op_by_name(word);
    c->op = hone_op_find(c->k.op);
    c->k.with[0] = 0, c->k.fill = NULL, c->k.in_place = 0;
    for (const char *p = text + n; *p && sscanf(p, "%23s%n", word, &n) == 1; p += n) {
        if (!strcmp(word, "->")) to_results = 1;
        else snprintf(to_results ? c->target[c->n_targets++] : c->operand[c->n_operands++], 24, "%s", word);
    }
    for (int i = 0; i < c->n_operands; i++) {
        named *v = find_named(s, c->operand[i]);
        char *order = strstr(c->operand[i], ".order");
        if (!v && order) {
            char id[24];
            snprintf(id, sizeof id, "%.*s", (int)(order - c->operand[i]), c->operand[i]);
            const named *ids = find_named(s, id);
            if (ids) v = add_order(s, c->operand[i], ids);
        }
        if (!v && !c->op->in[i].opt) return 0;
        if (!v) continue;
        bind_dims(&c->k, &c->op->in[i], v->dim);
        if (c->op->in[i].opt) bind_operand(&c->k, c->op->in[i].name, 1);
    }
    int wanted = 0;
    for (int i = 0; i < c->n_targets; i++) {
        const named *of = find_named(s, c->target[i] + 1);
        if (!of) continue;
        bind_dims(&c->k, &c->op->out[i], of->dim);
        if (c->op->out[i].opt) bind_operand(&c->k, c->op->out[i].name, 1);
        wanted = 1;
    }
    return wanted;
}

static void load_clause(scene *s, const clause *c, cases_values *v) {
    values_init(v, s->forward->on, &c->k, HONE_F64);
    for (int i = 0; i < c->n_operands; i++) {
        const named *from = find_named(s, c->operand[i]);
        operand_values *to = &v->v[i];
        if (!from || !to->bound) continue;
        if (to->x) memcpy(to->x, from->x, (size_t)from->n * sizeof(double));
        else memcpy(to->word, from->word, (size_t)from->n * (to->dtype == HONE_I32 ? 4 : 8));
    }
}

/* The clause once more with "+y" bound for one result: it must give what it gave, plus what was there. */
static int plus_adds(scene *s, const clause *plain, const cases_values *made, int result) {
    clause c = *plain;
    const int plus = c.op->out[result].adds - 1;
    bind_operand(&c.k, c.op->in[plus].name, 1);
    cases_values v;
    load_clause(s, &c, &v);
    operand_values *base = &v.v[plus], *y = &v.v[c.op->n_in + result];
    const double *alone = made->v[c.op->n_in + result].x;
    for (int64_t e = 0; e < base->rows * base->width; e++) base->x[e] = noise_normal(991, (uint64_t)e);
    image im = {0};
    int ok = image_init(&im, &v, HONE_F64, v.on->ref, v.on->ref_device, s->out->what, sizeof s->out->what) &&
             image_play(&im, (slice){0}, s->out->what, sizeof s->out->what);
    if (ok) image_read(&im, &v);
    for (int64_t e = 0; ok && e < y->rows * y->width; e++) {
        if (fabs(y->x[e] - (alone[e] + base->x[e])) <= 1e-12 * (1 + fabs(alone[e]) + fabs(base->x[e])))
            continue;
        snprintf(s->out->what, sizeof s->out->what, "%s: +%s gives %.9g at %lld, not %.9g + %.9g", c.op->name,
                 c.op->out[result].name, y->x[e], (long long)e, base->x[e], alone[e]);
        ok = 0;
    }
    image_deinit(&im);
    values_deinit(&v);
    return ok;
}

static int play_clause(scene *s, const char *text) {
    clause c;
    char left[24], right[24];
    if (sscanf(text, "%23s = %23s", left, right) == 2) { /* "dx = gx": the value passes on */
        const named *from = find_named(s, right), *of = find_named(s, left + 1);
        if (!from || !of) return 1;
        const operand_values like = {
            .x = from->x, .rows = from->n, .width = 1, .dim = {from->dim[0], from->dim[1], from->dim[2]}};
        add_named(s, left, &like)->is_gradient = 1;
        return 1;
    }
    if (!read_clause(s, text, &c)) return 1;
    cases_values v;
    load_clause(s, &c, &v);
    image im = {0};
    int ok = image_init(&im, &v, HONE_F64, v.on->ref, v.on->ref_device, s->out->what, sizeof s->out->what) &&
             image_play(&im, (slice){0}, s->out->what, sizeof s->out->what) &&
             image_is_clean(&im, s->out->what, sizeof s->out->what);
    if (ok) image_read(&im, &v);
    for (int i = 0; ok && i < c.n_targets; i++) {
        operand_values *y = &v.v[c.op->n_in + i];
        if (!y->bound) continue;
        add_named(s, c.target[i], y)->is_gradient = 1;
        if (c.op->out[i].adds) ok = plus_adds(s, &c, &v, i);
    }
    image_deinit(&im);
    values_deinit(&v);
    return ok;
}

/* L: cotangents times results. */
static double objective(scene *s) {
    const cases_values *f = s->forward;
    double sum = 0;
    for (int i = 0; i < f->op->n_out; i++) {
        const operand_values *y = &f->v[f->op->n_in + i];
        char name[24];
        snprintf(name, sizeof name, "d%s", f->op->out[i].name);
        const named *dy = find_named(s, name);
        for (int64_t e = 0; y->bound && e < y->rows * y->width; e++) {
            if (!strcmp(f->op->out[i].name, "loss")) sum += y->x[e];
            else if (dy && !dy->is_gradient) sum += dy->x[e] * y->x[e];
        }
    }
    return sum;
}

static int differences_agree(scene *s, const named *gradient, operand_values *input) {
    double size = 0;
    for (int64_t e = 0; e < gradient->n; e++) size += gradient->x[e] * gradient->x[e];
    size = sqrt(size / (double)(gradient->n ? gradient->n : 1));
    const int64_t stride = gradient->n / MAX_SAMPLES + 1;
    for (int64_t e = (int64_t)(noise_uniform(17, (uint64_t)gradient->n) * (double)stride); e < gradient->n;
         e += stride) {
        const double x = input->x[e], h = 1e-5 * fmax(1, fabs(x));
        double side[2];
        for (int k = 0; k < 2; k++) {
            input->x[e] = k ? x - h : x + h;
            if (!play_forward(s)) return 0;
            side[k] = objective(s);
        }
        input->x[e] = x;
        const double slope = (side[0] - side[1]) / (2 * h),
                     unit = fmax(fmax(fabs(slope), size), s->forward->k->floor);
        const double error = unit > 0 ? fabs(slope - gradient->x[e]) / unit : 0;
        if (error > s->out->max_error || isnan(error)) s->out->max_error = error;
        if (error <= grad_bound) continue;
        snprintf(s->out->what, sizeof s->out->what,
                 "%s[%lld] is %.9g, differences say %.9g: error %.3g, bound %.1g", gradient->name,
                 (long long)e, gradient->x[e], slope, error, grad_bound);
        return 0;
    }
    return 1;
}

static void name_values(scene *s, const char *rule) {
    cases_values *f = s->forward;
    for (int i = 0; i < f->op->n_in + f->op->n_out; i++) {
        const int is_result = i >= f->op->n_in;
        const hone_operand *o = is_result ? &f->op->out[i - f->op->n_in] : &f->op->in[i];
        if (!f->v[i].bound || o->name[0] == '+') continue;
        add_named(s, o->name, &f->v[i]);
        if (!is_result || !rule_names_gradient(rule, o->name)) continue;
        char name[24];
        snprintf(name, sizeof name, "d%s", o->name);
        named *dy = add_named(s, name, &f->v[i]);
        for (int64_t e = 0; e < dy->n; e++) dy->x[e] = noise_normal(555 + (uint64_t)i, (uint64_t)e);
    }
}

static int gradients_agree(scene *s) {
    const char *rule = rule_of(s->forward->k);
    if (!play_forward(s)) return 0;
    name_values(s, rule);
    for (const char *p = rule; *p;) {
        char text[160];
        const size_t length = strcspn(p, ";");
        snprintf(text, sizeof text, "%.*s", (int)length, p);
        if (!play_clause(s, text)) return 0;
        p += length + (p[length] == ';');
    }
    int n_gradients = 0;
    for (int i = 0; i < s->n_values; i++) {
        operand_values *input =
            s->value[i].is_gradient ? values_find(s->forward, s->value[i].name + 1) : NULL;
        if (!input) continue;
        n_gradients++;
        if (!differences_agree(s, &s->value[i], input)) return 0;
    }
    if (!n_gradients) snprintf(s->out->what, sizeof s->out->what, "the rule made no gradient");
    return n_gradients > 0;
}

cases_outcome cases_grad(const cases_on *on, const cases_case *k, cases_result *out) {
    *out = (cases_result){.outcome = CASES_REFUSED, .error_bound = grad_bound};
    if (!*rule_of(k)) {
        snprintf(out->what, sizeof out->what, "%s has no gradient", hone_op_find(k->op)->name);
        return CASES_REFUSED;
    }
    cases_values v;
    values_init(&v, on, k, HONE_F64);
    values_fill(&v);
    scene s = {.forward = &v, .out = out};
    out->outcome = gradients_agree(&s) ? CASES_PASS : CASES_FAIL;
    free_scene(&s);
    values_deinit(&v);
    return out->outcome;
}
