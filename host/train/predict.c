/* predict.c - rows out of logits, and a summary out of counts. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "train/predict.h"
#include "base/mem.h"
#include "base/table.h"
#include "base/vec.h"

#define FLUSH_BYTES ((size_t)1 << 16)

void probabilities(float *x, int n) {
    float top = x[0];
    double sum = 0;
    for (int i = 1; i < n; i++) top = x[i] > top ? x[i] : top;
    for (int i = 0; i < n; i++) sum += exp((double)(x[i] - top));
    for (int i = 0; i < n; i++) x[i] = (float)(exp((double)(x[i] - top)) / sum);
}

void chances(float *x, int n) {
    for (int i = 0; i < n; i++) x[i] = (float)(1 / (1 + exp(-(double)x[i])));
}

typedef struct {
    session *s;
    const dataset *d;
    const predict_options *o;
    text *out;
    void (*flush)(void *arg, text *out);
    void *arg;
    float *p;   /* probabilities of the sample */
    int *order; /* classes by falling probability */
    text scores;
    answer_rules rules;
} row_writer;

static void sort_classes(const float *p, int *order, int n, int k) {
    for (int i = 0; i < n; i++) order[i] = i;
    for (int i = 0; i < k; i++) { /* the k largest to the front; k is small */
        int best = i;
        for (int c = i + 1; c < n; c++)
            if (p[order[c]] > p[order[best]] || (p[order[c]] == p[order[best]] && order[c] < order[best]))
                best = c;
        const int swap = order[i];
        order[i] = order[best];
        order[best] = swap;
    }
}

static void add_label(text *out, const session *s, int c, float score) {
    text_str(out, "\"label\":");
    text_json(out, s->labels.name[c].p, s->labels.name[c].n);
    text_str(out, ",\"score\":");
    text_double(out, (double)score);
}

static void add_numbers(text *out, const float *x, int n) {
    text_str(out, "[");
    for (int c = 0; c < n; c++) {
        if (c) text_str(out, ",");
        text_double(out, (double)x[c]);
    }
    text_str(out, "]");
}

static void add_top(const row_writer *w, int top) {
    text_str(w->out, ",\"top\":[");
    for (int k = 0; k < top; k++) {
        text_str(w->out, k ? ",{" : "{");
        add_label(w->out, w->s, w->order[k], w->p[w->order[k]]);
        text_str(w->out, "}");
    }
    text_str(w->out, "]");
}

static void write_value(row_writer *w, int64_t i, const float *logits) {
    (void)i;
    text_str(w->out, "\"value\":");
    text_double(w->out, (double)logits[0]);
}

static void write_class(row_writer *w, int64_t i, const float *logits) {
    const int n = w->s->n_labels, top = w->o->top > n ? n : w->o->top;
    (void)i;
    memcpy(w->p, logits, sizeof(float) * (size_t)n);
    probabilities(w->p, n);
    sort_classes(w->p, w->order, n, top > 1 ? top : 1);
    add_label(w->out, w->s, w->order[0], w->p[w->order[0]]);
    if (top) add_top(w, top);
}

/* The classes above the threshold, the likeliest first. */
static void write_marks(row_writer *w, int64_t i, const float *logits) {
    const int n = w->s->n_labels;
    int found = 0;
    (void)i;
    memcpy(w->p, logits, sizeof(float) * (size_t)n);
    chances(w->p, n);
    sort_classes(w->p, w->order, n, n);
    while (found < n && (double)w->p[w->order[found]] > w->s->job->threshold) found++;
    text_str(w->out, "\"labels\":[");
    for (int k = 0; k < found; k++) {
        if (k) text_str(w->out, ",");
        text_json(w->out, w->s->labels.name[w->order[k]].p, w->s->labels.name[w->order[k]].n);
    }
    text_str(w->out, "],\"scores\":[");
    for (int k = 0; k < found; k++) {
        if (k) text_str(w->out, ",");
        text_double(w->out, (double)w->p[w->order[k]]);
    }
    text_str(w->out, "]");
    if (w->o->top) add_top(w, w->o->top > n ? n : w->o->top);
}

