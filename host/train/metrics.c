/* metrics.c - counts while samples come, figures at the end. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "train/metrics.h"
#include "base/err.h"
#include "base/mem.h"
#include "train/text_metrics.h"

static size_t cells_of(const metrics *m) { return m->n_classes > 0 ? (size_t)m->n_classes * (size_t)m->n_classes : 0; }

void metrics_init(metrics *m, arena *a, int n_classes, int64_t n) {
    memset(m, 0, sizeof *m);
    m->n_classes = n_classes;
    m->cap = n;
    m->confusion = arena_array(a, cells_of(m), sizeof *m->confusion);
    if (n_classes != 1) return;
    m->target = ARENA_ARRAY(a, (size_t)n + 1, double);
    m->guess = ARENA_ARRAY(a, (size_t)n + 1, double);
}

void metrics_init_marks(metrics *m, arena *a, int n_classes, double threshold) {
    *m = (metrics){.n_classes = n_classes, .threshold = (float)log(threshold / (1 - threshold))};
    m->mark = arena_array(a, (size_t)n_classes, sizeof *m->mark);
}

void metrics_init_tags(metrics *m, arena *a, const labels *l, int64_t longest) {
    metrics_init(m, a, l->n, 0);
    m->tags = 1;
    m->tag = ARENA_ARRAY(a, 2 * (size_t)longest + 1, int32_t);
    m->cap = longest;
    if (!entities_are_tagged(l)) return;
    m->entities = ARENA_NEW(a, entities);
    entities_init(m->entities, a, l);
}

void metrics_init_answers(metrics *m, arena *a, int negative, int64_t n) {
    *m = (metrics){.negative = negative, .cap = n, .answer = ARENA_ARRAY(a, (size_t)n + 1, answer_score)};
}

void metrics_clear(metrics *m) {
    m->n = m->n_samples = m->n_top5 = m->n_words = m->n_right = m->n_sequences_right = 0;
    m->loss_sum = m->sequence_loss_sum = 0;
    if (m->entities) entities_clear(m->entities);
    if (m->mark) memset(m->mark, 0, sizeof *m->mark * (size_t)m->n_classes);
    else if (m->confusion) memset(m->confusion, 0, sizeof *m->confusion * cells_of(m));
    memset(m->bin_n, 0, sizeof m->bin_n);
    memset(m->bin_right, 0, sizeof m->bin_right);
    memset(m->bin_confidence, 0, sizeof m->bin_confidence);
}

static int count_class(metrics *m, const float *x, int32_t label) {
    int best = 0;
    for (int c = 1; c < m->n_classes; c++)
        if (x[c] > x[best]) best = c;
    if (label < 0) return best;
    double sum = 0;
    int rank = 0;
    for (int c = 0; c < m->n_classes; c++) {
        sum += exp((double)x[c] - (double)x[best]);
        rank += x[c] > x[label] || (x[c] == x[label] && c > label);
    }
    const double confidence = 1 / sum;
    int bin = (int)ceil(confidence * METRICS_BINS) - 1;
    bin = bin < 0 ? 0 : bin >= METRICS_BINS ? METRICS_BINS - 1 : bin;
    m->bin_n[bin]++;
    m->bin_right[bin] += best == label;
    m->bin_confidence[bin] += confidence;
    m->n_top5 += rank < 5;
    m->confusion[(int64_t)label * m->n_classes + best]++;
    m->n++;
    return best;
}

int metrics_add(metrics *m, const float *x, int32_t label, double loss) {
    const int best = count_class(m, x, label);
    if (label < 0) return best;
    m->loss_sum += loss;
    m->n_samples++;
    return best;
}

void metrics_add_tags(metrics *m, const float *x, const int32_t *tag, int64_t n, double loss) {
    int64_t counted = 0;
    for (int64_t i = 0; i < n; i++) {
        if (tag[i] < 0) continue;
        HONE_ASSERT(counted < m->cap);
        m->tag[counted] = tag[i];
        m->tag[m->cap + counted++] = count_class(m, x + i * m->n_classes, tag[i]);
    }
    if (!counted) return;
    if (m->entities) entities_add(m->entities, m->tag, m->tag + m->cap, counted);
    m->loss_sum += loss;
    m->n_samples++;
}

void metrics_add_marks(metrics *m, const float *x, const double *mark, double loss) {
    int said = 0, wrong = 0;
    for (int c = 0; c < m->n_classes; c++) {
        const int is = mark[c] > 0, guessed = x[c] > m->threshold;
        if (isnan(mark[c])) continue;
        said++;
        wrong += is != guessed;
        m->mark[c].right += is && guessed;
        m->mark[c].labelled += is;
        m->mark[c].predicted += guessed;
    }
    if (!said) return;
    m->n_right += !wrong;
    m->loss_sum += loss;
    m->n++;
    m->n_samples++;
}

void metrics_add_target(metrics *m, float guess, double target, double loss) {
    HONE_ASSERT(m->n < m->cap);
    m->guess[m->n] = (double)guess;
    m->target[m->n] = target;
    m->loss_sum += loss;
    m->n++;
    m->n_samples++;
}

void metrics_add_words(metrics *m, int64_t words, int64_t right, double loss) {
    m->n_words += words;
    m->n_right += right;
    m->loss_sum += loss;
    m->n++;
    m->n_samples++;
}

void metrics_add_answer(metrics *m, const question *q, const answered *a) {
    const str said = a->chosen < 0 ? STR("") : a->best[a->chosen].text;
    answer_score x = {.has_answer = q->n_answers > 0, .predicted_none = !said.n, .difference = a->difference};
    int counted = 0;
    HONE_ASSERT(m->n_samples < m->cap);
    for (int i = 0; i <= q->n_answers; i++) {
        const int last = i == q->n_answers; /* 2.0: no answer is right where none is given that has a word */
        const str given = last ? STR("") : q->answer[i].text;
        text words = {0};
        answer_normalize(given, &words);
        const int counts = last ? m->negative && !counted : !m->negative || words.n;
        text_free(&words);
        if (!counts) continue;
        const double exact = answer_exact(given, said), f1 = answer_f1(given, said, m->negative);
        if (exact > x.exact) x.exact = exact;
        if (f1 > x.f1) x.f1 = f1;
        counted = 1;
    }
    m->answer[m->n_samples++] = x;
}

