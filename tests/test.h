/* test.h - the whole of hone's test framework. A test is a sentence that must hold:
 *
 *     TEST(plan_slots_never_overlap_while_live) { ... CHECK(x < y); CHECK_INT(a, b); CHECK_STR(s, "..."); }
 *
 * Every .c of a tests/ folder goes into one program, test_<folder>. Each test runs in a process of its own, so that a
 * crash fails one test. Output: "ok NAME", "FAIL NAME: file:line: what", "skip NAME: why", and at the end
 * "N passed, N failed, N skipped". Arguments are parts of names: only tests holding one of them run; --list prints all. */
#ifndef TEST_H
#define TEST_H
#include <stdio.h>
#include <string.h>

typedef struct test_case {
    const char *name;
    void (*run)(void);
    struct test_case *next;
} test_case;
void test_add(test_case *t);
void test_fail(const char *file, int line, const char *fmt, ...) __attribute__((noreturn, format(printf, 3, 4)));
void test_skip(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
const char *test_data(void);               /* HONE_DATA, or shared/data beside the checkout; NULL: none */
const char *test_data_or_skip(const char *file); /* path of a real data file, else the test is skipped */
const char *test_fixture(const char *file); /* path of tests/data/FILE */
const char *test_model_or_skip(void);       /* folder of MiniLM's weights (scripts/fetch_minilm's cache), else skipped */
const char *test_folder(void);              /* an empty folder of this test's own, removed afterwards */
const char *test_source(const char *path);  /* a path inside the source tree */

#define TEST(sentence)                                                                                       \
    static void sentence(void);                                                                              \
    static test_case sentence##_case = {#sentence, sentence, NULL};                                          \
    __attribute__((constructor)) static void sentence##_add(void) { test_add(&sentence##_case); }            \
    static void sentence(void)
#define CHECK(x) ((x) ? (void)0 : test_fail(__FILE__, __LINE__, "%s", #x))
#define CHECK_INT(a, b)                                                                                      \
    do {                                                                                                     \
        const long long check_a = (long long)(a), check_b = (long long)(b);                                  \
        if (check_a != check_b) test_fail(__FILE__, __LINE__, "%s is %lld, expected %lld", #a, check_a, check_b); \
    } while (0)
#define CHECK_STR(a, b)                                                                                      \
    do {                                                                                                     \
        const char *check_a = (a), *check_b = (b);                                                           \
        if (!check_a || strcmp(check_a, check_b)) test_fail(__FILE__, __LINE__, "%s is \"%s\", expected \"%s\"", #a, check_a ? check_a : "(null)", check_b); \
    } while (0)
#define CHECK_NEAR(a, b, bound)                                                                              \
    do {                                                                                                     \
        const double check_a = (a), check_b = (b), check_d = check_a > check_b ? check_a - check_b : check_b - check_a; \
        if (!(check_d <= (bound))) test_fail(__FILE__, __LINE__, "%s is %.9g, expected %.9g within %g", #a, check_a, check_b, (double)(bound)); \
    } while (0)
/* The call must succeed; it hands on `err`, which this macro provides: CHECK_OK(file_write(path, "x", 1, err)). */
#define CHECK_OK(call)                                                                                       \
    do {                                                                                                     \
        _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wshadow\"");                       \
        hone_err check_err = {0};                                                                            \
        hone_err *err = &check_err;                                                                          \
        if ((call) != HONE_OK) test_fail(__FILE__, __LINE__, "%s: %s", #call, check_err.text);               \
        _Pragma("GCC diagnostic pop");                                                                       \
    } while (0)
#endif
