/* scale.c - one session a count of GPUs: plan, rows of an average micro-batch, buckets, simulation. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "train/scale.h"
#include "train/train.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/table.h"
#include "plan/rung.h"

#define STEPS_PLAYED 16
#define TOKENS_MOST ((int64_t)1 << 24)

typedef struct {
    int n_gpus, halving, n_buckets, micro_batches; /* micro-batches of a GPU in a step */
    double compute_s, update_s, sum_s, exposed_s;  /* sum_s: all communication, were nothing beside it */
    double straggler_s, step_s;
    double memory_bytes,
        nccl_bytes; /* of a GPU: what rank 0 plans and the library takes; the library's part of it */
    double tokens, flops, gradient_bytes; /* tokens and flops: of a step, of all GPUs */
    int64_t steps, largest_tokens; /* of a micro-batch that fits a GPU; 0: not asked for, or none does */
} prediction;

/* What NCCL takes of a GPU, estimated: NVLink gets 32 channels for each GPU of the machine that another one sends to, and a
 * channel's buffers are 10 and 2 MiB (allocations of 8 H100 in its log: NVIDIA/nccl issue 1685); sends beyond the machine
 * share one buffer (issue 1450), of 512 MiB (issue 2363). NCCL_MAX_P2P_NCHANNELS=N makes it N / 32 of that. */
#define NCCL_CHANNELS 32
#define NCCL_CHANNEL_BYTES (12.0 * (1 << 20))
#define NCCL_NETWORK_BYTES (512.0 * (1 << 20))

static double nccl_bytes(const session *s, const sim_links *l) {
    const int near = l->n < l->per_node ? l->n : l->per_node,
              peers =
                  s->job->reduce == REDUCE_FAST && near > 2 ? 2 : near - 1; /* a ring has two neighbours */
    if (l->n == 1) return 0;
    return peers * NCCL_CHANNELS * NCCL_CHANNEL_BYTES + (l->n > near ? NCCL_NETWORK_BYTES : 0);
}

static int by_ready(const void *a, const void *b) {
    const plan_gradient *x = a, *y = b;
    return x->ready_s != y->ready_s ? (x->ready_s > y->ready_s) - (x->ready_s < y->ready_s)
                                    : (x->param > y->param) - (x->param < y->param);
}

/* Gradients in the order in which they are complete, cut where a bucket is full; offset_s: what is played before. */
static int fill_buckets(sim_bucket *out, plan_gradient *g, int n, const scale_question *q, double offset_s) {
    int n_buckets = 0;
    double bytes = 0;
    qsort(g, (size_t)n, sizeof *g, by_ready);
    for (int i = 0; i < n; i++) {
        bytes += g[i].elements * q->wire_bytes;
        if (bytes < q->bucket_bytes && i + 1 < n) continue;
        out[n_buckets++] = (sim_bucket){offset_s + g[i].ready_s, bytes};
        bytes = 0;
    }
    return n_buckets;
}

static void average_rows(const session *s, const plan_facts *f, int64_t *count) {
    count[0] = 0;
    for (int k = 1; k <= s->plan->n_spaces; k++) {
        const hone_space *x = &s->plan->space[k];
        const double words = s->masks ? s->masks->p * f->tokens : f->tokens;
        count[k] = x->slice_of ? plan_slice_rows(x, count[x->slice_of])
                               : plan_space_rows(s->plan, k, (int64_t)(f->tokens + 0.5), (int64_t)(words + 0.5),
                                                 (int64_t)(f->seqs + 0.5));
    }
}

/* What hone or NCCL would choose: the links that make the step shorter, unless they are given. */
static double even_seconds(sim_links *l, const sim_step *step, int given) {
    double seconds[2] = {0};
    for (int halving = 0; halving < 2; halving++) {
        l->halving = halving;
        seconds[halving] = sim_step_seconds(l, step);
    }
    l->halving = given >= 0 ? given : seconds[1] < seconds[0];
    return seconds[l->halving];
}

static void play(prediction *out, const session *s, sim_links *l, sim_step step, const scale_question *q) {
    const double even_s = even_seconds(l, &step, q->halving), all = step.scatter ? 0.5 : 1;
    for (int i = 0; i < step.n_buckets; i++) out->sum_s += sim_sum_seconds(l, step.bucket[i].bytes) * all;
    if (step.scatter) out->sum_s += sim_sum_seconds(l, step.gather_bytes) / 2;
    step.jitter = q->jitter;
    step.n_steps = STEPS_PLAYED;
    step.seed = (uint64_t)s->job->seed;
    out->step_s = sim_step_seconds(l, &step);
    out->exposed_s = l->n > 1 ? fmax(0, even_s - step.compute_s - step.update_s) : 0; /* not off by a rounding */
    out->straggler_s = fmax(0, out->step_s - even_s);
    out->halving = l->halving;
}

