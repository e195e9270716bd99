/* machine.cpp - right kernels give right results, forwards and backwards, on one OS thread and several. */
#include "emu.h"

#include <vector>

/* ---- blocks and barriers -------------------------------------------------------------------------------------*/
struct TurnAround {
    int x[100];
};
static void turn_around(int *y, const int *x) {
    TurnAround &s = shared_memory<TurnAround>();
    s.x[threadIdx.x] = x[blockIdx.x * blockDim.x + threadIdx.x];
    __syncthreads();
    y[blockIdx.x * blockDim.x + threadIdx.x] = s.x[blockDim.x - 1 - threadIdx.x];
}
TEST(blocks_of_no_whole_warp_exchange_through_shared_memory) {
    std::vector<int> x(700), y(700);
    for (int i = 0; i < 700; i++) x[(size_t)i] = i * i;
    for (const how h : ways) {
        y.assign(700, -1);
        play(h, 7, 100, sizeof(TurnAround), turn_around, y.data(), x.data());
        for (size_t i = 0; i < 700; i++) CHECK_INT(y[i], x[i / 100 * 100 + 99 - i % 100]);
    }
}
static void where_am_i(unsigned *out) {
    const unsigned b = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
    out[b * blockDim.x + threadIdx.x] += 1 + blockIdx.x + 10 * blockIdx.y + 100 * blockIdx.z + 1000 * threadIdx.x;
}
TEST(every_thread_of_a_grid_runs_once) {
    for (const how h : ways) {
        std::vector<unsigned> out(2 * 3 * 4 * 33);
        play(h, dim3(2, 3, 4), 33, 0, where_am_i, out.data());
        for (unsigned i = 0; i < out.size(); i++) {
            const unsigned b = i / 33, t = i % 33;
            CHECK_INT(out[i], 1 + b % 2 + 10 * (b / 2 % 3) + 100 * (b / 6) + 1000 * t);
        }
    }
}
static void leave_early(int *y) { /* whole warps return; the others still meet */
    if (threadIdx.x >= 64) return;
    __syncthreads();
    y[threadIdx.x] = 1;
}
TEST(threads_that_returned_do_not_hold_a_barrier) {
    for (const how h : ways) {
        int y[64] = {};
        play(h, 1, 160, 0, leave_early, (int *)y);
        for (const int v : y) CHECK_INT(v, 1);
    }
}
/* Two halves of a block hand numbers over through barriers of their own: a producer's and a consumer's. */
static void hand_over(int *y) {
    int *box = &shared_memory<int>();
    const bool is_first = threadIdx.x < 32;
    for (int i = 0; i < 5; i++) {
        if (is_first) {
            if (i) cuemu::barrier_named(2, 64, __LINE__);
            if (threadIdx.x == 0) *box = i * i;
            cuemu::barrier_named(1, 64, __LINE__);
        } else {
            cuemu::barrier_named(1, 64, __LINE__);
            y[(threadIdx.x - 32) * 5 + i] = *box;
            if (i < 4) cuemu::barrier_named(2, 64, __LINE__);
        }
    }
}
TEST(named_barriers_order_parts_of_a_block) {
    for (const how h : ways) {
        int y[160] = {};
        play(h, 1, 64, sizeof(int), hand_over, (int *)y);
        for (int i = 0; i < 160; i++) CHECK_INT(y[i], i % 5 * (i % 5));
    }
}

/* ---- warps ---------------------------------------------------------------------------------------------------*/
static void sums(float *y, const float *x, int n) {
    float v = (int)threadIdx.x < n ? x[threadIdx.x] : 0;
    for (int o = 16; o > 0; o /= 2) v += __shfl_xor_sync(~0u, v, o);
    y[threadIdx.x] = v + __shfl_sync(~0u, v, 3);
}
TEST(shuffles_of_whole_warps_add_up) {
    float x[64], y[64];
    for (int i = 0; i < 64; i++) x[i] = (float)(i % 32);
    for (const how h : ways) {
        play(h, 1, 64, 0, sums, (float *)y, (const float *)x, 64);
        for (const float v : y) CHECK_INT(v, 992);
    }
}
static void some_lanes(unsigned *y) { /* a subset meets again and again while the others wait for all */
    unsigned votes = 0;
    if (threadIdx.x < 5) {
        for (unsigned i = 0; i < 3; i++) votes = votes * 32 + __ballot_sync(0x1f, threadIdx.x > i);
        __syncwarp(0x1f);
        if (threadIdx.x < 2) votes += __shfl_sync(0x3, votes, 1) - votes;
    }
    y[threadIdx.x] = __shfl_sync(~0u, votes, 1) + __ballot_sync(~0u, votes == 0);
}
TEST(parts_of_warps_meet_by_their_masks) {
    const unsigned votes = (0x1e * 32 + 0x1c) * 32 + 0x18;
    for (const how h : ways) {
        unsigned y[20];
        play(h, 1, 20, 0, some_lanes, (unsigned *)y);
        for (const unsigned v : y) CHECK_INT(v, votes + 0xfffe0);
    }
}
static void lanes_that_left(unsigned *y) {
    if (threadIdx.x % 2) return;
    y[threadIdx.x] = __ballot_sync(~0u, 1);
}
TEST(lanes_that_returned_do_not_hold_a_collective) {
    for (const how h : ways) {
        unsigned y[32] = {};
        play(h, 1, 32, 0, lanes_that_left, (unsigned *)y);
        for (int i = 0; i < 32; i += 2) CHECK_INT(y[i], 0x55555555u);
    }
}

