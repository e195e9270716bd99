/* convert.c - conversions and hashes of ref, against what the formats say. */
#include <math.h>
#include <stdlib.h>

#include "call.h"
#include "test.h"

static void copy(void *from, hone_dtype from_type, void *to, hone_dtype to_type, int64_t n) {
    hone_call c = {.op = HONE_OP_COPY};
    bind(&c, "x", tensor_of(from, from_type, n, 0));
    bind(&c, "y", tensor_of(to, to_type, n, 0));
    play_on_ref(&c, NULL);
}

/* Every finite pattern survives; halfway between neighbours goes to the even one, a hair off to the nearer.
 */
static void check_format(hone_dtype dtype, int infinity) {
    static uint16_t bits[65536], back[65536];
    static double value[65536], between[3 * 65536];
    static uint16_t rounded[3 * 65536];
    for (int i = 0; i < 65536; i++) bits[i] = (uint16_t)i;
    copy(bits, dtype, value, HONE_F64, 65536);
    copy(value, HONE_F64, back, dtype, 65536);
    for (int i = 0; i < 65536; i++) {
        const int exceeds = (i & 0x7fff) > infinity;
        CHECK_INT(isnan(value[i]) != 0, exceeds);
        if (!exceeds) CHECK_INT(back[i], bits[i]);
    }
    for (int i = 0; i < infinity - 1; i++) {
        const double middle = (value[i] + value[i + 1]) / 2;
        CHECK(value[i] < value[i + 1]);
        between[3 * i] = middle, between[3 * i + 1] = nextafter(middle, 0),
                    between[3 * i + 2] = nextafter(middle, INFINITY);
    }
    copy(between, HONE_F64, rounded, dtype, 3 * (infinity - 1));
    for (int i = 0; i < infinity - 1; i++) {
        CHECK_INT(rounded[3 * i], i + (i & 1));
        CHECK_INT(rounded[3 * i + 1], i);
        CHECK_INT(rounded[3 * i + 2], i + 1);
    }
    double large[] = {1e300, -1e300, INFINITY};
    copy(large, HONE_F64, rounded, dtype, 3);
    CHECK_INT(rounded[0], infinity);
    CHECK_INT(rounded[1], infinity | 0x8000);
    CHECK_INT(rounded[2], infinity);
}

TEST(bf16_rounds_to_nearest_even) { check_format(HONE_BF16, 0x7f80); }
TEST(f16_rounds_to_nearest_even) { check_format(HONE_F16, 0x7c00); }

TEST(known_values_of_the_2_byte_formats) {
    float x[] = {1, -2, 65504, 0x1p-24f, 3.14159274f};
    uint16_t y[5];
    copy(x, HONE_F32, y, HONE_F16, 5);
    CHECK(y[0] == 0x3c00 && y[1] == 0xc000 && y[2] == 0x7bff && y[3] == 1 && y[4] == 0x4248);
    copy(x, HONE_F32, y, HONE_BF16, 5);
    CHECK(y[0] == 0x3f80 && y[1] == 0xc000 && y[2] == 0x4780 && y[3] == 0x3380 && y[4] == 0x4049);
}

static uint32_t mix(uint32_t x) {
    x ^= x >> 16, x *= 0x85EBCA6Bu, x ^= x >> 13, x *= 0xC2B2AE35u;
    return x ^ x >> 16;
}

TEST(hash_is_the_sum_that_op_h_says) {
    enum { P = 65536 + 3 };
    uint16_t *x = malloc(P * sizeof *x);
    int32_t h[2];
    uint32_t expected[2] = {0};
    CHECK(x != NULL);
    for (int i = 0; i < P; i++) {
        x[i] = (uint16_t)(i * 40503u >> 3);
        expected[i / 65536] += mix(x[i] + (uint32_t)(i % 65536 + 1) * 0x9E3779B9u);
    }
    hone_call c = {.op = HONE_OP_HASH};
    bind(&c, "x", tensor_of(x, HONE_BF16, P, 0));
    bind(&c, "h", tensor_of(h, HONE_I32, 2, 0));
    play_on_ref(&c, NULL);
    CHECK_INT((uint32_t)h[0], expected[0]);
    CHECK_INT((uint32_t)h[1], expected[1]);
    free(x);
}
