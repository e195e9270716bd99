/* cuemu.cpp - fibers, meetings, instructions. What is marked NO_TSAN is the machine itself: the sanitizer sees only
 * what the kernels do. */
#include "cuemu.h"

#include <atomic>
#include <deque>
#include <memory>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <thread>
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
#define NO_TSAN __attribute__((noinline))
#endif

namespace cuemu {
namespace {
enum state : uint8_t { READY, IN_WARP, IN_BLOCK, DONE };
struct warp {
    unsigned mask = 0, here = 0, meetings = 0;
    int op = 0, line = 0;
    char sync[2];
    alignas(64) unsigned char left[2][32][64], made[2][32][32];
};
struct pending_copy {
    void *to;
    const void *from;
    bool is_there;
};
struct fiber {
    void *sp = nullptr;
    char *stack = nullptr;
    dim3 at;
    unsigned number = 0;
    warp *w = nullptr;
    state st = READY;
    int line = 0, barrier = 0;
    std::vector<pending_copy> open;               /* copied since the last commit */
    std::deque<std::vector<pending_copy>> groups; /* committed, oldest first */
    void *fake = nullptr, *tsan = nullptr;
};
struct named_barrier {
    unsigned waiting = 0, expected = 0, turns = 0;
    char sync[2];
};
struct block {
    fiber *f = nullptr;
    unsigned n = 0, n_done = 0;
    dim3 at, extent, grid;
    fiber main;
    const std::function<void()> *body = nullptr;
    unsigned char *shared = nullptr;
    named_barrier bar[16];
    char start = 0, end = 0;
    const void *main_stack = nullptr;
    size_t main_bytes = 0;
};
thread_local block *B = nullptr;
thread_local fiber *me = nullptr;
int n_workers = 1;
constexpr size_t STACK = 256 << 10, GUARD = 4096;

__attribute__((naked, noinline)) void swap_stacks(void **, void *) {
    asm("pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15; movq %rsp,(%rdi); movq %rsi,%rsp;"
        "popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp; ret");
}
NO_TSAN void landed() {
#if defined(__SANITIZE_ADDRESS__)
    const void *bottom;
    size_t bytes;
    __sanitizer_finish_switch_fiber(me->fake, &bottom, &bytes);
    if (!B->main_stack && me != &B->main) B->main_stack = bottom, B->main_bytes = bytes;
#endif
}
NO_TSAN void go_to(fiber *f) {
    fiber *from = me;
    me = f;
#if defined(__SANITIZE_ADDRESS__)
    const bool home = f == &B->main;
    __sanitizer_start_switch_fiber(&from->fake, home ? B->main_stack : f->stack + GUARD, home ? B->main_bytes : STACK - GUARD);
#endif
#if defined(__SANITIZE_THREAD__)
    __tsan_switch_to_fiber(f->tsan, __tsan_switch_to_fiber_no_sync);
#endif
    swap_stacks(&from->sp, f->sp);
    landed();
}
/* The next thread that can run: of the same warp first. */
NO_TSAN fiber *pick() {
    const unsigned first = me->number & ~31u, last = first + 32 < B->n ? first + 32 : B->n;
    for (unsigned i = me->number + 1; i < last; i++)
        if (B->f[i].st == READY) return &B->f[i];
    for (unsigned i = first; i < me->number; i++)
        if (B->f[i].st == READY) return &B->f[i];
    for (unsigned i = last; i < B->n; i++)
        if (B->f[i].st == READY) return &B->f[i];
    for (unsigned i = 0; i < first; i++)
        if (B->f[i].st == READY) return &B->f[i];
    return nullptr;
}
[[noreturn]] NO_TSAN void deadlock() {
    static const char *const where[] = {"ready", "in a warp collective", "at a barrier", "returned"};
    fprintf(stderr, "cuemu: deadlock in block (%u,%u,%u): a barrier or collective that not all reach\n", B->at.x, B->at.y,
            B->at.z);
    for (unsigned i = 0; i < B->n; i++)
        if (i == 0 || B->f[i].st != B->f[i - 1].st || B->f[i].line != B->f[i - 1].line)
            fprintf(stderr, "  from thread %u: %s, line %d\n", i, where[B->f[i].st], B->f[i].line);
    abort();
}
NO_TSAN void wait_turn() {
    if (fiber *f = pick()) go_to(f);
    else deadlock();
}
NO_TSAN void release_barrier(int id) {
    for (unsigned i = 0; i < B->n; i++)
        if (B->f[i].st == IN_BLOCK && B->f[i].barrier == id) B->f[i].st = READY;
    B->bar[id].waiting = 0;
    B->bar[id].turns++;
}
NO_TSAN void fiber_loop() {
    for (landed();;) {
        ACQUIRE(&B->start);
        (*B->body)();
        me->st = DONE;
        me->open.clear();
        me->groups.clear();
        B->n_done++;
        RELEASE(&B->bar[0].sync[B->bar[0].turns & 1]);
        RELEASE(&B->end);
        if (B->bar[0].waiting && B->bar[0].waiting == B->n - B->n_done) release_barrier(0);
        if (B->n_done == B->n) go_to(&B->main);
        else wait_turn();
    }
}
NO_TSAN void make_fibers(block &b, fiber *f, warp *w, char *stacks, dim3 extent) {
    b.f = f;
    for (unsigned i = 0; i < b.n; i++) {
        f[i].stack = stacks + i * STACK;
        mprotect(f[i].stack, GUARD, PROT_NONE);
        f[i].number = i;
        f[i].w = w + i / 32;
        f[i].at = dim3(i % extent.x, i / extent.x % extent.y, i / extent.x / extent.y);
        void **sp = (void **)(f[i].stack + STACK) - 8; /* six registers, then where to begin */
        sp[6] = (void *)fiber_loop;
        f[i].sp = sp;
#if defined(__SANITIZE_THREAD__)
        f[i].tsan = __tsan_create_fiber(0);
#endif
    }
}
NO_TSAN void work(dim3 grid, dim3 extent, size_t shared_bytes, const std::function<void()> &body, std::atomic<unsigned> &next) {
    block b;
    B = &b;
    me = &b.main;
    b.n = extent.x * extent.y * extent.z;
    b.extent = extent;
    b.grid = grid;
    b.body = &body;
    std::unique_ptr<fiber[]> fibers(new fiber[b.n]);
    std::unique_ptr<warp[]> warps(new warp[(b.n + 31) / 32]);
    char *stacks = (char *)mmap(nullptr, b.n * STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
#if defined(__SANITIZE_THREAD__)
    b.main.tsan = __tsan_get_current_fiber();
#endif
    make_fibers(b, fibers.get(), warps.get(), stacks, extent);
    const unsigned total = grid.x * grid.y * grid.z;
    for (unsigned id; (id = next++) < total;) {
        /* Exactly so many bytes, that the address sanitizer sees one too far. */
        void *shared = nullptr;
        if (posix_memalign(&shared, 1024, shared_bytes ? shared_bytes : 1)) abort();
        memset(shared, 0xff, shared_bytes);
        b.shared = (unsigned char *)shared;
        b.at = dim3(id % grid.x, id / grid.x % grid.y, id / grid.x / grid.y);
        b.n_done = 0;
        for (named_barrier &n : b.bar) n.waiting = 0;
        for (unsigned i = 0; i < b.n; i++) b.f[i].st = READY;
        RELEASE(&b.start);
        go_to(&b.f[0]);
        ACQUIRE(&b.end);
        free(shared);
    }
#if defined(__SANITIZE_THREAD__)
    for (unsigned i = 0; i < b.n; i++) __tsan_destroy_fiber(b.f[i].tsan);
#endif
#if defined(__SANITIZE_ADDRESS__)
    ASAN_UNPOISON_MEMORY_REGION(stacks, b.n * STACK);
#endif
    munmap(stacks, b.n * STACK);
    B = nullptr;
}
} // namespace

void set_workers(int n) { n_workers = n < 1 ? 1 : n; }
int workers() { return n_workers; }

void run_grid(dim3 grid, dim3 extent, size_t shared_bytes, const std::function<void()> &body) {
    std::atomic<unsigned> next{0};
    const unsigned total = grid.x * grid.y * grid.z;
    std::vector<std::thread> others;
    for (int i = 1; i < n_workers && (unsigned)i < total; i++)
        others.emplace_back([&] { work(grid, extent, shared_bytes, body, next); });
    work(grid, extent, shared_bytes, body, next);
    for (std::thread &t : others) t.join();
}

NO_TSAN const dim3 &thread_index() { return me->at; }
NO_TSAN const dim3 &block_index() { return B->at; }
NO_TSAN const dim3 &block_extent() { return B->extent; }
NO_TSAN const dim3 &grid_extent() { return B->grid; }
NO_TSAN int lane() { return (int)(me->number & 31); }
NO_TSAN unsigned char *dynamic_shared() { return B->shared; }

NO_TSAN static void wait_at(int id, unsigned expected, int line) {
    named_barrier &b = B->bar[id];
    [[maybe_unused]] char *sync = &b.sync[b.turns & 1]; /* two: a thread already at the next barrier must not hide a race */
    RELEASE(sync);
    me->st = IN_BLOCK;
    me->line = line;
    me->barrier = id;
    if (++b.waiting == expected) release_barrier(id);
    else wait_turn();
    ACQUIRE(sync);
}
NO_TSAN void barrier(int line) { wait_at(0, B->n - B->n_done, line); }
NO_TSAN void barrier_named(int id, int threads, int line) { wait_at(id, (unsigned)threads, line); }

NO_TSAN unsigned char *meet(unsigned mask, int op, int line, const void *mine, size_t n_bytes, lead_fn lead) {
    warp &w = *me->w;
    const unsigned number = me->number & 31, first = me->number & ~31u, lanes = B->n - first, turn = w.meetings & 1;
    if (lanes < 32) mask &= (1u << lanes) - 1;
    if (!(mask >> number & 1) || (w.here && (w.mask != mask || w.op != op))) {
        fprintf(stderr, "cuemu: line %d: lane %u: another mask or collective than line %d of the same warp\n", line, number,
                w.line);
        abort();
    }
    w.mask = mask;
    w.op = op;
    w.line = line;
    memcpy(w.left[turn][number], mine, n_bytes);
    RELEASE(&w.sync[turn]);
    w.here |= 1u << number;
    me->st = IN_WARP;
    me->line = line;
    if (w.here == mask) {
        if (lead) lead(&w.left[turn][0][0], &w.made[turn][0][0]);
        w.here = 0;
        w.meetings++;
        for (unsigned m = mask; m; m &= m - 1) B->f[first + (unsigned)__builtin_ctz(m)].st = READY;
    } else wait_turn();
    ACQUIRE(&w.sync[turn]);
    return &w.left[turn][0][0];
}
NO_TSAN unsigned char *meet_out() { return &me->w->made[(me->w->meetings - 1) & 1][0][0]; }

NO_TSAN unsigned ballot(unsigned mask, int predicate, int line) {
    const unsigned char mine = predicate != 0;
    const unsigned char *all = meet(mask, 7, line, &mine, 1, nullptr);
    unsigned votes = 0;
    for (unsigned l = 0; l < 32; l++)
        if (mask >> l & 1 && (me->number & ~31u) + l < B->n && all[64 * l]) votes |= 1u << l;
    return votes;
}

float bf16_value(uint16_t bits) {
    const uint32_t wide = (uint32_t)bits << 16;
    float x;
    memcpy(&x, &wide, 4);
    return x;
}
uint16_t bf16_bits(float x) {
    uint32_t u;
    memcpy(&u, &x, 4);
    if (x != x) return 0x7fff;
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}
float half_value(uint16_t bits) {
    _Float16 h;
    memcpy(&h, &bits, 2);
    return (float)h;
}
uint16_t half_bits(float x) {
    const _Float16 h = (_Float16)x;
    uint16_t bits;
    memcpy(&bits, &h, 2);
    return x != x ? 0x7fff : bits;
}
float exp2_counted(float x) { return exp2f(x); }
uint4 load16(const void *p) {
    uint4 x;
    memcpy(&x, p, 16);
    return x;
}
void store16(void *p, uint4 x) { memcpy(p, &x, 16); }

void ldmatrix4(uint32_t r[4], const void *row, bool transposed) {
    const unsigned char *all = meet(~0u, 5, __LINE__, &row, sizeof row, nullptr);
    const int g = lane() >> 2, t = lane() & 3;
    for (int m = 0; m < 4; m++) {
        uint16_t e[2];
        for (int i = 0; i < 2; i++) {
            const uint16_t *from;
            memcpy(&from, all + 64 * (m * 8 + (transposed ? 2 * t + i : g)), sizeof from);
            e[i] = from[transposed ? g : 2 * t + i];
        }
        r[m] = e[0] | (uint32_t)e[1] << 16;
    }
    const char nothing = 0;
    meet(~0u, 6, __LINE__, &nothing, 1, nullptr); /* all have read before anybody writes */
}

template <float (*VALUE)(uint16_t)> static void multiply(unsigned char *all, void *out) {
    float A[16][16], Bm[16][8];
    for (int l = 0; l < 32; l++) {
        uint16_t h[12];
        memcpy(h, all + 64 * l, 24);
        const int g = l >> 2, t = (l & 3) * 2;
        for (int i = 0; i < 8; i++) A[g + (i >> 1 & 1) * 8][t + (i & 1) + (i >> 2) * 8] = VALUE(h[i]);
        for (int i = 0; i < 4; i++) Bm[t + (i & 1) + (i >> 1) * 8][g] = VALUE(h[8 + i]);
    }
    for (int r = 0; r < 16; r++) {
        float d[8] = {};
        for (int k = 0; k < 16; k++)
            for (int c = 0; c < 8; c++) d[c] += A[r][k] * Bm[k][c];
        for (int c = 0; c < 8; c++)
            memcpy((unsigned char *)out + 32 * ((r & 7) * 4 + (c >> 1)) + 4 * ((r >> 3) * 2 + (c & 1)), &d[c], 4);
    }
}
NO_TSAN void mma16816(float d[4], const uint32_t a[4], const uint32_t b[2], float (*value)(uint16_t)) {
    const uint32_t fragments[6] = {a[0], a[1], a[2], a[3], b[0], b[1]};
    meet(~0u, 3, __LINE__, fragments, sizeof fragments, value == half_value ? multiply<half_value> : multiply<bf16_value>);
    float sum[4];
    memcpy(sum, meet_out() + 32 * lane(), 16);
    for (int i = 0; i < 4; i++) d[i] += sum[i];
}

void async_copy16(void *shared, const void *from, bool is_there) { me->open.push_back({shared, from, is_there}); }
void async_commit() {
    me->groups.push_back(std::move(me->open));
    me->open.clear();
}
void async_wait(int newest) {
    while ((int)me->groups.size() > newest) {
        for (const pending_copy &c : me->groups.front())
            if (c.is_there) memcpy(c.to, c.from, 16);
            else memset(c.to, 0, 16);
        me->groups.pop_front();
    }
}
} // namespace cuemu
