/* missed.c - AdamW of a table's rows when somebody looks at them: ADAMW_ROWS and ADAMW_MISSED. The steps that a row has missed
 * are taken in registers, one after another, so that memory moves once for all of them.
 * Plain version: kernels/ref/optim.inc. */
#include "ops.h"
#include "adamw.h"
#include "fold.h"

typedef struct {
    const hone_call *c;
    const hone_tensor *copy, *past;
    const adamw_rate *rate; /* [J] of the steps t - J + 1 .. t */
    float unscale;
} missed_job;

/* The rates of the last J steps, into work. */
static const adamw_rate *list_rates(const hone_call *c, const hone_tensor *past) {
    const int64_t J = past->dim[0], t = c->tick->adam_t;
    adamw_rate *rate = c->work;
    for (int64_t s = t < J ? 1 : t - J + 1; s <= t; s++)
        rate[s - (t - J + 1)] = rate_of(cell(past, s % J, 0), 1 - pow(c->attr.adamw.beta1, (double)s),
                                        1 - pow(c->attr.adamw.beta2, (double)s));
    return rate;
}

/* Are all n numbers +0? */
INLINE int is_zero(const float *x, int64_t n) {
    vu any = vu_set(0);
    uint32_t bits = 0;
    for (int64_t i = 0; i < n; i += VW) any |= (vu)ld_n(x, i, n - i, 0);
    for (int lane = 0; lane < VW; lane++) bits |= any[lane];
    return !bits;
}

/* Row r takes the last `missed` steps, the very last one with the gradient g (NULL: zeros). Without moments there is nothing
 * but the decay: 0 / (0 + eps) = 0, and what it is taken from keeps its bits. */
INLINE void take_missed(const missed_job *job, int64_t r, int64_t missed, const float *g, int bf) {
    const hone_call *c = job->c;
    const int64_t D = width(&c->out[0]), n_zero = g ? missed - 1 : missed;
    const adamw_rate *rate = job->rate + job->past->dim[0] - missed;
    const adamw_betas b = betas_of(&c->attr);
    float *w = cell(&c->out[0], r, 0), *m = cell(&c->out[1], r, 0), *v = cell(&c->out[2], r, 0);
    void *copy = cell(job->copy, r, 0);
    const int is_still = (float)c->attr.adamw.eps > 0 && is_zero(m, D) && is_zero(v, D);
    for (int64_t i = 0; i < D; i += VW) {
        vf w1 = ld_n(w, i, D - i, 0), m1 = ld_n(m, i, D - i, 0), v1 = ld_n(v, i, D - i, 0);
        if (is_still)
            for (int64_t k = 0; k < n_zero; k++) w1 *= rate[k].keep;
        else
            for (int64_t k = 0; k < n_zero; k++) take_step(&b, rate[k], vf_set(0), &w1, &m1, &v1);
        if (g) take_step(&b, rate[n_zero], ld_n(g, i, D - i, 0) * job->unscale, &w1, &m1, &v1);
        st_n(m, i, m1, D - i, 0);
        st_n(v, i, v1, D - i, 0);
        st_n(w, i, w1, D - i, 0);
        if (copy) st_n(copy, i, w1, D - i, bf);
    }
}

static void bring_up(const missed_job *job, int64_t r, const float *g) {
    int32_t *missed = ints(&job->c->out[3]) + r;
    if (*missed && is_bf(job->copy)) take_missed(job, r, *missed, g, 1);
    else if (*missed) take_missed(job, r, *missed, g, 0);
    *missed = 0;
}

static void rows_block(void *arg, int64_t item, int thread) {
    const missed_job *job = arg;
    const hone_call *c = job->c;
    const int64_t end = least((item + 1) * CPU_ROWS, c->out[3].dim[0]), J = job->past->dim[0],
                  turn = c->tick->adam_t % J;
    (void)thread;
    for (int64_t r = item * CPU_ROWS; r < end; r++) {
        ints(&c->out[3])[r]++;
        if (floats(&c->in[1])[r] != 0) bring_up(job, r, cell(&c->in[0], r, 0));
        else if (r % J == turn) bring_up(job, r, NULL);
    }
}

hone_status ISA(adamw_rows)(hone_queue *q, const hone_call *c) {
    const hone_tensor *past = &c->out[4];
    if (!ints(&c->in[4])[0]) return HONE_OK;
    memcpy(cell(past, c->tick->adam_t % past->dim[0], 0), cell(&c->in[2], c->attr.adamw.group, 0),
           2 * sizeof(float));
    missed_job job = {c, &c->out[5], past, list_rates(c, past), floats(&c->in[3])[0]};
    deal(q, row_blocks(c->out[3].dim[0]), rows_block, &job);
    return HONE_OK;
}

/* Without ids an item is a block of the table's rows; else a block of the order, and it owns the ids whose runs begin there. */
static void missed_block(void *arg, int64_t item, int thread) {
    const missed_job *job = arg;
    const int32_t *id = ints(&job->c->in[0]), *order = ints(&job->c->in[1]);
    const int64_t end = least((item + 1) * CPU_ROWS, id ? job->c->in[1].dim[0] : job->c->out[3].dim[0]);
    (void)thread;
    for (int64_t i = item * CPU_ROWS; i < end; i++) {
        const int64_t r = id ? id[order[i]] : i;
        if (r >= 0 && (!id || i == 0 || id[order[i - 1]] != r)) bring_up(job, r, NULL);
    }
}

hone_status ISA(adamw_missed)(hone_queue *q, const hone_call *c) {
    const hone_tensor *past = &c->in[2];
    missed_job job = {c, &c->out[4], past, list_rates(c, past), 0};
    deal(q, row_blocks(c->in[0].p ? c->in[1].dim[0] : c->out[3].dim[0]), missed_block, &job);
    return HONE_OK;
}
