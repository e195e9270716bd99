/* pool.c - threads that are made once and share out the items of one call after another.
 *
 * The whole protocol is one word: the number of the call (upper half), how many workers are at it, and
 * whether it is open (lowest bit). A worker may join an open call and leave it; the caller closes it when no
 * item is left and waits for those that joined. A worker that the system has not woken in time is not waited
 * for.
 *
 * Between calls a worker looks at the word for some ten microseconds, then sleeps: in training the next call
 * follows at once, and while data is read no core is burnt. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "base/err.h"
#include "base/host.h"
#include "base/mem.h"
#include "base/memo.h"

#define OPEN ((uint64_t)1)
#define WORKER ((uint64_t)2)
#define CALL ((uint64_t)1 << 32)
#define LOOKS 1500 /* before sleeping; with the pause between them 15 to 60 us, depending on the processor   \
                    */

typedef struct {
    pool *p;
    int number; /* thread number in calls; the caller is 0 */
    pthread_t thread;
} worker;

struct pool {
    _Alignas(64) _Atomic uint64_t state;
    _Alignas(64) _Atomic int64_t next; /* first item not dealt */
    int64_t n;
    void (*fn)(void *arg, int64_t i, int thread);
    void *arg;
    _Alignas(64) atomic_int n_asleep, stop;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    int n_threads;
    worker *workers; /* n_threads - 1 */
    pool_watcher watcher;
    hone_host_v1 host;
    void *block; /* what mem_free gets: this struct is aligned within it */
};

static _Thread_local int inside; /* this thread is in a call: another one would wait for itself */

static void rest(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static void do_items(pool *p, int thread) {
    const uint64_t from = p->watcher.note ? clock_ns() : 0;
    inside = 1;
    for (int64_t i; (i = atomic_fetch_add_explicit(&p->next, 1, memory_order_relaxed)) < p->n;)
        p->fn(p->arg, i, thread);
    inside = 0;
    if (p->watcher.note) p->watcher.note(p->watcher.arg, thread, from, clock_ns());
}

static int is_new(uint64_t state, uint64_t seen) { return (state & OPEN) && state / CALL != seen; }

/* Wait until a call is open that this worker has not seen, or until the pool ends. */
static uint64_t wait_for_call(pool *p, uint64_t seen) {
    uint64_t state = 0;
    for (int look = 0; look < LOOKS; look++) {
        state = atomic_load(&p->state);
        if (is_new(state, seen) || atomic_load_explicit(&p->stop, memory_order_relaxed)) return state;
        rest();
    }
    pthread_mutex_lock(&p->lock);
    atomic_fetch_add(&p->n_asleep, 1);
    while (state = atomic_load(&p->state), !is_new(state, seen) && !atomic_load(&p->stop))
        pthread_cond_wait(&p->wake, &p->lock);
    atomic_fetch_sub(&p->n_asleep, 1);
    pthread_mutex_unlock(&p->lock);
    return state;
}

static void *work(void *arg) {
    worker *w = arg;
    pool *p = w->p;
    uint64_t seen = 0;
    for (;;) {
        uint64_t state = wait_for_call(p, seen);
        if (atomic_load(&p->stop)) return NULL;
        if (!is_new(state, seen) || !atomic_compare_exchange_strong(&p->state, &state, state + WORKER))
            continue;
        seen = state / CALL;
        do_items(p, w->number);
        atomic_fetch_sub(&p->state, WORKER);
    }
}

static void run_in_pool(void *context, int64_t n, void (*fn)(void *arg, int64_t i, int thread), void *arg) {
    pool_run(context, n, fn, arg);
}
static uint64_t read_clock(void *context) {
    (void)context;
    return clock_ns();
}
static int recall(void *context, const char *key, void *bytes, size_t n_bytes) {
    (void)context;
    return memo_get(key, bytes, n_bytes);
}
static void remember(void *context, const char *key, const void *bytes, size_t n_bytes) {
    (void)context;
    memo_put(key, bytes, n_bytes);
}
static void note_line(void *context, const char *line) {
    (void)context;
    log_note("%s", line);
}

/* HONE_THREADS, where a person or a launcher has set it. */
static int usual_threads(void) {
    const char *given = env_get("HONE_THREADS");
    int64_t n;
    if (!given || !*given) return pool_cores();
    if (str_to_int64(str_of(given), &n) && n >= 1 && n <= 4096) return (int)n;
    log_warn("HONE_THREADS: \"%.32s\", expected an integer from 1 to 4096; all cores are used", given);
    return pool_cores();
}

pool *pool_new(int n_threads) {
    char *block = mem_new(sizeof(pool) + 63, "thread pool");
    pool *p = (pool *)(block + (64 - (uintptr_t)block % 64) % 64);
    p->block = block;
    if (n_threads <= 0) n_threads = usual_threads();
    p->workers = mem_new((size_t)n_threads * sizeof *p->workers, "thread pool");
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    p->n_threads = 1;
    for (int i = 1; i < n_threads; i++) {
        worker *w = &p->workers[i - 1];
        *w = (worker){.p = p, .number = i};
        if (pthread_create(&w->thread, NULL, work, w)) {
            log_warn("the system gives %d threads where %d were asked for", i, n_threads);
            break;
        }
        p->n_threads = i + 1;
    }
    p->host = (hone_host_v1){.struct_bytes = sizeof p->host,
                             .context = p,
                             .n_threads = p->n_threads,
                             .parallel_for = run_in_pool,
                             .clock_ns = read_clock,
                             .log = note_line,
                             .recall = recall,
                             .remember = remember};
    return p;
}

void pool_free(pool *p) {
    if (!p) return;
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->stop, 1);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    for (int i = 1; i < p->n_threads; i++) pthread_join(p->workers[i - 1].thread, NULL);
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    mem_free(p->workers);
    mem_free(p->block);
}

int pool_threads(const pool *p) { return p->n_threads; }

void pool_watch(pool *p, const pool_watcher *w) { p->watcher = w ? *w : (pool_watcher){0}; }

const hone_host_v1 *pool_host(pool *p) { return &p->host; }

void pool_run(pool *p, int64_t n, void (*fn)(void *arg, int64_t i, int thread), void *arg) {
    HONE_ASSERT(!inside);
    if (p->n_threads == 1 || n <= 1) {
        const uint64_t from = p->watcher.note ? clock_ns() : 0;
        inside = 1;
        for (int64_t i = 0; i < n; i++) fn(arg, i, 0);
        inside = 0;
        if (p->watcher.note) p->watcher.note(p->watcher.arg, 0, from, clock_ns());
        return;
    }
    const uint64_t before = atomic_load(&p->state);
    HONE_ASSERT(before % CALL == 0); /* one call at a time */
    p->fn = fn;
    p->arg = arg;
    p->n = n;
    atomic_store_explicit(&p->next, 0, memory_order_relaxed);
    const uint64_t number = (before / CALL + 1) & 0xffffffffu;
    atomic_store(&p->state, (number ? number : 1) * CALL | OPEN);
    if (atomic_load(&p->n_asleep) > 0) {
        pthread_mutex_lock(&p->lock);
        pthread_cond_broadcast(&p->wake);
        pthread_mutex_unlock(&p->lock);
    }
    do_items(p, 0);
    atomic_fetch_and(&p->state, ~OPEN);
    for (int look = 0; atomic_load(&p->state) % CALL; look++) {
        if (look < LOOKS) rest();
        else sched_yield(); /* a worker may have lost its core in the middle of an item */
    }
}
