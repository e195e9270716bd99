/* guard.c - who made it not finite. The weights are untouched (the update idled), so the step's micro-batches
 * can be played again with the same masks, one call at a time, until an output is not finite. */
#include <stdio.h>

#include "train/train.h"
#include "base/err.h"

static const char *phase_of(const hone_step *s) { return s->phase == HONE_FORWARD ? "output" : "gradient"; }

/* Up to three samples of the batch that a row of a space belongs to. */
static void name_samples(const session *s, const run_culprit *c, char *out, size_t n) {
    const batch *b = s->batch;
    const hone_space *space = c->space ? &s->plan->space[c->space] : NULL;
    const int whole = space && space->slice_of ? space->slice_of : c->space;
    const int64_t row = c->row + (space ? space->slice_at : 0);
    for (int64_t i = 0; space && i < b->n_seqs; i++) {
        const hone_range own = session_rows_of(s, whole, i);
        if (row < own.first || row >= own.first + own.n) continue;
        snprintf(out, n, "; sample %lld", (long long)b->sample[i]);
        return;
    }
    int at = snprintf(out, n, "; among samples");
    for (int64_t i = 0; i < b->n_seqs && i < 8 && (size_t)at < n; i++)
        at += snprintf(out + at, n - (size_t)at, "%s %lld", i ? "," : "", (long long)b->sample[i]);
    if (b->n_seqs > 8 && (size_t)at < n)
        snprintf(out + at, n - (size_t)at, " and %lld more", (long long)(b->n_seqs - 8));
}

static hone_status report(const training *t, const run_culprit *c, hone_err *err) {
    const hone_step *step = &t->s->plan->program[HONE_MICRO].step[c->step];
    char samples[256], where[64], saved[64] = "nothing saved yet";
    name_samples(t->s, c, samples, sizeof samples);
    if (step->layer < 0) snprintf(where, sizeof where, "the embeddings");
    else if (step->layer >= t->s->config->layers) snprintf(where, sizeof where, "the head");
    else snprintf(where, sizeof where, "layer %d", step->layer);
    if (t->saved_step >= 0) snprintf(saved, sizeof saved, "last saved step %lld", (long long)t->saved_step);
    hone_fail(err, HONE_ENOTFINITE, "step %lld: %s %s of %s in %s is %s%s; %s", (long long)t->step + 1,
              phase_of(step), t->s->plan->value[c->value].name, hone_op_find(step->op)->name, where,
              c->seen != c->seen ? "NaN" : "infinite", samples, saved);
    return hone_hint(
        err, "the weights are those before this step; a lower learning_rate or other data for these samples");
}

/* This rank's micro-batches of the step, until one of them has a culprit. */
static hone_status probe_shards(training *t, int64_t n_shards, double weight, hone_err *err) {
    const comm *c = t->s->comm;
    int first, end;
    tree_run_of_rank((int)n_shards, c->rank, c->n, &first, &end);
    for (int m = first; m < end; m++) {
        int64_t n;
        run_culprit culprit;
        const int64_t *sample = steps_batch(&t->steps, t->step, m, &n);
        const int64_t epoch = steps_epoch_of(&t->steps, t->step);
        HONE_TRY(session_feed(t->s, t->in->train, sample, n, epoch, row_scale(weight), err));
        HONE_TRY(run_play_probing(t->s->run, HONE_MICRO, 0, t->s->rows, &culprit, err));
        if (culprit.step >= 0) return report(t, &culprit, err);
    }
    return HONE_OK;
}

/* All ranks end with the same words: those of the first that has found something. */
static hone_status agree_on_culprit(training *t, hone_status found, hone_err *err) {
    int64_t word = found;
    int rank;
    HONE_TRY(found == HONE_OK || found == HONE_ENOTFINITE ? HONE_OK : found);
    HONE_TRY(comm_first_word(t->s->comm, &word, &rank, err));
    if (rank >= 0) {
        HONE_TRY(comm_broadcast(t->s->comm, err, sizeof *err, rank, err));
        return HONE_ENOTFINITE;
    }
    hone_fail(
        err, HONE_ENOTFINITE,
        "step %lld: the sum of the step's gradients is not finite, though those of each micro-batch are",
        (long long)t->step + 1);
    return hone_hint(err, "a lower learning_rate, or max_grad_norm");
}

hone_status explain_not_finite(training *t, const hone_tick *before, hone_err *err) {
    const hone_plan *p = t->s->plan;
    int64_t n;
    double weight = 0;
    const int64_t *sample;
    run_result later;
    run_end(t->s->run);
    HONE_TRY(save_wait(t, err)); /* the report names the last saved step */
    while (run_is_asked(t->s->run)) /* it idled: the tick is latched */
        HONE_TRY(run_hear(t->s->run, &later, err));
    t->given = t->step;
    HONE_TRY(run_put(t->s->run, p->tick, before, err));
    int64_t n_shards = 0;
    for (; (sample = steps_batch(&t->steps, t->step, n_shards, &n)); n_shards++)
        weight += weight_of_rows(t, sample, n, steps_epoch_of(&t->steps, t->step));
    return agree_on_culprit(t, probe_shards(t, n_shards, weight, err), err);
}
