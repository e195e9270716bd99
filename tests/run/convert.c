/* convert.c - half and bfloat16 bit by bit. */
#include <math.h>
#include <stdint.h>

#include "run/convert.h"
#include "test.h"

static uint16_t bits_of(float x, hone_dtype dtype) {
    uint16_t h;
    convert_from_float(&h, dtype, &x, 1);
    return h;
}

TEST(every_half_and_bfloat16_survives_the_trip_through_float) {
    static const hone_dtype types[] = {HONE_F16, HONE_BF16};
    for (int t = 0; t < 2; t++)
        for (uint32_t u = 0; u < 65536; u++) {
            const uint16_t h = (uint16_t)u;
            float x;
            convert_to_float(&x, &h, types[t], 1);
            if (isnan(x)) CHECK(isnan(convert_element(&(uint16_t){bits_of(x, types[t])}, types[t], 0)));
            else CHECK_INT(bits_of(x, types[t]), h);
        }
}

TEST(rounding_is_to_nearest_even_and_overflow_is_infinite) {
    const struct {
        float x;
        uint16_t f16, bf16;
    } rows[] = {{0.0f, 0, 0},
                {-0.0f, 0x8000, 0x8000},
                {1.0f, 0x3c00, 0x3f80},
                {-2.0f, 0xc000, 0xc000},
                {1.0f + 0x1p-11f, 0x3c00, 0x3f80},     /* f16: half way, to even */
                {1.0f + 3 * 0x1p-11f, 0x3c02, 0x3f80}, /* half way, up to even */
                {1.0f + 0x1p-8f, 0x3c04, 0x3f80},      /* bf16: half way, to even */
                {1.0f + 3 * 0x1p-8f, 0x3c0c, 0x3f82},
                {1.0f + 0x1.8p-8f, 0x3c06, 0x3f81},
                {65504.0f, 0x7bff, 0x4780},
                {65519.0f, 0x7bff, 0x4780},
                {65520.0f, 0x7c00, 0x4780},
                {0x1p-24f, 0x0001, 0x3380},
                {0x1p-25f, 0x0000, 0x3300},
                {0x1.8p-25f, 0x0001, 0x3340},
                {0x1p-14f, 0x0400, 0x3880},
                {0x1.ffcp-15f, 0x0400, 0x3880},
                {HUGE_VALF, 0x7c00, 0x7f80},
                {-HUGE_VALF, 0xfc00, 0xff80},
                {3.4e38f, 0x7c00, 0x7f80}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (bits_of(rows[i].x, HONE_F16) != rows[i].f16 || bits_of(rows[i].x, HONE_BF16) != rows[i].bf16)
            test_fail(__FILE__, __LINE__, "%a is %04x and %04x, expected %04x and %04x", (double)rows[i].x,
                      bits_of(rows[i].x, HONE_F16), bits_of(rows[i].x, HONE_BF16), rows[i].f16, rows[i].bf16);
    }
    const double wide = 0.1;
    double back;
    const float narrow = 0.1f;
    convert_from_float(&back, HONE_F64, &narrow, 1);
    CHECK_NEAR(back, (double)narrow, 0);
    CHECK_NEAR(convert_element(&wide, HONE_F64, 0), wide, 0);
}
