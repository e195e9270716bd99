/* bench.c - the training step on tokens that mean nothing: only their number matters. */
#include <stdlib.h>
#include <string.h>

#include "train/bench.h"
#include "base/err.h"
#include "base/rng.h"
#include "plan/cost.h"
#include "run/trace.h"
#include "train/profile.h"

#define PHASE_STEPS 3

typedef struct {
    double *step_s, *bare_s, feed_s, phase_s[3];
    int64_t n, n_traced;
    trace *trace; /* NULL: nobody watches */
} times;

/* A data set of random tokens, one batch after another. */
static dataset *random_tokens(arena *a, const session *s, const bench_step_options *o) {
    dataset *d = ARENA_NEW(a, dataset);
    const int64_t n = o->batch;
    int64_t *at = ARENA_ARRAY(a, (size_t)n + 1, int64_t);
    for (int64_t i = 0; i < n; i++) at[i + 1] = at[i] + (o->length ? o->length[i % o->n_lengths] : o->seq);
    int32_t *id = ARENA_ARRAY(a, (size_t)at[n] + 1, int32_t), *label = ARENA_ARRAY(a, (size_t)n, int32_t),
            *line = ARENA_ARRAY(a, (size_t)n, int32_t);
    uint8_t *type = ARENA_ARRAY(a, (size_t)at[n] + 1, uint8_t);
    const int marks = s->n_labels > 0 ? s->n_labels : 1;
    double *target = ARENA_ARRAY(a, (size_t)n * (size_t)marks, double);
    int32_t *word = ARENA_ARRAY(a, (size_t)at[n] + 1, int32_t), *tag = ARENA_ARRAY(a, (size_t)at[n] + 1, int32_t);
    for (int64_t i = 0; i < at[n]; i++) word[i] = (int32_t)i, tag[i] = (int32_t)(i % marks);
    for (int64_t i = 0; i < at[n]; i++)
        id[i] = (int32_t)rng_below(1, RNG_BENCH, (uint64_t)i, 0, (uint64_t)s->config->vocab);
    for (int64_t i = 0; i < n; i++)
        label[i] =
            (int32_t)rng_below(1, RNG_BENCH, (uint64_t)i, 1, (uint64_t)(s->n_labels > 1 && !s->pairs ? s->n_labels : 2));
    *d = (dataset){.n = n,
                   .n_tokens = at[n],
                   .at = at,
                   .id = id,
                   .type = type,
                   .label = label,
                   .n_targets = marks,
                   .target = target,
                   .word = word,
                   .tag = tag,
                   .line = line};
    return d;
}

static void set_rates(session *s) {
    float *rate = run_input(s->run, s->plan->rate);
    for (int g = 0; g < s->plan->n_groups; g++) rate[2 * g] = 1e-5f, rate[2 * g + 1] = 0.01f;
    *(float *)run_input(s->run, s->plan->clip) = 1;
}

/* As the training loop does: a device that is late answers for the step before. */
static hone_status one_step(session *s, const dataset *d, const int64_t *samples, int wait, times *t,
                            hone_err *err) {
    run_result r;
    const uint64_t from = clock_ns();
    s->sequence_scale = 1 / (float)d->n;
    HONE_TRY(session_feed(s, d, samples, d->n, 0, 1 / (float)d->n, err));
    set_rates(s);
    t->feed_s += (double)(clock_ns() - from) * 1e-9;
    run_prepare(s->run, HONE_MICRO, 0, s->rows);
    run_prepare(s->run, HONE_UPDATE_WEIGHTS, 0, s->rows);
    HONE_TRY(run_play(s->run, HONE_MICRO, 0, s->rows, err));
    HONE_TRY(run_play(s->run, HONE_UPDATE_WEIGHTS, 0, s->rows, err));
    if (!wait && run_is_asked(s->run)) HONE_TRY(run_hear(s->run, &r, err));
    HONE_TRY(run_ask(s->run, 0, err));
    while (wait && run_is_asked(s->run)) HONE_TRY(run_hear(s->run, &r, err));
    t->step_s[t->n++] = (double)(clock_ns() - from) * 1e-9;
    return HONE_OK;
}

