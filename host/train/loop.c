/* loop.c - training is playing the plan: for each optimizer step its micro-batches, the folds of their
 * gradients, the update; and now and then an evaluation, a row in the log, a checkpoint. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "train/train.h"
#include "base/err.h"
#include "base/hash.h"

#define COMPARE_STEPS 100 /* between two comparisons of the ranks' weights */

double weight_of_rows(const training *t, const int64_t *sample, int64_t n, int64_t epoch) {
    const double *w = t->in->class_weight;
    double sum = 0;
    if (!w || t->s->head != HEAD_CLASSES) return (double)session_losses(t->s, t->in->train, sample, n, epoch);
    for (int64_t i = 0; i < n; i++) sum += w[t->in->train->label[sample[i]]];
    return sum;
}

static hone_status fold(training *t, int slot, hone_err *err) {
    return run_fold(t->s->run, slot, t->s->rows, err);
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

/* Token rows among the rows played. */
static int64_t token_rows(const session *s) {
    int64_t n = 0;
    for (int i = 1; i <= s->plan->n_spaces; i++)
        if (hone_space_is_tokens(&s->plan->space[i])) n += s->played[i];
    return n;
}

/* Micro-batches of the step that is given next, and of those the ones that are this rank's: first .. end - 1. */
static int shards_of_step(training *t, int *first, int *end) {
    int64_t m = 0, n;
    while (steps_batch(&t->steps, t->given, m, &n)) m++;
    tree_run_of_rank((int)m, t->s->comm->rank, t->s->comm->n, first, end);
    return (int)m;
}

/* What the whole step holds, whichever rank computes it: samples, real tokens, and the weight that the mean is divided by. */
static double count_step(training *t, int n_shards, given_step *g) {
    double weight = 0;
    for (int m = 0; m < n_shards; m++) {
        int64_t n;
        const int64_t *sample = steps_batch(&t->steps, t->given, m, &n), *at = t->in->train->at;
        const double here = weight_of_rows(t, sample, n, steps_epoch_of(&t->steps, t->given));
        weight += here;
        g->n_samples += n;
        g->n_losses += session_losses(t->s, t->in->train, sample, n, steps_epoch_of(&t->steps, t->given));
        for (int64_t i = 0; i < n; i++) g->tokens += at[sample[i] + 1] - at[sample[i]];
    }
    return weight;
}

float row_scale(double weight) { return weight > 0 ? (float)(1 / weight) : 0; }

static hone_status feed_shard(training *t, given_step *g, int m, double weight, hone_err *err) {
    int64_t n;
    const int64_t *sample = steps_batch(&t->steps, t->given, m, &n);
    const int64_t epoch = steps_epoch_of(&t->steps, t->given);
    t->s->sequence_scale = (float)(1 / (double)g->n_samples);
    HONE_TRY(session_feed(t->s, t->in->train, sample, n, epoch, row_scale(weight), err));
    set_rates(t, g->rate);
    return HONE_OK;
}

static hone_status play_shard(training *t, given_step *g, int m, int slot, double weight, hone_err *err) {
    HONE_TRY(feed_shard(t, g, m, weight, err));
    t->rows_played += token_rows(t->s);
    return run_play(t->s->run, HONE_MICRO, slot, t->s->rows, err);
}

/* "fast": whatever a rank has computed. */
static int are_added(const training *t, int n_shards, tree_node left, tree_node right) {
    return t->s->sums.plain || tree_are_siblings(n_shards, left, right);
}

/* Slot `top` holds shard m now: how many times the last slot is to be added into the one before it. */
static int push_shard(const training *t, tree_node *held, int *top, int m, int n_shards) {
    int n_folds = 0;
    held[(*top)++] = (tree_node){m, 1};
    for (; *top > 1 && are_added(t, n_shards, held[*top - 2], held[*top - 1]); --*top, n_folds++)
        held[*top - 2].n += held[*top - 1].n;
    return n_folds;
}

/* The last of this rank's shards: what is complete of its gradients leaves while the rest is made. */
static hone_status play_last_shard(training *t, given_step *g, int m, int slot, int n_folds, double weight,
                                   hone_err *err) {
    HONE_TRY(feed_shard(t, g, m, weight, err));
    t->rows_played += token_rows(t->s);
    return run_play_last(t->s->run, slot, t->s->rows, n_folds, err);
}

/* Gradients of the step's micro-batches, summed as the tree of tree.h: each goes into the next free slot, and two slots
 * that hold siblings are folded into one. */
static hone_status play_micro_batches(training *t, given_step *g, hone_err *err) {
    tree_node held[TREE_NODES_MAX];
    int first, end, top = 0;
    const int n_shards = shards_of_step(t, &first, &end);
    const double weight = count_step(t, n_shards, g);
    comm *c = t->s->comm;
    comm_seen(c, t->given + 1, "forward and backward");
    if (c->n > 1) tree_sum_begin(t->sum, n_shards);
    for (int m = first; m < end; m++) {
        const int slot = top, n_folds = push_shard(t, held, &top, m, n_shards);
        if (c->n > 1 && m == end - 1) return play_last_shard(t, g, m, slot, n_folds, weight, err);
        HONE_TRY(play_shard(t, g, m, slot, weight, err));
        for (int k = 0; k < n_folds; k++) HONE_TRY(fold(t, slot - 1 - k, err));
    }
    if (c->n == 1) return run_round_root(t->s->run, err);
    HONE_TRY(feed_shard(t, g, 0, weight, err)); /* nothing to do, but the update needs rates and clip */
    return run_play_none(t->s->run, err);
}

/* What may allocate before the next step is played: the order of a new epoch, graphs of rungs that are new. */
static void prepare_step(training *t) {
    tree_node held[TREE_NODES_MAX];
    int first, end, top = 0;
    const int n_shards = shards_of_step(t, &first, &end);
    for (int m = first; m < end; m++) {
        int64_t n;
        const int64_t *sample = steps_batch(&t->steps, t->given, m, &n);
        session_count(t->s, t->in->train, sample, n, steps_epoch_of(&t->steps, t->given));
        run_prepare(t->s->run, HONE_MICRO, top, t->s->rows);
        push_shard(t, held, &top, m, n_shards);
    }
    for (int slot = 0; slot + 1 < t->s->plan->n_slots; slot++)
        run_prepare(t->s->run, HONE_FOLD, slot, t->s->rows);
    run_prepare(t->s->run, HONE_UPDATE_WEIGHTS, 0, t->s->rows);
}

/* What a token of this rank's own work costs, since `from_ns` with `spent_ns` in exchanges before. */
static double token_cost(const training *t, uint64_t from_ns, uint64_t spent_ns, int64_t played) {
    const double own = (double)(clock_ns() - from_ns) - (double)(t->s->comm->spent_ns - spent_ns);
    return t->rows_played > played ? own / (double)(t->rows_played - played) : 0;
}

static hone_status give_step(training *t, hone_err *err) {
    const uint64_t spent_ns = t->s->comm->spent_ns;
    const int64_t played = t->rows_played;
    given_step *g = &t->given_step[t->given % 2];
    *g = (given_step){.rate = schedule_rate(&t->rate, t->given), .from_ns = clock_ns()};
    HONE_TRY(play_micro_batches(t, g, err));
    t->token_cost_ns = token_cost(t, g->from_ns, spent_ns, played);
    HONE_TRY(run_play(t->s->run, HONE_UPDATE_WEIGHTS, 0, t->s->rows, err));
    HONE_TRY(run_ask(t->s->run, t->given, err));
    t->given++;
    return HONE_OK;
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
    HONE_TRY(evaluate_metrics(t->s, t->in->validation, eval_batches_in(t->s), &t->validation, &seconds, err));
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

static int is_due(int64_t strategy, double every, const training *t, int64_t step) {
    const int64_t n = interval(every, t->steps.total);
    if (strategy == STRATEGY_STEPS) return n && step % n == 0;
    return strategy == STRATEGY_EPOCH && steps_ends_epoch(&t->steps, step);
}

static int evaluates_after(const training *t, int64_t step) {
    const double every = t->job->eval_steps > 0 ? t->job->eval_steps : t->job->logging_steps;
    return t->in->validation && is_due(t->job->eval_strategy, every, t, step);
}

static int saves_after(const training *t, int64_t step) {
    return is_due(t->job->save_strategy, t->job->save_steps, t, step);
}

int saves_at_all(const training *t) {
    const job *j = t->job;
    const int64_t n = interval(j->save_steps, t->steps.total);
    if (!t->folder) return 0;
    if (j->save_strategy == STRATEGY_BEST || j->load_best_model_at_end) return 1;
    return j->save_strategy == STRATEGY_EPOCH || (j->save_strategy == STRATEGY_STEPS && n && n <= t->steps.total);
}

static int is_delayed(const training *t) {
    const double done =
        t->job->eval_strategy == STRATEGY_EPOCH ? steps_epoch(&t->steps, t->step) : (double)t->step;
    return done < t->job->eval_delay;
}

/* --- the loop
 * ------------------------------------------------------------------------------------------------------*/

static void add_loss(training *t, const run_result *r, const given_step *g) {
    const double loss = (double)r->loss - (double)r->sequence_loss;
    if (!isfinite(loss)) return; /* a step of fp16 that was skipped */
    t->loss_sum += loss * (double)g->n_losses;
    t->loss_samples += g->n_losses;
    t->total_loss += loss * (double)g->n_losses;
    t->total_samples += g->n_losses;
    t->sequence_sum += (double)r->sequence_loss * (double)g->n_samples;
    t->sequence_samples += g->n_samples;
    t->total_sequence_loss += (double)r->sequence_loss * (double)g->n_samples;
    t->total_sequences += g->n_samples;
}

static double mean_or(double sum, int64_t n, double none) { return n ? sum / (double)n : none; }

/* The sum of both means; the second is 0 of tasks with one loss. */
static double mean_loss(const training *t, double none) {
    return mean_or(t->loss_sum, t->loss_samples, none) + mean_or(t->sequence_sum, t->sequence_samples, 0);
}

static void log_step(training *t, const run_result *r, double rate, double speed) {
    const int64_t every = interval(t->job->logging_steps, t->steps.total);
    const int last = t->step == t->steps.total || t->stop;
    if (!(every && t->step % every == 0) && !(t->step == 1 && t->job->logging_first_step) && !last) return;
    const record_train row = {.step = t->step,
                              .epoch = steps_epoch(&t->steps, t->step),
                              .loss = mean_loss(t, (double)NAN),
                              .mlm_loss = mean_or(t->loss_sum, t->loss_samples, (double)NAN),
                              .nsp_loss = mean_or(t->sequence_sum, t->sequence_samples, (double)NAN),
                              .has_parts = t->s->pairs != NULL,
                              .grad_norm = (double)r->norm,
                              .rate = rate,
                              .tokens = t->tokens,
                              .tokens_per_second = speed,
                              .seconds = clock_process_seconds(),
                              .skipped = r->ok ? 0 : r->tick.skipped};
    record_step(t->record, &row);
    if (!log_is_terminal() || t->job->disable_tqdm || last) {
        char norm[64];
        if (r->ok) snprintf(norm, sizeof norm, "grad %.3f", row.grad_norm);
        else snprintf(norm, sizeof norm, "skipped (%d so far)", r->tick.skipped);
        log_note("step %lld/%lld  epoch %.2f  loss %.4f  %s  rate %.3g  %.0f tokens/s", (long long)t->step,
                 (long long)t->steps.total, row.epoch, row.loss, norm, row.rate, speed);
    }
    t->loss_sum = t->sequence_sum = 0;
    t->loss_samples = t->sequence_samples = 0;
}

/* Every so many steps: have all ranks the same bits in their weights? */
static hone_status compare_ranks(training *t, hone_err *err) {
    if (t->s->comm->n == 1 || t->step % COMPARE_STEPS) return HONE_OK;
    return session_compare_ranks(t->s, t->step, err);
}

static hone_status after_step(training *t, hone_err *err) {
    int is_best = 0;
    if (t->replay) {
        HONE_TRY(replay_step(t, err));
        return sig_check(err);
    }
    if (evaluates_after(t, t->step) && !is_delayed(t)) {
        t->owes_evaluation = 1;
        HONE_TRY(evaluate_now(t, &is_best, err));
    }
    t->owes_evaluation = 0;
    /* the best weights can be handed back at the end only if they were saved */
    const int wants_best = t->job->save_strategy == STRATEGY_BEST || t->job->load_best_model_at_end;
    if (wants_best && is_best) HONE_TRY(save_checkpoint(t, err));
    else if (saves_after(t, t->step)) HONE_TRY(save_if_room(t, err));
    HONE_TRY(compare_ranks(t, err));
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
    HONE_TRY(save_wait(t, err));
    if (t->saved_step != t->step && !t->has_best) {
        HONE_TRY(save_checkpoint(t, err));
        HONE_TRY(save_wait(t, err));
    }
    return tell_stopped(t, (double)(clock_ns() - from) * 1e-9, err);
}

/* The oldest step that was given: its result into the sums, the log, and what is due after it. */
static hone_status hear_step(training *t, hone_err *err) {
    const given_step *g = &t->given_step[t->step % 2];
    run_result r;
    HONE_TRY(run_hear(t->s->run, &r, err));
    if (!r.ok && r.tick.latch) return explain_not_finite(t, &t->tick, err);
    const uint64_t now = clock_ns(), from = g->from_ns > t->heard_ns ? g->from_ns : t->heard_ns;
    const double speed = (double)g->tokens / ((double)(now - from) * 1e-9);
    t->heard_ns = now;
    t->tick = r.tick;
    t->step++;
    t->tokens += g->tokens;
    t->tokens_now += g->tokens;
    t->samples_now += g->n_samples;
    if (t->first_step_s == 0) t->first_step_s = clock_process_seconds();
    t->smooth_speed = t->smooth_speed > 0 ? 0.9 * t->smooth_speed + 0.1 * speed : speed;
    add_loss(t, &r, g);
    const double per_step = (clock_process_seconds() - t->start_s) / (double)(t->step - t->start_step);
    record_progress(t->record, t->step, t->steps.total,
                    mean_loss(t, (double)r.loss), g->rate,
                    t->smooth_speed, per_step * (double)(t->steps.total - t->step));
    run_end(t->s->run); /* the log, evaluations and checkpoints may allocate; playing may not */
    t->chain = chain_next(t->chain, &r);
    record_chain(t->record, t->step, t->chain);
    log_step(t, &r, g->rate, t->smooth_speed);
    return after_step(t, err);
}

uint64_t chain_next(uint64_t chain, const run_result *r) {
    uint32_t loss, norm;
    memcpy(&loss, &r->loss, 4);
    memcpy(&norm, &r->norm, 4);
    const uint64_t words[] = {chain, (uint64_t)loss << 32 | norm,
                              (uint64_t)r->tick.loss_scale << 32 | (uint32_t)r->ok, r->marks};
    return hash64(words, sizeof words, 0);
}

/* The step after which the loop ends. */
static int64_t last_step(const training *t) {
    return t->replay ? t->replay->first + t->replay->n - 1 : t->steps.total;
}

/* May the next step be given before this one has been answered for? Not where somebody looks at the weights. */
static int goes_on_after(const training *t, int64_t step) {
    return run_is_late(t->s->run) && step < last_step(t) && !evaluates_after(t, step) && !saves_after(t, step) &&
           sig_wished() == SIG_NOTHING;
}

/* Who is slow is named in the log of rank 0, once. */
static void name_straggler(training *t, const double *cost) {
    double own, others;
    const int r = straggler_look(&t->stragglers, t->s->comm->n, cost, &own, &others);
    if (r < 0 || t->s->comm->rank) return;
    log_warn("step %lld: rank %d is slow: a token of its own work takes %.2f times what it takes the others (%.3g us, "
             "%.3g us), since %d steps",
             (long long)t->step, r, own / others, own * 1e-3, others * 1e-3, STRAGGLER_IN_A_ROW);
    record_straggler(t->record, t->step, r, own / others);
}

/* What a rank tells the others once a step. */
typedef struct {
    int64_t heard, failed, saved_step;
    double token_cost_ns;
} told;

/* All ranks end at the same step, the one before which one of them has heard a signal; and they fail together where one
 * could not write its part of a checkpoint. */
hone_status ranks_agree(training *t, hone_err *err) {
    comm *c = t->s->comm;
    const hone_status own = save_look(t, err);
    if (c->n == 1) return own;
    const told said = {(int64_t)sig_heard(), own, t->saved_step, t->token_cost_ns};
    told all[COMM_RANKS_MAX];
    double cost[COMM_RANKS_MAX];
    hone_err lost = {0};
    const hone_status status = comm_gather(c, &said, sizeof said, all, &lost);
    if (status) *err = lost;
    HONE_TRY(status);
    int failed = -1;
    int64_t heard = 0;
    for (int r = c->n - 1; r >= 0; r--) {
        if (all[r].heard > heard) heard = all[r].heard;
        if (all[r].failed) failed = r;
        if (all[r].saved_step > t->saved_step) t->saved_step = all[r].saved_step;
        cost[r] = all[r].token_cost_ns;
    }
    sig_agree((sig_wish)heard);
    if (failed >= 0) {
        HONE_TRY(comm_broadcast(c, err, sizeof *err, failed, err));
        return (hone_status)all[failed].failed;
    }
    if (t->given > t->costed) name_straggler(t, cost); /* a step once */
    t->costed = t->given;
    return HONE_OK;
}

/* A device that is late answers for the step before while it plays this one. */
static hone_status one_turn(training *t, hone_err *err) {
    HONE_TRY(give_step(t, err));
    const int64_t behind = goes_on_after(t, t->given);
    hone_status status = HONE_OK;
    while (t->step < t->given - behind && !status) status = hear_step(t, err);
    /* a signal that came just now ends the loop: what was given is done first */
    while (t->step < t->given && (status == HONE_EPREEMPTED || status == HONE_EINTERRUPTED)) {
        const hone_status last = hear_step(t, err);
        if (last) status = last;
    }
    return status;
}

static hone_status play_steps(training *t, hone_err *err) {
    int is_best;
    if (t->job->eval_on_start && t->step == 0 && !t->replay && t->in->validation)
        HONE_TRY(evaluate_now(t, &is_best, err));
    if (t->owes_evaluation && !t->replay) HONE_TRY(after_step(t, err));
    HONE_TRY(run_get(t->s->run, t->s->plan->tick, &t->tick, err));
    t->given = t->step;
    while (t->given < last_step(t) && !t->stop) {
        HONE_TRY(ranks_agree(t, err));
        prepare_step(t);
        run_begin(t->s->run);
        const hone_status status = one_turn(t, err);
        run_end(t->s->run);
        HONE_TRY(status);
    }
    return HONE_OK;
}

/* A save that is under way when training ends is ended too, whatever ended it, unless ranks are missing. */
static hone_status end_saves(training *t, hone_status status, hone_err *err) {
    hone_err ignored = {0};
    if (status == HONE_OK) return save_wait(t, err);
    if (status == HONE_ENOTFINITE && save_wait(t, &ignored)) log_warn("%s", ignored.text);
    return status;
}

hone_status train_loop(training *t, hone_err *err) {
    const hone_status status = play_steps(t, err);
    return t->replay ? status : obey_signal(t, end_saves(t, status, err), err);
}
