/* fused.c - a fused form is the plain ops with their values kept: the same bits on ref. On cpu and emu, in
 * bf16: what is computed from a value does not depend on whether it is stored. */
#include "base/rng.h"
#include "call.h"
#include "devices.h"
#include "test.h"

enum { N = 9, D = 13, E = 6 };
static const hone_tick tick = {.step_key = {5, 6}};

static void fill(float *x, int n, int stream) {
    for (int i = 0; i < n; i++) x[i] = (float)rng_normal(3, RNG_TEST, (uint64_t)stream, (uint64_t)i);
}

static hone_tensor floats(float *p, int rows, int width) { return tensor_of(p, HONE_F32, rows, width); }

TEST(linear_with_activation_equals_linear_then_activation) {
    for (int kind = HONE_ACT_GELU; kind <= HONE_ACT_TANH; kind++) {
        float x[N * D], w[E * D], bias[E], y[N * E], pre[N * E], u[N * E], z[N * E];
        fill(x, N * D, 1), fill(w, E * D, 2), fill(bias, E, 3);
        hone_call c = {.op = HONE_OP_LINEAR_FWD, .attr.linear.act = kind};
        bind(&c, "x", floats(x, N, D)), bind(&c, "w", floats(w, E, D)), bind(&c, "bias", floats(bias, E, 0));
        bind(&c, "y", floats(y, N, E)), bind(&c, "pre", floats(pre, N, E));
        play_on_ref(&c, NULL);
        c.attr.linear.act = HONE_ACT_NONE;
        bind(&c, "pre", (hone_tensor){.p = NULL}), bind(&c, "y", floats(u, N, E));
        play_on_ref(&c, NULL);
        hone_call a = {.op = HONE_OP_ACT_FWD, .attr.act.kind = kind};
        bind(&a, "x", floats(u, N, E)), bind(&a, "y", floats(z, N, E));
        play_on_ref(&a, NULL);
        CHECK(!memcmp(pre, u, sizeof u) && !memcmp(y, z, sizeof z));
    }
}

TEST(linear_backward_through_an_activation_equals_the_two_ops) {
    for (int kind = HONE_ACT_GELU; kind <= HONE_ACT_TANH; kind++) {
        float dy[N * E], w[E * D], pre[N * D], dx[N * D], df[N * D], du[N * D], dbias[D], dbias2[D];
        fill(dy, N * E, 1), fill(w, E * D, 2), fill(pre, N * D, 3);
        hone_call c = {.op = HONE_OP_LINEAR_BWD, .attr.linear.act = kind};
        bind(&c, "dy", floats(dy, N, E)), bind(&c, "w", floats(w, E, D)), bind(&c, "pre", floats(pre, N, D));
        bind(&c, "dx", floats(dx, N, D)), bind(&c, "dbias", floats(dbias, D, 0));
        play_on_ref(&c, NULL);
        hone_call plain = {.op = HONE_OP_LINEAR_BWD};
        bind(&plain, "dy", floats(dy, N, E)), bind(&plain, "w", floats(w, E, D)),
            bind(&plain, "dx", floats(df, N, D));
        play_on_ref(&plain, NULL);
        hone_call a = {.op = HONE_OP_ACT_BWD, .attr.act.kind = kind};
        bind(&a, "dy", floats(df, N, D)), bind(&a, "x", floats(pre, N, D)), bind(&a, "dx", floats(du, N, D));
        bind(&a, "dbias", floats(dbias2, D, 0));
        play_on_ref(&a, NULL);
        CHECK(!memcmp(dx, du, sizeof du) && !memcmp(dbias, dbias2, sizeof dbias));
    }
}

