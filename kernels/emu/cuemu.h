/* cuemu.h - the machine under the emulated CUDA: a fiber for each CUDA thread, barriers, warp collectives, tensor cores,
 * asynchronous copies, dynamic shared memory.
 *
 * Threads of a block take turns; a turn ends only at a barrier or collective, where divergence is a deadlock that is
 * reported with the place of every thread. Under ThreadSanitizer each CUDA thread is a fiber of its own, ordered only by
 * barriers and collectives, so a missing __syncthreads is a data race at its line. Shared memory begins as NaN; an
 * asynchronous copy arrives when it is waited for, and not before. Blocks run on as many OS threads as the device has
 * been given. x86-64. */
#ifndef CUEMU_H
#define CUEMU_H
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <functional>

struct uint2 {
    unsigned x, y;
};
struct uint4 {
    unsigned x, y, z, w;
};
struct float2 {
    float x, y;
};
struct float4 {
    float x, y, z, w;
};
struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
};

namespace cuemu {
/* ---- a launch ------------------------------------------------------------------------------------------------*/
/* Run body once for every thread of every block; returns when all are done. */
void run_grid(dim3 grid, dim3 block, size_t shared_bytes, const std::function<void()> &body);
void set_workers(int n); /* OS threads that run blocks; results must not depend on it */
int workers();

/* ---- where a thread is ---------------------------------------------------------------------------------------*/
const dim3 &thread_index();
const dim3 &block_index();
const dim3 &block_extent();
const dim3 &grid_extent();
int lane();
unsigned char *dynamic_shared();

/* ---- meeting -------------------------------------------------------------------------------------------------*/
void barrier(int line);                        /* all threads of the block that have not returned */
void barrier_named(int id, int threads, int line); /* bar.sync id, threads */
/* The lanes of mask meet and each leaves n_bytes (at most 64); `lead`, if any, runs once, by the last to come, with the
 * place of lane 0's bytes (64 a lane). Returns that place: valid until this warp meets twice more. */
typedef void (*lead_fn)(unsigned char *all, void *out);
unsigned char *meet(unsigned mask, int op, int line, const void *mine, size_t n_bytes, lead_fn lead);
unsigned char *meet_out(); /* what lead wrote for the latest meeting: 32 bytes a lane */

template <typename T> T shuffle(unsigned mask, T x, unsigned from, int op, int line) {
    unsigned char *all = meet(mask, op, line, &x, sizeof x, nullptr);
    T y;
    memcpy(&y, all + 64 * (from & 31), sizeof y);
    return y;
}
unsigned ballot(unsigned mask, int predicate, int line);

/* ---- instructions --------------------------------------------------------------------------------------------*/
float bf16_value(uint16_t bits);
float half_value(uint16_t bits);
uint16_t bf16_bits(float x);
uint16_t half_bits(float x);
float exp2_counted(float x);
uint4 load16(const void *p);
void store16(void *p, uint4 x);
void ldmatrix4(uint32_t r[4], const void *row, bool transposed);
void mma16816(float d[4], const uint32_t a[4], const uint32_t b[2], float (*value)(uint16_t));
void async_copy16(void *shared, const void *from, bool is_there);
void async_commit();
void async_wait(int newest);
} // namespace cuemu
#endif
