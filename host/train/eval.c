/* eval.c - cut, feed, play, read back. */
#include <string.h>

#include "train/eval.h"
#include "base/err.h"
#include "base/mem.h"

#define BATCH_MAX 1024

eval_batches eval_batches_of(const job *j, const dataset *d, int64_t room) {
    const int given = j->given[field_find("per_device_eval_batch_size")];
    const eval_batches b = {given ? j->per_device_eval_batch_size : BATCH_MAX, given ? EVAL_TOKENS : room};
    const int64_t budget = b.tokens > d->max_length ? b.tokens : d->max_length;
    int64_t largest = 0, n_largest = 1;
    for (int64_t i = 0; i < d->n;) { /* what really occurs, so that the plan asks for no more */
        int64_t n = 0, tokens = 0;
        while (i < d->n && n < b.samples && tokens + d->at[i + 1] - d->at[i] <= budget)
            tokens += d->at[i + 1] - d->at[i], i++, n++;
        if (tokens > largest) largest = tokens;
        if (n > n_largest) n_largest = n;
    }
    return (eval_batches){n_largest, largest > 1 ? largest : 1};
}

/* The batch that begins with sample `from`: how many samples. */
static int64_t cut_batch(const dataset *d, eval_batches b, int64_t from, int64_t *sample) {
    int64_t n = 0, tokens = 0;
    for (int64_t i = from; i < d->n && n < b.samples && n < BATCH_MAX; i++, n++) {
        if (tokens + d->at[i + 1] - d->at[i] > b.tokens) break;
        tokens += d->at[i + 1] - d->at[i];
        sample[n] = i;
    }
    return n;
}

/* Of each sample: how many words, how many of them right, and the sum of their losses; and of next sentences the logits. */
static hone_status read_words(session *s, int64_t n, hone_err *err) {
    const batch *b = s->batch;
    const int wide = s->n_outputs;
    if (s->pairs) HONE_TRY(run_get_rows(s->run, s->plan->eval_logits, n, s->follows, err));
    HONE_TRY(run_get_rows(s->run, s->plan->eval_loss, b->n_words, s->word_loss, err));
    HONE_TRY(run_get_rows(s->run, s->plan->eval_best, b->n_words, s->word_best, err));
    for (int64_t i = 0; i < n; i++) {
        const hone_range at = b->words_at[i];
        double loss = 0;
        int32_t words = 0, right = 0;
        for (int32_t k = at.first; k < at.first + at.n; k++) {
            if (b->word[k] < 0) continue;
            words++;
            loss += (double)s->word_loss[k];
            right += s->word_best[k] == b->word[k];
        }
        s->logits[wide * i] = (float)words;
        s->logits[wide * i + 1] = (float)right;
        if (s->pairs) memcpy(&s->logits[wide * i + 2], &s->follows[2 * i], 2 * sizeof(float));
        s->loss[i] = (float)loss;
    }
    return HONE_OK;
}

/* The logits of each sample's words, and the sum of their losses. */
static hone_status read_tags(session *s, int64_t n, hone_err *err) {
    const batch *b = s->batch;
    const size_t row = (size_t)s->n_labels;
    HONE_TRY(run_get_rows(s->run, s->plan->eval_loss, b->n_words, s->word_loss, err));
    HONE_TRY(run_get_rows(s->run, s->plan->eval_logits, b->n_words, s->row_logits, err));
    for (int64_t i = 0; i < n; i++) {
        const hone_range at = b->words_at[i];
        double loss = 0;
        for (int32_t k = at.first; k < at.first + at.n; k++) loss += (double)s->word_loss[k];
        memcpy(s->logits + i * s->n_outputs, s->row_logits + (size_t)at.first * row, (size_t)at.n * row * sizeof(float));
        s->loss[i] = (float)loss;
    }
    return HONE_OK;
}

/* The scores of each sample's tokens. */
static hone_status read_spans(session *s, int64_t n, hone_err *err) {
    const batch *b = s->batch;
    HONE_TRY(run_get_rows(s->run, s->plan->eval_loss, n, s->loss, err));
    HONE_TRY(run_get_rows(s->run, s->plan->eval_logits, b->n_tokens, s->row_logits, err));
    for (int64_t i = 0; i < n; i++)
        memcpy(s->logits + i * s->n_outputs, s->row_logits + 2 * b->at[i].first, 2 * (size_t)b->at[i].n * sizeof(float));
    return HONE_OK;
}

