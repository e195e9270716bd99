/* schedule.c - the formulas of transformers' schedulers, as factors of the highest rate. */
#include <math.h>

#include "train/schedule.h"

static const double pi = 3.14159265358979323846;

int64_t schedule_warmup(const job *j, int64_t total) {
    if (j->warmup_ratio > 0) return (int64_t)ceil((double)total * j->warmup_ratio);
    if (j->warmup_steps < 1) return (int64_t)ceil((double)total * j->warmup_steps);
    return (int64_t)j->warmup_steps;
}

schedule schedule_of(const job *j, int64_t total) {
    return (schedule){.kind = (schedule_kind)j->lr_scheduler_type,
                      .warmup = schedule_warmup(j, total),
                      .total = total,
                      .rate = j->learning_rate,
                      .end = j->lr_end,
                      .power = j->power,
                      .cycles = j->num_cycles,
                      .timescale = j->timescale};
}

static double at_least_1(int64_t n) { return n > 1 ? (double)n : 1; }

static double factor(const schedule *s, int64_t step) {
    if (s->kind == SCHEDULE_CONSTANT) return 1;
    if (step < s->warmup) return (double)step / at_least_1(s->warmup);
    const double progress = (double)(step - s->warmup) / at_least_1(s->total - s->warmup);
    switch (s->kind) {
    case SCHEDULE_LINEAR:
        return fmax(0, (double)(s->total - step) / at_least_1(s->total - s->warmup));
    case SCHEDULE_COSINE:
        return fmax(0, 0.5 * (1 + cos(pi * s->cycles * 2 * progress)));
    case SCHEDULE_POLYNOMIAL: {
        if (step > s->total) return s->end / s->rate;
        return ((s->rate - s->end) * pow(1 - progress, s->power) + s->end) / s->rate;
    }
    case SCHEDULE_INVERSE_SQRT: {
        const double scale = s->timescale > 0 ? s->timescale : s->warmup ? (double)s->warmup : 10000;
        return 1 / sqrt(((double)(step - s->warmup) + scale) / scale);
    }
    default:
        return 1;
    }
}

double schedule_rate(const schedule *s, int64_t step) { return s->rate * factor(s, step); }
