/* bench.c - how long a call takes, and what that means in bytes and operations a second. */
#include "harness.h"

enum { MAX_RUNS = 2000, WARM_RUNS = 3 };

/* Elements of an operand that a call touches: of a table only the rows that are named, of a flat range its
 * chunks. */
static double elements_of(const cases_values *v, int i) {
    const operand_values *u = &v->v[i];
    const int is_table = v->k->op == HONE_OP_EMBED_FWD && i < v->op->n_in && i % 2 == 1;
    double chunks = 0;
    if (v->k->op == HONE_OP_GATHER && i == 0) return (double)(extent_of(v, 'M') * u->width);
    if (is_table) return (double)(extent_of(v, 'N') * u->width);
    if (v->k->op != HONE_OP_SQSUM || i != 0) return (double)(u->rows * u->width);
    for (int64_t q = 0; q < v->v[1].rows; q++) chunks += v->v[1].word[3 * q + 1];
    return chunks;
}

/* Every bound operand once, "+" inputs apart from their results. */
double bytes_of(const image *im) {
    double sum = 0;
    for (int i = 0; i < im->v->op->n_in + im->v->op->n_out; i++)
        if (im->v->v[i].bound) sum += elements_of(im->v, i) * (double)type_bytes(im->dtype[i]);
    return sum;
}

/* Pairs of query and key that attention's mask lets live. */
static double living_pairs(const cases_case *k) {
    double sum = 0;
    for (int b = 0; b < k->n_sequences; b++)
        for (int i = 0; i < k->q_len[b]; i++) {
            const int at = i + k->k_len[b] - k->q_len[b];
            int first = 0, last = k->k_len[b] - 1;
            if (k->attr.attention.mask == HONE_MASK_WINDOW && at - k->attr.attention.left > first)
                first = at - k->attr.attention.left;
            if (k->attr.attention.mask == HONE_MASK_WINDOW && at + k->attr.attention.right < last)
                last = at + k->attr.attention.right;
            if (k->attr.attention.mask == HONE_MASK_CAUSAL && at < last) last = at;
            if (last >= first) sum += last - first + 1;
        }
    return sum;
}

double flops_of(const cases_values *v) {
    const double heads = (double)extent_of(v, 'H') * (double)extent_of(v, 'K');
    switch (v->k->op) {
    case HONE_OP_LINEAR_FWD:
    case HONE_OP_LINEAR_BWD:
    case HONE_OP_LINEAR_BWD_W:
        return 2.0 * (double)extent_of(v, 'N') * (double)extent_of(v, 'I') * (double)extent_of(v, 'O');
    case HONE_OP_ATTENTION_FWD:
        return 4 * living_pairs(v->k) * heads;
    case HONE_OP_ATTENTION_BWD:
        return 10 * living_pairs(v->k) * heads;
    default:
        return 0;
    }
}

/* ---- how a play is timed ----------------------------------------------------------------------------------------
 * Warm: what the call reads lies in the caches, as far as it fits. Cold: they have been written over. By the device's own
 * events where it has them, PLAYS in a row as a captured graph, so that no launch is waited for; else by the host's
 * clock, each play waited for. */
enum { PLAYS = 8 };
typedef struct {
    image *im;
    const hone_host_v1 *host;
    hone_call call;
    hone_event *from, *to; /* NULL: the host's clock */
    hone_exec *graph;
    unsigned char *flush; /* written before a cold play: twice the caches */
    size_t flush_bytes;
} watch;

static void watch_close(watch *w) {
    const hone_device_v1 *t = w->im->table;
    if (w->graph) t->graph_free(w->graph);
    if (w->from) t->event_free(w->from);
    if (w->to) t->event_free(w->to);
    if (w->flush) t->slab_free(w->im->device, w->flush);
}

static int play(const watch *w) {
    return w->im->table->op[w->call.op](w->im->queue, &w->call) == (hone_status)HONE_OK;
}
static int wait(const watch *w) { return w->im->table->queue_wait(w->im->queue) == (hone_status)HONE_OK; }

