/* layouts.cpp - fragments of mma and ldmatrix lie as CuTe says (tests/data/golden/mma_layouts.txt). */
#include "emu.h"

struct table {
    int at[32][8];
};
/* The table of that name in the golden file, n numbers a lane. */
static table read_table(const char *name, int n) {
    table t = {};
    char line[256], found[32];
    int m;
    FILE *f = fopen(test_source("tests/data/golden/mma_layouts.txt"), "r");
    CHECK(f != nullptr);
    while (fgets(line, sizeof line, f))
        if (line[0] != '#' && sscanf(line, "%31s %d", found, &m) == 2 && !strcmp(found, name)) {
            CHECK_INT(m, n);
            for (int lane = 0; lane < 32; lane++)
                for (int i = 0; i < n; i++) CHECK_INT(fscanf(f, "%d", &t.at[lane][i]), 1);
            fclose(f);
            return t;
        }
    fclose(f);
    test_fail(__FILE__, __LINE__, "the golden file has no table %s", name);
}

/* ---- mma -----------------------------------------------------------------------------------------------------*/
struct Fragments {
    uint32_t a[32][4], b[32][2];
    float c[32][4];
};
template <typename T> static void multiply_once(Fragments *f) {
    mma16816<T>(f->c[threadIdx.x], f->a[threadIdx.x], f->b[threadIdx.x]);
}
/* Elements two a register, low half first. */
template <typename T, int N> static void place_all(uint32_t (*to)[N], const table &t, const float *from) {
    for (int lane = 0; lane < 32; lane++)
        for (int r = 0; r < N; r++) to[lane][r] = pack2<T>(from[t.at[lane][2 * r]], from[t.at[lane][2 * r + 1]]);
}
template <typename T> static void check_mma() {
    const table ta = read_table("a", 8), tb = read_table("b", 4), tc = read_table("c", 4);
    uint32_t seed = 7;
    for (const how h : ways) {
        static Fragments f;
        float a[256], b[128], c[128]; /* a[m][k], b[n][k], c[m][n]: small numbers, so that sums are exact */
        for (float *p : {a, b, c})
            for (int i = 0; i < (p == a ? 256 : 128); i++) p[i] = (float)((seed = seed * 1664525u + 1013904223u) >> 28) - 8;
        place_all<T>(f.a, ta, a);
        place_all<T>(f.b, tb, b);
        for (int lane = 0; lane < 32; lane++)
            for (int i = 0; i < 4; i++) f.c[lane][i] = c[tc.at[lane][i]];
        play(h, 1, 32, 0, multiply_once<T>, &f);
        for (int lane = 0; lane < 32; lane++)
            for (int i = 0; i < 4; i++) {
                const int at = tc.at[lane][i];
                float sum = c[at];
                for (int k = 0; k < 16; k++) sum += a[at / 8 * 16 + k] * b[at % 8 * 16 + k];
                CHECK_INT(f.c[lane][i], sum);
            }
    }
}
TEST(mma_of_bf16_has_the_fragments_of_cute) { check_mma<bf16>(); }
TEST(mma_of_fp16_has_the_fragments_of_cute) { check_mma<f16>(); }

/* ---- ldmatrix ------------------------------------------------------------------------------------------------*/
template <bool TRANS> static void load_once(uint32_t *out, const uint16_t *rows) {
    uint16_t *box = &shared_memory<uint16_t>();
    for (int e = 0; e < 8; e++) box[threadIdx.x * 8 + (unsigned)e] = rows[threadIdx.x * 8 + (unsigned)e];
    __syncwarp();
    ldmatrix4<TRANS>(out + 4 * threadIdx.x, box + 8 * threadIdx.x);
}
TEST(ldmatrix_loads_what_cute_says) {
    uint16_t rows[256];
    uint32_t out[128];
    for (int i = 0; i < 256; i++) rows[i] = (uint16_t)i;
    for (int trans = 0; trans < 2; trans++) {
        const table t = read_table(trans ? "ldmatrix.trans" : "ldmatrix", 8);
        for (const how h : ways) {
            play(h, 1, 32, 512, trans ? load_once<true> : load_once<false>, (uint32_t *)out, (const uint16_t *)rows);
            for (int lane = 0; lane < 32; lane++)
                for (int e = 0; e < 8; e++)
                    CHECK_INT(out[lane * 4 + e / 2] >> 16 * (e % 2) & 0xffff, t.at[lane][e]);
        }
    }
}
