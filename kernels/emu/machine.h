/* machine.h - inside the machine: what cuemu.cpp, instructions.cpp and count.cpp share. What is marked NO_TSAN is the
 * machine itself: the sanitizer sees only what the kernels do. */
#ifndef EMU_MACHINE_H
#define EMU_MACHINE_H
#include "cuemu.h"

#include <vector>
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#define RELEASE(p) __tsan_release(p)
#define ACQUIRE(p) __tsan_acquire(p)
#define NO_TSAN __attribute__((no_sanitize_thread, noinline))
#else
#define RELEASE(p) ((void)0)
#define ACQUIRE(p) ((void)0)
#define NO_TSAN
#endif

namespace cuemu {
enum state : uint8_t { RUNS, IN_WARP, IN_BLOCK, DONE };

/* Lanes that come together. Lanes that have not left it yet keep it, so that the next meeting has another one: a thread
 * already there must not hide a race. */
struct meeting {
    unsigned mask, here, leaving; /* who is to come, who has come; once all have: who has still to leave */
    int op;
    place at;
    lead_fn lead;
    char sync;
    alignas(64) uint64_t left[32][WORDS];
    unsigned char made[32][32];
};
struct warp {
    unsigned number, lanes; /* in the block; the lanes that it has */
    unsigned ready, done;   /* lanes that can go on; that have returned */
    meeting at[4];          /* of different masks, or left one after another */
};
struct pending_copy {
    void *to;
    const void *from;
    bool is_there;
};
struct fiber {
    void *sp;
    warp *w;
    unsigned lane, number;
    dim3 at;
    state st;
    place where;
    unsigned barrier; /* where it waits, or waited last */
    meeting *met;     /* its latest */
    std::vector<pending_copy> copies; /* that have not arrived, oldest first */
    std::vector<unsigned> commits;    /* for each group: how many of copies end it */
    char *stack;
    void *fake, *tsan;
};
struct named_barrier {
    unsigned waiting, expected, turns;
    place at;
    char sync[2];
};
struct block {
    fiber *f;
    warp *w;
    unsigned n, n_warps, n_done;
    bool reversed;
    dim3 at, extent, grid;
    fiber main;
    const std::function<void()> *body;
    const void *kernel;
    unsigned char *shared;
    size_t shared_bytes;
    named_barrier bar[16];
    char start, end;
    const void *main_stack;
    size_t main_bytes;
};
/* Fibers never change their OS thread, so that these may stay in registers across a switch. */
extern __thread block *B __attribute__((tls_model("initial-exec")));
extern __thread fiber *me __attribute__((tls_model("initial-exec")));

[[noreturn]] void fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* ---- counting (count.cpp): only in the device emu_count ------------------------------------------------------*/
#ifdef HONE_EMU_COUNT
constexpr bool counting = true;
#else
constexpr bool counting = false;
#endif
enum access { READ, WRITE };
void count_access(access kind, const void *p, unsigned bytes, const void *code);
void count_ldmatrix(const void *row, const void *code);
void count_mma();
void count_exp();
void count_barrier();
void count_converged(const warp &w); /* its lanes have all come to one place */
void count_launch(const grid &g);    /* what follows belongs to this kernel */
void count_memory(const void *p, size_t bytes); /* device memory; bytes 0: no longer */
} // namespace cuemu
#endif
