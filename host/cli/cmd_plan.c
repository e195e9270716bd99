/* cmd_plan.c - hone plan: what a job will take, before anything is allocated; with --gpu, how long on GPUs that are not
 * here. */
#include <string.h>

#include "cli/bench_gpu.h"
#include "cli/cmd.h"
#include "cli/figures.h"
#include "base/err.h"
#include "base/file.h"
#include "base/host.h"
#include "train/scale.h"
#include "train/train.h"

/* Of the data sheet's rates. Products: 790 of 989 TFLOP/s is what the best large products reach on an H100 class GPU, those
 * of BERT's shapes nine tenths of that; memory: 4.3 of 4.8 TB/s, a copy on an H200. Calls: between kernels of a graph. */
#define PRODUCT_SHARE 0.7
#define MEMORY_SHARE 0.9
#define CALL_S 2e-6
#define JITTER "0.01"

const option plan_flags[] = {
    {"steps", 1, "Print every step of the plan."},
    {"tokens", 0, "N: plan for batches of up to N tokens instead of reading the data."},
    {"ranks", 0, "N: plan for rank 0 of N (default 1)."},
    {"seqs", 0, "N: sequences of such a batch (default tokens / 16)."},
    {"gpu", 0, "NAME: predict the time of a step on this GPU (configs/devices)."},
    {"gpus", 0, "N[,N...]: predict it for so many of them, 1 to 1,024 (default 1)."},
    {"network", 0, "NAME: what joins them (configs/networks)."},
    {"links", 0, "ring|halving: how their sums travel (default: the faster)."},
    {"price", 0, "DOLLARS: of a GPU for an hour."},
    {"jitter", 0, "X: GPUs vary from step to step, each taking 1 + X e times as long (default " JITTER ")."},
    {"strict", 0, "BOOL: false makes unknown job fields warnings (default true)."},
};
const int n_plan_flags = sizeof plan_flags / sizeof *plan_flags;

static hone_status read_number(double *out, const args *a, const char *name, double least, double most,
                               double otherwise, hone_err *err) {
    const char *given = args_value(a, name);
    *out = otherwise;
    if (!given || (str_to_double(str_of(given), out) && *out >= least && *out <= most)) return HONE_OK;
    return hone_fail(err, HONE_EUSAGE, "--%s: \"%.64s\", expected a number from %g to %g", name, given, least,
                     most);
}

/* *out: 1 for the second word, 0 for the first or where nothing is given. */
static hone_status read_choice(int *out, const args *a, const char *name, const char *first,
                               const char *second, hone_err *err) {
    const char *given = args_value(a, name);
    *out = given && !strcmp(given, second);
    if (!given || *out || !strcmp(given, first)) return HONE_OK;
    return hone_fail(err, HONE_EUSAGE, "--%s: \"%.64s\", expected %s or %s", name, given, first, second);
}

static hone_status read_counts(scale_question *q, const char *given, hone_err *err) {
    for (const char *at = given; *at;) {
        const size_t n = strcspn(at, ",");
        int64_t count;
        if (!str_to_int64((str){at, n}, &count) || count < 1 || count > 1024 ||
            q->n_counts == SCALE_COUNTS_MAX)
            return hone_fail(err, HONE_EUSAGE, "--gpus: \"%.64s\", expected up to %d numbers from 1 to 1024",
                             given, SCALE_COUNTS_MAX);
        q->n_gpus[q->n_counts++] = (int)count;
        at += n + (at[n] == ',');
    }
    return q->n_counts ? HONE_OK : hone_fail(err, HONE_EUSAGE, "--gpus: expected numbers");
}

