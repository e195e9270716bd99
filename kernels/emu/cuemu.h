/* cuemu.h - the machine under the emulated CUDA: a fiber for each CUDA thread, barriers, warp collectives, tensor cores,
 * asynchronous copies, dynamic shared memory.
 *
 * Threads of a block take turns; a turn ends only at a barrier or collective, where divergence is a deadlock that is
 * reported with the place of every thread. Under ThreadSanitizer each CUDA thread is a fiber of its own, ordered only by
 * barriers and collectives, so a missing __syncthreads is a data race at its line; blocks are dealt to OS threads in
 * turn, so a race between neighbouring blocks is seen from two OS threads on. Shared memory begins as NaN and ends where
 * the launch said; an asynchronous copy arrives when it is waited for, and not before. x86-64. */
#ifndef CUEMU_H
#define CUEMU_H
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <functional>

struct alignas(16) uint4 { /* moved by load16 and store16 */
    unsigned x, y, z, w;
};
/* A GPU moves these whole, but the C++ compiler one member at a time: where accesses are counted, copies are calls. */
#ifdef HONE_EMU_COUNT
namespace cuemu {
void copy_counted(void *to, const void *from, unsigned bytes);
}
#define VECTOR_COPIES(name)                                                                                  \
    name() = default;                                                                                        \
    __attribute__((always_inline)) name(const name &o) { cuemu::copy_counted(this, &o, sizeof o); }          \
    __attribute__((always_inline)) name &operator=(const name &o) {                                          \
        cuemu::copy_counted(this, &o, sizeof o);                                                             \
        return *this;                                                                                        \
    }
#define VECTOR2(name, type)                                                                                  \
    struct alignas(8) name {                                                                                 \
        type x, y;                                                                                           \
        VECTOR_COPIES(name) name(type a, type b) : x(a), y(b) {}                                             \
    };
#define VECTOR4(name, type)                                                                                  \
    struct alignas(16) name {                                                                                \
        type x, y, z, w;                                                                                     \
        VECTOR_COPIES(name) name(type a, type b, type c, type d) : x(a), y(b), z(c), w(d) {}                 \
    };
#else
#define VECTOR2(name, type)                                                                                  \
    struct alignas(8) name {                                                                                 \
        type x, y;                                                                                           \
    };
#define VECTOR4(name, type)                                                                                  \
    struct alignas(16) name {                                                                                \
        type x, y, z, w;                                                                                     \
    };
#endif
VECTOR2(uint2, unsigned)
VECTOR2(float2, float)
VECTOR4(float4, float)
struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
};

namespace cuemu {
/* ---- a launch ------------------------------------------------------------------------------------------------*/
struct grid {
    dim3 blocks, threads;
    size_t shared_bytes = 0;
    int n_workers = 1;     /* OS threads that run blocks; results must not depend on it */
    bool reversed = false; /* the last block and thread first; nor on that */
    const void *kernel = nullptr; /* whose name reports show */
};
/* Run body once for every thread of every block; returns when all are done. */
void run_grid(const grid &g, const std::function<void()> &body);

/* ---- where a thread is ---------------------------------------------------------------------------------------*/
/* Constant within a thread, so the compiler may ask once. */
__attribute__((const)) const dim3 &thread_index();
__attribute__((const)) const dim3 &block_index();
__attribute__((const)) const dim3 &block_extent();
__attribute__((const)) const dim3 &grid_extent();
__attribute__((const)) int lane();
__attribute__((const)) unsigned char *dynamic_shared();

/* ---- meeting -------------------------------------------------------------------------------------------------*/
struct place { /* of a barrier or collective in the source; made from __LINE__ where it is written */
    const char *file = "";
    int line = 0;
    place() = default;
    place(int l, const char *f = __builtin_FILE()) : file(f), line(l) {}
};
void barrier(place at);                          /* all threads of the block that have not returned */
void barrier_named(int id, int threads, place at); /* bar.sync id, threads */
void sync_warp(place at, unsigned mask = ~0u);

/* The lanes of mask that have not returned meet, and each leaves up to 4 words; `lead`, if any, runs once, by the last to
 * come, with lane 0's words (4 a lane) and the place for 32 bytes a lane of results. Returns lane 0's words, which stay
 * until this thread meets again; words of lanes that did not come are NaN. */
enum { WORDS = 4 };
enum { MEET_SHUFFLE_XOR = 1, MEET_SHUFFLE, MEET_MMA, MEET_SYNC, MEET_LDMATRIX, MEET_BALLOT = 7 };
typedef void (*lead_fn)(const uint64_t *words, unsigned char *out);
const uint64_t *meet(unsigned mask, int op, place at, const uint64_t *mine, int n_words, lead_fn lead);
const unsigned char *meet_out(); /* what lead wrote for this thread's latest meeting: 32 bytes a lane */

template <typename T> T shuffle(unsigned mask, T x, unsigned from, int op, place at) {
    static_assert(sizeof(T) <= 8, "a shuffle moves 4 or 8 bytes");
    uint64_t word = 0;
    memcpy(&word, &x, sizeof x);
    word = meet(mask, op, at, &word, 1, nullptr)[WORDS * (from & 31)];
    memcpy(&x, &word, sizeof x);
    return x;
}
unsigned ballot(unsigned mask, int predicate, place at);

/* ---- instructions --------------------------------------------------------------------------------------------*/
/* Misaligned addresses end the program, as they end a kernel. */
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

/* ---- seeded bugs ---------------------------------------------------------------------------------------------*/
extern int mutant; /* which one is on (tests/kernels/mutants.c); 0: none */
} // namespace cuemu
#endif
