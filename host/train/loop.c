/* loop.c - training is playing the plan: for each optimizer step its micro-batches, the folds of their
 * gradients, the update; and now and then an evaluation, a row in the log, a checkpoint. */
#include <math.h>
#include <string.h>

#include "train/train.h"
#include "base/err.h"

/* Sum of the weights of a step's rows: what the mean is divided by. */
static double weight_of_rows(const training *t, const int64_t *sample, int64_t n) {
    const double *w = t->in->class_weight;
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += !w ? 1 : w[t->in->train->label[sample[i]]];
    return sum;
}

static hone_status fold(training *t, int slot, hone_err *err) {
    return run_play(t->s->run, HONE_FOLD, slot, t->s->rows, err);
}

/* Gradients of the step's micro-batches, summed as one balanced tree (split at the largest power of two below
 * the count) by a carry counter: a slot a level. */
static hone_status play_micro_batches(training *t, int64_t *n_samples, hone_err *err) {
    int64_t n;
    double weight = 0;
    *n_samples = 0;
    const int64_t *sample;
    for (int64_t m = 0; (sample = steps_batch(&t->steps, t->step, m, &n)); m++) {
        weight += weight_of_rows(t, sample, n);
        *n_samples += n;
    }
    int top = 0;
    for (int64_t m = 0; (sample = steps_batch(&t->steps, t->step, m, &n)); m++) {
        session_feed(t->s, t->in->train, sample, n, (float)(1 / weight));
        t->tokens += t->s->batch->n_tokens;
        t->tokens_now += t->s->batch->n_tokens;
        HONE_TRY(run_play(t->s->run, HONE_MICRO, top++, t->s->rows, err));
        for (int64_t carry = m + 1; carry % 2 == 0; carry /= 2, top--) HONE_TRY(fold(t, top - 2, err));
    }
    for (; top > 1; top--) HONE_TRY(fold(t, top - 2, err));
    return HONE_OK;
}

static void set_rates(training *t, double rate) {
    const hone_plan *p = t->s->plan;
    float *to = run_input(t->s->run, p->rate);
    for (int g = 0; g < p->n_groups; g++) {
        to[2 * g] = (float)(rate * t->rate_factor[g]);
        to[2 * g + 1] = (float)t->decay[g];
    }
    *(float *)run_input(t->s->run, p->clip) = (float)t->job->max_grad_norm;
}

typedef struct {
    float loss, norm;
    double rate;
    int64_t n_samples;
} step_result;

static hone_status play_step(training *t, step_result *out, hone_err *err) {
    const hone_plan *p = t->s->plan;
    hone_tick before;
    int32_t ok;
    HONE_TRY(run_get(t->s->run, p->tick, &before, err));
    HONE_TRY(play_micro_batches(t, &out->n_samples, err));
    out->rate = schedule_rate(&t->rate, t->step);
    set_rates(t, out->rate);
    HONE_TRY(run_play(t->s->run, HONE_UPDATE_WEIGHTS, 0, t->s->rows, err));
    HONE_TRY(run_get(t->s->run, p->loss, &out->loss, err));
    HONE_TRY(run_get(t->s->run, p->norm, &out->norm, err));
    HONE_TRY(run_get(t->s->run, p->ok, &ok, err));
    return ok ? HONE_OK : explain_not_finite(t, &before, err);
}

/* --- evaluation
 * ----------------------------------------------------------------------------------------------------*/

static double figure_named(const metric *f, int n, const char *name) {
    if (!strncmp(name, "eval_", 5)) name += 5;
    for (int i = 0; i < n; i++)
        if (!strcmp(f[i].name, name)) return f[i].value;
    return NAN;
}

/* As transformers: early stopping compares with the best before this evaluation. */
static int note_best(training *t, double value) {
    const double gain = t->best_larger ? value - t->best_metric : t->best_metric - value;
    const int first = t->best_step < 0;
    if (first || (gain > 0 && gain > t->job->early_stopping_threshold)) t->evaluations_without_gain = 0;
    else t->evaluations_without_gain++;
    if (t->job->early_stopping_patience && t->evaluations_without_gain >= t->job->early_stopping_patience)
        t->stop = 1;
    if (!first && gain <= 0) return 0;
    t->best_metric = value;
    t->best_step = t->step;
    return 1;
}

static hone_status evaluate_now(training *t, int *is_best, hone_err *err) {
    const metric *f = t->figures;
    double seconds;
    HONE_TRY(evaluate_metrics(t->s, t->in->validation, t->batches, &t->validation, &seconds, err));
    const int n_all = t->n_figures = metrics_figures(&t->validation, t->figures),
              n = t->job->prediction_loss_only ? 1 : n_all;
    record_eval(t->record, t->step, steps_epoch(&t->steps, t->step), f, n, seconds,
                (double)t->in->validation->n / seconds);
    log_note("step %lld  eval loss %.4f  %s %.4f  (%.1f s)", (long long)t->step, f[0].value, f[1].name,
             f[1].value, seconds);
    *is_best = note_best(t, figure_named(f, n_all, t->best_metric_name));
    return HONE_OK;
}

/* Every so many steps; below 1: a part of all. */
static int64_t interval(double steps_or_part, int64_t total) {
    if (steps_or_part <= 0) return 0;
    return steps_or_part < 1 ? (int64_t)ceil((double)total * steps_or_part) : (int64_t)steps_or_part;
}

static int is_due(int64_t strategy, double every, const training *t) {
    const int64_t n = interval(every, t->steps.total);
    if (strategy == STRATEGY_STEPS) return n && t->step % n == 0;
    return strategy == STRATEGY_EPOCH && steps_ends_epoch(&t->steps, t->step);
}

