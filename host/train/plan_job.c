/* plan_job.c - the plan of a job, printed; nothing is trained, no slab is reserved, no device is opened. */
#include <string.h>

#include "train/generate.h"
#include "train/train.h"
#include "base/table.h"
#include "plan/rung.h"

/* What stands beside the plan: the levels of gradient_checkpointing, and how an epoch's batches meet the rungs. */
typedef struct {
    size_t level_bytes[3];
    int64_t batches[HONE_N_RUNGS]; /* of the first epoch, by rung */
    size_t copy_bytes;             /* of host memory that hold a checkpoint while it is written */
    int64_t rows, rows_played;     /* token rows of these batches; 0: without data */
    plan_facts facts;
} beside;

static hone_status plan_levels(session *s, session_limits l, beside *b, hone_err *err) {
    const int chosen = (int)s->job->gradient_checkpointing;
    for (int k = 1; k <= 3; k++) { /* the job's own last: it stays */
        const int level = (chosen + k) % 3;
        l.recompute = 1 + level;
        HONE_TRY(session_plan_only(s, &l, err));
        b->level_bytes[level] = hone_plan_device_bytes(s->plan);
    }
    return HONE_OK;
}

static void walk_epoch(session *s, steps *st, const dataset *d, beside *b) {
    order *o = steps_order(st, 0);
    int64_t tokens = 0, seqs = 0;
    for (int64_t i = 0; i < order_batches(o); i++) {
        int64_t n;
        const int64_t *sample = order_batch(o, i, &n);
        session_count(s, d, sample, n, 0);
        for (int64_t k = 0; k < n; k++) tokens += d->at[sample[k] + 1] - d->at[sample[k]];
        seqs += n;
        b->batches[plan_rung(s->plan, s->rows, s->played)]++;
        for (int k = 1; k <= s->plan->n_spaces; k++)
            if (hone_space_is_tokens(&s->plan->space[k])) b->rows += s->rows[k], b->rows_played += s->played[k];
    }
    b->facts.tokens = (double)tokens / (double)order_batches(o);
    b->facts.seqs = (double)seqs / (double)order_batches(o);
    b->facts.steps = st->total;
    order_free(o);
}

static double padded_fraction(const beside *b) {
    return (double)(b->rows_played - b->rows) / (double)b->rows;
}

static void print_beside_json(const hone_plan *p, const beside *b, text *out) {
    text_printf(out, ",\"gradient_checkpointing_bytes\":[%zu,%zu,%zu],\"rungs\":[", b->level_bytes[0],
                b->level_bytes[1], b->level_bytes[2]);
    for (int k = 0; p->fixed_rows && k < HONE_N_RUNGS; k++) {
        text_str(out, k ? ",{" : "{");
        for (int i = 1; i <= p->n_spaces; i++)
            if (!p->space[i].slice_of)
                text_printf(out, "\"%s\":%lld,", p->space[i].name, (long long)plan_rung_rows(p, i, k));
        text_printf(out, "\"batches\":%lld}", (long long)b->batches[k]);
    }
    text_str(out, "]");
    if (!b->rows) return;
    text_str(out, ",\"padded_rows_fraction\":");
    text_double(out, padded_fraction(b));
}

static void print_beside(const hone_plan *p, const beside *b, text *out) {
    char size[24];
    text_str(out, "gradient_checkpointing:");
    for (int k = 0; k < 3; k++) {
        bytes_text(size, (double)b->level_bytes[k]);
        text_printf(out, "%s %d takes %s", k ? "," : "", k, size);
    }
    text_str(out, "\n");
    if (b->copy_bytes) {
        bytes_text(size, (double)b->copy_bytes);
        text_printf(out, "host memory: %s hold a copy of each checkpoint while it is written\n", size);
    }
    if (!p->fixed_rows) return;
    text_str(out, "a batch is played at the least of these rows that hold it:\n");
    for (int i = 1; i <= p->n_spaces; i++) {
        if (p->space[i].slice_of) continue;
        text_printf(out, "  %s", p->space[i].name);
        for (int k = 0; k < HONE_N_RUNGS; k++) text_printf(out, " %lld", (long long)plan_rung_rows(p, i, k));
        text_str(out, "\n");
    }
    if (!b->rows) return;
    text_str(out, "  batches of the first epoch");
    for (int k = 0; k < HONE_N_RUNGS; k++) text_printf(out, " %lld", (long long)b->batches[k]);
    text_printf(out, "; %.1f %% of its rows are added to fill them\n", 100 * padded_fraction(b));
}

