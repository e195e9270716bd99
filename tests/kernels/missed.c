/* missed.c - rows of a table that take their steps when they are looked at end in the bits of those that take them in time:
 * ADAMW_STEP on all elements, beside EMBED_BWD with touched rows, ADAMW_MISSED and ADAMW_ROWS. */
#include <stdlib.h>
#include <string.h>

#include "call.h"
#include "devices.h"
#include "test.h"

enum { V = 150, D = 65, N = 21, J = 8, STEPS = 60, CHUNKS = (V * D + 8191) / 8192 };

/* What both ways have; `copy` is read where the compute type is bf16. */
typedef struct {
    float g[V * D], w[V * D], m[V * D], v[V * D], touched[V], past[2 * J], rate[2], factor[1];
    uint16_t copy[V * D];
    int32_t missed[V], ok[1], id[N], order[N], chunk[3 * CHUNKS];
    float dy[N * D];
} state;

static uint32_t draw(uint32_t *seed) { return *seed = *seed * 1664525u + 1013904223u, *seed >> 8; }
static float number(uint32_t *seed) { return (float)draw(seed) / (float)(1 << 23) - 1; }

/* Few ids a step, some of them often, the last two none; a step in five is not ok. */
static void begin_step(state *s, int step, uint32_t *seed) {
    for (int i = 0; i < N; i++)
        s->id[i] = i < N - 2 ? (int32_t)(draw(seed) % (i % 2 ? V : 9)) : -1, s->order[i] = i;
    for (int i = 1; i < N; i++) /* by id, stable, -1 last */
        for (int k = i; k > 0 && (uint32_t)s->id[s->order[k - 1]] > (uint32_t)s->id[s->order[k]]; k--) {
            const int32_t other = s->order[k];
            s->order[k] = s->order[k - 1], s->order[k - 1] = other;
        }
    for (int i = 0; i < N * D; i++) s->dy[i] = number(seed);
    s->rate[0] = 0.01f * (float)(step % 13), s->rate[1] = step % 7 ? 0.1f : 0;
    s->factor[0] = 0.5f + 0.01f * (float)step;
    s->ok[0] = step % 5 != 3;
}

static hone_tensor table_of(void *p, hone_dtype dtype) { return tensor_of(p, dtype, V, D); }

static void bind_state(hone_call *c, state *s, int with_copy) {
    bind(c, "w", table_of(s->w, HONE_F32)), bind(c, "+w", table_of(s->w, HONE_F32));
    bind(c, "m", table_of(s->m, HONE_F32)), bind(c, "+m", table_of(s->m, HONE_F32));
    bind(c, "v", table_of(s->v, HONE_F32)), bind(c, "+v", table_of(s->v, HONE_F32));
    if (with_copy) bind(c, "copy", table_of(s->copy, HONE_BF16));
    c->attr.adamw.beta1 = 0.9, c->attr.adamw.beta2 = 0.99, c->attr.adamw.eps = 1e-8;
}

static void play(const cases_on *on, hone_call *c, const hone_tick *tick, state *s) {
    play_on(on, c, tick, s, sizeof *s);
}

static void sum_gradient(const cases_on *on, state *s, int with_touched) {
    hone_call c = {.op = HONE_OP_EMBED_BWD};
    bind(&c, "dy", tensor_of(s->dy, HONE_F32, N, D));
    bind(&c, "id", tensor_of(s->id, HONE_I32, N, 0));
    bind(&c, "order", tensor_of(s->order, HONE_I32, N, 0));
    bind(&c, "dw", table_of(s->g, HONE_F32));
    if (with_touched) {
        bind(&c, "touched", tensor_of(s->touched, HONE_F32, V, 0));
        bind(&c, "+touched", tensor_of(s->touched, HONE_F32, V, 0));
    }
    play(on, &c, NULL, s);
}

static void update(const cases_on *on, state *s, const hone_tick *tick, int with_copy) {
    hone_call c = {.op = HONE_OP_ADAMW_STEP};
    bind_state(&c, s, with_copy);
    bind(&c, "g", table_of(s->g, HONE_F32));
    bind(&c, "chunk", tensor_of(s->chunk, HONE_I32, CHUNKS, 3));
    bind(&c, "rate", tensor_of(s->rate, HONE_F32, 1, 2));
    bind(&c, "factor", tensor_of(s->factor, HONE_F32, 1, 0));
    bind(&c, "ok", tensor_of(s->ok, HONE_I32, 1, 0));
    play(on, &c, tick, s);
}