/* Buckets are made of what one GPU sends, so with ZeRO-1 parameters come back in the compute type. */
static void predict(prediction *out, const session *s, const plan_facts *f, const scale_question *q) {
    const hone_plan *p = s->plan;
    const plan_machine *m = &q->machine;
    const double length = f->seqs > 0 ? f->tokens / f->seqs : 1;
    int64_t *count = mem_new(((size_t)p->n_spaces + 1) * sizeof *count, "rows");
    plan_gradient *g = mem_new((size_t)p->n_params * sizeof *g, "gradients");
    sim_bucket *b = mem_new((size_t)p->n_params * sizeof *b, "buckets");
    sim_links l = q->links;
    l.n = out->n_gpus;
    average_rows(s, f, count);
    const int before = out->micro_batches - 1, zero = q->zero && l.n > 1;
    const double micro_s = plan_seconds(p, HONE_MICRO, count, length, m),
                 fold_s = before ? plan_seconds(p, HONE_FOLD, count, length, m) : 0,
                 update_s = plan_seconds(p, HONE_UPDATE_WEIGHTS, count, length, m);
    const int n = plan_gradients(p, count, length, m, g);
    out->n_buckets = fill_buckets(b, g, n, q, before * (micro_s + fold_s));
    sim_step step = {.compute_s = before * (micro_s + fold_s) + micro_s,
                     .update_s = zero ? update_s / l.n : update_s,
                     .bucket = b,
                     .n_buckets = out->n_buckets,
                     .scatter = zero,
                     .n_steps = 1};
    double elements = 0;
    for (int i = 0; i < n; i++) elements += g[i].elements;
    step.gather_bytes = elements * (double)hone_dtype_bytes(p->dtype);
    out->gradient_bytes = elements * q->wire_bytes;
    out->compute_s = step.compute_s;
    out->update_s = step.update_s;
    play(out, s, &l, step, q);
    out->nccl_bytes = nccl_bytes(s, &l);
    out->memory_bytes = (double)f->rank_bytes + out->nccl_bytes;
    out->tokens = f->tokens * (double)f->shards;
    out->flops = plan_flops(p, HONE_MICRO, count, length) * (double)f->shards;
    out->steps = f->steps;
    mem_free(b);
    mem_free(g);
    mem_free(count);
}

/* Would a plan for micro-batches of so many tokens, of sequences of this length, fit? */
static int fits(session *s, session_limits l, int64_t tokens, double length, double memory_bytes) {
    hone_err ignored = {0};
    l.tokens_max = tokens;
    l.seqs_max = (int64_t)((double)tokens / length) + 1;
    return session_plan_only(s, &l, &ignored) == HONE_OK &&
           (double)hone_plan_device_bytes(s->plan) <= memory_bytes;
}

/* To one in 64; s->plan is then another one. */
static int64_t largest_tokens(session *s, const plan_facts *f, double memory_bytes) {
    const double length = f->seqs > 0 && f->tokens > f->seqs ? f->tokens / f->seqs : 1;
    int64_t low = 0, high = 64;
    while (high < TOKENS_MOST && fits(s, f->limits, high, length, memory_bytes)) low = high, high *= 2;
    while (low && high - low > low / 64 + 1) {
        const int64_t middle = low + (high - low) / 2;
        if (fits(s, f->limits, middle, length, memory_bytes)) low = middle;
        else high = middle;
    }
    return low;
}

static hone_status predict_count(prediction *out, const job *j, pool *p, const scale_question *q, int n_gpus,
                                 int with_largest, hone_err *err) {
    session *s;
    plan_facts facts;
    if (n_gpus > q->links.per_node && n_gpus % q->links.per_node)
        return hone_fail(err, HONE_EUSAGE,
                         "--gpus: %d, expected at most %d (one machine) or a multiple of it", n_gpus,
                         q->links.per_node);
    HONE_TRY(plan_of_job(&s, &facts, j, p, q->tokens, q->seqs, n_gpus, err));
    *out = (prediction){.n_gpus = n_gpus, .micro_batches = (int)((facts.shards + n_gpus - 1) / n_gpus)};
    predict(out, s, &facts, q);
    out->largest_tokens =
        with_largest ? largest_tokens(s, &facts, q->machine.memory_bytes - out->nccl_bytes) : 0;
    session_close(s);
    return HONE_OK;
}

static double dollars_an_hour(const prediction *x, const scale_question *q) { return q->price * x->n_gpus; }

static void member(text *out, const char *name, double x) {
    text_printf(out, ",\"%s\":", name);
    text_double(out, x);
}