static int is_delayed(const training *t) {
    const double done =
        t->job->eval_strategy == STRATEGY_EPOCH ? steps_epoch(&t->steps, t->step) : (double)t->step;
    return done < t->job->eval_delay;
}

/* --- the loop
 * ------------------------------------------------------------------------------------------------------*/

static void log_step(training *t, const step_result *r, double speed) {
    const int64_t every = interval(t->job->logging_steps, t->steps.total);
    const int last = t->step == t->steps.total || t->stop;
    if (!(every && t->step % every == 0) && !(t->step == 1 && t->job->logging_first_step) && !last) return;
    const record_train row = {.step = t->step,
                              .epoch = steps_epoch(&t->steps, t->step),
                              .loss = t->loss_sum / (double)t->loss_samples,
                              .grad_norm = (double)r->norm,
                              .rate = r->rate,
                              .tokens = t->tokens,
                              .tokens_per_second = speed,
                              .seconds = clock_process_seconds()};
    record_step(t->record, &row);
    if (!log_is_terminal() || t->job->disable_tqdm || last)
        log_note("step %lld/%lld  epoch %.2f  loss %.4f  grad %.3f  rate %.3g  %.0f tokens/s",
                 (long long)t->step, (long long)t->steps.total, row.epoch, row.loss, row.grad_norm, row.rate,
                 speed);
    t->loss_sum = 0;
    t->loss_samples = 0;
}

static hone_status after_step(training *t, hone_err *err) {
    int is_best = 0;
    const double eval_every = t->job->eval_steps > 0 ? t->job->eval_steps : t->job->logging_steps;
    if (t->in->validation && is_due(t->job->eval_strategy, eval_every, t) && !is_delayed(t)) {
        t->owes_evaluation = 1;
        HONE_TRY(evaluate_now(t, &is_best, err));
    }
    t->owes_evaluation = 0;
    /* the best weights can be handed back at the end only if they were saved */
    const int wants_best = t->job->save_strategy == STRATEGY_BEST || t->job->load_best_model_at_end;
    if (wants_best && is_best) HONE_TRY(save_checkpoint(t, err));
    else if (is_due(t->job->save_strategy, t->job->save_steps, t)) HONE_TRY(save_if_room(t, err));
    return sig_check(err);
}

/* What lies on the disk and how to go on from it. */
static hone_status tell_stopped(const training *t, double seconds, hone_err *err) {
    const int interrupted = sig_wished() == SIG_INTERRUPT;
    const hone_status status = interrupted ? HONE_EINTERRUPTED : HONE_EPREEMPTED;
    const char *what = interrupted ? "interrupted" : "preempted";
    const long long step = (long long)t->saved_step;
    if (t->job->save_only_model) {
        hone_fail(err, status,
                  "%s: saved step %lld in %.1f s without the optimizer (save_only_model): the run cannot be "
                  "resumed",
                  what, step, seconds);
        return hone_hint(err, "model_name_or_path: %s/checkpoint-%lld begins a new run with these weights",
                         t->folder, step);
    }
    if (interrupted || !strcmp(t->job->resume_from_checkpoint, "false"))
        return hone_fail(err, status, "%s: saved step %lld in %.1f s; resume_from_checkpoint: true continues",
                         what, step, seconds);
    return hone_fail(err, status, "%s: saved step %lld in %.1f s, rerun the same command to continue", what,
                     step, seconds);
}

hone_status obey_signal(training *t, hone_status status, hone_err *err) {
    if (status != HONE_EPREEMPTED && status != HONE_EINTERRUPTED) return status;
    const uint64_t from = clock_ns();
    if (t->saved_step != t->step && !t->has_best) HONE_TRY(save_checkpoint(t, err));
    return tell_stopped(t, (double)(clock_ns() - from) * 1e-9, err);
}

static hone_status one_step(training *t, hone_err *err) {
    step_result r;
    const int64_t tokens = t->tokens;
    const uint64_t from = clock_ns();
    HONE_TRY(play_step(t, &r, err));
    const double seconds = (double)(clock_ns() - from) * 1e-9, speed = (double)(t->tokens - tokens) / seconds;
    t->step++;
    if (t->first_step_s == 0) t->first_step_s = clock_process_seconds();
    t->smooth_speed = t->smooth_speed > 0 ? 0.9 * t->smooth_speed + 0.1 * speed : speed;
    t->loss_sum += (double)r.loss * (double)r.n_samples;
    t->loss_samples += r.n_samples;
    t->total_loss += (double)r.loss * (double)r.n_samples;
    t->total_samples += r.n_samples;
    t->samples_now += r.n_samples;
    const double per_step = (clock_process_seconds() - t->start_s) / (double)(t->step - t->start_step);
    record_progress(t->record, t->step, t->steps.total, t->loss_sum / (double)t->loss_samples, r.rate,
                    t->smooth_speed, per_step * (double)(t->steps.total - t->step));
    run_end(t->s->run); /* the log, evaluations and checkpoints may allocate; playing may not */
    log_step(t, &r, t->smooth_speed);
    return after_step(t, err);
}

static hone_status play_steps(training *t, hone_err *err) {
    int is_best;
    if (t->job->eval_on_start && t->step == 0 && t->in->validation) HONE_TRY(evaluate_now(t, &is_best, err));
    if (t->owes_evaluation) HONE_TRY(after_step(t, err));
    while (t->step < t->steps.total && !t->stop) {
        int64_t n;
        steps_batch(&t->steps, t->step, 0, &n); /* makes the epoch's order where a new one begins */
        run_begin(t->s->run);
        const hone_status status = one_step(t, err);
        run_end(t->s->run);
        HONE_TRY(status);
    }
    return HONE_OK;
}

hone_status train_loop(training *t, hone_err *err) { return obey_signal(t, play_steps(t, err), err); }