static void print_json(const session *s, const beside *b, text *out) {
    static const char *const names[] = {"",
#define XX(name, text, what) text,
                                        HONE_CLASS_MAP(XX)
#undef XX
    };
    const hone_plan *p = s->plan;
    text_printf(out,
                "{\"device\":\"%s\",\"dtype\":\"%s\",\"planned_device_bytes\":%zu,\"activation_bound_bytes\":"
                "%zu,\"slab_bytes\":{",
                s->device, hone_dtype_name(p->dtype), hone_plan_device_bytes(p), p->bound_bytes);
    for (int c = 1; c < HONE_N_CLASSES; c++)
        text_printf(out, "%s\"%s\":%zu", c > 1 ? "," : "", names[c], p->slab_bytes[c]);
    text_str(out, "},\"rows\":{");
    for (int i = 1; i <= p->n_spaces; i++)
        text_printf(out, "%s\"%s\":%lld", i > 1 ? "," : "", p->space[i].name, (long long)p->space[i].cap);
    text_printf(out, "},\"ranks\":%d,\"buckets\":%d,\"divided\":%s", p->n_ranks, p->n_buckets,
                p->divided ? "true" : "false");
    text_printf(out, ",\"gradient_slots\":%d,\"steps\":{\"micro\":%d,\"fold\":%d,\"update\":%d,\"eval\":%d}",
                p->n_slots, p->program[HONE_MICRO].n_steps, p->program[HONE_FOLD].n_steps,
                p->program[HONE_UPDATE_WEIGHTS].n_steps, p->program[HONE_EVAL].n_steps);
    int64_t n = 0;
    for (int i = 1; i <= p->n_params; i++) {
        const hone_value *v = &p->value[p->param[i].value];
        n += v->dim[0].n * (v->n_dims > 1 ? v->dim[1].n : 1);
    }
    text_printf(out, ",\"parameters\":%lld,\"checkpoint_copy_bytes\":%zu", (long long)n, b->copy_bytes);
    print_beside_json(p, b, out);
}

static size_t cache_bytes(const hone_plan *p) {
    size_t sum = 0;
    for (int v = 1; v <= p->n_values; v++) {
        const hone_value *x = &p->value[v];
        if (x->cls != HONE_STATE || x->base || !x->fill_space) continue;
        size_t n = hone_dtype_bytes(x->dtype);
        for (int d = 0; d < x->n_dims; d++) n *= (size_t)(x->dim[d].space ? p->space[x->dim[d].space].cap : x->dim[d].n);
        sum += n;
    }
    return sum;
}

/* A model that goes on with texts: the most that hone generate takes, beside the plan of its training, which it replaces. */
static hone_status print_decoder(session *s, int with_steps, int as_json, text *out, hone_err *err) {
    generation g;
    char all[24], caches[24];
    HONE_TRY(generation_load(&g, s->a, s->tokenizer_folder, s->config, s->tok, s->job->generation, NULL, err));
    const decoder_sizes sizes = generate_sizes_most(s, &g);
    const session_limits l = decoder_limits(&sizes);
    HONE_TRY(session_plan_only(s, &l, err));
    const hone_plan *p = s->plan;
    const size_t bytes = hone_plan_device_bytes(p), cached = cache_bytes(p);
    if (as_json) {
        text_printf(out, ",\"generate\":{\"texts\":%d,\"tokens\":%lld,\"planned_device_bytes\":%zu,\"cache_bytes\":%zu}", sizes.slots,
                    (long long)sizes.cached, bytes, cached);
        return HONE_OK;
    }
    bytes_text(all, (double)bytes);
    bytes_text(caches, (double)cached);
    text_printf(out, "hone generate: %d texts of up to %lld tokens side by side take %s, keys and values %s of it\n", sizes.slots,
                (long long)sizes.cached, all, caches);
    if (with_steps) plan_print_steps(p, out);
    return HONE_OK;
}

