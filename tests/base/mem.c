/* mem.c - the heap's door, arenas and growing arrays. */
#include <signal.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/vec.h"
#include "test.h"

/* How a process ends that does this; what it prints goes into `printed`. */
static int end_of(void (*doing)(void), char *printed, size_t room) {
    int ends[2], status;
    CHECK(pipe(ends) == 0);
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        doing();
        _exit(0);
    }
    close(ends[1]);
    size_t n = 0;
    for (ssize_t got; n < room - 1 && (got = read(ends[0], printed + n, room - 1 - n)) > 0;) n += (size_t)got;
    printed[n] = 0;
    close(ends[0]);
    waitpid(child, &status, 0);
    return status;
}

TEST(memory_is_zeroed_counted_and_given_back) {
    const size_t before = mem_live_bytes();
    char *p = mem_new(1000, "test"), *nothing = mem_new(0, "test");
    CHECK(nothing != NULL && nothing != p);
    for (int i = 0; i < 1000; i++) CHECK(p[i] == 0);
    CHECK(mem_live_bytes() >= before + 1000);
    memset(p, 1, 1000);
    p = mem_grow(p, 1000, 100000, "test");
    for (int i = 0; i < 100000; i++) CHECK(p[i] == (i < 1000));
    p = mem_grow(p, 100000, 10, "test");
    CHECK(p[9] == 1);
    mem_free(p);
    mem_free(nothing);
    mem_free(NULL);
    CHECK_INT(mem_live_bytes(), before);
    p = mem_grow(NULL, 0, 16, "test");
    CHECK(p[15] == 0);
    mem_free(p);
}

static void ask_when_refused(void) {
    void *p = mem_new(8, "before");
    mem_refuse(1);
    mem_free(p); /* giving back stays allowed */
    mem_new(24, "a second thought");
}
static void grow_when_refused(void) {
    void *p = mem_new(8, "before");
    mem_refuse(1);
    mem_free(mem_grow(p, 8, 32, "a third thought"));
}
static void ask_when_allowed_again(void) {
    mem_refuse(1);
    mem_refuse(0);
    mem_free(mem_new(8, "after"));
}

TEST(memory_can_be_refused) {
    char printed[500];
    int status = end_of(ask_when_refused, printed, sizeof printed);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    CHECK_STR(printed,
              "error: hone asked for memory when none may be taken: 24 bytes for a second thought\n");
    status = end_of(grow_when_refused, printed, sizeof printed);
    CHECK(WIFSIGNALED(status) && strstr(printed, "32 bytes for a third thought"));
    CHECK_INT(end_of(ask_when_allowed_again, printed, sizeof printed), 0);
}

#ifndef HONE_SANITIZED /* a sanitizer ends the process itself */
static void ask_for_too_much(void) { mem_new((size_t)1 << 60, "the moon"); }

TEST(memory_that_is_not_there_ends_with_code_4_and_its_purpose) {
    char printed[500];
    const int status = end_of(ask_for_too_much, printed, sizeof printed);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 4);
    CHECK(strstr(printed, "error: out of memory: 1152921504606846976 bytes for the moon"));
}
#endif

static void break_a_promise(void) { HONE_ASSERT(1 == 2); }

TEST(broken_promises_abort_with_their_place) {
    char printed[500];
    const int status = end_of(break_a_promise, printed, sizeof printed);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    CHECK(strstr(printed, "base/mem.c:") && strstr(printed, "1 == 2"));
}

TEST(sizes_are_multiplied_and_added_with_care) {
    size_t x;
    CHECK(size_mul(3, 4, &x) && x == 12);
    CHECK(size_mul(SIZE_MAX, 1, &x) && x == SIZE_MAX);
    CHECK(!size_mul(SIZE_MAX / 2 + 1, 2, &x) && !size_mul((size_t)1 << 32, (size_t)1 << 32, &x));
    CHECK(size_add(SIZE_MAX, 0, &x) && !size_add(SIZE_MAX, 1, &x));
}

TEST(arena_gives_aligned_zeroed_memory_that_does_not_overlap) {
    const size_t before = mem_live_bytes();
    arena *a = arena_new("test");
    unsigned char *blocks[2000];
    for (size_t i = 0; i < 2000; i++) {
        const size_t n = i % 37 == 0 ? 5000 : i % 500 == 499 ? 3000000 : i % 61;
        blocks[i] = arena_alloc(a, n);
        CHECK((uintptr_t)blocks[i] % 16 == 0);
        for (size_t k = 0; k < n; k++) CHECK(blocks[i][k] == 0);
        memset(blocks[i], (int)(i % 251) + 1, n);
    }
    for (size_t i = 0; i < 2000; i++) {
        const size_t n = i % 37 == 0 ? 5000 : i % 500 == 499 ? 3000000 : i % 61;
        for (size_t k = 0; k < n; k++) CHECK(blocks[i][k] == i % 251 + 1);
    }
    CHECK(arena_bytes(a) > 9000000);
    arena_free(a);
    arena_free(NULL);
    CHECK_INT(mem_live_bytes(), before);
}

TEST(arena_copies_and_prints) {
    arena *a = arena_new("test");
    char *copy = arena_copy(a, "abcdef", 3);
    CHECK_STR(copy, "abc");
    CHECK_STR(arena_copy(a, NULL, 0), "");
    CHECK_STR(arena_print(a, "%d-%s", 7, "x"), "7-x");
    int *list = ARENA_ARRAY(a, 10, int);
    CHECK(list[9] == 0);
    arena_free(a);
}

TEST(vec_keeps_what_is_pushed) {
    VEC(int) v = {0};
    for (int i = 0; i < 10000; i++) vec_push(&v, i * 2);
    CHECK_INT(v.n, 10000);
    for (int i = 0; i < 10000; i++) CHECK_INT(v.p[i], 2 * i);
    vec_reserve(&v, 50000);
    CHECK(v.cap >= 50000 && v.n == 10000 && v.p[9999] == 19998);
    vec_free(&v);
    CHECK(v.p == NULL && v.n == 0 && v.cap == 0);
    typedef struct {
        int a, b;
    } pair;
    VEC(pair) pairs = {0};
    vec_push(&pairs, (pair){1, 2});
    CHECK_INT(pairs.p[0].b, 2);
    vec_free(&pairs);
}
