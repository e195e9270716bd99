/* act.c - activations with their gate, dropout, and the sum of two: element by element.
 * Plain version: kernels/ref/act.inc. */
#include "ops.h"
#include "drop.h"
#include "fold.h"
#include "smooth.h"

INLINE void act_rows(const hone_call *c, int64_t first, int64_t end, int kind, int bf) {
    const int64_t F = width(&c->in[0]);
    for (int64_t n = first; n < end; n++) {
        const void *x = cell(&c->in[0], n, 0), *gate = cell(&c->in[1], n, 0);
        void *y = cell(&c->out[0], n, 0);
        for (int64_t i = 0; i < F; i += VW) {
            vf v = act(kind, ld_n(x, i, F - i, bf));
            if (gate) v *= ld_n(gate, i, F - i, bf);
            st_n(y, i, v, F - i, bf);
        }
    }
}

static void act_block(void *arg, int64_t item, int thread) {
    const hone_call *c = arg;
    const int64_t first = item * CPU_ROWS, end = least(first + CPU_ROWS, c->in[0].dim[0]);
    const int kind = c->attr.act.kind, bf = is_bf(&c->in[0]);
    (void)thread;
    if (kind == HONE_ACT_GELU && bf) act_rows(c, first, end, HONE_ACT_GELU, 1);
    else if (kind == HONE_ACT_GELU) act_rows(c, first, end, HONE_ACT_GELU, 0);
    else act_rows(c, first, end, kind, bf);
}

hone_status ISA(act_fwd)(hone_queue *q, const hone_call *c) {
    deal(q, row_blocks(c->in[0].dim[0]), act_block, (void *)(uintptr_t)c);
    return HONE_OK;
}

/* sums: of the block's columns of dx, or NULL. */
INLINE void act_back_rows(const hone_call *c, int64_t first, int64_t end, float *sums, int kind, int bf) {
    const int64_t F = width(&c->in[1]);
    for (int64_t n = first; n < end; n++) {
        const void *dy = cell(&c->in[0], n, 0), *x = cell(&c->in[1], n, 0), *gate = cell(&c->in[2], n, 0);
        void *dx = cell(&c->out[0], n, 0), *dgate = cell(&c->out[1], n, 0);
        for (int64_t i = 0; i < F; i += VW) {
            const vf in = ld_n(x, i, F - i, bf);
            vf v = ld_n(dy, i, F - i, bf);
            if (dgate) st_n(dgate, i, v * act(kind, in), F - i, bf);
            if (gate) v *= ld_n(gate, i, F - i, bf);
            v *= act_slope(kind, in);
            st_n(dx, i, v, F - i, bf);
            if (sums) vf_store(sums + i, vf_load(sums + i) + v);
        }
    }
}

static void act_back_block(void *arg, int64_t item, int thread) {
    const hone_call *c = arg;
    const int64_t first = item * CPU_ROWS, end = least(first + CPU_ROWS, c->in[1].dim[0]);
    const int64_t ld = partial_ld(width(&c->in[1]));
    const int kind = c->attr.act.kind, bf = is_bf(&c->in[1]);
    float *sums = c->out[2].p ? (float *)c->work + item * ld : NULL;
    (void)thread;
    if (sums) memset(sums, 0, (size_t)ld * sizeof(float));
    if (kind == HONE_ACT_GELU && bf) act_back_rows(c, first, end, sums, HONE_ACT_GELU, 1);
    else if (kind == HONE_ACT_GELU) act_back_rows(c, first, end, sums, HONE_ACT_GELU, 0);
    else act_back_rows(c, first, end, sums, kind, bf);
}

hone_status ISA(act_bwd)(hone_queue *q, const hone_call *c) {
    const int64_t n_blocks = row_blocks(c->in[1].dim[0]);
    deal(q, n_blocks, act_back_block, (void *)(uintptr_t)c);
    fold(q, &c->out[2], &c->in[3], c->work, n_blocks);
    return HONE_OK;
}

typedef struct {
    const hone_call *c;
    hone_queue *q;
    dropper drop;
} drop_job;

static void drop_block(void *arg, int64_t item, int thread) {
    const drop_job *job = arg;
    const hone_call *c = job->c;
    const int64_t D = width(&c->in[0]), end = least((item + 1) * CPU_ROWS, c->in[0].dim[0]);
    const int bf = is_bf(&c->in[0]);
    uint16_t *bits = scratch_of(job->q, thread);
    for (int64_t n = item * CPU_ROWS; n < end; n++) {
        const void *x = cell(&c->in[0], n, 0);
        void *y = cell(&c->out[0], n, 0);
        if (job->drop.threshold) draw_row(bits, D, &job->drop, keys(&c->in[1])[n]);
        for (int64_t i = 0; i < D; i += VW) {
            vf v = ld_n(x, i, D - i, bf);
            if (job->drop.threshold) v = drop(v, bits + i, &job->drop);
            st_n(y, i, v, D - i, bf);
        }
    }
}

hone_status ISA(dropout)(hone_queue *q, const hone_call *c) {
    drop_job job = {c, q, dropper_of(c->tick, c->attr.p, c->attr.site)};
    deal(q, row_blocks(c->in[0].dim[0]), drop_block, &job);
    return HONE_OK;
}

static void add_block(void *arg, int64_t item, int thread) {
    const hone_call *c = arg;
    const int64_t D = width(&c->out[0]), end = least((item + 1) * CPU_ROWS, c->out[0].dim[0]);
    const int bf = is_bf(&c->out[0]);
    (void)thread;
    for (int64_t n = item * CPU_ROWS; n < end; n++) {
        const void *a = cell(&c->in[0], n, 0), *b = cell(&c->in[1], n, 0);
        void *y = cell(&c->out[0], n, 0);
        for (int64_t i = 0; i < D; i += VW)
            st_n(y, i, ld_n(a, i, D - i, bf) + ld_n(b, i, D - i, bf), D - i, bf);
    }
}

hone_status ISA(add)(hone_queue *q, const hone_call *c) {
    deal(q, row_blocks(c->out[0].dim[0]), add_block, (void *)(uintptr_t)c);
    return HONE_OK;
}
