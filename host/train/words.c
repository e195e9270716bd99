/* words.c - one evaluation, read back whole. */
#include <math.h>

#include "train/words.h"

hone_status words_logits(session *s, const dataset *d, const int64_t *samples, int64_t n, float *logits,
                         hone_err *err) {
    HONE_TRY(session_feed(s, d, samples, n, 0, 1, err));
    run_prepare(s->run, HONE_EVAL, 0, s->rows);
    HONE_TRY(run_play(s->run, HONE_EVAL, 0, s->rows, err));
    return run_get_rows(s->run, s->plan->eval_logits, s->batch->n_words, logits, err);
}

/* Is x before the guess y? */
static int is_before(float x, int32_t id, const word_guess *y) {
    return x > y->score || (x == y->score && id < y->id);
}

void words_top(const float *x, int n, int k, word_guess *out) {
    int held = 0;
    for (int32_t i = 0; i < n; i++) {
        if (held == k && (!k || !is_before(x[i], i, &out[k - 1]))) continue;
        int at = held < k ? held++ : k - 1;
        for (; at > 0 && is_before(x[i], i, &out[at - 1]); at--) out[at] = out[at - 1];
        out[at] = (word_guess){i, x[i]};
    }
    double sum = 0;
    const double top = held ? (double)out[0].score : 0;
    for (int i = 0; i < n; i++) sum += exp((double)x[i] - top);
    for (int i = 0; i < held; i++) out[i].score = (float)(exp((double)out[i].score - top) / sum);
}
