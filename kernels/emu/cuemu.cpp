/* cuemu.cpp - fibers, meetings, barriers, grids. */
#include "machine.h"

#include <memory>
#include <mutex>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <thread>

namespace cuemu {
__thread block *B = nullptr;
__thread fiber *me = nullptr;
int mutant = 0;

namespace {
constexpr size_t STACK = 256 << 10, GUARD = 4096;
constexpr unsigned THREADS_MAX = 1024;

/* The stacks and fibers of one OS thread; kept from launch to launch, because making them takes longer than most
 * launches run. */
struct machine {
    unsigned n;
    std::unique_ptr<fiber[]> fibers;
    std::unique_ptr<warp[]> warps;
    char *stacks;
};
std::mutex guard;
std::vector<machine *> &idle = *new std::vector<machine *>; /* under guard; never freed, nor are its machines */

__attribute__((naked, noinline)) void swap_stacks(void **, void *) {
    asm("pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15; movq %rsp,(%rdi); movq %rsi,%rsp;"
        "popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp; ret");
}
/* First thing on a stack that has been switched to. */
NO_TSAN void landed() {
#if defined(__SANITIZE_ADDRESS__)
    const void *bottom;
    size_t bytes;
    __sanitizer_finish_switch_fiber(me->fake, &bottom, &bytes);
    if (!B->main_stack && me != &B->main) B->main_stack = bottom, B->main_bytes = bytes;
#endif
}
/* Let f run; comes back when somebody lets this thread run, or never if it has returned. */
NO_TSAN void go_to(fiber *f) {
    fiber *from = me;
    me = f;
    if (f->w) f->w->ready &= ~(1u << f->lane), f->st = RUNS;
#if defined(__SANITIZE_ADDRESS__)
    const bool home = f == &B->main;
    __sanitizer_start_switch_fiber(from->st == DONE ? nullptr : &from->fake, home ? B->main_stack : f->stack + GUARD,
                                   home ? B->main_bytes : STACK - GUARD);
#endif
#if defined(__SANITIZE_THREAD__)
    __tsan_switch_to_fiber(f->tsan, __tsan_switch_to_fiber_no_sync);
#endif
    swap_stacks(&from->sp, f->sp);
    landed();
}
/* The lane of the warp that runs after `lane`: the next one that is ready, around. */
NO_TSAN fiber *next_in(const warp &w, unsigned lane) {
    unsigned next;
    if (B->reversed) {
        const unsigned before = w.ready & ((1u << lane) - 1);
        next = 31 - (unsigned)__builtin_clz(before ? before : w.ready);
    } else {
        const unsigned after = w.ready & ~((2u << lane) - 1);
        next = (unsigned)__builtin_ctz(after ? after : w.ready);
    }
    return &B->f[32 * w.number + next];
}
/* The next thread that can run: of the same warp first. */
NO_TSAN fiber *pick() {
    const warp *w = me->w;
    if (w->ready) return next_in(*w, me->lane);
    for (unsigned i = 1, number = w->number; i < B->n_warps; i++) {
        number = B->reversed ? (number ? number : B->n_warps) - 1 : number + 1 < B->n_warps ? number + 1 : 0;
        if (B->w[number].ready) return next_in(B->w[number], B->reversed ? 0 : 31);
    }
    return nullptr;
}
const char *name_of(int op) {
    static const char *const names[] = {"?", "shuffle", "shuffle", "mma", "warp barrier", "ldmatrix", "?", "vote"};
    return op >= 0 && op < 8 ? names[op] : "collective";
}
/* Where the threads are: a line for each run of neighbours that are in the same place. */
NO_TSAN void print_places() {
    for (unsigned i = 0, first = 0; i < B->n; i++) {
        const fiber &f = B->f[i], &next = B->f[i + 1 < B->n ? i + 1 : i];
        if (i + 1 < B->n && next.st == f.st && next.where.line == f.where.line && (f.st != IN_WARP || next.met->op == f.met->op)) continue;
        fprintf(stderr, "  threads %u to %u: ", first, i);
        if (f.st == DONE) fprintf(stderr, "returned\n");
        else if (f.st == RUNS) fprintf(stderr, "ready\n");
        else if (f.st == IN_WARP) fprintf(stderr, "in a %s, %s:%d\n", name_of(f.met->op), f.where.file, f.where.line);
        else fprintf(stderr, "at barrier %u, %s:%d\n", f.barrier, f.where.file, f.where.line);
        first = i + 1;
    }
}
NO_TSAN void wait_turn() {
    if (fiber *f = pick()) go_to(f);
    else fail("deadlock: a barrier or collective that not all reach");
}
NO_TSAN void release_barrier(unsigned id) {
    for (unsigned i = 0; i < B->n; i++)
        if (B->f[i].st == IN_BLOCK && B->f[i].barrier == id) B->f[i].w->ready |= 1u << B->f[i].lane, B->f[i].st = RUNS;
    B->bar[id].waiting = 0;
    B->bar[id].turns++;
    if (!counting) return;
    count_barrier();
    for (unsigned i = 0; i < B->n_warps; i++) count_converged(B->w[i]);
}
/* All who are to come have come. */
NO_TSAN void end_meeting(warp &w, meeting &m) {
    for (unsigned absent = ~m.here; absent; absent &= absent - 1)
        for (uint64_t &word : m.left[__builtin_ctz(absent)]) word = ~(uint64_t)0;
    if (m.lead && m.here != ~0u) fail("%s without the whole warp", name_of(m.op));
    if (m.lead) m.lead(&m.left[0][0], &m.made[0][0]);
    if (counting && m.here == (w.lanes & ~w.done)) count_converged(w);
    w.ready |= m.here;
    m.leaving = m.here;
    m.here = 0;
}
/* The meeting of these lanes that gathers, or a free one; NULL: none is free yet. */
NO_TSAN meeting *find_meeting(warp &w, unsigned mask) {
    meeting *free = nullptr;
    for (meeting &m : w.at)
        if (m.here && m.mask == mask) return &m;
        else if (!m.here && !m.leaving && !free) free = &m;
    return free;
}
[[noreturn]] NO_TSAN void begin_thread() {
    landed();
    ACQUIRE(&B->start);
    (*B->body)();
    warp &w = *me->w;
    me->st = DONE;
    me->copies.clear();
    me->commits.clear();
    w.done |= 1u << me->lane;
    B->n_done++;
    named_barrier &all = B->bar[0];
    RELEASE(&all.sync[all.turns & 1]);
    RELEASE(&B->end);
    for (meeting &m : w.at)
        if (m.here && m.here == (m.mask & ~w.done)) end_meeting(w, m);
    if (all.waiting && all.expected == 0 && all.waiting == B->n - B->n_done) release_barrier(0);
    if (B->n_done == B->n) go_to(&B->main);
    else wait_turn();
    abort();
}
NO_TSAN machine *take_machine(unsigned n) {
    {
        std::lock_guard<std::mutex> lock(guard);
        for (size_t i = idle.size(); i-- > 0;)
            if (idle[i]->n >= n) {
                machine *m = idle[i];
                idle.erase(idle.begin() + (long)i);
                return m;
            }
    }
    machine *m = new machine;
    m->n = n <= 256 ? 256 : THREADS_MAX;
    m->fibers.reset(new fiber[m->n]());
    m->warps.reset(new warp[m->n / 32]());
    m->stacks = (char *)mmap(nullptr, m->n * STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                             -1, 0);
    if (m->stacks == MAP_FAILED) fail("no memory for %u stacks", m->n);
    for (unsigned i = 0; i < m->n; i++) {
        m->fibers[i].stack = m->stacks + i * STACK;
        mprotect(m->fibers[i].stack, GUARD, PROT_NONE); /* too deep a stack ends here */
    }
    return m;
}
NO_TSAN void give_back(machine *m) {
    std::lock_guard<std::mutex> lock(guard);
    idle.push_back(m);
}
NO_TSAN void prepare_threads(block &b) {
    for (unsigned i = 0; i < b.n; i++) {
        fiber &f = b.f[i];
        f.number = i;
        f.lane = i & 31;
        f.w = &b.w[i / 32];
        f.at = dim3(i % b.extent.x, i / b.extent.x % b.extent.y, i / b.extent.x / b.extent.y);
#if defined(__SANITIZE_THREAD__)
        if (!f.tsan) f.tsan = __tsan_create_fiber(0);
#endif
    }
    for (unsigned i = 0; i < b.n_warps; i++) {
        b.w[i].number = i;
        b.w[i].lanes = b.n - 32 * i < 32 ? (1u << (b.n - 32 * i)) - 1 : ~0u;
    }
}
NO_TSAN void run_block(block &b, unsigned id) {
    b.at = dim3(id % b.grid.x, id / b.grid.x % b.grid.y, id / b.grid.x / b.grid.y);
    b.n_done = 0;
    if (b.shared) memset(b.shared, 0xff, b.shared_bytes);
    for (named_barrier &bar : b.bar) bar.waiting = 0;
    for (unsigned i = 0; i < b.n_warps; i++) {
        b.w[i].ready = b.w[i].lanes;
        b.w[i].done = 0;
        for (meeting &m : b.w[i].at) m.here = m.leaving = 0;
    }
    for (unsigned i = 0; i < b.n; i++) {
        char *top = b.f[i].stack + STACK;
#if defined(__SANITIZE_ADDRESS__)
        ASAN_UNPOISON_MEMORY_REGION(top - GUARD, GUARD); /* frames that the thread before never left */
#endif
        void **sp = (void **)top - 8; /* six registers, where to begin, and an end for whoever walks the stack */
        for (int k = 0; k < 8; k++) sp[k] = nullptr;
        sp[6] = (void *)begin_thread;
        b.f[i].sp = sp;
        b.f[i].st = RUNS;
        b.f[i].where = place();
    }
    RELEASE(&b.start);
    go_to(&b.f[b.reversed ? b.n - 1 : 0]);
    ACQUIRE(&b.end);
    for (const named_barrier &bar : b.bar)
        if (bar.waiting) fail("%u threads returned from a named barrier that never filled", bar.waiting);
    if (counting)
        for (unsigned i = 0; i < b.n_warps; i++) count_converged(b.w[i]);
}
/* Blocks first, first + n_workers ... on this OS thread. */
NO_TSAN void work(const grid &g, const std::function<void()> &body, unsigned first) {
    [[maybe_unused]] constexpr size_t RED = 64; /* the address sanitizer has its own, and sees reads too */
    std::unique_ptr<block> own(new block());
    block &b = *own;
    b.n = g.threads.x * g.threads.y * g.threads.z;
    b.n_warps = (b.n + 31) / 32;
    machine *m = take_machine(b.n);
    B = &b;
    me = &b.main;
    b.f = m->fibers.get();
    b.w = m->warps.get();
    b.extent = g.threads;
    b.grid = g.blocks;
    b.reversed = g.reversed;
    b.body = &body;
    b.kernel = g.kernel;
    b.shared_bytes = g.shared_bytes;
    void *shared = nullptr;
#if defined(__SANITIZE_ADDRESS__)
    const size_t red = 0;
#else
    const size_t red = RED;
#endif
    if (g.shared_bytes && posix_memalign(&shared, 1024, g.shared_bytes + red)) abort();
    b.shared = (unsigned char *)shared;
    if (shared && red) memset(b.shared + g.shared_bytes, 0xa5, red);
#if defined(__SANITIZE_THREAD__)
    b.main.tsan = __tsan_get_current_fiber();
#endif
    prepare_threads(b);
    const unsigned total = g.blocks.x * g.blocks.y * g.blocks.z;
    for (unsigned i = first; i < total; i += (unsigned)g.n_workers) run_block(b, g.reversed ? total - 1 - i : i);
    for (size_t i = 0; shared && i < red; i++)
        if (b.shared[g.shared_bytes + i] != 0xa5) fail("a write past the %zu bytes of shared memory", g.shared_bytes);
    free(shared);
    B = nullptr;
    me = nullptr;
    give_back(m);
}
} // namespace

void fail(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    fprintf(stderr, "cuemu: ");
    vfprintf(stderr, fmt, args);
    va_end(args);
    if (B) {
        fprintf(stderr, "; block (%u,%u,%u)", B->at.x, B->at.y, B->at.z);
        if (me != &B->main)
            fprintf(stderr, ", thread %u, last at %s:%d", me->number, me->where.file, me->where.line);
        fprintf(stderr, "\n");
        print_places();
    } else fprintf(stderr, "\n");
    abort();
}

void run_grid(const grid &asked, const std::function<void()> &body) {
    grid g = asked;
    const unsigned total = g.blocks.x * g.blocks.y * g.blocks.z;
    if (counting) g.n_workers = 1, count_launch(g);
    if ((unsigned)g.n_workers > total) g.n_workers = (int)total;
    std::vector<std::thread> others;
    for (int i = 1; i < g.n_workers; i++) others.emplace_back([&g, &body, i] { work(g, body, (unsigned)i); });
    work(g, body, 0);
    for (std::thread &t : others) t.join();
}

NO_TSAN const dim3 &thread_index() { return me->at; }
NO_TSAN const dim3 &block_index() { return B->at; }
NO_TSAN const dim3 &block_extent() { return B->extent; }
NO_TSAN const dim3 &grid_extent() { return B->grid; }
NO_TSAN int lane() { return (int)me->lane; }
NO_TSAN unsigned char *dynamic_shared() { return B->shared; }

/* expected 0: all that have not returned. */
NO_TSAN static void wait_at(unsigned id, unsigned expected, place at) {
    named_barrier &b = B->bar[id];
    fiber *f = me;
    [[maybe_unused]] char *sync = &b.sync[b.turns & 1]; /* two, as in a warp */
    f->where = at;
    f->barrier = id;
    if (b.waiting && b.expected != expected) fail("barrier %u for %u threads and for %u", id, b.expected, expected);
    if (b.waiting && !expected && (b.at.line != at.line || strcmp(b.at.file, at.file)))
        fail("__syncthreads, while others wait in that of %s:%d", b.at.file, b.at.line);
    b.expected = expected;
    b.at = at;
    f->st = IN_BLOCK;
    RELEASE(sync);
    if (++b.waiting == (expected ? expected : B->n - B->n_done)) {
        release_barrier(id);
        f->w->ready &= ~(1u << f->lane);
    } else wait_turn();
    ACQUIRE(sync);
}
NO_TSAN void barrier(place at) { wait_at(0, 0, at); }
NO_TSAN void barrier_named(int id, int threads, place at) {
    if (id < 0 || id > 15 || threads <= 0 || threads % 32 || (unsigned)threads > B->n)
        fail("barrier %d for %d threads of %u", id, threads, B->n);
    wait_at((unsigned)id, (unsigned)threads, at);
}

NO_TSAN const uint64_t *meet(unsigned mask, int op, place at, const uint64_t *mine, int n_words, lead_fn lead) {
    fiber *f = me;
    warp &w = *f->w;
    const unsigned bit = 1u << f->lane;
    meeting *m;
    f->where = at;
    mask &= w.lanes;
    if (!(mask & bit)) fail("%s: lane %u is not in its own mask %08x", name_of(op), f->lane, mask);
    while (!(m = find_meeting(w, mask))) { /* others have still to leave theirs */
        w.ready |= bit;
        wait_turn();
    }
    if (m->here && m->op != op)
        fail("%s, while a %s of the same lanes waits at %s:%d", name_of(op), name_of(m->op), m->at.file, m->at.line);
    m->mask = mask;
    m->op = op;
    m->at = at;
    m->lead = lead;
    uint64_t *left = m->left[f->lane];
    if (n_words > 0) left[0] = mine[0];
    if (n_words > 1) left[1] = mine[1];
    if (n_words > 2) left[2] = mine[2];
    f->met = m;
    f->st = IN_WARP;
    RELEASE(&m->sync);
    m->here |= bit;
    if (m->here == (mask & ~w.done)) {
        end_meeting(w, *m);
        w.ready &= ~bit;
        f->st = RUNS;
    } else wait_turn();
    ACQUIRE(&m->sync);
    m->leaving &= ~bit;
    return &m->left[0][0];
}
NO_TSAN const unsigned char *meet_out() { return &me->met->made[0][0]; }

NO_TSAN void sync_warp(place at, unsigned mask) { meet(mask, MEET_SYNC, at, nullptr, 0, nullptr); }

NO_TSAN unsigned ballot(unsigned mask, int predicate, place at) {
    const uint64_t mine = predicate ? 1 : 0;
    const uint64_t *all = meet(mask, MEET_BALLOT, at, &mine, 1, nullptr);
    unsigned votes = 0;
    for (unsigned l = 0; l < 32; l++)
        if (mask >> l & 1 && all[WORDS * l] == 1) votes |= 1u << l;
    return votes;
}
} // namespace cuemu