static hone_status play_batch(session *s, const dataset *d, const int64_t *sample, int64_t n, hone_err *err) {
    const hone_plan *p = s->plan;
    HONE_ASSERT(n > 0);
    HONE_TRY(session_feed(s, d, sample, n, MASKS_EVALUATION, 1, err));
    run_prepare(s->run, HONE_EVAL, 0, s->rows);
    HONE_TRY(run_play(s->run, HONE_EVAL, 0, s->rows, err));
    if (session_guesses_words(s)) return read_words(s, n, err);
    if (s->head == HEAD_TOKENS) return read_tags(s, n, err);
    if (s->head == HEAD_SPANS) return read_spans(s, n, err);
    HONE_TRY(run_get_rows(s->run, p->eval_logits, n, s->logits, err));
    if (s->head == HEAD_EMBED) return HONE_OK; /* there is no loss: s->loss stays 0 */
    return run_get_rows(s->run, p->eval_loss, n, s->loss, err);
}

static void hand_on(const session *s, int64_t first, int64_t n, const float *logits, const float *loss,
                    eval_each each, void *arg) {
    for (int64_t k = 0; k < n; k++) each(arg, first + k, logits + k * s->n_outputs, (double)loss[k]);
}

/* Several ranks: each plays one of as many batches, then all have all, in order. */
static hone_status evaluate_shared(session *s, const dataset *d, eval_batches b, eval_each each, void *arg,
                                   hone_err *err) {
    comm *c = s->comm;
    const size_t room = (size_t)s->batch->seqs_max * (size_t)(s->n_outputs + 1);
    float *all = mem_new(room * (size_t)c->n * sizeof(float), "logits of all ranks"),
          *own = all + room * (size_t)c->rank;
    int64_t sample[BATCH_MAX], first[COMM_RANKS_MAX], n[COMM_RANKS_MAX];
    hone_status status = HONE_OK;
    const int64_t share = (d->n + c->n - 1) / c->n; /* large batches of few samples would leave ranks idle */
    if (b.samples > share) b.samples = share;
    for (int64_t i = 0; i < d->n && !status;) {
        for (int r = 0; r < c->n; r++) {
            first[r] = i;
            i += n[r] = cut_batch(d, b, i, sample);
        }
        int64_t heard = sig_heard();
        if (n[c->rank]) {
            cut_batch(d, b, first[c->rank], sample);
            status = play_batch(s, d, sample, n[c->rank], err);
            memcpy(own, s->logits, (size_t)(n[c->rank] * s->n_outputs) * sizeof(float));
            memcpy(own + s->batch->seqs_max * s->n_outputs, s->loss, (size_t)n[c->rank] * sizeof(float));
        }
        if (!status) status = comm_gather(c, own, room * sizeof(float), all, err);
        if (!status) status = comm_largest(c, &heard, err);
        for (int r = 0; r < c->n && !status; r++) {
            const float *logits = all + room * (size_t)r;
            hand_on(s, first[r], n[r], logits, logits + s->batch->seqs_max * s->n_outputs, each, arg);
        }
        sig_agree((sig_wish)heard);
        if (!status) status = sig_check(err);
    }
    mem_free(all);
    return status;
}

hone_status evaluate(session *s, const dataset *d, eval_batches b, eval_each each, void *arg, hone_err *err) {
    int64_t sample[BATCH_MAX];
    HONE_ASSERT(b.samples <= s->batch->seqs_max && b.tokens <= s->batch->tokens_max);
    if (s->comm->n > 1) return evaluate_shared(s, d, b, each, arg, err);
    for (int64_t i = 0, n; i < d->n; i += n) {
        HONE_TRY(sig_check(err));
        n = cut_batch(d, b, i, sample);
        HONE_TRY(play_batch(s, d, sample, n, err));
        hand_on(s, i, n, s->logits, s->loss, each, arg);
    }
    return HONE_OK;
}

answer_rules answer_rules_of(const job *j, const dataset *d) {
    const questions *q = d->windows->of;
    const int64_t said = j->version_2_with_negative;
    return (answer_rules){(int)j->n_best_size, (int)j->max_answer_length, said < 0 ? q->n_unanswered > 0 : said > 0,
                          j->null_score_diff_threshold};
}

