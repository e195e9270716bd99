/* parity_check.c - bounds of what torch and hone may differ by, and the comparisons. */
#include <float.h>
#include <math.h>

#include "parity_check.h"
#include "parity_model.h"
#include "golden.h"

#define LOSS_BOUND 5e-6
#define NORM_BOUND 1e-5
#define WEIGHT_BOUND 1e-5
#define WEIGHT_RATIO 1e-4
#define MOVED_RATIO 1e-3
#define MEAN_BOUND 1e-6  /* of all elements: decay of a norm's weights would be 7e-6 */
#define STILL_RATIO 5e-7 /* where the gradient was 0: a few roundings; decay itself is 7e-6 */

int parity_next_row(arena *a, str *left, const json **row) {
    const char *end = memchr(left->p, '\n', left->n);
    if (!left->n) return 0;
    const size_t n = end ? (size_t)(end - left->p) : left->n;
    CHECK_OK(json_parse(row, a, "row", left->p, n, HONE_EDATA, err));
    left->p += n + (end != NULL);
    left->n -= n + (end != NULL);
    return 1;
}

static double relative(double x, double want) { return fabs(x - want) / fabs(want); }

void parity_steps(arena *a, const char *out, const json *golden) {
    str log;
    const json *row, *want = member(golden, "steps")->child;
    double worst_loss = 0, worst_norm = 0;
    CHECK_OK(file_read(&log, a, path_join(a, out, "log.jsonl"), (size_t)1 << 26, HONE_EDATA, err));
    for (int step = 1; parity_next_row(a, &log, &row);) {
        if (!json_get(row, "loss")) continue;
        CHECK(want);
        CHECK_INT(number_of(row, "step"), step);
        CHECK_INT(number_of(row, "tokens"), number_of(want, "tokens")); /* and so nothing was padded */
        CHECK_NEAR(number_of(row, "learning_rate"), number_of(want, "learning_rate"),
                   1e-8 * number_of(member(golden, "settings"), "learning_rate"));
        worst_loss = fmax(worst_loss, relative(number_of(row, "loss"), number_of(want, "loss")));
        worst_norm = fmax(worst_norm, relative(number_of(row, "grad_norm"), number_of(want, "grad_norm")));
        want = want->next, step++;
    }
    CHECK(!want);
    printf("largest relative difference from torch: loss %.3g, gradient norm %.3g\n", worst_loss, worst_norm);
    CHECK_NEAR(worst_loss, 0, LOSS_BOUND);
    CHECK_NEAR(worst_norm, 0, NORM_BOUND);
}

static int ends_with(const char *name, const char *suffix) {
    const size_t n = strlen(name), m = strlen(suffix);
    return n >= m && !strcmp(name + n - m, suffix);
}

/* Adding a number to all scores of a softmax changes nothing: the gradient of an attention key's bias is zero but for rounding,
 * and what AdamW makes of that is noise. So it is with the scores of spans: their bias, and that of the norm before them (in
 * the second and last layer of the tiny models). */
static int is_shift(const char *name, int spans) {
    return ends_with(name, ".key.bias") || ends_with(name, ".k_lin.bias") || ends_with(name, "qa_outputs.bias") ||
           (spans && (ends_with(name, "layer.1.output.LayerNorm.bias") || ends_with(name, "layer.1.output_layer_norm.bias")));
}

/* GPT-2 packs them between queries' and values': that third counts as unmoved. */
static const float *without_key_bias(arena *a, const char *name, const float *got, const float *first, int64_t n) {
    if (!strstr(name, "c_attn.bias")) return got;
    float *copy = memcpy(ARENA_ARRAY(a, (size_t)n, float), got, (size_t)n * sizeof *got);
    memcpy(copy + n / 3, first + n / 3, (size_t)(n / 3) * sizeof *first);
    return copy;
}

/* Elements that no sample reached: decay alone moved them. */
static void check_still(const char *name, const json *still, const float *got) {
    const json *value = member(still, "value")->child;
    for (const json *i = member(still, "index")->child; i; i = i->next, value = value->next)
        if (relative((double)got[i->integer], value->number) > STILL_RATIO)
            test_fail(__FILE__, __LINE__, "%s[%lld], moved by decay alone, is %.9g, expected %.9g", name,
                      (long long)i->integer, (double)got[i->integer], value->number);
}

/* One parameter against its digest; returns the largest error of an element beyond the relative part. */
static double check_weight(const json *want, const float *got, const float *first) {
    const char *name = text_of(want, "name");
    const int64_t n = (int64_t)number_of(want, "n");
    double sum = 0, squares = 0, moved = 0, worst = 0;
    for (int64_t i = 0; i < n; i++) {
        const double x = (double)got[i], d = x - (double)first[i];
        sum += x, squares += x * x, moved += d * d;
    }
    const json *value = member(want, "value")->child;
    for (const json *i = member(want, "index")->child; i; i = i->next, value = value->next) {
        CHECK(i->integer < n);
        worst =
            fmax(worst, fabs((double)got[i->integer] - value->number) - WEIGHT_RATIO * fabs(value->number));
    }
    const double root = sqrt(number_of(want, "sum_squares"));
    if (relative(sqrt(moved), number_of(want, "moved")) > MOVED_RATIO)
        test_fail(__FILE__, __LINE__, "%s moved by %.9g, expected %.9g", name, sqrt(moved),
                  number_of(want, "moved"));
    if (fabs(sqrt(squares) - root) > WEIGHT_RATIO * root + WEIGHT_BOUND)
        test_fail(__FILE__, __LINE__, "%s: norm %.9g, expected %.9g", name, sqrt(squares), root);
    if (fabs(sum - number_of(want, "sum")) > MEAN_BOUND * (double)n)
        test_fail(__FILE__, __LINE__, "%s: sum %.9g, expected %.9g", name, sum, number_of(want, "sum"));
    check_still(name, member(want, "still"), got);
    if (worst > WEIGHT_BOUND)
        test_fail(__FILE__, __LINE__, "%s: an element is off by %.3g beyond %g relative", name, worst,
                  WEIGHT_RATIO);
    return worst;
}

int parity_weights(arena *a, const char *model, const char *out, const json *golden) {
    tensors first, last;
    double worst = -DBL_MAX;
    int n = 0, spans = 0;
    for (const json *w = member(golden, "weights")->child; w; w = w->next)
        spans |= !strcmp(text_of(w, "name"), "qa_outputs.weight");
    tensors_open(&first, a, path_join(a, model, "model.safetensors"));
    tensors_open(&last, a, path_join(a, out, "model.safetensors"));
    for (const json *w = member(golden, "weights")->child; w; w = w->next) {
        const char *name = text_of(w, "name");
        const int64_t elements = (int64_t)number_of(w, "n");
        const float *got = tensors_find(&last, name, elements), *before = tensors_find(&first, name, elements);
        if (is_shift(name, spans)) continue;
        worst = fmax(worst, check_weight(w, without_key_bias(a, name, got, before, elements), before));
        n++;
    }
    printf("largest difference of a weight from torch: %.3g beyond %g relative\n", worst, WEIGHT_RATIO);
    tensors_close(&first);
    tensors_close(&last);
    return n;
}
