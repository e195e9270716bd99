/* guard.c - GUARD moves the loss scale step by step as DeepSpeed's DynamicLossScaler does. */
#include <math.h>

#include "call.h"
#include "test.h"

typedef struct {
    hone_tick tick;
    hone_call call;
    float part[1], loss[1], clip[1], factor[1], norm[1];
    int32_t ok[1];
} guard;

static void guard_init(guard *g, float scale, int32_t window, int32_t hysteresis, float min_scale) {
    *g = (guard){.loss = {1}, .tick = {.hysteresis = hysteresis}, .call = {.op = HONE_OP_GUARD}};
    memcpy(&g->tick.loss_scale, &scale, sizeof scale);
    g->call.attr.guard.dynamic = window > 0, g->call.attr.guard.window = window;
    g->call.attr.guard.hysteresis = hysteresis, g->call.attr.guard.min_scale = min_scale;
    bind(&g->call, "part", tensor_of(g->part, HONE_F32, 1, 0));
    bind(&g->call, "loss", tensor_of(g->loss, HONE_F32, 1, 0));
    bind(&g->call, "clip", tensor_of(g->clip, HONE_F32, 1, 0));
    bind(&g->call, "factor", tensor_of(g->factor, HONE_F32, 1, 0));
    bind(&g->call, "norm", tensor_of(g->norm, HONE_F32, 1, 0));
    bind(&g->call, "ok", tensor_of(g->ok, HONE_I32, 1, 0));
    bind(&g->call, "tick", tensor_of(&g->tick, HONE_I32, 16, 0));
    bind(&g->call, "+tick", tensor_of(&g->tick, HONE_I32, 16, 0));
}

static float scale_of(const guard *g) {
    float scale;
    memcpy(&scale, &g->tick.loss_scale, sizeof scale);
    return scale;
}

/* Play the steps ('.' sound, 'x' not finite); the scale after each must be what is expected. */
static void walk(guard *g, const char *steps, const float *expected) {
    for (int i = 0; steps[i]; i++) {
        const float before = scale_of(g);
        g->part[0] = steps[i] == 'x' ? INFINITY : 4;
        play_on_ref(&g->call, NULL);
        CHECK_INT(g->ok[0], steps[i] == '.');
        CHECK_NEAR(g->factor[0] * before, 1,
                   1e-6); /* the step unscales by the scale that it was played with */
        if (scale_of(g) != expected[i])
            test_fail(__FILE__, __LINE__, "step %d of %s: scale %g; expected %g", i, steps,
                      (double)scale_of(g), (double)expected[i]);
    }
}

/* Hysteresis is full again only when the scale is raised, as with consecutive_hysteresis false. */
TEST(guard_moves_the_loss_scale) {
    guard g;
    guard_init(&g, 64, 3, 2, 1);
    walk(&g, "...x..xx...x.x...",
         (float[]){64, 64, 128, 128, 128, 128, 64, 32, 32, 32, 64, 64, 64, 32, 32, 32, 64});
    CHECK_INT(g.tick.adam_t, 12);
    CHECK_INT(g.tick.skipped, 5);
    CHECK_INT(g.tick.hysteresis, 2);
    CHECK_INT(g.tick.latch, 0);
}

TEST(guard_latches_at_the_floor_of_the_loss_scale) {
    guard g;
    guard_init(&g, 8, 1000, 1, 3);
    walk(&g, ".xx", (float[]){8, 4, 3});
    CHECK_INT(g.tick.latch, 0);
    walk(&g, "x", (float[]){3});
    CHECK_INT(g.tick.latch, 1);
    g.part[0] = 4;
    play_on_ref(&g.call, NULL); /* sound again, and too late */
    CHECK(g.ok[0] == 0 && g.tick.latch == 1 && g.tick.adam_t == 1 && g.tick.skipped == 4 && g.tick.step == 5);
}

TEST(guard_keeps_a_fixed_loss_scale) {
    guard g;
    guard_init(&g, 128, 0, 0, 0);
    walk(&g, "...x", (float[]){128, 128, 128, 128});
    CHECK_INT(g.tick.latch, 1);
}
