/* share.c - buckets that leave beside the backward: proved by a backward that does not end before they have. */
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "forked.h"
#include "base/host.h"
#include "plan/build.h"
#include "plan/own.h"
#include "run/inside.h"
#include "test.h"

/* The run whose backward is watched, and the device's own EMBED_BWD, which ends it. */
static struct {
    run *run;
    hone_status (*embed_bwd)(hone_queue *, const hone_call *);
    int waits; /* for so many buckets */
} watched;

static hone_status wait_then_play(hone_queue *q, const hone_call *c) {
    const uint64_t limit = clock_ns() + 60000000000u;
    while (watched.waits && run_buckets_done(watched.run) < watched.waits) {
        if (clock_ns() > limit) return HONE_ECOMM;
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    return watched.embed_bwd(q, c);
}

typedef struct {
    hone_plan *plan;
    run *run;
    pool *pool;
    tree_sum *sum;
    int64_t rows[8];
} sharer;

static hone_status make_plan(hone_plan **out, const hone_device_v1 *device, int n, int rank, int divide,
                             int slots, hone_err *err) {
    model_config *config;
    HONE_TRY(config_load(&config, test_fixture("e2e/model"), err));
    const plan_options o = {.config = config,
                            .head = {.kind = HEAD_CLASSES, .n_outputs = 3},
                            .dtype = HONE_F32,
                            .tokens_max = 40,
                            .seqs_max = 8,
                            .slots = slots,
                            .n_ranks = n,
                            .rank = rank,
                            .divide = divide,
                            .bucket_bytes = 20000,
                            .beta1 = 0.9,
                            .beta2 = 0.999,
                            .epsilon = 1e-8,
                            .training = 1,
                            .device = device};
    const hone_status status = plan_build(out, &o, err);
    config_free(config);
    return status;
}

static hone_status open_sharer(sharer *s, comm *c, hone_device_v1 *device, int divide, int slots,
                               hone_err *err) {
    const hone_device_v1 *cpu = device_load("cpu", err);
    if (!cpu) return HONE_EUSAGE;
    *device = *cpu;
    watched.embed_bwd = device->op[HONE_OP_EMBED_BWD];
    device->op[HONE_OP_EMBED_BWD] = wait_then_play;
    HONE_TRY(make_plan(&s->plan, device, c->n, c->rank, divide, slots, err));
    s->pool = pool_new(1);
    HONE_TRY(run_open(&s->run, s->plan, device, s->pool, err));
    s->sum = tree_sum_new(c, 8, s->pool);
    watched.run = s->run;
    return run_share(s->run, s->sum, 0, err);
}

static void close_sharer(sharer *s) {
    run_close(s->run);
    tree_sum_free(s->sum);
    hone_plan_free(s->plan);
    pool_free(s->pool);
}

/* Weights that differ from place to place, one sequence of one token of a class that depends on the rank. */
static hone_status fill(sharer *s, int label, hone_err *err) {
    static float w[1 << 16];
    const hone_plan *p = s->plan;
    for (int i = 1; i <= p->n_params; i++) {
        int64_t n;
        plan_flat(p, i, &n);
        for (int64_t k = 0; k < n; k++) w[k] = (float)((k * 37 + i) % 19 - 9) * 0.03f;
        HONE_TRY(run_put_param(s->run, i, 0, n, w, err));
    }
    for (int v = 1; v <= p->n_values; v++) {
        if (p->value[v].cls != HONE_INPUT) continue;
        void *to = run_input(s->run, v);
        if (p->value[v].fill == HONE_FILL_AT) *(hone_range *)to = (hone_range){0, 1};
        if (p->value[v].fill == HONE_FILL_SCALE) *(float *)to = 0.5f;
        if (p->value[v].fill == HONE_FILL_ID || p->value[v].fill == HONE_FILL_LABEL) *(int32_t *)to = label;
    }
    for (int i = 1; i <= p->n_spaces; i++) s->rows[i] = 1;
    return HONE_OK;
}

/* The loss and all gradients of slot 0. */
static hone_status read_slot(sharer *s, float *to, hone_err *err) {
    const hone_plan *p = s->plan;
    HONE_TRY(run_get(s->run, p->loss, to, err));
    for (int v = 1; v <= p->n_values; v++)
        if (p->value[v].cls == HONE_GRAD && !p->value[v].slot && !p->value[v].base && p->value[v].param)
            HONE_TRY(run_get(s->run, v, to + p->value[v].offset / sizeof(float), err));
    return HONE_OK;
}

/* EMBED_BWD does not go on before the buckets of head and layers are summed: without a thread that sums them beside it this
 * would never end. Three slots and two folds, as in a step of accumulation. */
static hone_status sum_beside(comm *c, void *arg, hone_err *err) {
    sharer s = {0};
    hone_device_v1 device;
    HONE_TRY(open_sharer(&s, c, &device, *(int *)arg, 3, err));
    HONE_TRY(fill(&s, c->rank, err));
    int early = 0;
    const hone_program *m = &s.plan->program[HONE_MICRO];
    for (int b = 0; b < s.plan->n_buckets; b++)
        early += m->step[s.plan->bucket[b].ready].op != HONE_OP_EMBED_BWD;
    if (early < 3 || early == s.plan->n_buckets)
        return hone_fail(err, HONE_EBUG, "%d buckets are early", early);
    const size_t n = s.plan->slot_bytes / sizeof(float);
    float *sum = calloc(n, sizeof *sum), *alone = calloc(n, sizeof *alone);
    tree_sum_begin(s.sum, 8); /* of this rank: slot 0 as (0 1), slots 1 and 2 as 2 and 3 */
    run_begin(s.run);
    for (int slot = 0; slot < 2; slot++) HONE_TRY(run_play(s.run, HONE_MICRO, slot, s.rows, err));
    watched.waits = early;
    HONE_TRY(run_play_last(s.run, 2, s.rows, 2, err));
    watched.waits = 0;
    run_end(s.run);
    if (run_buckets_beside(s.run) < early) return hone_fail(err, HONE_EBUG, "buckets were not beside");
    /* what all shards come to: the same gradient g of each rank's three, (g + (g + g)) a rank */
    HONE_TRY(read_slot(&s, sum, err));
    HONE_TRY(run_play(s.run, HONE_MICRO, 0, s.rows, err));
    HONE_TRY(read_slot(&s, alone, err));
    float *other = calloc(2 * n, sizeof *other);
    HONE_TRY(comm_gather(c, alone, s.plan->slot_bytes, other, err));
    for (int b = 0; b < s.plan->n_buckets; b++) {
        const int64_t *cut = s.plan->bucket[b].cut;
        const int64_t from = s.plan->divided ? cut[c->rank] : cut[0],
                      to = s.plan->divided ? cut[c->rank + 1] : cut[2];
        for (int64_t e = from; e < to; e++) {
            const float a = other[e] + (other[e] + other[e]),
                        z = other[n + (size_t)e] + (other[n + (size_t)e] + other[n + (size_t)e]);
            if (sum[e] != a + z) return hone_fail(err, HONE_EBUG, "bucket %d, element %lld", b, (long long)e);
        }
    }
    free(sum), free(alone), free(other);
    close_sharer(&s);
    return HONE_OK;
}

TEST(buckets_are_summed_while_the_backward_goes_on) {
    for (int divide = 0; divide < 2; divide++) forked_all_end_well(2, sum_beside, &divide);
}

/* What devices gather of a divided optimizer's weights is waited for part by part: embeddings, which come first, before the
 * first step, each earlier bucket before the step that is the first to read it, and all of them within the forward. */
TEST(a_forward_waits_for_weights_bucket_by_bucket) {
    hone_err why = {0};
    const hone_device_v1 *emu = device_load("emu", &why);
    hone_plan *p;
    run *r;
    if (!emu) test_skip("%s", why.text);
    pool *threads = pool_new(1);
    CHECK_OK(make_plan(&p, emu, 2, 0, 1, 1, err));
    CHECK_OK(run_open(&r, p, emu, threads, err));
    const bound *b = &r->program[HONE_MICRO][0];
    const hone_step *step = p->program[HONE_MICRO].step;
    int waited = p->n_buckets, waits = 0;
    CHECK(b->reads[0] >= p->n_buckets - 2); /* tables of words, places, types */
    for (int k = 0; k < b->n_parts; k++) {
        if (b->reads[k] >= waited) continue;
        CHECK_INT(step[b->part[k]].phase, HONE_FORWARD);
        waited = b->reads[k];
        waits++;
    }
    CHECK_INT(waited, 0);
    CHECK(waits > 3);
    run_close(r);
    hone_plan_free(p);
    pool_free(threads);
}

/* Rank 1 dies in its backward, when rank 0's thread waits for its buckets. */
static hone_status die_within(comm *c, void *arg, hone_err *err) {
    sharer s = {0};
    hone_device_v1 device;
    (void)arg;
    HONE_TRY(open_sharer(&s, c, &device, 1, 1, err));
    HONE_TRY(fill(&s, c->rank, err));
    tree_sum_begin(s.sum, 2);
    comm_seen(c, 7, "forward and backward");
    if (c->rank) raise(SIGKILL);
    const hone_status status = run_play_last(s.run, 0, s.rows, 0, err);
    close_sharer(&s);
    return status;
}

TEST(a_rank_that_dies_while_buckets_leave_is_named_in_time) {
    pid_t pid[2];
    forked_start(2, 60, die_within, NULL, pid);
    CHECK_INT(forked_end(pid[1]), 128 + SIGKILL);
    const uint64_t from = clock_ns();
    CHECK_INT(forked_end(pid[0]), 6);
    if ((double)(clock_ns() - from) * 1e-9 > 6) test_fail(__FILE__, __LINE__, "noticed too late");
    if (!strstr(forked_said(0), "rank 1 (host ") ||
        !strstr(forked_said(0), "has died; last seen at step 7 in forward and backward"))
        test_fail(__FILE__, __LINE__, "said: %s", forked_said(0));
}