/* A step that is watched, and one whose products are timed alone. Its weights are not those of the next step's. */
static hone_status traced_step(session *s, const dataset *d, const int64_t *samples, times *t, hone_err *err) {
    trace_watch(t->trace, 1);
    const hone_status status = one_step(s, d, samples, 1, t, err);
    trace_watch(t->trace, 0);
    return status ? status : trace_play_bare(t->trace, HONE_MICRO, s->rows, &t->bare_s[t->n_traced++], err);
}

static hone_status time_steps(session *s, const dataset *d, const int64_t *samples,
                              const bench_step_options *o, times *t, hone_err *err) {
    const int late = run_is_late(s->run);
    run_time(s->run, !late);
    for (int64_t i = 0; i < o->warmup + o->steps; i++) {
        if (i == o->warmup) {
            t->n = 0, t->feed_s = 0;
            run_times(s->run, t->phase_s);
        }
        if (t->trace && !late && i >= o->warmup) HONE_TRY(traced_step(s, d, samples, t, err));
        else HONE_TRY(one_step(s, d, samples, !late, t, err));
    }
    const int64_t n = t->n;
    if (late) { /* phases and calls need waits, which steps do not have: more steps, for these alone */
        times apart = *t;
        apart.step_s += n, apart.n = 0;
        run_time(s->run, 1);
        for (int i = 0; i < PHASE_STEPS; i++)
            if (t->trace) HONE_TRY(traced_step(s, d, samples, &apart, err));
            else HONE_TRY(one_step(s, d, samples, 1, &apart, err));
        t->n_traced = apart.n_traced;
    }
    run_times(s->run, t->phase_s);
    for (int i = 0; i < 3; i++) t->phase_s[i] *= (double)n / (double)(late ? PHASE_STEPS : n);
    return HONE_OK;
}

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts x too. */
static double median_of(double *x, int64_t n) {
    qsort(x, (size_t)n, sizeof *x, by_value);
    return n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}

static void print_times(const session *s, const bench_step_options *o, const dataset *d, times *t,
                        text *json_out, text *people) {
    const int64_t n = t->n;
    const double median = median_of(t->step_s, n);
    const double flops = plan_flops(s->plan, HONE_MICRO, s->rows, (double)d->n_tokens / (double)d->n);
    text_printf(json_out,
                "{\"median_s\":%.9g,\"p10_s\":%.9g,\"p90_s\":%.9g,\"tokens_per_second\":%.9g,\"model_flops\":"
                "%.9g,\"flops_per_second\":%.9g",
                median, t->step_s[n / 10], t->step_s[n - 1 - n / 10], (double)d->n_tokens / median, flops,
                flops / median);
    text_printf(
        json_out,
        ",\"phases\":{\"data\":%.9g,\"forward\":%.9g,\"backward\":%.9g,\"reduce\":0,\"optimizer\":%.9g}",
        t->feed_s / (double)n, t->phase_s[HONE_FORWARD] / (double)n, t->phase_s[HONE_BACKWARD] / (double)n,
        t->phase_s[HONE_UPDATE] / (double)n);
    text_printf(json_out,
                ",\"peak_device_bytes\":%zu,\"device\":\"%s\",\"dtype\":\"%s\",\"threads\":%d,\"batch\":%lld,"
                "\"tokens\":%lld,\"steps\":%lld",
                run_device_bytes(s->run), s->device, hone_dtype_name(s->plan->dtype), pool_threads(s->pool),
                (long long)o->batch, (long long)d->n_tokens, (long long)n);
    text_printf(people, "%s, %s, %d threads: %lld sequences, %lld tokens\n", run_device_name(s->run),
                hone_dtype_name(s->plan->dtype), pool_threads(s->pool), (long long)d->n,
                (long long)d->n_tokens);
    text_printf(people, "step       %.4f s (p10 %.4f, p90 %.4f, %lld steps)\n", median, t->step_s[n / 10],
                t->step_s[n - 1 - n / 10], (long long)n);
    text_printf(people, "tokens     %.0f a second\nproducts   %.1f GFLOP a step, %.1f GFLOP/s\n",
                (double)d->n_tokens / median, flops * 1e-9, flops / median * 1e-9);
    text_printf(people, "phases     data %.4f  forward %.4f  backward %.4f  optimizer %.4f s\n",
                t->feed_s / (double)n, t->phase_s[0] / (double)n, t->phase_s[1] / (double)n,
                t->phase_s[2] / (double)n);
    text_printf(people, "memory     %.1f MiB planned\n", (double)run_device_bytes(s->run) / (1 << 20));
}

