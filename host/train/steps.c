/* steps.c - the orders of all epochs are walked once at the start, so capacities are exact. */
#include <math.h>
#include <string.h>

#include "train/steps.h"
#include "base/err.h"

#define EPOCHS_WALKED 200 /* beyond, capacities are bounded by the longest samples instead, where these are always the same */

static int64_t steps_of(const steps *s, int64_t n_batches) {
    return (n_batches + s->accumulation - 1) / s->accumulation;
}

hone_status steps_shards(step_shards *out, const job *j, int n_ranks, int64_t kept, hone_err *err) {
    const int64_t micro = j->per_device_train_batch_size;
    int64_t accumulation = j->gradient_accumulation_steps;
    if (j->train_batch_size && j->train_batch_size % (micro * n_ranks))
        return hone_fail(err, HONE_EUSAGE,
                         "train_batch_size: %lld cannot be dealt to %d ranks in micro-batches of %lld; "
                         "expected a multiple of %lld",
                         (long long)j->train_batch_size, n_ranks, (long long)micro,
                         (long long)(micro * n_ranks));
    if (j->train_batch_size) accumulation = j->train_batch_size / (micro * n_ranks);
    if (j->given[field_find("gradient_accumulation_steps")] && j->gradient_accumulation_steps != accumulation)
        return hone_fail(err, HONE_EUSAGE,
                         "gradient_accumulation_steps: %lld, but train_batch_size %lld / "
                         "(per_device_train_batch_size %lld x %d ranks) gives %lld",
                         (long long)j->gradient_accumulation_steps, (long long)j->train_batch_size,
                         (long long)micro, n_ranks, (long long)accumulation);
    const int64_t samples = micro * n_ranks * accumulation;
    *out = (step_shards){n_ranks * accumulation, micro};
    if (!j->reduce_shards) {
        if (kept) out->n = kept;
        return HONE_OK;
    }
    if (samples % j->reduce_shards)
        return hone_fail(
            err, HONE_EUSAGE,
            "reduce_shards: %lld does not divide the %lld samples of a step (%lld x %d ranks x %lld)",
            (long long)j->reduce_shards, (long long)samples, (long long)micro, n_ranks,
            (long long)accumulation);
    *out = (step_shards){j->reduce_shards, samples / j->reduce_shards};
    return HONE_OK;
}

order *steps_order(steps *s, int64_t epoch) {
    dataset_epoch(s->data, epoch);
    s->order.length_at = s->data->at;
    s->order.label = s->data->label;
    s->order.n = s->data->n;
    return order_new(&s->order, epoch);
}

void steps_init(steps *s, arena *a, const job *j, step_shards shards, dataset *d) {
    memset(s, 0, sizeof *s);
    s->data = d;
    s->order = (order_options){.kind = (sampling)j->train_sampling_strategy,
                               .seed = (uint64_t)(j->data_seed < 0 ? j->seed : j->data_seed),
                               .samples_per_batch = shards.samples,
                               .max_tokens = j->max_tokens_per_batch,
                               .deal = shards.n,
                               .drop_last = j->dataloader_drop_last};
    s->accumulation = shards.n;
    s->epoch_number = -1;
    const double wanted = j->num_train_epochs;
    const int by_steps = j->max_steps > 0;
    int64_t done = 0, walked = 0, last = 0;
    size_t cap = by_steps ? 64 : (size_t)ceil(wanted) + 1;
    int64_t *first = ARENA_ARRAY(a, cap, int64_t);
    for (s->n_epochs = 0; by_steps ? done < j->max_steps : s->n_epochs < (int)ceil(wanted); s->n_epochs++) {
        if ((size_t)s->n_epochs + 1 >= cap) {
            int64_t *more = ARENA_ARRAY(a, cap * 2, int64_t);
            memcpy(more, first, cap * sizeof *first);
            first = more;
            cap *= 2;
        }
        first[s->n_epochs] = done;
        if (walked < EPOCHS_WALKED || d->pair) {
            int64_t tokens, samples;
            order *o = steps_order(s, s->n_epochs);
            order_largest(o, &tokens, &samples);
            if (tokens > s->tokens_max) s->tokens_max = tokens;
            if (samples > s->samples_max) s->samples_max = samples;
            last = steps_of(s, order_batches(o));
            if (!walked) s->n_samples = d->n;
            order_free(o);
            walked++;
        } else if (s->order.max_tokens) { /* batches by tokens: their number differs from epoch to epoch */
            order *o = steps_order(s, s->n_epochs);
            last = steps_of(s, order_batches(o));
            order_free(o);
        }
        if (last <= 0) break;
        done += last;
    }
    if (s->n_epochs > walked) order_bound(&s->order, &s->tokens_max, &s->samples_max);
    first[s->n_epochs] = done;
    s->first = first;
    const double part = wanted - floor(wanted);
    s->total = by_steps   ? j->max_steps
               : part > 0 ? first[s->n_epochs - 1] + (int64_t)ceil(part * (double)last)
                          : done;
}

void steps_deinit(steps *s) {
    order_free(s->epoch);
    s->epoch = NULL;
}

static int epoch_of(const steps *s, int64_t step) {
    int e = 0;
    while (e + 1 < s->n_epochs && step >= s->first[e + 1]) e++;
    return e;
}

int64_t steps_epoch_of(const steps *s, int64_t step) { return epoch_of(s, step); }

const int64_t *steps_batch(steps *s, int64_t step, int64_t m, int64_t *n) {
    const int e = epoch_of(s, step);
    if (e != s->epoch_number) {
        order_free(s->epoch);
        s->epoch = steps_order(s, e);
        s->epoch_number = e;
    }
    const int64_t b = (step - s->first[e]) * s->accumulation + m;
    if (m >= s->accumulation || b >= order_batches(s->epoch)) return NULL;
    return order_batch(s->epoch, b, n);
}

double steps_epoch(const steps *s, int64_t done) {
    if (!done || !s->n_epochs) return 0;
    const int e = epoch_of(s, done - 1);
    return e + (double)(done - s->first[e]) / (double)(s->first[e + 1] - s->first[e]);
}

int steps_ends_epoch(const steps *s, int64_t done) {
    if (!done) return 0;
    return done == s->total || done == s->first[epoch_of(s, done - 1) + 1];
}
