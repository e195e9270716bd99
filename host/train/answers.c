#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "train/answers.h"
#include "base/mem.h"
#include "base/vec.h"

/* An answer with its turn, so that equal scores stay in order. */
typedef struct {
    answer a;
    size_t turn;
} candidate;

struct answers {
    const dataset *d;
    answer_rules rules;
    answers_each *each;
    void *arg;
    VEC(candidate) found; /* of the question whose windows are coming */
    answer none;          /* its windows' least sum of the first token's scores */
    int any;              /* a window was seen */
    answer *best;         /* [n_best + 2] */
    int *start, *end;     /* [n_best] rows of a window */
};

answers *answers_new(const dataset *d, const answer_rules *r, answers_each *each, void *arg) {
    answers *a = mem_new(sizeof *a, "answers");
    *a = (answers){.d = d, .rules = *r, .each = each, .arg = arg};
    a->best = mem_new(((size_t)r->n_best + 2) * sizeof *a->best, "answers");
    a->start = mem_new(2 * (size_t)r->n_best * sizeof *a->start + 1, "answers");
    a->end = a->start + r->n_best;
    return a;
}

void answers_free(answers *a) {
    if (!a) return;
    vec_free(&a->found);
    mem_free(a->best);
    mem_free(a->start);
    mem_free(a);
}

/* The rows of the n_best largest scores of a column, the largest first; of equal ones the later first. */
static int largest(int *out, int n_best, const float *scores, int column, int n) {
    int k = 0;
    for (int row = 0; row < n; row++) {
        int at = k;
        while (at > 0 && scores[2 * row + column] >= scores[2 * out[at - 1] + column]) at--;
        if (at >= n_best) continue;
        if (k < n_best) k++;
        memmove(out + at + 1, out + at, sizeof *out * (size_t)(k - at - 1));
        out[at] = row;
    }
    return k;
}

static void add_candidates(answers *a, int64_t window, const float *scores) {
    const windows *w = a->d->windows;
    const int64_t at = a->d->at[window];
    const int n = (int)(a->d->at[window + 1] - at),
              n_start = largest(a->start, a->rules.n_best, scores, 0, n),
              n_end = largest(a->end, a->rules.n_best, scores, 1, n);
    const char *context = w->of->q[w->question[window]].context.p;
    for (int i = 0; i < n_start; i++)
        for (int k = 0; k < n_end; k++) {
            const int s = a->start[i], e = a->end[k];
            if (a->d->from[at + s] < 0 || a->d->from[at + e] < 0) continue;
            if (e < s || e - s + 1 > a->rules.max_length) continue;
            const int64_t from = a->d->from[at + s], to = a->d->to[at + e];
            const float start = scores[2 * s], end = scores[2 * e + 1];
            vec_push(
                &a->found,
                (candidate){{{context + from, (size_t)(to - from)}, from, to, start, end, start + end, 0},
                            a->found.n});
        }
}

static int by_score(const void *x, const void *y) {
    const candidate *a = x, *b = y;
    if (a->a.score != b->a.score) return a->a.score < b->a.score ? 1 : -1;
    return a->turn < b->turn ? -1 : a->turn > b->turn;
}

static int is_none(const answer *a) { return !a->text.n; }

/* The best of what was found; n_best may grow by one, where that there is no answer would else not be among them. */
static int keep_best(answers *a) {
    const size_t most = (size_t)a->rules.n_best;
    int any_none = 0, n = 0;
    if (a->rules.negative) vec_push(&a->found, (candidate){a->none, a->found.n});
    if (a->found.n) qsort(a->found.p, a->found.n, sizeof *a->found.p, by_score);
    for (size_t i = 0; i < a->found.n && i < most; i++) {
        a->best[n++] = a->found.p[i].a;
        any_none |= a->best[n - 1].from < 0;
    }
    if (a->rules.negative && !any_none) a->best[n++] = a->none;
    if (n == 0 || (n == 1 && is_none(&a->best[0]))) { /* run_qa.py's way out where no pair will do */
        memmove(a->best + 1, a->best, sizeof *a->best * (size_t)n++);
        a->best[0] = (answer){.text = STR("empty"), .from = -1, .to = -1};
    }
    return n;
}

static void weigh(answer *best, int n) {
    double most = best[0].score, sum = 0;
    for (int i = 1; i < n; i++) most = (double)best[i].score > most ? best[i].score : most;
    for (int i = 0; i < n; i++) sum += exp((double)best[i].score - most);
    for (int i = 0; i < n; i++) best[i].probability = exp((double)best[i].score - most) / sum;
}

static void close_question(answers *a, int64_t number) {
    answered out = {.question = number, .best = a->best, .n_best = keep_best(a)};
    weigh(a->best, out.n_best);
    if (a->rules.negative) {
        while (out.chosen < out.n_best - 1 && is_none(&a->best[out.chosen])) out.chosen++;
        const answer *best = &a->best[out.chosen];
        out.difference = (double)(a->none.score - best->start - best->end);
        if (out.difference > a->rules.threshold) out.chosen = -1;
    }
    a->each(a->arg, &out);
    a->found.n = 0;
    a->any = 0;
}

void answers_add(answers *a, int64_t window, const float *scores) {
    const windows *w = a->d->windows;
    const float none = scores[0] + scores[1];
    if (!a->any || none < a->none.score)
        a->none = (answer){
            .text = STR(""), .from = -1, .to = -1, .start = scores[0], .end = scores[1], .score = none};
    a->any = 1;
    add_candidates(a, window, scores);
    if (window + 1 == a->d->n || w->question[window + 1] != w->question[window])
        close_question(a, w->question[window]);
}