TEST(norm_with_bias_dropout_and_residual_equals_the_plain_ops) {
    float x[N * D], bias[D], res[N * D], gamma[D], beta[D], y[N * D], s[N * D], t[N * D], z[N * D];
    hone_key key[N];
    for (uint32_t n = 0; n < N; n++) key[n] = (hone_key){n, 1};
    fill(x, N * D, 1), fill(bias, D, 2), fill(res, N * D, 3), fill(gamma, D, 4), fill(beta, D, 5);
    hone_call c = {.op = HONE_OP_NORM_FWD, .attr = {.p = 0.5f, .site = 3, .norm = {HONE_NORM_LAYER, 1e-5}}};
    bind(&c, "x", floats(x, N, D)), bind(&c, "bias", floats(bias, D, 0)), bind(&c, "res", floats(res, N, D));
    bind(&c, "key", tensor_of(key, HONE_KEY, N, 0));
    bind(&c, "gamma", floats(gamma, D, 0)), bind(&c, "beta", floats(beta, D, 0));
    bind(&c, "y", floats(y, N, D)), bind(&c, "s", floats(s, N, D));
    play_on_ref(&c, &tick);
    for (int i = 0; i < N * D; i++) t[i] = x[i] + bias[i % D];
    hone_call drop = {.op = HONE_OP_DROPOUT, .attr = {.p = 0.5f, .site = 3}};
    bind(&drop, "x", floats(t, N, D)), bind(&drop, "y", floats(t, N, D));
    bind(&drop, "key", tensor_of(key, HONE_KEY, N, 0));
    play_on_ref(&drop, &tick);
    hone_call add = {.op = HONE_OP_ADD};
    bind(&add, "a", floats(t, N, D)), bind(&add, "b", floats(res, N, D)), bind(&add, "y", floats(t, N, D));
    play_on_ref(&add, NULL);
    hone_call norm = {.op = HONE_OP_NORM_FWD, .attr.norm = {HONE_NORM_LAYER, 1e-5}};
    bind(&norm, "x", floats(t, N, D)), bind(&norm, "gamma", floats(gamma, D, 0)),
        bind(&norm, "beta", floats(beta, D, 0));
    bind(&norm, "y", floats(z, N, D));
    play_on_ref(&norm, NULL);
    CHECK(!memcmp(s, t, sizeof t) && !memcmp(y, z, sizeof z));
}

TEST(norm_backward_with_dropout_and_bias_equals_the_plain_ops) {
    float dy[N * D], s[N * D], mean[N], rstd[N], ds[N * D], dx[N * D], dbias[D], ds2[N * D], dx2[N * D],
        sum[D] = {0};
    hone_key key[N];
    for (uint32_t n = 0; n < N; n++) key[n] = (hone_key){n, 1}, mean[n] = 0.1f, rstd[n] = 1.1f;
    fill(dy, N * D, 1), fill(s, N * D, 2);
    hone_call c = {.op = HONE_OP_NORM_BWD, .attr = {.p = 0.5f, .site = 3, .norm = {HONE_NORM_LAYER, 1e-5}}};
    bind(&c, "dy", floats(dy, N, D)), bind(&c, "s", floats(s, N, D));
    bind(&c, "mean", floats(mean, N, 0)), bind(&c, "rstd", floats(rstd, N, 0));
    hone_call plain = c;
    plain.attr.p = 0;
    bind(&c, "key", tensor_of(key, HONE_KEY, N, 0));
    bind(&c, "ds", floats(ds, N, D)), bind(&c, "dx", floats(dx, N, D)),
        bind(&c, "dbias", floats(dbias, D, 0));
    play_on_ref(&c, &tick);
    bind(&plain, "ds", floats(ds2, N, D));
    play_on_ref(&plain, NULL);
    hone_call drop = {.op = HONE_OP_DROPOUT, .attr = {.p = 0.5f, .site = 3}};
    bind(&drop, "x", floats(ds2, N, D)), bind(&drop, "y", floats(dx2, N, D));
    bind(&drop, "key", tensor_of(key, HONE_KEY, N, 0));
    play_on_ref(&drop, &tick);
    for (int i = 0; i < N * D; i++) sum[i % D] += dx2[i];
    CHECK(!memcmp(ds, ds2, sizeof ds) && !memcmp(dx, dx2, sizeof dx) && !memcmp(dbias, sum, sizeof sum));
}

/* ---- bf16: a value is rounded as if stored, bound or not ---- */
enum { ROWS = 35, WIDE = 48, OUT = 40 };
static struct {
    _Alignas(16) uint16_t x[ROWS * WIDE], w[OUT * WIDE], res[ROWS * WIDE], bias[WIDE], gamma[WIDE],
        beta[WIDE], y[ROWS * WIDE], bare[ROWS * WIDE], kept[ROWS * WIDE], z[ROWS * WIDE];
    _Alignas(16) float mean[ROWS + 1], rstd[ROWS + 1], mean2[ROWS + 1], rstd2[ROWS + 1];
    _Alignas(16) hone_key key[ROWS];
} now;