/* A device that cannot capture the call plays it once a time. */
static int capture(watch *w) {
    const hone_device_v1 *t = w->im->table;
    int played = 1;
    if (t->capture(w->im->queue, 1, NULL)) return 0;
    for (int i = 0; i < PLAYS && played; i++) played = play(w);
    if (t->capture(w->im->queue, 0, &w->graph)) w->graph = NULL;
    return played;
}

static int watch_open(watch *w, image *im, const hone_host_v1 *host) {
    const hone_device_v1 *t = im->table;
    hone_limits limits;
    hone_err err;
    void *flush = NULL;
    *w = (watch){.im = im, .host = host, .call = image_call(im, (slice){0})};
    if (t->limits(im->device, &limits)) return 0;
    w->flush_bytes = limits.cache_bytes ? 4 * limits.cache_bytes : (size_t)64 << 20;
    if (t->slab_new(im->device, 0, w->flush_bytes, &flush, &err) == (hone_status)HONE_OK) w->flush = flush;
    if (!t->event_ns) return 1;
    if (t->event_new(im->device, 1, &w->from) || t->event_new(im->device, 1, &w->to)) return 0;
    return capture(w);
}

/* Nanoseconds of one play. */
static int sample(const watch *w, int is_cold, double *ns) {
    const hone_device_v1 *t = w->im->table;
    const int as_graph = !is_cold && w->graph;
    const size_t half = w->flush_bytes / 2;
    if (is_cold && t->put(w->im->queue, w->flush, w->flush + half, half)) return 0;
    if (!w->from) {
        if (is_cold && !wait(w)) return 0;
        const uint64_t before = w->host->clock_ns(w->host->context);
        if (!play(w) || !wait(w)) return 0;
        *ns = (double)(w->host->clock_ns(w->host->context) - before);
        return 1;
    }
    uint64_t spent;
    t->event_record(w->im->queue, w->from);
    if (as_graph ? t->graph_launch(w->im->queue, w->graph) != (hone_status)HONE_OK : !play(w)) return 0;
    t->event_record(w->im->queue, w->to);
    if (!wait(w) || t->event_ns(w->from, w->to, &spent)) return 0;
    *ns = (double)spent / (as_graph ? PLAYS : 1);
    return 1;
}