static hone_status open_data(inputs **in, steps *st, session *s, step_shards shards, hone_err *err) {
    HONE_TRY(inputs_open(in, s, err));
    if (!(*in)->train)
        return hone_fail(err, HONE_EUSAGE, "%s: no train_file, expected a data file (or --tokens N)", s->job->file);
    steps_init(st, s->a, s->job, shards, (*in)->train);
    return HONE_OK;
}

/* A step is cut for n_ranks; the plan is that of rank 0 of `planned`. */
static hone_status open_plan(session **out, const job *j, pool *p, int64_t tokens, int64_t seqs, int n_ranks,
                             int planned, beside *b, hone_err *err) {
    session *s = NULL;
    inputs *in = NULL;
    steps st = {0};
    step_shards shards;
    session_limits l = {.training = 1, .tokens_max = tokens, .seqs_max = seqs};
    HONE_TRY(steps_shards(&shards, j, n_ranks, 0, err));
    hone_status status = session_open(&s, j, j->model_name_or_path, j->tokenizer_name, p, err);
    if (!status && !tokens) status = open_data(&in, &st, s, shards, err);
    if (!status && in) l = training_limits(j, in, &st, n_ranks);
    l.n_ranks = n_ranks;
    l.n_shards = (int)shards.n;
    l.n_slots = training_slots(j, shards.n, n_ranks);
    b->facts = (plan_facts){.shards = shards.n, .tokens = (double)tokens, .seqs = (double)seqs, .limits = l};
    b->facts.limits.class_weight = NULL; /* goes with the data */
    if (!status) status = session_plan_only(s, &l, err);
    if (!status) b->facts.rank_bytes = hone_plan_device_bytes(s->plan);
    l.n_ranks = planned;
    if (!status) status = plan_levels(s, l, b, err);
    if (!status && j->save_strategy != STRATEGY_NO) b->copy_bytes = saver_copy_bytes(s->plan, j, 0, planned);
    if (!status && in) walk_epoch(s, &st, in->train, b);
    steps_deinit(&st);
    inputs_close(in);
    if (status) session_close(s);
    else *out = s;
    return status;
}

hone_status plan_of_job(session **out, plan_facts *facts, const job *j, pool *p, int64_t tokens, int64_t seqs,
                        int n_ranks, hone_err *err) {
    beside b = {0};
    HONE_TRY(open_plan(out, j, p, tokens, seqs, n_ranks, 1, &b, err));
    if (facts) *facts = b.facts;
    return HONE_OK;
}

hone_status plan_job(const job *j, pool *p, int64_t tokens, int64_t seqs, int n_ranks, int with_steps,
                     int as_json, text *out, hone_err *err) {
    session *s;
    beside b = {0};
    HONE_TRY(open_plan(&s, j, p, tokens, seqs, n_ranks, n_ranks, &b, err));
    if (as_json) print_json(s, &b, out);
    else {
        plan_print_bytes(s->plan, out);
        print_beside(s->plan, &b, out);
        if (with_steps) plan_print_steps(s->plan, out);
    }
    const hone_status status = s->head == HEAD_NEXT ? print_decoder(s, with_steps, as_json, out, err) : HONE_OK;
    if (as_json) text_str(out, "}\n");
    session_close(s);
    return status;
}