void metrics_add_window(metrics *m, double loss) {
    m->loss_sum += loss;
    m->n++;
}

void metrics_add_sequence(metrics *m, const float *x, int32_t label) {
    const double d = (double)x[1 - label] - (double)x[label]; /* -log softmax: log(1 + e^d), without overflow */
    m->sequence_loss_sum += d > 0 ? d + log1p(exp(-d)) : log1p(exp(d));
    m->n_sequences_right += label ? x[1] > x[0] : x[0] >= x[1];
}

static void class_counts(const metrics *m, int c, int64_t *right, int64_t *labelled, int64_t *predicted) {
    *labelled = *predicted = 0;
    if (m->mark) {
        *right = m->mark[c].right, *labelled = m->mark[c].labelled, *predicted = m->mark[c].predicted;
        return;
    }
    for (int i = 0; i < m->n_classes; i++) {
        *labelled += m->confusion[(int64_t)c * m->n_classes + i];
        *predicted += m->confusion[(int64_t)i * m->n_classes + c];
    }
    *right = m->confusion[(int64_t)c * m->n_classes + c];
}

static double ratio(double a, double b) { return b > 0 ? a / b : 0; }

void metrics_of_class(const metrics *m, int c, double out[3], int64_t *support) {
    int64_t right, predicted;
    class_counts(m, c, &right, support, &predicted);
    out[0] = ratio((double)right, (double)predicted);
    out[1] = ratio((double)right, (double)*support);
    out[2] = ratio(2 * (double)right, (double)(*support + predicted));
}

/* Matthews' coefficient for many classes (Gorodkin 2004): covariance of labels and predictions. */
static double matthews(const metrics *m, double n, double n_right) {
    double both = 0, labels2 = 0, guesses2 = 0;
    for (int c = 0; c < m->n_classes; c++) {
        int64_t right, labelled, predicted;
        class_counts(m, c, &right, &labelled, &predicted);
        both += (double)labelled * (double)predicted;
        labels2 += (double)labelled * (double)labelled;
        guesses2 += (double)predicted * (double)predicted;
    }
    const double spread = (n * n - guesses2) * (n * n - labels2);
    return spread > 0 ? (n_right * n - both) / sqrt(spread) : 0;
}