static void print_json(const prediction *x, int n, const scale_question *q, text *out) {
    text_str(out, "{\"predicted\":true,\"gpu\":");
    text_json(out, q->gpu, strlen(q->gpu));
    text_str(out, ",\"network\":");
    if (q->network) text_json(out, q->network, strlen(q->network));
    else text_str(out, "null");
    member(out, "product_share", q->machine.product_share);
    member(out, "memory_share", q->machine.memory_share);
    member(out, "call_s", q->machine.call_s);
    member(out, "jitter", q->jitter);
    text_printf(out, ",\"largest_micro_batch_tokens\":%lld,\"scale\":[", (long long)x->largest_tokens);
    for (int i = 0; i < n; i++, x++) {
        text_printf(out, "%s{\"gpus\":%d,\"links\":\"%s\",\"micro_batches\":%d,\"buckets\":%d", i ? "," : "",
                    x->n_gpus, x->halving ? "halving" : "ring", x->micro_batches, x->n_buckets);
        member(out, "step_s", x->step_s);
        member(out, "compute_s", x->compute_s);
        member(out, "optimizer_s", x->update_s);
        member(out, "communication_s", x->sum_s);
        member(out, "exposed_s", x->exposed_s);
        member(out, "straggler_s", x->straggler_s);
        member(out, "gradient_bytes", x->gradient_bytes);
        text_printf(out, ",\"memory_bytes_per_gpu\":%.0f,\"nccl_bytes_per_gpu\":%.0f,\"fits\":%s",
                    x->memory_bytes, x->nccl_bytes,
                    x->memory_bytes <= q->machine.memory_bytes ? "true" : "false");
        member(out, "tokens_per_step", x->tokens);
        member(out, "tokens_per_second", x->tokens / x->step_s);
        member(out, "model_flops_per_second_per_gpu", x->flops / x->step_s / x->n_gpus);
        if (x->steps) text_printf(out, ",\"steps\":%lld", (long long)x->steps);
        if (x->steps) member(out, "hours", (double)x->steps * x->step_s / 3600);
        if (q->price > 0) {
            member(out, "dollars_per_hour", dollars_an_hour(x, q));
            member(out, "dollars_per_billion_tokens",
                   dollars_an_hour(x, q) / 3600 * x->step_s / x->tokens * 1e9);
            if (x->steps) member(out, "dollars", dollars_an_hour(x, q) * (double)x->steps * x->step_s / 3600);
        }
        text_str(out, "}");
    }
    text_str(out, "]}\n");
}

static void print_people(const prediction *x, int n, const scale_question *q, text *out) {
    static const char *const head[] = {"GPUs",    "links",          "step ms", "compute",  "optimizer",
                                       "exposed", "stragglers",     "sums",    "tokens/s", "of 1 GPU %",
                                       "a GPU",   "$ a 1e9 tokens", "$ a run"};
    const int columns = q->price > 0 ? 13 : 11;
    const int64_t largest = x->largest_tokens;
    const double alone = x->tokens / x->step_s / x->n_gpus;
    char size[24];
    text_printf(out,
                "predicted, nothing here was measured: %s%s%s; products at %.0f %% and memory at %.0f %% of "
                "the data sheet's "
                "rates, %.1f us a call; GPUs vary by %.1f %%\n",
                q->gpu, q->network ? ", " : "", q->network ? q->network : "", 100 * q->machine.product_share,
                100 * q->machine.memory_share, 1e6 * q->machine.call_s, 100 * q->jitter);
    table *t = table_new(columns);
    for (int i = 0; i < columns; i++)
        table_cell(t, "%s", i == 9 && x->n_gpus > 1 ? "of the first %" : head[i]);
    for (int i = 0; i < n; i++, x++) {
        table_cell(t, "%d", x->n_gpus);
        table_cell(t, "%s", x->n_gpus == 1 ? "-" : x->halving ? "halving" : "ring");
        const double ms[] = {x->step_s, x->compute_s, x->update_s, x->exposed_s, x->straggler_s, x->sum_s};
        for (int k = 0; k < 6; k++) table_cell(t, "%.3f", 1e3 * ms[k]);
        table_cell(t, "%.0f", x->tokens / x->step_s);
        table_cell(t, "%.1f", 100 * x->tokens / x->step_s / x->n_gpus / alone);
        bytes_text(size, x->memory_bytes);
        table_cell(t, "%s%s", size, x->memory_bytes > q->machine.memory_bytes ? ": does not fit" : "");
        if (q->price <= 0) continue;
        table_cell(t, "%.2f", dollars_an_hour(x, q) / 3600 * x->step_s / x->tokens * 1e9);
        if (x->steps) table_cell(t, "%.2f", dollars_an_hour(x, q) * (double)x->steps * x->step_s / 3600);
        else table_cell(t, "-");
    }
    table_print(t, out);
    table_free(t);
    bytes_text(size, x[-1].nccl_bytes);
    if (x[-1].nccl_bytes > 0)
        text_printf(
            out, "of a GPU's memory NCCL's buffers are estimated at %s with %d GPUs; the rest is planned\n",
            size, x[-1].n_gpus);
    text_printf(out, "a micro-batch of %lld tokens would just fit a GPU\n", (long long)largest);
    if (x[-1].n_gpus > COMM_RANKS_MAX)
        text_printf(out, "hone starts %d ranks at most today\n", COMM_RANKS_MAX);
}

hone_status scale_job(const job *j, pool *p, const scale_question *q, int as_json, text *out, hone_err *err) {
    prediction x[SCALE_COUNTS_MAX];
    for (int i = 0; i < q->n_counts; i++) HONE_TRY(predict_count(&x[i], j, p, q, q->n_gpus[i], i == 0, err));
    (as_json ? print_json : print_people)(x, q->n_counts, q, out);
    return HONE_OK;
}