static hone_status print_profile(const session *s, const bench_step_options *o, const dataset *d, times *t,
                                 text *json_out, text *people, hone_err *err) {
    profile p = {.plan = s->plan,
                 .rows = s->rows,
                 .mean_length = (double)d->n_tokens / (double)d->n,
                 .n_steps = t->n_traced,
                 .step_s = median_of(t->step_s, t->n),
                 .bare_s = median_of(t->bare_s, t->n_traced)};
    HONE_TRY(trace_rates(t->trace, &p.flops_per_s, &p.bytes_per_s, err));
    profile_print(&p, t->trace, json_out, people);
    return profile_write(&p, t->trace, o->trace, err);
}

static void take_head(session *s, const bench_step_options *o) {
    labels l = {o->n_labels, ARENA_ARRAY(s->a, (size_t)o->n_labels + 1, str)};
    if (!o->n_labels || session_guesses_words(s) || s->labels.n == o->n_labels) return;
    for (int i = 0; i < o->n_labels; i++) l.name[i] = str_of(arena_print(s->a, "LABEL_%d", i));
    session_set_head(s, s->head == HEAD_REGRESSION ? HEAD_CLASSES : s->head, l);
}

hone_status bench_step(const job *j, pool *p, const bench_step_options *o, text *json_out, text *people,
                       hone_err *err) {
    session *s;
    times t = {0};
    HONE_TRY(session_open(&s, j, j->model_name_or_path, j->tokenizer_name, p, err));
    take_head(s, o);
    const dataset *d = random_tokens(s->a, s, o);
    int64_t *samples = ARENA_ARRAY(s->a, (size_t)d->n, int64_t);
    for (int64_t i = 0; i < d->n; i++) samples[i] = i;
    int64_t longest = 1;
    for (int64_t i = 0; i < d->n; i++) longest = d->at[i + 1] - d->at[i] > longest ? d->at[i + 1] - d->at[i] : longest;
    const session_limits l = {
        .training = 1, .tokens_max = d->n_tokens, .seqs_max = d->n, .longest = (int)longest};
    t.step_s = ARENA_ARRAY(s->a, (size_t)(o->steps + o->warmup) + PHASE_STEPS + 1, double);
    t.bare_s = ARENA_ARRAY(s->a, (size_t)o->steps + PHASE_STEPS + 1, double);
    hone_status status = HONE_OK;
    if (longest > s->config->longest)
        status = hone_fail(err, HONE_EUSAGE, "--seq: %lld tokens, expected at most %d, the model's position rows",
                           (long long)longest, s->config->longest);
    if (!status) status = session_start(s, &l, err);
    if (!status && o->trace) t.trace = trace_new(s->run);
    if (!status) status = time_steps(s, d, samples, o, &t, err);
    if (!status) print_times(s, o, d, &t, json_out, people);
    if (!status && o->trace) status = print_profile(s, o, d, &t, json_out, people, err);
    if (!status) text_str(json_out, "}");
    trace_free(t.trace);
    session_close(s);
    return status;
}