static hone_status answers_check(const session *s, const dataset *d, hone_err *err) {
    if (s->head != HEAD_SPANS || !d->windows->of->n_unanswered || s->job->version_2_with_negative) return HONE_OK;
    hone_fail(err, HONE_EDATA, "%s: %lld questions have no answer, but version_2_with_negative is false", d->windows->of->name,
              (long long)d->windows->of->n_unanswered);
    return hone_hint(err, "version_2_with_negative: true, or leave it out");
}

void metrics_begin(metrics *m, arena *a, const session *s, const dataset *d) {
    const int64_t n = d->n;
    if (s->head == HEAD_SPANS) {
        metrics_init_answers(m, a, answer_rules_of(s->job, d).negative, d->windows->of->n);
        return;
    }
    if (s->head == HEAD_MARKS) metrics_init_marks(m, a, s->n_labels, s->job->threshold);
    else if (s->head == HEAD_TOKENS) metrics_init_tags(m, a, &s->labels, session_longest(s));
    else metrics_init(m, a, s->pairs ? METRICS_PRETRAINING : session_guesses_words(s) ? METRICS_WORDS : s->n_labels, n);
}

typedef struct {
    const session *s;
    const dataset *d;
    metrics *m;
    int32_t *tag; /* of a text's words */
    answers *answers;
    answers_each *each; /* of the caller, or NULL */
    void *arg;
} into_metrics;

static void add_answer(void *arg, const answered *a) {
    const into_metrics *x = arg;
    const questions *q = x->d->windows->of;
    if (q->has_answers) metrics_add_answer(x->m, &q->q[a->question], a);
    if (x->each) x->each(x->arg, a);
}

static void add_tags(const into_metrics *x, int64_t i, const float *logits, double loss) {
    int64_t n = 0;
    for (int64_t k = x->d->at[i]; k < x->d->at[i + 1]; k++)
        if (x->d->word[k] >= 0) x->tag[n++] = x->d->tag[k];
    metrics_add_tags(x->m, logits, x->tag, n, loss);
}

static void add_sample(void *arg, int64_t i, const float *logits, double loss) {
    const into_metrics *x = arg;
    switch (x->s->head) {
    case HEAD_PRETRAINING:
        metrics_add_sequence(x->m, logits + 2, x->d->label[i]);
        metrics_add_words(x->m, (int64_t)logits[0], (int64_t)logits[1], loss);
        break;
    case HEAD_WORDS:
    case HEAD_NEXT:
        metrics_add_words(x->m, (int64_t)logits[0], (int64_t)logits[1], loss);
        break;
    case HEAD_TOKENS:
        add_tags(x, i, logits, loss);
        break;
    case HEAD_SPANS:
        metrics_add_window(x->m, loss);
        answers_add(x->answers, i, logits);
        break;
    case HEAD_MARKS:
        metrics_add_marks(x->m, logits, x->d->target + i * x->d->n_targets, loss);
        break;
    case HEAD_REGRESSION:
        metrics_add_target(x->m, logits[0], x->d->target[i], loss);
        break;
    default:
        metrics_add(x->m, logits, x->d->label[i], loss);
    }
}

hone_status evaluate_answers(session *s, const dataset *d, eval_batches b, metrics *m, double *seconds, answers_each *each,
                             void *arg, hone_err *err) {
    const uint64_t from = clock_ns();
    into_metrics into = {.s = s, .d = d, .m = m, .each = each, .arg = arg};
    HONE_TRY(answers_check(s, d, err));
    metrics_clear(m);
    if (s->head == HEAD_TOKENS) into.tag = mem_new((size_t)d->max_length * sizeof *into.tag + 1, "tags of a text");
    if (s->head == HEAD_SPANS) {
        const answer_rules rules = answer_rules_of(s->job, d);
        into.answers = answers_new(d, &rules, add_answer, &into);
    }
    const hone_status status = evaluate(s, d, b, add_sample, &into, err);
    mem_free(into.tag);
    answers_free(into.answers);
    *seconds = (double)(clock_ns() - from) * 1e-9;
    return status;
}

hone_status evaluate_metrics(session *s, const dataset *d, eval_batches b, metrics *m, double *seconds,
                             hone_err *err) {
    return evaluate_answers(s, d, b, m, seconds, NULL, NULL, err);
}