static void bind_missed(hone_call *c, state *s, int with_copy) {
    bind_state(c, s, with_copy);
    if (with_copy) bind(c, "+copy", table_of(s->copy, HONE_BF16));
    bind(c, "missed", tensor_of(s->missed, HONE_I32, V, 0));
    bind(c, "+missed", tensor_of(s->missed, HONE_I32, V, 0));
    bind(c, "past", tensor_of(s->past, HONE_F32, J, 2));
}

static void update_rows(const cases_on *on, state *s, const hone_tick *tick, int with_copy) {
    hone_call c = {.op = HONE_OP_ADAMW_ROWS};
    bind_missed(&c, s, with_copy);
    bind(&c, "+past", tensor_of(s->past, HONE_F32, J, 2));
    bind(&c, "g", table_of(s->g, HONE_F32));
    bind(&c, "touched", tensor_of(s->touched, HONE_F32, V, 0));
    bind(&c, "rate", tensor_of(s->rate, HONE_F32, 1, 2));
    bind(&c, "factor", tensor_of(s->factor, HONE_F32, 1, 0));
    bind(&c, "ok", tensor_of(s->ok, HONE_I32, 1, 0));
    play(on, &c, tick, s);
}

static void update_missed(const cases_on *on, state *s, const hone_tick *tick, int with_ids, int with_copy) {
    hone_call c = {.op = HONE_OP_ADAMW_MISSED};
    bind_missed(&c, s, with_copy);
    if (with_ids) {
        bind(&c, "id", tensor_of(s->id, HONE_I32, N, 0));
        bind(&c, "order", tensor_of(s->order, HONE_I32, N, 0));
    }
    play(on, &c, tick, s);
}

/* Bits of rows: of the ids, or of all. */
static void check_rows(const state *a, const state *b, int all, int step) {
    for (int i = 0; i < (all ? V : N); i++) {
        const int64_t r = all ? i : a->id[i];
        if (r < 0) continue;
        if (memcmp(a->w + r * D, b->w + r * D, D * sizeof(float)) ||
            memcmp(a->copy + r * D, b->copy + r * D, D * 2))
            test_fail(__FILE__, __LINE__, "step %d: row %d of the weights has other bits", step, (int)r);
        if (memcmp(a->m + r * D, b->m + r * D, D * sizeof(float)) ||
            memcmp(a->v + r * D, b->v + r * D, D * sizeof(float)))
            test_fail(__FILE__, __LINE__, "step %d: row %d of the moments has other bits", step, (int)r);
    }
}

static void train_both(const char *name, int with_copy) {
    const cases_on on = devices_open(name);
    static state in_time, later;
    hone_tick tick = {.adam_t = 0};
    uint32_t seed = 7, other_seed;
    in_time = (state){.g = {0}};
    for (int i = 0; i < V * D; i++) in_time.w[i] = number(&seed);
    for (int q = 0; q < CHUNKS; q++)
        in_time.chunk[3 * q] = q * 128,
                          in_time.chunk[3 * q + 1] = V * D - q * 8192 < 8192 ? V * D - q * 8192 : 8192;
    in_time.g[3] = -1; /* the first call zeroes what is touched, whatever lies there */
    later = in_time;
    later.touched[0] = 1;
    int n_missed = 0;
    for (int step = 0; step < STEPS; step++) {
        other_seed = seed;
        begin_step(&in_time, step, &seed), begin_step(&later, step, &other_seed);
        update_missed(&on, &later, &tick, 1, with_copy);
        if (step) check_rows(&in_time, &later, 0, step);
        sum_gradient(&on, &in_time, 0), sum_gradient(&on, &later, 1);
        CHECK(!memcmp(in_time.g, later.g, sizeof later.g));
        tick.adam_t += in_time.ok[0];
        update(&on, &in_time, &tick, with_copy), update_rows(&on, &later, &tick, with_copy);
        for (int r = 0; r < V; r++) n_missed += later.missed[r] > 0, CHECK(later.missed[r] < J);
        if (step % 25 != 24 && step + 1 < STEPS) continue;
        update_missed(&on, &later, &tick, 0, with_copy);
        check_rows(&in_time, &later, 1, step);
    }
    CHECK(n_missed > STEPS * V / 4);
}

TEST(rows_updated_later_have_the_bits_of_rows_updated_in_time) {
    train_both("cpu", 0);
    train_both("cpu", 1);
    train_both("ref", 0);
}
