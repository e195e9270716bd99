/* pool.c - every item once, on a thread of the pool, call after call. */
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/host.h"
#include "base/mem.h"
#include "test.h"

typedef struct {
    _Atomic int *seen;
    int n_threads;
    atomic_int bad;
    int64_t *result;
} job;

static void note_item(void *arg, int64_t i, int thread) {
    job *j = arg;
    atomic_fetch_add(&j->seen[i], 1);
    if (thread < 0 || thread >= j->n_threads) atomic_store(&j->bad, 1);
    j->result[i] = i * i; /* plain memory: must be seen by the caller */
}

TEST(pool_runs_every_item_once) {
    enum { MOST = 1000 };
    static _Atomic int seen[MOST];
    static int64_t result[MOST];
    for (int threads = 1; threads <= 5; threads++) {
        pool *p = pool_new(threads);
        CHECK_INT(pool_threads(p), threads);
        job j = {.seen = seen, .n_threads = threads, .result = result};
        for (int n = 0; n <= MOST; n = n < 10 ? n + 1 : n * 10) {
            for (int i = 0; i < MOST; i++) {
                atomic_store(&seen[i], 0);
                result[i] = -1;
            }
            pool_run(p, n, note_item, &j);
            for (int i = 0; i < MOST; i++) {
                CHECK_INT(seen[i], i < n);
                CHECK_INT(result[i], i < n ? i * i : -1);
            }
        }
        CHECK(!j.bad);
        pool_free(p);
    }
    pool_free(NULL);
}

static void add_one(void *arg, int64_t i, int thread) {
    (void)thread;
    ((int64_t *)arg)[i]++;
}

TEST(pool_survives_many_short_calls) {
    int64_t counts[7] = {0};
    pool *p = pool_new(4);
    for (int i = 0; i < 20000; i++) {
        pool_run(p, 7, add_one, counts);
        if (i % 1000 == 0) usleep(3000); /* long enough for the workers to fall asleep */
    }
    for (int i = 0; i < 7; i++) CHECK_INT(counts[i], 20000);
    pool_free(p);
}

/* Holds its thread until another item has begun: two threads must be at work. */
static void wait_for_company(void *arg, int64_t i, int thread) {
    (void)i, (void)thread;
    atomic_int *begun = arg;
    atomic_fetch_add(begun, 1);
    while (atomic_load(begun) < 2) usleep(10);
}

TEST(pool_uses_several_threads) {
    pool *p = pool_new(2);
    atomic_int begun = 0;
    pool_run(p, 2, wait_for_company, &begun);
    CHECK_INT(begun, 2);
    pool_free(p);
}

TEST(pool_allocates_nothing_in_a_call) {
    int64_t counts[100] = {0};
    pool *p = pool_new(3);
    mem_refuse(1);
    pool_run(p, 100, add_one, counts);
    pool_host(p)->parallel_for(pool_host(p)->context, 100, add_one, counts);
    mem_refuse(0);
    for (int i = 0; i < 100; i++) CHECK_INT(counts[i], 2);
    CHECK_INT(pool_host(p)->n_threads, 3);
    CHECK_INT(pool_host(p)->struct_bytes, sizeof(hone_host_v1));
    CHECK(pool_host(p)->clock_ns(pool_host(p)->context) > 0);
    pool_free(p);
}

static pool *own_pool;
static void run_again(void *arg, int64_t i, int thread) {
    (void)i, (void)thread;
    pool_run(own_pool, 1, add_one, arg);
}

TEST(pool_refuses_a_call_inside_a_call) {
    for (int threads = 1; threads <= 2; threads++) {
        int status;
        const pid_t child = fork();
        if (child == 0) {
            int64_t count[2] = {0};
            own_pool = pool_new(threads);
            pool_run(own_pool, 2, run_again, count);
            _exit(0);
        }
        waitpid(child, &status, 0);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    }
}

TEST(pool_without_a_number_takes_the_cores) {
    const int cores = pool_cores();
    CHECK(cores >= 1 && cores <= sysconf(_SC_NPROCESSORS_CONF));
    pool *p = pool_new(0);
    CHECK_INT(pool_threads(p), cores);
    pool_free(p);
}

TEST(a_pool_of_no_number_has_the_threads_that_hone_threads_says) {
    setenv("HONE_THREADS", "3", 1);
    pool *p = pool_new(0), *two = pool_new(2);
    CHECK_INT(pool_threads(p), 3);
    CHECK_INT(pool_threads(two), 2);
    pool_free(p);
    pool_free(two);
    setenv("HONE_THREADS", "many", 1);
    p = pool_new(0);
    CHECK_INT(pool_threads(p), pool_cores());
    pool_free(p);
    pool_free(NULL);
}
