/* norm.c - layer and root-mean-square norms of rows, with the bias, dropout and residual that stand before
 * them.
 *   s = res + drop(x + bias),   xhat = (s - mean) rstd,   y = drop_out(gamma xhat + beta)
 *   g = gamma drop_out'(dy),   ds = rstd (g - average of g - xhat average of (g xhat)) (+ +ds),
 *   dx = drop'(ds)
 * A row is read once and stays in the thread's scratch, in fp32, until it is written; s in its stored type's
 * precision, stored or not. The variance is a second pass over scratch. Floor of the traffic: each operand
 * once. Plain version: kernels/ref/norm.inc. */
#include "ops.h"
#include "drop.h"
#include "fold.h"

typedef struct {
    const hone_call *c;
    hone_queue *q;
    dropper drop, drop_out;
} norm_job;

/* Scratch of a thread. */
typedef struct {
    float *row, *xhat;         /* [D] */
    uint16_t *bits, *bits_out; /* [D] */
} norm_scratch;

static norm_job norm_job_of(hone_queue *q, const hone_call *c) {
    return (norm_job){c, q, dropper_of(c->tick, c->attr.p, c->attr.site),
                      dropper_of(c->tick, c->attr.p_out, c->attr.site_out)};
}

static norm_scratch norm_scratch_of(const norm_job *job, int thread) {
    float *row = scratch_of(job->q, thread), *xhat = row + CPU_WIDTH_MAX;
    uint16_t *bits = (uint16_t *)(void *)(xhat + CPU_WIDTH_MAX);
    return (norm_scratch){row, xhat, bits, bits + CPU_WIDTH_MAX};
}

INLINE void norm_row(const norm_job *job, norm_scratch t, int64_t n, int bf) {
    const hone_call *c = job->c;
    const int64_t D = width(&c->in[0]);
    const void *x = cell(&c->in[0], n, 0), *res = cell(&c->in[3], n, 0);
    const void *bias = c->in[1].p, *gamma = c->in[4].p, *beta = c->in[5].p;
    void *y = cell(&c->out[0], n, 0), *s = cell(&c->out[3], n, 0);
    const int is_rms = c->attr.norm.kind == HONE_NORM_RMS;
    if (job->drop.threshold) draw_row(t.bits, D, &job->drop, keys(&c->in[2])[n]);
    if (job->drop_out.threshold) draw_row(t.bits_out, D, &job->drop_out, keys(&c->in[2])[n]);
    vf sum = vf_set(0), square = vf_set(0);
    for (int64_t i = 0; i < D; i += VW) {
        vf v = ld_n(x, i, D - i, bf);
        if (bias) v += ld_n(bias, i, D - i, bf);
        if (job->drop.threshold) v = drop(v, t.bits + i, &job->drop);
        if (res) v += ld_n(res, i, D - i, bf);
        v = vf_stored(v, bf);
        if (s) st_n(s, i, v, D - i, bf);
        vf_store(t.row + i, v);
        sum += v;
    }
    const float mu = is_rms ? 0 : vf_sum(sum) / (float)D;
    for (int64_t i = 0; i < D; i += VW) {
        const vf v = vf_first(vf_load(t.row + i) - mu, D - i);
        square = vf_fma(v, v, square);
    }
    const float rs = 1 / __builtin_sqrtf(vf_sum(square) / (float)D + (float)c->attr.norm.eps);
    if (c->out[1].p && !is_rms) floats(&c->out[1])[n] = mu;
    if (c->out[2].p) floats(&c->out[2])[n] = rs;
    for (int64_t i = 0; i < D; i += VW) {
        vf v = (vf_load(t.row + i) - mu) * rs;
        if (gamma) v *= ld_n(gamma, i, D - i, bf);
        if (beta) v += ld_n(beta, i, D - i, bf);
        if (job->drop_out.threshold) v = drop(v, t.bits_out + i, &job->drop_out);
        st_n(y, i, v, D - i, bf);
    }
}

static void norm_block(void *arg, int64_t item, int thread) {
    const norm_job *job = arg;
    const norm_scratch t = norm_scratch_of(job, thread);
    const int64_t end = least((item + 1) * CPU_ROWS, job->c->in[0].dim[0]);
    const int bf = is_bf(&job->c->in[0]);
    for (int64_t n = item * CPU_ROWS; n < end; n++)
        if (bf) norm_row(job, t, n, 1);
        else norm_row(job, t, n, 0);
}

hone_status ISA(norm_fwd)(hone_queue *q, const hone_call *c) {
    norm_job job = norm_job_of(q, c);
    deal(q, row_blocks(c->in[0].dim[0]), norm_block, &job);
    return HONE_OK;
}