static void fill_bf16(uint16_t *x, int n, int stream) {
    for (int i = 0; i < n; i++) {
        const float v = (float)rng_normal(3, RNG_TEST, (uint64_t)stream, (uint64_t)i);
        uint32_t bits;
        memcpy(&bits, &v, sizeof bits);
        x[i] = (uint16_t)(bits >> 16);
    }
}
static void fill_now(void) {
    fill_bf16(now.x, ROWS * WIDE, 1), fill_bf16(now.w, OUT * WIDE, 2), fill_bf16(now.res, ROWS * WIDE, 3);
    fill_bf16(now.bias, WIDE, 4), fill_bf16(now.gamma, WIDE, 5), fill_bf16(now.beta, WIDE, 6);
    for (uint32_t n = 0; n < ROWS; n++) now.key[n] = (hone_key){n, 1};
}
static hone_tensor halves(uint16_t *p, int rows, int width) { return tensor_of(p, HONE_BF16, rows, width); }
static void play_now(const cases_on *on, hone_call *c) { play_on(on, c, &tick, &now, sizeof now); }

/* kept: pre. */
static void check_linear(const char *device, int width) {
    const cases_on on = devices_open(device);
    fill_now();
    for (int kind = HONE_ACT_GELU; kind <= HONE_ACT_TANH; kind++) {
        hone_call c = {.op = HONE_OP_LINEAR_FWD, .attr.linear.act = kind};
        bind(&c, "x", halves(now.x, ROWS, width)), bind(&c, "w", halves(now.w, OUT, width));
        bind(&c, "bias", halves(now.bias, OUT, 0)), bind(&c, "y", halves(now.bare, ROWS, OUT));
        play_now(&on, &c);
        bind(&c, "y", halves(now.y, ROWS, OUT)), bind(&c, "pre", halves(now.kept, ROWS, OUT));
        play_now(&on, &c);
        hone_call a = {.op = HONE_OP_ACT_FWD, .attr.act.kind = kind};
        bind(&a, "x", halves(now.kept, ROWS, OUT)), bind(&a, "y", halves(now.z, ROWS, OUT));
        play_now(&on, &a);
        const size_t bytes = sizeof(uint16_t) * ROWS * OUT;
        CHECK(!memcmp(now.bare, now.y, bytes) && !memcmp(now.z, now.y, bytes));
    }
}

/* kept: s. */
static void check_norm(const char *device, int width) {
    const cases_on on = devices_open(device);
    fill_now();
    for (int kind = HONE_NORM_LAYER; kind <= HONE_NORM_RMS; kind++) {
        hone_call c = {.op = HONE_OP_NORM_FWD, .attr = {.p = 0.1f, .site = 3, .norm = {kind, 1e-5}}};
        bind(&c, "gamma", halves(now.gamma, width, 0)), bind(&c, "beta", halves(now.beta, width, 0));
        if (kind == HONE_NORM_LAYER) bind(&c, "mean", tensor_of(now.mean, HONE_F32, ROWS, 0));
        bind(&c, "rstd", tensor_of(now.rstd, HONE_F32, ROWS, 0));
        hone_call plain = c;
        plain.attr.p = 0;
        bind(&c, "x", halves(now.x, ROWS, width)), bind(&c, "bias", halves(now.bias, width, 0));
        bind(&c, "res", halves(now.res, ROWS, width)), bind(&c, "key", tensor_of(now.key, HONE_KEY, ROWS, 0));
        bind(&c, "y", halves(now.bare, ROWS, width));
        play_now(&on, &c);
        memcpy(now.mean2, now.mean, sizeof now.mean), memcpy(now.rstd2, now.rstd, sizeof now.rstd);
        bind(&c, "y", halves(now.y, ROWS, width)), bind(&c, "s", halves(now.kept, ROWS, width));
        play_now(&on, &c);
        const size_t bytes = sizeof(uint16_t) * (size_t)(ROWS * width);
        CHECK(!memcmp(now.bare, now.y, bytes));
        CHECK(!memcmp(now.mean2, now.mean, sizeof now.mean) && !memcmp(now.rstd2, now.rstd, sizeof now.rstd));
        bind(&plain, "x", halves(now.kept, ROWS, width)), bind(&plain, "y", halves(now.z, ROWS, width));
        play_now(&on, &plain);
        CHECK(!memcmp(now.z, now.y, bytes));
        CHECK(!memcmp(now.mean2, now.mean, sizeof now.mean) && !memcmp(now.rstd2, now.rstd, sizeof now.rstd));
    }
}

TEST(cpu_activations_read_the_stored_sum) { check_linear("cpu", WIDE), check_linear("cpu", 13); }
TEST(emu_activations_read_the_stored_sum) { check_linear("emu", WIDE), check_linear("emu", 13); }
TEST(cpu_norms_read_the_stored_sum) { check_norm("cpu", WIDE), check_norm("cpu", 13); }
TEST(emu_norms_read_the_stored_sum) { check_norm("emu", WIDE), check_norm("emu", 13); }