static int class_figures(const metrics *m, metric *out) {
    const double n = (double)m->n;
    double n_right = 0, macro[3] = {0}, weighted = 0, n_seen = 0, ece = 0;
    for (int c = 0; c < m->n_classes; c++) {
        double f[3];
        int64_t right, labelled, predicted;
        class_counts(m, c, &right, &labelled, &predicted);
        if (!labelled && !predicted) continue;
        metrics_of_class(m, c, f, &labelled);
        n_seen++;
        n_right += (double)right;
        for (int i = 0; i < 3; i++) macro[i] += f[i];
        weighted += f[2] * (double)labelled;
    }
    for (int b = 0; b < METRICS_BINS; b++)
        if (m->bin_n[b]) ece += fabs((double)m->bin_right[b] - m->bin_confidence[b]);
    const metric all[] = {{"accuracy", ratio(n_right, n)},
                          {"f1", ratio(macro[2], n_seen)},
                          {"precision", ratio(macro[0], n_seen)},
                          {"recall", ratio(macro[1], n_seen)},
                          {"f1_micro", ratio(n_right, n)},
                          {"f1_weighted", ratio(weighted, n)},
                          {"mcc", matthews(m, n, n_right)},
                          {"ece", ratio(ece, n)},
                          {"top5_accuracy", ratio((double)m->n_top5, n)}};
    memcpy(out, all, sizeof all);
    return (int)(sizeof all / sizeof *all);
}

static double pearson(const double *a, const double *b, int64_t n) {
    double ma = 0, mb = 0, ab = 0, aa = 0, bb = 0;
    for (int64_t i = 0; i < n; i++) ma += a[i], mb += b[i];
    ma /= (double)n, mb /= (double)n;
    for (int64_t i = 0; i < n; i++) {
        ab += (a[i] - ma) * (b[i] - mb);
        aa += (a[i] - ma) * (a[i] - ma);
        bb += (b[i] - mb) * (b[i] - mb);
    }
    return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : 0;
}

typedef struct {
    double x;
    int64_t i;
} ranked;

static int by_value(const void *a, const void *b) {
    const double x = ((const ranked *)a)->x, y = ((const ranked *)b)->x;
    return (x > y) - (x < y);
}

/* Ranks from 1, ties share their mean. */
static void rank_values(const double *x, int64_t n, ranked *sorted, double *rank) {
    for (int64_t i = 0; i < n; i++) sorted[i] = (ranked){x[i], i};
    qsort(sorted, (size_t)n, sizeof *sorted, by_value);
    for (int64_t i = 0, end; i < n; i = end) {
        for (end = i; end < n && sorted[end].x == sorted[i].x;) end++;
        for (int64_t k = i; k < end; k++) rank[sorted[k].i] = ((double)(i + end) + 1) / 2;
    }
}

static int target_figures(const metrics *m, metric *out) {
    double square = 0, absolute = 0;
    for (int64_t i = 0; i < m->n; i++) {
        const double d = m->guess[i] - m->target[i];
        square += d * d;
        absolute += fabs(d);
    }
    ranked *sorted = mem_new(sizeof *sorted * (size_t)(m->n + 1), "ranks");
    double *rank = mem_new(sizeof *rank * 2 * (size_t)(m->n + 1), "ranks");
    rank_values(m->guess, m->n, sorted, rank);
    rank_values(m->target, m->n, sorted, rank + m->n);
    const metric all[] = {{"mse", ratio(square, (double)m->n)},
                          {"mae", ratio(absolute, (double)m->n)},
                          {"pearson", m->n ? pearson(m->guess, m->target, m->n) : 0},
                          {"spearman", m->n ? pearson(rank, rank + m->n, m->n) : 0}};
    mem_free(sorted);
    mem_free(rank);
    memcpy(out, all, sizeof all);
    return (int)(sizeof all / sizeof *all);
}

static int mark_figures(const metrics *m, metric *out) {
    double macro[3] = {0}, weighted = 0, all[3] = {0};
    for (int c = 0; c < m->n_classes; c++) {
        double f[3];
        int64_t right, labelled, predicted;
        class_counts(m, c, &right, &labelled, &predicted);
        metrics_of_class(m, c, f, &labelled);
        for (int i = 0; i < 3; i++) macro[i] += f[i] / m->n_classes;
        weighted += f[2] * (double)labelled;
        all[0] += (double)right, all[1] += (double)labelled, all[2] += (double)predicted;
    }
    const metric found[] = {{"accuracy", ratio((double)m->n_right, (double)m->n)},
                            {"f1", macro[2]},
                            {"precision", macro[0]},
                            {"recall", macro[1]},
                            {"f1_micro", ratio(2 * all[0], all[1] + all[2])},
                            {"f1_weighted", ratio(weighted, all[1])}};
    memcpy(out, found, sizeof found);
    return (int)(sizeof found / sizeof *found);
}