static hone_status read_links(scale_question *q, char shown[96], const args *a, hone_err *err) {
    const char *network = args_value(a, "network");
    int most = 1;
    for (int i = 0; i < q->n_counts; i++) most = q->n_gpus[i] > most ? q->n_gpus[i] : most;
    q->links = (sim_links){.n = 1, .per_node = 1};
    if (!network && most > 1)
        return hone_fail(err, HONE_EUSAGE,
                         "--gpus: %d without --network, expected what joins them (configs/networks)", most);
    if (!network) return HONE_OK;
    HONE_TRY(network_read(&q->links, shown, network, err));
    q->network = shown;
    if (most > q->links.per_node && !(q->links.net_bytes_per_s > 0))
        return hone_fail(err, HONE_EUSAGE,
                         "--network: %s joins %d GPUs; expected one that joins machines for %d", network,
                         q->links.per_node, most);
    HONE_TRY(read_choice(&q->halving, a, "links", "ring", "halving", err));
    if (!args_value(a, "links")) q->halving = -1;
    return HONE_OK;
}

static hone_status read_question(scale_question *q, char gpu[64], char network[96], const args *a,
                                 const job *j, hone_err *err) {
    const char *name = args_value(a, "gpu");
    gpu_figures g;
    if (!name) return hone_fail(err, HONE_EUSAGE, "--gpus without --gpu, expected which (configs/devices)");
    HONE_TRY(gpu_read(&g, name, err));
    memcpy(gpu, g.name, 64);
    q->gpu = gpu;
    q->machine = (plan_machine){.memory_bytes = g.memory_bytes,
                                .memory_bytes_per_s = g.memory_bytes_per_s,
                                .product_share = PRODUCT_SHARE,
                                .memory_share = MEMORY_SHARE,
                                .call_s = CALL_S};
    memcpy(q->machine.flops, g.flops, sizeof g.flops);
    HONE_TRY(read_counts(q, args_value(a, "gpus") ? args_value(a, "gpus") : "1", err));
    HONE_TRY(read_links(q, network, a, err));
    HONE_TRY(read_number(&q->price, a, "price", 0, 1e6, 0, err));
    HONE_TRY(read_number(&q->jitter, a, "jitter", 0, 1, 0.01, err));
    q->zero = (int)j->zero_stage;
    q->bucket_bytes = j->ddp_bucket_cap_mb * 1e6;
    q->wire_bytes = j->reduce_dtype == REDUCE_BF16 ? 2 : 4;
    return HONE_OK;
}

/* With JSON the prediction is one more member of the plan's object. */
static hone_status add_prediction(const job *j, pool *p, const scale_question *q, int as_json, text *out,
                                  hone_err *err) {
    text scale = {0};
    const hone_status status = scale_job(j, p, q, as_json, &scale, err);
    if (!status && as_json) {
        HONE_ASSERT(out->n > 2 && !strcmp(out->p + out->n - 2, "}\n"));
        out->n -= 2;
        text_printf(out, ",\"prediction\":%.*s}\n", (int)scale.n - 1, scale.p);
    } else if (!status) text_str(out, scale.p);
    text_free(&scale);
    return status;
}

hone_status cmd_plan(const args *a, hone_err *err) {
    scale_question q = {0};
    char gpu[64] = "", network[96] = "";
    const int predicts = args_value(a, "gpu") || args_value(a, "gpus");
    int64_t ranks;
    job *j;
    text out = {0};
    HONE_TRY(args_words(a, 1, 1, "hone plan JOB.json", err));
    HONE_TRY(args_integer(a, "tokens", 1, 1 << 28, 0, &q.tokens, err));
    HONE_TRY(args_integer(a, "seqs", 1, 1 << 24, q.tokens > 16 ? q.tokens / 16 : 1, &q.seqs, err));
    HONE_TRY(args_integer(a, "ranks", 1, COMM_RANKS_MAX, 1, &ranks, err));
    HONE_TRY(job_of_args(&j, a, a->word[0], err));
    if (predicts && !a->device) j->device = "cuda";
    pool *p = pool_new((int)j->threads);
    hone_status status = predicts ? read_question(&q, gpu, network, a, j, err) : HONE_OK;
    if (!status) status = plan_job(j, p, q.tokens, q.seqs, (int)ranks, args_value(a, "steps") != NULL, a->json, &out, err);
    if (!status && predicts) status = add_prediction(j, p, &q, a->json, &out, err);
    if (!status) stdout_add(out.p, out.n);
    text_free(&out);
    pool_free(p);
    job_free(j);
    return status;
}