/* One item a word: words that the tokenizer makes nothing of are null; those that were cut off are not there. */
static void write_words(row_writer *w, int64_t i, const float *logits) {
    const dataset *d = w->d;
    const int n = w->s->n_labels;
    text *scores = &w->scores;
    int32_t next = 0;
    text_clear(scores);
    text_str(w->out, "\"labels\":[");
    for (int64_t k = d->at[i]; k < d->at[i + 1]; k++) {
        if (d->word[k] < 0) continue;
        for (; next < d->word[k]; next++) text_str(w->out, next ? ",null" : "null"), text_str(scores, next ? ",null" : "null");
        memcpy(w->p, logits, sizeof(float) * (size_t)n);
        logits += n;
        probabilities(w->p, n);
        sort_classes(w->p, w->order, n, 1);
        const str name = w->s->labels.name[w->order[0]];
        if (next) text_str(w->out, ","), text_str(scores, ",");
        text_json(w->out, name.p, name.n);
        text_double(scores, (double)w->p[w->order[0]]);
        next++;
    }
    text_printf(w->out, "],\"scores\":[%s]", scores->n ? scores->p : "");
}

/* How many numbers its logits are. */
static int logits_of(const row_writer *w, int64_t i) {
    int64_t words = 0;
    if (w->s->head != HEAD_TOKENS) return w->s->n_outputs;
    for (int64_t k = w->d->at[i]; k < w->d->at[i + 1]; k++) words += w->d->word[k] >= 0;
    return (int)words * w->s->n_labels;
}

static void write_row(void *arg, int64_t i, const float *logits, double loss) {
    static void (*const of[N_HEADS])(row_writer *, int64_t, const float *) = {
        [HEAD_CLASSES] = write_class, [HEAD_REGRESSION] = write_value, [HEAD_MARKS] = write_marks, [HEAD_TOKENS] = write_words};
    row_writer *w = arg;
    (void)loss;
    text_printf(w->out, "{\"index\":%lld,", (long long)i);
    of[w->s->head](w, i, logits);
    if (w->o->logits) {
        text_str(w->out, ",\"logits\":");
        add_numbers(w->out, logits, logits_of(w, i));
    }
    text_str(w->out, "}\n");
    if (w->out->n >= FLUSH_BYTES) w->flush(w->arg, w->out);
}

/* ---- answers ---- */

static int64_t code_points(const char *p, int64_t n) {
    int64_t points = 0;
    for (int64_t i = 0; i < n; i++) points += ((uint8_t)p[i] & 0xc0) != 0x80;
    return points;
}

static void add_answer(text *out, const question *q, const answer *a) {
    text_str(out, "\"answer\":");
    text_json(out, a->text.p, a->text.n);
    text_str(out, ",\"score\":");
    text_double(out, a->probability);
    if (a->from >= 0)
        text_printf(out, ",\"start\":%lld,\"end\":%lld", (long long)code_points(q->context.p, a->from),
                    (long long)code_points(q->context.p, a->to));
}

/* Of a question: the answer (empty where there is none), its share, and where it stands in code points. */
static void write_answer(void *arg, const answered *a) {
    row_writer *w = arg;
    const question *q = &w->d->windows->of->q[a->question];
    int said = a->chosen;
    for (int i = 0; said < 0 && i < a->n_best; i++)
        if (!a->best[i].text.n) said = i;
    text_printf(w->out, "{\"index\":%lld,\"id\":", (long long)a->question);
    text_json(w->out, q->id.p, q->id.n);
    text_str(w->out, ",");
    add_answer(w->out, q, &a->best[said]);
    if (w->rules.negative) {
        text_str(w->out, ",\"null_odds\":");
        text_double(w->out, a->difference);
    }
    if (w->o->top) text_str(w->out, ",\"top\":[");
    for (int i = 0; i < w->o->top && i < a->n_best; i++) {
        text_str(w->out, i ? ",{" : "{");
        add_answer(w->out, q, &a->best[i]);
        text_str(w->out, "}");
    }
    text_str(w->out, w->o->top ? "]}\n" : "}\n");
    if (w->out->n >= FLUSH_BYTES) w->flush(w->arg, w->out);
}

static void pass_window(void *arg, int64_t i, const float *scores, double loss) {
    (void)loss;
    answers_add(arg, i, scores);
}

static hone_status predict_answers(row_writer *w, hone_err *err) {
    w->rules = answer_rules_of(w->s->job, w->d);
    answers *a = answers_new(w->d, &w->rules, write_answer, w);
    const hone_status status = evaluate(w->s, w->d, eval_batches_in(w->s), pass_window, a, err);
    answers_free(a);
    return status;
}

hone_status predict_rows(session *s, const dataset *d, const predict_options *o, text *out,
                         void (*flush)(void *arg, text *out), void *arg, hone_err *err) {
    row_writer w = {.s = s, .d = d, .o = o, .out = out, .flush = flush, .arg = arg};
    w.p = mem_new(sizeof(float) * (size_t)s->n_labels, "probabilities");
    w.order = mem_new(sizeof(int) * (size_t)s->n_labels, "order of classes");
    const hone_status status = s->head == HEAD_SPANS ? predict_answers(&w, err)
                                                     : evaluate(s, d, eval_batches_in(s), write_row, &w, err);
    flush(arg, out);
    text_free(&w.scores);
    mem_free(w.p);
    mem_free(w.order);
    return status;
}