static int entity_figures(const metrics *m, metric *out) {
    double f[3], macro, weighted;
    int64_t support, right = 0;
    entities_of_type(m->entities, -1, f, &support);
    entities_means(m->entities, &macro, &weighted);
    for (int c = 0; c < m->n_classes; c++) right += m->confusion[(int64_t)c * m->n_classes + c];
    const metric found[] = {{"accuracy", ratio((double)right, (double)m->n)},
                            {"f1", f[2]},
                            {"precision", f[0]},
                            {"recall", f[1]},
                            {"f1_macro", macro},
                            {"f1_weighted", weighted}};
    memcpy(out, found, sizeof found);
    return (int)(sizeof found / sizeof *found);
}

static int by_difference(const void *a, const void *b) {
    const answer_score *x = a, *y = b;
    return (x->difference > y->difference) - (x->difference < y->difference);
}

/* The most that is right where questions whose difference lies above a threshold are said to have no answer: as the script
 * moves the threshold up, a question more has its own score. */
static double best_threshold(const answer_score *sorted, int64_t n, int exact) {
    double now = 0, best;
    for (int64_t i = 0; i < n; i++) now += !sorted[i].has_answer;
    best = now;
    for (int64_t i = 0; i < n; i++) {
        const answer_score *x = &sorted[i];
        now += x->has_answer ? (exact ? x->exact : x->f1) : x->predicted_none ? 0 : -1;
        best = now > best ? now : best;
    }
    return best;
}

static int answer_figures(const metrics *m, metric *out) {
    double exact[2] = {0}, f1[2] = {0}, n[2] = {0};
    const int64_t all = m->n_samples;
    for (int64_t i = 0; i < all; i++) {
        const int has = m->answer[i].has_answer;
        exact[has] += m->answer[i].exact;
        f1[has] += m->answer[i].f1;
        n[has]++;
    }
    const double e = 100 * ratio(exact[0] + exact[1], (double)all), f = 100 * ratio(f1[0] + f1[1], (double)all);
    out[0] = (metric){m->negative ? "exact" : "exact_match", e};
    out[1] = (metric){"f1", f};
    if (!m->negative) return 2;
    answer_score *sorted = mem_new((size_t)all * sizeof *sorted + 1, "answers");
    if (all) memcpy(sorted, m->answer, (size_t)all * sizeof *sorted);
    if (all) qsort(sorted, (size_t)all, sizeof *sorted, by_difference);
    const metric more[] = {{"HasAns_exact", 100 * ratio(exact[1], n[1])},
                           {"HasAns_f1", 100 * ratio(f1[1], n[1])},
                           {"NoAns_exact", 100 * ratio(exact[0], n[0])},
                           {"NoAns_f1", 100 * ratio(f1[0], n[0])},
                           {"best_exact", 100 * ratio(best_threshold(sorted, all, 1), (double)all)},
                           {"best_f1", 100 * ratio(best_threshold(sorted, all, 0), (double)all)}};
    mem_free(sorted);
    memcpy(out + 2, more, sizeof more);
    return 2 + (int)(sizeof more / sizeof *more);
}

/* Means over words; perplexity: e to their loss, as run_mlm.py has it. With next sentences, loss is the sum of both. */
static int word_figures(const metrics *m, metric *out) {
    const double n = (double)m->n_words, loss = ratio(m->loss_sum, n);
    out[0] = (metric){"loss", loss};
    out[1] = (metric){"accuracy", ratio((double)m->n_right, n)};
    out[2] = (metric){"perplexity", exp(loss)};
    if (m->n_classes == METRICS_WORDS) return 3;
    const double sequence = ratio(m->sequence_loss_sum, (double)m->n);
    out[0].value += sequence;
    out[3] = (metric){"mlm_loss", loss};
    out[4] = (metric){"nsp_loss", sequence};
    out[5] = (metric){"nsp_accuracy", ratio((double)m->n_sequences_right, (double)m->n)};
    return 6;
}

int metrics_figures(const metrics *m, metric out[METRICS_MAX]) {
    if (m->n_classes <= 0 && !m->answer) return word_figures(m, out);
    out[0] = (metric){"loss", ratio(m->loss_sum, (double)m->n)};
    if (m->answer) return 1 + answer_figures(m, out + 1);
    if (m->mark) return 1 + mark_figures(m, out + 1);
    if (m->entities) return 1 + entity_figures(m, out + 1);
    return 1 + (m->n_classes > 1 ? class_figures(m, out + 1) : target_figures(m, out + 1));
}

int metric_larger_is_better(const char *name) {
    return strcmp(name, "loss") && strcmp(name, "mlm_loss") && strcmp(name, "nsp_loss") && strcmp(name, "perplexity") && strcmp(name, "ece") && strcmp(name, "mse") &&
           strcmp(name, "mae");
}