static int by_size(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* At least 5 samples, sorted, and as many as there is time for. Returns how many; 0: the op failed. */
static int samples(const watch *w, int is_cold, double seconds, double ns[MAX_RUNS]) {
    const uint64_t begin = w->host->clock_ns(w->host->context);
    int n = 0;
    for (int run = is_cold ? WARM_RUNS - 1 : 0; run < MAX_RUNS + WARM_RUNS; run++) {
        double spent;
        if (!sample(w, is_cold, &spent)) return 0;
        if (run >= WARM_RUNS) ns[n++] = spent;
        if (n >= 5 && (double)(w->host->clock_ns(w->host->context) - begin) > seconds * 1e9) break;
    }
    qsort(ns, (size_t)n, sizeof *ns, by_size);
    return n;
}

static int measure(image *im, const hone_host_v1 *host, double seconds, cases_result *out) {
    watch w;
    double *ns = malloc(MAX_RUNS * sizeof *ns);
    if (!ns) abort();
    const int opened = watch_open(&w, im, host), n = opened ? samples(&w, 0, seconds, ns) : 0;
    if (n) {
        out->n_runs = n;
        out->median_us = ns[n / 2] / 1e3;
        out->p10_us = ns[n / 10] / 1e3;
        out->p90_us = ns[n - 1 - n / 10] / 1e3;
        out->gb_per_s = bytes_of(im) / (out->median_us * 1e3);
        out->tflops = flops_of(im->v) / (out->median_us * 1e6);
    }
    const int n_cold = n && w.flush ? samples(&w, 1, seconds / 2, ns) : 0;
    if (n_cold) out->cold_us = ns[n_cold / 2] / 1e3;
    if (!n || (w.flush && !n_cold)) snprintf(out->what, sizeof out->what, "the op failed while it was timed");
    watch_close(&w);
    free(ns);
    return n && (!w.flush || n_cold);
}

cases_outcome cases_bench(const cases_on *on, const cases_case *k, const hone_host_v1 *host, double seconds,
                          cases_result *out) {
    if (cases_check(on, k, out) != CASES_PASS) return out->outcome;
    cases_values v;
    values_init(&v, on, k, k->dtype);
    values_fill(&v);
    image im = {0};
    const int timed = image_init(&im, &v, k->dtype, on->table, on->device[0], out->what, sizeof out->what) &&
                      image_play(&im, (slice){0}, out->what, sizeof out->what) &&
                      measure(&im, host, seconds, out);
    if (!timed) out->outcome = CASES_FAIL, out->n_runs = 0;
    image_deinit(&im);
    values_deinit(&v);
    return out->outcome;
}

int cases_alone(const cases_case *k, cases_case *out) {
    if (k->op != HONE_OP_LINEAR_FWD && k->op != HONE_OP_LINEAR_BWD && k->op != HONE_OP_LINEAR_BWD_W) return 0;
    *out = *k;
    out->with[0] = 0;
    out->attr.linear.act = HONE_ACT_NONE;
    return 1;
}

/* The case as the library is asked for it; 0: the device has none, or it cannot play this. */
static int ask_library(const cases_on *on, const cases_case *k, cases_case *asked, char *why, size_t why_bytes) {
    const int is_norm = k->op == HONE_OP_NORM_FWD || k->op == HONE_OP_NORM_BWD;
    const int has_library = !strcmp(on->table->name, "cuda") || !strcmp(on->table->name, "emu");
    *asked = *k;
    asked->attr.engine = HONE_ENGINE_CUDNN;
    if (k->op == HONE_OP_ATTENTION_BWD) asked->of_naive = 4; /* cuDNN rounds ds after scaling it, where fp16 has less */
    if (is_norm) asked->row_letter = 0; /* its plan has a number of rows */
    else {
        asked->attr.attention.longest = 1;
        for (int b = 0; b < k->n_sequences; b++)
            for (int i = 0; i < 2; i++) {
                const int n = i ? k->k_len[b] : k->q_len[b];
                if (n > asked->attr.attention.longest) asked->attr.attention.longest = n;
            }
    }
    snprintf(why, why_bytes, "no library plays this");
    if (!has_library || (!is_norm && k->op != HONE_OP_ATTENTION_FWD && k->op != HONE_OP_ATTENTION_BWD)) return 0;
    return cases_can(on->table, asked, why, why_bytes);
}

void cases_peer(const cases_on *on, const cases_case *k, const hone_host_v1 *host, double seconds, cases_result *out) {
    cases_case asked;
    cases_result r = {0};
    cases_on alone = *on;
    alone.n_devices = 1; /* its threads are its own */
    out->peer = NULL, out->peer_us = 0;
    if (!ask_library(on, k, &asked, out->peer_what, sizeof out->peer_what)) return;
    const cases_outcome outcome = host ? cases_bench(&alone, &asked, host, seconds, &r) : cases_check(&alone, &asked, &r);
    if (outcome == CASES_PASS) out->peer = "cuDNN", out->peer_us = r.median_us;
    else snprintf(out->peer_what, sizeof out->peer_what, "%.150s", r.what);
}

typedef struct {
    hone_op op;
    hone_dtype dtype;
    int tf32;
    cases_case found;
} search;

static int take_last(void *arg, const cases_case *k) {
    search *s = arg;
    const int wanted = k->op == s->op && (k->modes & CASES_BENCH) && k->dtype == s->dtype &&
                       k->from == k->to && (k->op == HONE_OP_COPY || k->attr.linear.tf32 == s->tf32);
    if (wanted) s->found = *k;
    return 1;
}

void cases_baselines(const cases_on *on, hone_dtype dtype, int tf32, const hone_host_v1 *host, double seconds,
                     double *copy_gb_per_s, double *gemm_tflops) {
    search copy = {.op = HONE_OP_COPY, .dtype = HONE_F32},
           product = {.op = HONE_OP_LINEAR_FWD, .dtype = dtype, .tf32 = tf32};
    cases_result r;
    cases_each(take_last, &copy);
    cases_each(take_last, &product);
    *copy_gb_per_s = cases_bench(on, &copy.found, host, seconds, &r) == CASES_PASS ? r.gb_per_s : 0;
    *gemm_tflops = cases_bench(on, &product.found, host, seconds, &r) == CASES_PASS ? r.tflops : 0;
}
