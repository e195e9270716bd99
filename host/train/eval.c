/* eval.c - cut, feed, play, read back. */
#include "train/eval.h"
#include "base/err.h"

#define EVAL_TOKENS 4096 /* fills the caches' worth of rows; longer batches gain nothing */

eval_batches eval_batches_of(const job *j, const dataset *d) {
    eval_batches b = {j->per_device_eval_batch_size, 0};
    const int64_t budget = EVAL_TOKENS > d->max_length ? EVAL_TOKENS : d->max_length;
    int64_t largest = 0, n_largest = 1;
    b.tokens = budget;
    for (int64_t i = 0; i < d->n;) { /* what really occurs, so that the plan asks for no more */
        int64_t n = 0, tokens = 0;
        while (i < d->n && n < b.samples && tokens + d->at[i + 1] - d->at[i] <= budget)
            tokens += d->at[i + 1] - d->at[i], i++, n++;
        if (tokens > largest) largest = tokens;
        if (n > n_largest) n_largest = n;
    }
    return (eval_batches){n_largest, largest > 1 ? largest : 1};
}

hone_status evaluate(session *s, const dataset *d, eval_batches b, eval_each each, void *arg, hone_err *err) {
    const hone_plan *p = s->plan;
    int64_t sample[1024];
    HONE_ASSERT(b.samples <= s->batch->seqs_max && b.tokens <= s->batch->tokens_max);
    for (int64_t i = 0; i < d->n;) {
        int64_t n = 0, tokens = 0;
        HONE_TRY(sig_check(err));
        while (i < d->n && n < b.samples && n < 1024 && tokens + d->at[i + 1] - d->at[i] <= b.tokens) {
            tokens += d->at[i + 1] - d->at[i];
            sample[n++] = i++;
        }
        HONE_ASSERT(n > 0);
        session_feed(s, d, sample, n, 1);
        HONE_TRY(run_play(s->run, HONE_EVAL, 0, s->rows, err));
        HONE_TRY(run_get_rows(s->run, p->eval_logits, n, s->logits, err));
        HONE_TRY(run_get_rows(s->run, p->eval_loss, n, s->loss, err));
        for (int64_t k = 0; k < n; k++)
            each(arg, sample[k], s->logits + k * s->n_outputs, (double)s->loss[k]);
    }
    return HONE_OK;
}

typedef struct {
    const dataset *d;
    metrics *m;
} into_metrics;

static void add_sample(void *arg, int64_t i, const float *logits, double loss) {
    const into_metrics *x = arg;
    if (x->m->n_classes > 1) metrics_add(x->m, logits, x->d->label[i], loss);
    else metrics_add_target(x->m, logits[0], x->d->target[i], loss);
}

hone_status evaluate_metrics(session *s, const dataset *d, eval_batches b, metrics *m, double *seconds,
                             hone_err *err) {
    const uint64_t from = clock_ns();
    metrics_clear(m);
    HONE_TRY(evaluate(s, d, b, add_sample, &(into_metrics){d, m}, err));
    *seconds = (double)(clock_ns() - from) * 1e-9;
    return HONE_OK;
}
