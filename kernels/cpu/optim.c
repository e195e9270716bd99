/* optim.c - the end of an optimizer step: GUARD judges the gradients and moves the tick on, ADAMW_STEP
 * updates. Plain version: kernels/ref/optim.inc. */
#include "ops.h"
#include "adamw.h"
#include "drop.h"

#include <math.h>

/* The loss scale after this step has been judged; hone_tick in device.h tells the rule. */
static void move_scale(hone_tick *tick, const hone_attr *attr, int ok) {
    const float lowest = attr->guard.min_scale;
    float scale = loss_scale_of(tick);
    if (ok && tick->good_steps < attr->guard.window) return;
    tick->good_steps = 0;
    if (ok) {
        tick->hysteresis = attr->guard.hysteresis;
        if (scale < HONE_LOSS_SCALE_MAX) scale = fminf(2 * scale, HONE_LOSS_SCALE_MAX);
    } else if (tick->hysteresis > 1) tick->hysteresis--;
    else if (scale > lowest) scale = fmaxf(scale / 2, lowest);
    else tick->latch = 1;
    memcpy(&tick->loss_scale, &scale, sizeof scale);
}

/* The words of the tick after this step has been judged; hone_tick in device.h tells the order. */
static void move_tick(hone_tick *tick, const hone_attr *attr, int ok) {
    vu x[4] = {vu_set((uint32_t)++tick->step), vu_set(0), vu_set(0), vu_set(0)};
    philox(x, tick->seed);
    tick->step_key[0] = x[0][0], tick->step_key[1] = x[1][0];
    if (ok) {
        tick->adam_t++;
        tick->good_steps++;
    } else tick->skipped++;
    if (attr->guard.dynamic && !tick->latch) move_scale(tick, attr, ok);
    else if (!ok) tick->latch = 1;
}

hone_status ISA(guard)(hone_queue *q, const hone_call *c) {
    const hone_tensor *part = &c->in[0];
    hone_tick *tick = c->out[3].p;
    double sum = 0;
    const float scale = loss_scale_of(tick);
    (void)q;
    for (int64_t i = 0; i < part->dim[0]; i++) sum += (double)floats(part)[i];
    const double norm = sqrt(sum), clip = (double)floats(&c->in[2])[0];
    const double clipped = clip > 0 && clip / (norm + 1e-6) < 1 ? clip / (norm + 1e-6) : 1;
    const int ok = isfinite((float)norm) && isfinite(floats(&c->in[1])[0]) && !tick->latch;
    floats(&c->out[0])[0] = (float)(clipped / (double)scale);
    floats(&c->out[1])[0] = (float)norm;
    ints(&c->out[2])[0] = ok;
    move_tick(tick, &c->attr, ok);
    return HONE_OK;
}

typedef struct {
    const hone_call *c;
    double unbias1, unbias2;
} adamw_job;

/* One pass over memory: 16 bytes read, 12 written an element, 2 or 4 more for a copy. */
INLINE void update_chunk(const adamw_job *job, int64_t item, int bf) {
    const hone_call *c = job->c;
    const int32_t *chunk = cell(&c->in[1], item, 0); /* first element / 64, elements, group */
    const int64_t first = (int64_t)chunk[0] * 64, n = chunk[1];
    const float *g = floats(&c->in[0]) + first, unscale = floats(&c->in[3])[0];
    float *w = floats(&c->out[0]) + first, *m = floats(&c->out[1]) + first, *v = floats(&c->out[2]) + first;
    void *copy = cell(&c->out[3], 0, first);
    const adamw_betas b = betas_of(&c->attr);
    const adamw_rate rate = rate_of(cell(&c->in[2], chunk[2], 0), job->unbias1, job->unbias2);
    for (int64_t i = 0; i < n; i += VW) {
        vf w1 = ld_n(w, i, n - i, 0), m1 = ld_n(m, i, n - i, 0), v1 = ld_n(v, i, n - i, 0);
        take_step(&b, rate, ld_n(g, i, n - i, 0) * unscale, &w1, &m1, &v1);
        st_n(m, i, m1, n - i, 0);
        st_n(v, i, v1, n - i, 0);
        st_n(w, i, w1, n - i, 0);
        if (copy) st_n(copy, i, w1, n - i, bf);
    }
}

static void adamw_chunk(void *arg, int64_t item, int thread) {
    const adamw_job *job = arg;
    (void)thread;
    if (is_bf(&job->c->out[3])) update_chunk(job, item, 1);
    else update_chunk(job, item, 0);
}

hone_status ISA(adamw_step)(hone_queue *q, const hone_call *c) {
    if (!ints(&c->in[4])[0]) return HONE_OK;
    const double t = c->tick->adam_t;
    adamw_job job = {c, 1 - pow(c->attr.adamw.beta1, t), 1 - pow(c->attr.adamw.beta2, t)};
    deal(q, c->in[1].dim[0], adamw_chunk, &job);
    return HONE_OK;
}
