/* check.c - a device against ref in fp64 on the same inputs. */
#include "harness.h"

int cases_can(const hone_device_v1 *table, const cases_case *k, char *why, size_t why_bytes) {
    if (!table->op[k->op]) {
        snprintf(why, why_bytes, "%s: %s is absent from the table", table->name, hone_op_find(k->op)->name);
        return 0;
    }
    cases_values v;
    values_init(&v, NULL, k, k->dtype);
    const hone_query query = image_query(&v, k->dtype);
    values_deinit(&v);
    return table->can(&query, why, why_bytes);
}

/* Root mean square of a result's finite entries. */
static double size_of(const image *im, int operand) {
    const operand_values *u = &im->v->v[operand];
    double sum = 0;
    int64_t n = 0;
    for (int64_t e = 0; e < u->rows * u->width; e++) {
        const double x = image_get(im, operand, e / u->width, e % u->width);
        if (isfinite(x)) sum += x * x, n++;
    }
    return n ? sqrt(sum / (double)n) : 0;
}

/* Error of one entry in the case's measure; infinite where NaN or infinity differ, or an integer does. */
static double entry_error(const cases_case *k, double is, double should, double size, int is_float) {
    if (isnan(is) || isnan(should)) return isnan(is) && isnan(should) ? 0 : INFINITY;
    if (is == should) return 0;
    if (!is_float || isinf(is) || isinf(should)) return INFINITY;
    const double unit = fmax(fmax(fabs(should), size), k->floor);
    return fabs(is - should) / unit;
}

/* With 2-byte storage, results that stay fp32 are as exact as ever, unless they are sums of values that a device may
 * have rounded before: a norm's statistics (of s) and column sums of a stored gradient. */
static int is_rounded(const cases_values *v, int operand) {
    const hone_operand *o = &v->op->out[operand - v->op->n_in];
    const int is_narrow = v->k->dtype == HONE_BF16 || v->k->dtype == HONE_F16;
    return is_narrow && (o->type != 'f' || v->k->op == HONE_OP_NORM_FWD || !strcmp(o->name, "dbias"));
}

/* The largest error of the naive kernel, half an ulp of the type at least: it may be right by chance. Where it overflows
 * it says nothing. */
static double naive_error(const cases_values *naive, const image *ref, int i, double size) {
    const operand_values *u = &naive->v[i];
    double most = type_half_ulp(naive->k->dtype);
    for (int64_t e = 0; e < u->rows * u->width; e++) {
        const double error =
            entry_error(naive->k, u->x[e], image_get(ref, i, e / u->width, e % u->width), size, 1);
        if (isfinite(error)) most = fmax(most, error);
    }
    return most;
}

/* The bound for a result; naive NULL: none of them is rounded. */
static double bound_of(const cases_values *v, const cases_values *naive, const image *ref, int operand, double size) {
    const double bound = v->k->bound_ref && v->on->table == v->on->ref ? v->k->bound_ref : v->k->bound;
    if (!is_rounded(v, operand)) return bound;
    return bound + v->k->of_naive * naive_error(naive, ref, operand, size);
}

/* Keeps the error that comes nearest to its bound, of all results. */
static void note_error(cases_result *out, double error, double bound) {
    if (!(error * out->error_bound > out->max_error * bound) && out->error_bound > 0) return;
    out->max_error = error;
    out->error_bound = bound;
}

static int compare_result(const image *im, const image *ref, const cases_values *naive, int i, cases_result *out) {
    const cases_values *v = im->v;
    const operand_values *u = &v->v[i];
    const double size = type_is_float(u->dtype) ? size_of(ref, i) : 0;
    const double bound = type_is_float(u->dtype) ? bound_of(v, naive, ref, i, size) : 0;
    int64_t n_lost = 0;
    for (int64_t e = 0; e < u->rows * u->width; e++) {
        const double is = image_get(im, i, e / u->width, e % u->width);
        const double should = image_get(ref, i, e / u->width, e % u->width);
        if (v->k->overflows && !isfinite(is) && ++n_lost) continue;
        const double error = entry_error(v->k, is, should, size, type_is_float(u->dtype));
        note_error(out, error, bound);
        if (error <= bound) continue;
        snprintf(out->what, sizeof out->what, "%s[%lld,%lld] is %.9g, ref says %.9g: error %.3g, bound %.3g",
                 v->op->out[i - v->op->n_in].name, (long long)(e / u->width), (long long)(e % u->width), is,
                 should, error, bound);
        return 0;
    }
    if (v->k->overflows && !n_lost)
        snprintf(out->what, sizeof out->what, "%s is finite though its sums overflow", v->op->out[i - v->op->n_in].name);
    return !v->k->overflows || n_lost;
}

static int compare(const image *im, const image *ref, cases_result *out) {
    const cases_values *v = im->v;
    int is_narrow = 0, passed = 1;
    for (int i = v->op->n_in; i < v->op->n_in + v->op->n_out; i++) is_narrow |= v->v[i].bound && is_rounded(v, i);
    cases_values naive = {0};
    if (is_narrow) passed = naive_play(&naive, v, out->what, sizeof out->what);
    for (int i = v->op->n_in; passed && i < v->op->n_in + v->op->n_out; i++)
        if (v->v[i].bound) passed = compare_result(im, ref, &naive, i, out);
    if (is_narrow) values_deinit(&naive);
    return passed;
}

/* The same bits on repeat and with every other number of threads. */
static int others_agree(const cases_on *on, const cases_values *v, cases_result *out) {
    for (int d = 0; d < on->n_devices; d++) {
        image im;
        int agree = image_init(&im, v, v->compute, on->table, on->device[d], out->what, sizeof out->what) &&
                    image_play(&im, (slice){0}, out->what, sizeof out->what);
        if (agree && image_bits(&im) != out->bits) {
            agree = 0;
            snprintf(out->what, sizeof out->what,
                     d ? "device opened as number %d gives other bits" : "other bits on repeat", d);
        }
        image_deinit(&im);
        if (!agree) return 0;
    }
    return 1;
}

static int check_values(const cases_on *on, const cases_values *v, cases_result *out) {
    image im = {0}, ref = {0};
    char *why = out->what;
    const size_t n = sizeof out->what;
    int passed = image_init(&ref, v, HONE_F64, on->ref, on->ref_device, why, n) &&
                 image_play(&ref, (slice){0}, why, n) &&
                 image_init(&im, v, v->compute, on->table, on->device[0], why, n) &&
                 image_play(&im, (slice){0}, why, n);
    if (passed) {
        out->bits = image_bits(&im);
        passed = compare(&im, &ref, out) && image_is_clean(&im, why, n) && image_is_clean(&ref, why, n) &&
                 others_agree(on, v, out) && rows_agree(&im, why, n);
    }
    image_deinit(&im);
    image_deinit(&ref);
    return passed;
}

cases_outcome cases_check(const cases_on *on, const cases_case *k, cases_result *out) {
    *out = (cases_result){.outcome = CASES_REFUSED};
    if (!cases_can(on->table, k, out->what, sizeof out->what)) return CASES_REFUSED;
    cases_values v;
    values_init(&v, on, k, k->dtype);
    values_fill(&v);
    out->outcome = check_values(on, &v, out) ? CASES_PASS : CASES_FAIL;
    values_deinit(&v);
    return out->outcome;
}