/* ---- memory --------------------------------------------------------------------------------------------------*/
static void look_at_shared(float *y) { y[threadIdx.x] = (&shared_memory<float>())[threadIdx.x]; }
TEST(shared_memory_begins_as_nan_in_every_block) {
    float y[32] = {};
    play(ways[0], 3, 32, 128, look_at_shared, (float *)y);
    for (const float v : y) CHECK(v != v);
}
struct Stages {
    alignas(16) float x[4][32][4];
};
/* The sum of n pieces of 16 bytes a thread, through a ring of 4 stages; WAIT groups may be open when one is read. */
template <int WAIT> static void add_pieces(float *y, const float *x, int n) {
    Stages &s = shared_memory<Stages>();
    const int t = (int)threadIdx.x;
    float sum = 0;
    for (int i = 0; i < 3; i++) {
        async_copy16(s.x[i][t], x + (i * 32 + t) * 4, i < n);
        async_commit();
    }
    for (int i = 0; i < n; i++) {
        const int next = i + 3;
        async_copy16(s.x[next % 4][t], next < n ? x + (next * 32 + t) * 4 : x, next < n);
        async_commit();
        async_wait<WAIT>();
        for (int e = 0; e < 4; e++) sum += s.x[i % 4][t][e];
    }
    y[t] = sum;
}
static float sum_of_pieces(void (*kernel)(float *, const float *, int), how h) {
    std::vector<float> x(10 * 32 * 4);
    for (size_t i = 0; i < x.size(); i++) x[i] = (float)(i % 128 % 4 + i / 128);
    float y[32];
    play(h, 1, 32, sizeof(Stages), kernel, (float *)y, (const float *)x.data(), 10);
    for (const float v : y) CHECK(v == y[0] || v != v);
    return y[0];
}
TEST(async_copies_arrive_when_they_are_waited_for_and_not_before) {
    for (const how h : ways) {
        CHECK_INT(sum_of_pieces(add_pieces<3>, h), 60 + 4 * 45);
        const float late = sum_of_pieces(add_pieces<4>, h); /* off by one */
        CHECK(late != late);
    }
}
static void fill_with_zeros(float *y) {
    float *box = &shared_memory<float>();
    async_copy16(box + 4 * threadIdx.x, nullptr, false);
    async_commit();
    async_wait<0>();
    for (int e = 0; e < 4; e++) y[4 * threadIdx.x + (unsigned)e] = box[4 * threadIdx.x + (unsigned)e];
}
TEST(async_copies_of_nothing_are_zeros) {
    float y[128];
    play(ways[0], 1, 32, 512, fill_with_zeros, (float *)y);
    for (const float v : y) CHECK(v == 0);
}

/* ---- numbers -------------------------------------------------------------------------------------------------*/
#if defined(__FLT16_MAX__)
TEST(fp16_rounds_as_the_compilers_type_does) {
    for (unsigned i = 0; i < 65536; i++) {
        const uint16_t bits = (uint16_t)i;
        _Float16 h;
        memcpy(&h, &bits, 2);
        const float x = (float)h, y = cuemu::half_value(bits);
        CHECK(x == y || (x != x && y != y));
        CHECK(x != x ? cuemu::half_bits(y) == 0x7fff : cuemu::half_bits(y) == bits);
    }
    uint32_t seed = 1;
    for (int i = 0; i < 1000000; i++) {
        seed = seed * 1664525u + 1013904223u;
        /* exponents around all that fp16 has, ties included */
        const uint32_t bits = (seed & 0x80000000u) | (98 + seed % 50) << 23 | (seed >> 8 & (i % 2 ? 0x7fffffu : 0x7ff000u));
        float x;
        memcpy(&x, &bits, 4);
        const _Float16 h = (_Float16)x;
        uint16_t should;
        memcpy(&should, &h, 2);
        CHECK_INT(cuemu::half_bits(x), should);
    }
}
#else
TEST(fp16_rounds_as_the_compilers_type_does) { test_skip("this compiler has no _Float16"); }
#endif
TEST(bf16_rounds_to_even) {
    CHECK_INT(cuemu::bf16_bits(1.00390625f), 0x3f80); /* a tie goes to even */
    CHECK_INT(cuemu::bf16_bits(1.01171875f), 0x3f82);
    CHECK_INT(cuemu::bf16_bits(NAN), 0x7fff);
    CHECK_INT(cuemu::bf16_bits(3.4e38f), 0x7f80);
}
