/* bugs.cpp - wrong kernels, each with one planted bug: the machine, or the sanitizer it is built with, must find it.
 * A missing barrier is found by ThreadSanitizer, an access outside an array by AddressSanitizer and UBSan. */
#include "emu.h"

#include <stdlib.h>
#include <vector>

#define NEEDS(sanitizer, name)                                                                               \
    if (!sanitizer) test_skip("needs a build with -fsanitize=" name)

struct Box {
    float x[128], sum[4];
};
template <int BUG> static void block_sum(float *y, const float *x) {
    Box &s = shared_memory<Box>();
    const unsigned t = threadIdx.x;
    for (int round = 0; round < 2; round++) {
        s.x[t] = x[t] + (float)round;
        if (BUG != 1) __syncthreads();
        float v = s.x[127 - t];
        for (int o = 16; o > 0; o /= 2) v += __shfl_xor_sync(~0u, v, o);
        if (t % 32 == 0) s.sum[t / 32] = v;
        if (BUG == 3 ? t < 96 : true) __syncthreads();
        y[t] = s.sum[0] + s.sum[1] + s.sum[2] + s.sum[3] + s.x[(t + 64) % 128] - 1 - (float)round;
        if (BUG == 4) s.x[t + (t == 127)] = 0; /* one too far in its array */
        if (BUG == 5) (&s.x[0])[t + 5] = 0;    /* past all of shared memory: 4 sums lie between */
        if (BUG != 2) __syncthreads();         /* 2: the next round's write comes while others read */
    }
}
template <int BUG> static void play_sum() {
    std::vector<float> x(128, 1), y(128);
    play({1, false}, 2, 128, sizeof(Box), block_sum<BUG>, y.data(), (const float *)x.data());
    for (const float v : y) CHECK(BUG || v == 256);
}
TEST(right_kernel_is_not_accused) { play_sum<0>(); }
TEST(missing_barrier_is_a_data_race) {
    NEEDS(has_thread, "thread");
    must_die(play_sum<1>, "data race", "block_sum<1>");
}
TEST(missing_barrier_before_a_write_is_a_data_race) {
    NEEDS(has_thread, "thread");
    must_die(play_sum<2>, "data race", "block_sum<2>");
}
TEST(barrier_that_some_pass_by_is_refused_with_places) {
    const char *said = must_die(play_sum<3>, "__syncthreads, while others wait in that of", "bugs.cpp:");
    CHECK(strstr(said, "threads 96 to 127: at barrier 0"));
}
static void half_a_block() {
    if (threadIdx.x < 64) __syncthreads();
    else cuemu::barrier_named(3, 96, __LINE__);
}
TEST(barriers_that_never_fill_are_a_deadlock_with_places) {
    const char *said = must_die([] { play({1, false}, 1, 128, 0, half_a_block); }, "deadlock", "bugs.cpp:");
    CHECK(strstr(said, "threads 0 to 63: at barrier 0") && strstr(said, "threads 64 to 127: at barrier 3"));
}
TEST(index_past_an_array_in_shared_memory_is_undefined) {
    NEEDS(has_address, "address,undefined");
    must_die(play_sum<4>, "runtime error", "out of bounds");
}
TEST(access_past_shared_memory_is_found) {
    if (has_thread) test_skip("needs a build without -fsanitize=thread");
    must_die(play_sum<5>, has_address ? "heap-buffer-overflow" : "a write past the 528 bytes of shared memory");
}

