/* dropout.c - masks are the function of step, site, sample and position that device.h writes down. Here it is
 * written once more, over the host's own Philox. */
#include <math.h>

#include "base/rng.h"
#include "call.h"
#include "test.h"

static const hone_tick tick = {.step_key = {0x12345678u, 0x9abcdef0u}};

static uint32_t number_of(uint32_t c0, uint32_t c1, uint32_t c2, int site, int word, int half) {
    const uint32_t counter[4] = {c0, c1, c2, 0},
                   key[2] = {tick.step_key[0] ^ (uint32_t)site, tick.step_key[1]};
    uint32_t out[4];
    philox(counter, key, out);
    return half ? out[word] >> 16 : out[word] & 0xffff;
}

enum { ROWS = 40, WIDTH = 77 };

static void drop_ones(float *y, hone_key *key, int rows, float p, int site) {
    float x[ROWS * WIDTH];
    for (int i = 0; i < rows * WIDTH; i++) x[i] = 1;
    hone_call c = {.op = HONE_OP_DROPOUT, .attr = {.p = p, .site = site}};
    bind(&c, "x", tensor_of(x, HONE_F32, rows, WIDTH));
    bind(&c, "key", tensor_of(key, HONE_KEY, rows, 0));
    bind(&c, "y", tensor_of(y, HONE_F32, rows, WIDTH));
    play_on_ref(&c, &tick);
}

TEST(dropout_of_rows_has_the_layout_of_device_h) {
    hone_key key[ROWS];
    float y[ROWS * WIDTH];
    for (uint32_t n = 0; n < ROWS; n++) key[n] = (hone_key){900 + n / 7, n % 7};
    drop_ones(y, key, ROWS, 0.1f, 6);
    for (int n = 0; n < ROWS; n++)
        for (int d = 0; d < WIDTH; d++) {
            const uint32_t u =
                number_of((uint32_t)d / 8, key[n].position, key[n].sample, 6, d % 8 / 2, d % 2);
            CHECK_NEAR(y[n * WIDTH + d], u >= 6554 ? 65536.0 / (65536 - 6554) : 0, 1e-6);
        }
}

TEST(dropout_of_a_sample_does_not_depend_on_its_rows) {
    hone_key key[ROWS], moved[ROWS];
    float y[ROWS * WIDTH], z[ROWS * WIDTH];
    for (uint32_t n = 0; n < ROWS; n++) key[n] = (hone_key){n, 3 * n};
    for (int n = 0; n < ROWS; n++) moved[n] = key[(n + 13) % ROWS];
    drop_ones(y, key, ROWS, 0.5f, 2);
    drop_ones(z, moved, ROWS, 0.5f, 2);
    for (int n = 0; n < ROWS; n++)
        CHECK(!memcmp(z + n * WIDTH, y + (n + 13) % ROWS * WIDTH, WIDTH * sizeof *y));
}

TEST(dropout_keeps_its_share) {
    static const float shares[] = {0.1f, 0.5f, 0.9f};
    for (int s = 0; s < 3; s++) {
        int kept = 0, n = 0;
        for (uint32_t round = 0; round < 20; round++) {
            hone_key key[ROWS];
            float y[ROWS * WIDTH];
            for (uint32_t r = 0; r < ROWS; r++) key[r] = (hone_key){round, r};
            drop_ones(y, key, ROWS, shares[s], 1);
            for (int i = 0; i < ROWS * WIDTH; i++, n++) kept += y[i] != 0;
        }
        const double p = 1 - (double)shares[s];
        CHECK_NEAR(kept, n * p, 4 * sqrt(n * p * (1 - p)));
    }
}

enum { S = 50, H = 2, PAIRS = S * H * S };

/* All scores equal and v the identity: row i of o [S,H,S] shows which probabilities of query i were kept. */
static void attend_equally(float *o, hone_key key[S], float p) {
    static float q[PAIRS], k[PAIRS], v[PAIRS], lse[H * S];
    hone_range at = {0, S};
    for (int i = 0; i < S; i++)
        for (int h = 0; h < H; h++) v[(i * H + h) * S + i] = 1;
    hone_call c = {.op = HONE_OP_ATTENTION_FWD, .attr = {.p = p, .site = 11, .attention = {.scale = 1}}};
    hone_tensor heads = {.dim = {S, H, S}, .ld = (int64_t)H * S, .n_dims = 3, .dtype = HONE_F32};
    heads.p = q, bind(&c, "q", heads);
    heads.p = k, bind(&c, "k", heads);
    heads.p = v, bind(&c, "v", heads);
    heads.p = o, bind(&c, "o", heads);
    bind(&c, "q_at", tensor_of(&at, HONE_RANGE, 1, 0));
    bind(&c, "k_at", tensor_of(&at, HONE_RANGE, 1, 0));
    bind(&c, "key", tensor_of(key, HONE_KEY, S, 0));
    bind(&c, "lse", tensor_of(lse, HONE_F32, H, S));
    play_on_ref(&c, &tick);
}

TEST(dropout_of_probabilities_has_the_layout_of_device_h) {
    static float o[PAIRS];
    hone_key key[S];
    for (int i = 0; i < S; i++) key[i] = (hone_key){77, (uint32_t)(i * 5 % 83)}; /* picked queries: their position, not their row */
    attend_equally(o, key, 0.5f);
    for (int n = 0; n < S; n++)
        for (int h = 0; h < H; h++)
            for (int j = 0; j < S; j++) {
                const int i = (int)key[n].position, lane = (i & 7) * 4 + ((j & 7) >> 1);
                const uint32_t u =
                    number_of((uint32_t)(j >> 4) * 32 + (uint32_t)lane, (uint32_t)i >> 4 | (uint32_t)h << 20,
                              77, 11, (i >> 3 & 1) + 2 * (j >> 3 & 1), j & 1);
                CHECK_NEAR(o[(n * H + h) * S + j], u >= 32768 ? 2.0 / S : 0, 1e-6);
            }
}

/* The masks of devices are ref's: cases compare them value by value. */
TEST(dropout_of_probabilities_keeps_its_share) {
    static const float shares[] = {0.1f, 0.5f};
    static float o[PAIRS];
    for (int s = 0; s < 2; s++) {
        int kept = 0, n = 0;
        for (uint32_t round = 0; round < 20; round++) {
            hone_key key[S];
            for (uint32_t i = 0; i < S; i++) key[i] = (hone_key){round, i};
            attend_equally(o, key, shares[s]);
            for (int i = 0; i < PAIRS; i++, n++) kept += o[i] != 0;
        }
        const double p = 1 - (double)shares[s];
        CHECK_NEAR(kept, n * p, 4 * sqrt(n * p * (1 - p)));
    }
}