void eval_summary_json(const metrics *m, double seconds, text *out) {
    metric f[METRICS_MAX];
    const int n = metrics_figures(m, f);
    for (int i = 0; i < n; i++) {
        text_printf(out, "%s\"eval_%s\":", i ? "," : "{", f[i].name);
        text_double(out, f[i].value);
    }
    text_printf(out, ",\"eval_samples\":%lld,\"eval_runtime\":", (long long)m->n_samples);
    text_double(out, seconds);
    text_str(out, ",\"eval_samples_per_second\":");
    text_double(out, seconds > 0 ? (double)m->n_samples / seconds : 0);
    text_str(out, "}");
}

typedef struct {
    int label, guess;
    int64_t n;
} confusion;

static int by_count(const void *a, const void *b) {
    const confusion *x = a, *y = b;
    if (x->n != y->n) return x->n < y->n ? 1 : -1;
    return x->label != y->label ? x->label - y->label : x->guess - y->guess;
}

static void print_confusions(const metrics *m, const labels *l, text *out) {
    const int n = m->n_classes;
    VEC(confusion) wrong = {0};
    for (int a = 0; a < n; a++)
        for (int b = 0; b < n; b++)
            if (a != b && m->confusion[(int64_t)a * n + b])
                vec_push(&wrong, (confusion){a, b, m->confusion[(int64_t)a * n + b]});
    if (wrong.n) {
        qsort(wrong.p, wrong.n, sizeof *wrong.p, by_count);
        table *t = table_new(3);
        table_cell(t, "most confused: label");
        table_cell(t, "predicted");
        table_cell(t, "times");
        for (size_t i = 0; i < wrong.n && i < 10; i++) {
            table_cell(t, "%.*s", (int)l->name[wrong.p[i].label].n, l->name[wrong.p[i].label].p);
            table_cell(t, "%.*s", (int)l->name[wrong.p[i].guess].n, l->name[wrong.p[i].guess].p);
            table_cell(t, "%lld", (long long)wrong.p[i].n);
        }
        text_str(out, "\n");
        table_print(t, out);
        table_free(t);
    }
    vec_free(&wrong);
}

static void print_entities(const entities *e, text *out) {
    const char *const head[] = {"entity", "precision", "recall", "f1", "entities"};
    table *t = table_new(5);
    for (int i = 0; i < 5; i++) table_cell(t, "%s", head[i]);
    for (int k = 0; k < e->n_types; k++) {
        double x[3];
        int64_t support;
        if (!e->labelled[k] && !e->predicted[k]) continue;
        entities_of_type(e, k, x, &support);
        table_cell(t, "%.*s", (int)e->type[k].n, e->type[k].p);
        for (int i = 0; i < 3; i++) table_cell(t, "%.3f", x[i]);
        table_cell(t, "%lld", (long long)support);
    }
    text_str(out, "\n");
    table_print(t, out);
    table_free(t);
}

void eval_summary_people(const metrics *m, const labels *l, double seconds, text *out) {
    metric f[METRICS_MAX];
    const int n = metrics_figures(m, f);
    for (int i = 0; i < n; i++) text_printf(out, "%-16s %.4f\n", f[i].name, f[i].value);
    text_printf(out, "%-16s %lld\n%-16s %.2f s (%.0f a second)\n", "samples", (long long)m->n_samples, "time",
                seconds, seconds > 0 ? (double)m->n_samples / seconds : 0);
    if (m->entities && l) print_entities(m->entities, out);
    if (m->n_classes < 2 || !l || m->entities) return;
    table *t = table_new(5);
    const char *const head[] = {"class", "precision", "recall", "f1", "samples"};
    for (int i = 0; i < 5; i++) table_cell(t, "%s", head[i]);
    for (int c = 0; c < m->n_classes; c++) {
        double x[3];
        int64_t support;
        metrics_of_class(m, c, x, &support);
        table_cell(t, "%.*s", (int)l->name[c].n, l->name[c].p);
        for (int i = 0; i < 3; i++) table_cell(t, "%.3f", x[i]);
        table_cell(t, "%lld", (long long)support);
    }
    text_str(out, "\n");
    table_print(t, out);
    table_free(t);
    if (!m->mark) print_confusions(m, l, out);
}