/* Neighbouring blocks write one number. */
static void all_write(float *y) { *y = (float)blockIdx.x; }
TEST(blocks_that_write_one_place_are_a_data_race) {
    NEEDS(has_thread, "thread");
    must_die([] {
        static float y;
        play({2, false}, 4, 32, 0, all_write, &y);
    }, "data race", "all_write");
}
/* A lane reads what another lane of its warp wrote, without __syncwarp between. */
static void no_syncwarp(float *y) {
    float *box = &shared_memory<float>();
    box[threadIdx.x] = (float)threadIdx.x;
    y[threadIdx.x] = box[threadIdx.x ^ 1];
}
TEST(missing_syncwarp_is_a_data_race) {
    NEEDS(has_thread, "thread");
    must_die([] {
        float y[32];
        play({1, false}, 1, 32, 128, no_syncwarp, (float *)y);
    }, "data race", "no_syncwarp");
}
/* An asynchronous copy is seen by its own thread after the wait, by others only after a barrier. */
static void copy_without_barrier(float *y, const float *x) {
    float *box = &shared_memory<float>();
    async_copy16(box + 4 * threadIdx.x, x + 4 * threadIdx.x, true);
    async_commit();
    async_wait<0>();
    y[threadIdx.x] = box[threadIdx.x];
}
TEST(async_copy_without_barrier_is_a_data_race) {
    NEEDS(has_thread, "thread");
    must_die([] {
        static float x[128], y[32];
        play({1, false}, 1, 32, 512, copy_without_barrier, (float *)y, (const float *)x);
    }, "data race", "copy_without_barrier");
}
static void read_past(float *y, const float *x, int n) { y[threadIdx.x] = x[(int)threadIdx.x < n ? (int)threadIdx.x + 1 : 0]; }
TEST(read_past_device_memory_is_found) {
    NEEDS(has_address, "address,undefined");
    must_die([] {
        void *x = nullptr, *y = nullptr;
        CHECK(cudaMalloc(&x, 32 * 4) == cudaSuccess && cudaMalloc(&y, 32 * 4) == cudaSuccess);
        play({1, false}, 1, 32, 0, read_past, (float *)y, (const float *)x, 32);
    }, "heap-buffer-overflow", "read_past");
}

/* ---- without a sanitizer -------------------------------------------------------------------------------------*/
static void half_a_warp(float *y) {
    if (threadIdx.x < 16) y[threadIdx.x] = __shfl_xor_sync(~0u, 1.0f, 1);
    else __syncthreads();
}
TEST(collective_that_half_a_warp_reaches_is_a_deadlock) {
    const char *said = must_die([] {
        float y[32];
        play({1, false}, 1, 32, 0, half_a_warp, (float *)y);
    }, "deadlock", "threads 0 to 15: in a shuffle");
    CHECK(strstr(said, "threads 16 to 31: at barrier 0"));
}
static void two_collectives(unsigned *y) {
    if (threadIdx.x < 16) y[threadIdx.x] = __ballot_sync(~0u, 1);
    else y[threadIdx.x] = __shfl_sync(~0u, 1u, 0);
}
TEST(different_collectives_of_one_warp_are_refused) {
    must_die([] {
        unsigned y[32];
        play({1, false}, 1, 32, 0, two_collectives, (unsigned *)y);
    }, "shuffle, while a vote of the same lanes waits at");
}
static void wrong_mask(unsigned *y) { y[threadIdx.x] = __ballot_sync(0xffff, 1); }
TEST(lane_outside_its_mask_is_refused) {
    must_die([] {
        unsigned y[32];
        play({1, false}, 1, 32, 0, wrong_mask, (unsigned *)y);
    }, "lane 16 is not in its own mask");
}
static void misaligned(uint4 *y, const char *x) { *y = load16(x + 8); }
TEST(misaligned_access_of_16_bytes_is_refused) {
    must_die([] {
        alignas(16) static char x[64];
        static uint4 y;
        play({1, false}, 1, 1, 0, misaligned, &y, (const char *)x);
    }, "no multiple of 16");
}
static void wrong_count() { cuemu::barrier_named(1, threadIdx.x < 32 ? 64 : 96, __LINE__); }
TEST(barrier_for_different_counts_is_refused) {
    must_die([] { play({1, false}, 1, 96, 0, wrong_count); }, "barrier 1 for 64 threads and for 96");
}