/* Partial sums of block b: which 0 dgamma, 1 dbeta, 2 dbias; NULL where that result is not bound. */
static float *norm_partial(const hone_call *c, int which, int64_t b) {
    const int result[3] = {1, 2, 4};
    const int64_t ld = partial_ld(width(&c->in[0])), n_blocks = row_blocks(c->in[0].dim[0]);
    return c->out[result[which]].p ? (float *)c->work + (which * n_blocks + b) * ld : NULL;
}

/* g into t.row, xhat into t.xhat; adds to dgamma and dbeta. Gives the two averages. */
INLINE void norm_back_sums(const norm_job *job, norm_scratch t, int64_t n, float *dgamma, float *dbeta,
                           float *average, float *along, int bf) {
    const hone_call *c = job->c;
    const int64_t D = width(&c->in[0]);
    const void *dy = cell(&c->in[0], n, 0), *s = cell(&c->in[1], n, 0), *gamma = c->in[4].p;
    const int is_rms = c->attr.norm.kind == HONE_NORM_RMS;
    const float mu = is_rms ? 0 : floats(&c->in[2])[n], rs = floats(&c->in[3])[n];
    vf sum = vf_set(0), product = vf_set(0);
    for (int64_t i = 0; i < D; i += VW) {
        vf g = ld_n(dy, i, D - i, bf);
        if (job->drop_out.threshold) g = drop(g, t.bits_out + i, &job->drop_out);
        const vf xhat = (ld_n(s, i, D - i, bf) - mu) * rs;
        if (dgamma) vf_store(dgamma + i, vf_fma(g, xhat, vf_load(dgamma + i)));
        if (dbeta) vf_store(dbeta + i, vf_load(dbeta + i) + g);
        if (gamma) g *= ld_n(gamma, i, D - i, bf);
        sum += g;
        product = vf_fma(g, xhat, product);
        vf_store(t.row + i, g);
        vf_store(t.xhat + i, xhat);
    }
    *average = is_rms ? 0 : vf_sum(sum) / (float)D;
    *along = vf_sum(product) / (float)D;
}

INLINE void norm_back_row(const norm_job *job, norm_scratch t, int64_t n, float *dgamma, float *dbeta,
                          float *dbias, int bf) {
    const hone_call *c = job->c;
    const int64_t D = width(&c->in[0]);
    const void *plus = cell(&c->in[6], n, 0);
    void *ds = cell(&c->out[0], n, 0), *dx = cell(&c->out[3], n, 0);
    const float rs = floats(&c->in[3])[n];
    if (job->drop.threshold) draw_row(t.bits, D, &job->drop, keys(&c->in[5])[n]);
    if (job->drop_out.threshold) draw_row(t.bits_out, D, &job->drop_out, keys(&c->in[5])[n]);
    float average, along;
    norm_back_sums(job, t, n, dgamma, dbeta, &average, &along, bf);
    for (int64_t i = 0; i < D; i += VW) {
        vf v = (vf_load(t.row + i) - average - vf_load(t.xhat + i) * along) * rs;
        if (plus) v += ld_n(plus, i, D - i, bf);
        st_n(ds, i, v, D - i, bf);
        if (job->drop.threshold) v = drop(v, t.bits + i, &job->drop);
        if (dx) st_n(dx, i, v, D - i, bf);
        if (dbias) vf_store(dbias + i, vf_load(dbias + i) + v);
    }
}

static void norm_back_block(void *arg, int64_t item, int thread) {
    const norm_job *job = arg;
    const norm_scratch t = norm_scratch_of(job, thread);
    const int64_t D = width(&job->c->in[0]), end = least((item + 1) * CPU_ROWS, job->c->in[0].dim[0]);
    const int bf = is_bf(&job->c->in[0]);
    float *sums[3];
    for (int k = 0; k < 3; k++) {
        sums[k] = norm_partial(job->c, k, item);
        if (sums[k]) memset(sums[k], 0, (size_t)partial_ld(D) * sizeof(float));
    }
    for (int64_t n = item * CPU_ROWS; n < end; n++)
        if (bf) norm_back_row(job, t, n, sums[0], sums[1], sums[2], 1);
        else norm_back_row(job, t, n, sums[0], sums[1], sums[2], 0);
}

hone_status ISA(norm_bwd)(hone_queue *q, const hone_call *c) {
    norm_job job = norm_job_of(q, c);
    const int64_t n_blocks = row_blocks(c->in[0].dim[0]);
    deal(q, n_blocks, norm_back_block, &job);
    fold(q, &c->out[1], &c->in[7], norm_partial(c, 0, 0), n_blocks);
    fold(q, &c->out[2], &c->in[8], norm_partial(c, 1, 0), n_blocks);
    fold(q, &c->out[4], &c->in[9], norm_partial(c, 2, 0), n_blocks);
    return HONE_OK;
}
