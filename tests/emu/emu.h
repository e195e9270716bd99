/* emu.h - what the tests of the emulated GPU's machine share: a launch, and tests that must die. */
#ifndef TESTS_EMU_H
#define TESTS_EMU_H
#include <cuda_runtime.h>

extern "C" {
#include "test.h"
}
#include "hone/types.h"
#include "ptx/convert.cuh"
#include "ptx/ldst.cuh"
#include "ptx/math.cuh"
#include "ptx/mma.cuh"
#include "ptx/async.cuh"

#if defined(__SANITIZE_ADDRESS__)
constexpr bool has_address = true, has_thread = false;
#elif defined(__SANITIZE_THREAD__)
constexpr bool has_address = false, has_thread = true;
#else
constexpr bool has_address = false, has_thread = false;
#endif

struct how {
    int n_workers;
    bool reversed;
};
constexpr how ways[] = {{1, false}, {1, true}, {2, false}, {3, true}};

/* Run kernel(args...) at once. */
template <typename... P, typename... A>
void play(how h, dim3 blocks, unsigned threads, size_t shared_bytes, void (*kernel)(P...), A... args) {
    cuemu::grid g;
    g.blocks = blocks, g.threads = dim3(threads), g.shared_bytes = shared_bytes;
    g.n_workers = h.n_workers, g.reversed = h.reversed;
    cuemu::run_grid(g, [=] { kernel(static_cast<P>(args)...); });
}

/* In a process of its own, run fn; it must end badly and say every one of the words. Returns what it said. */
const char *must_die(const std::function<void()> &fn, const char *word, const char *also = nullptr);
#endif
