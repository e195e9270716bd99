/* onednn.c - products of bf16 numbers whose blocks oneDNN multiplies. A device takes it where it was remembered as the
 * faster, so the memory of these tests says so: on any processor that multiplies bf16 numbers in pairs, with AMX or without. */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "call.h"
#include "devices.h"
#include "test.h"

static int32_t version;

static int recall(void *context, const char *key, void *bytes, size_t n) {
    (void)context;
    const int is_asked = strstr(key, "by oneDNN") && n == sizeof version;
    if (is_asked) memcpy(bytes, &version, n);
    else if (n == 1) *(unsigned char *)bytes = 1; /* in pairs */
    return is_asked || n == 1;
}

/* Skips the test where there is none. */
static void find_library(void) {
    const int *(*tell)(void) = NULL;
    void *library = dlopen("libdnnl.so.3", RTLD_NOW | RTLD_LOCAL);
    if (!library) library = dlopen("libdnnl.so.2", RTLD_NOW | RTLD_LOCAL);
    if (!library)
        test_skip("there is no libdnnl.so.3 or .2 here (Debian 12: apt-get install libdnnl2): AMX's way was "
                  "not tried");
    *(void **)&tell = dlsym(library, "dnnl_version");
    CHECK(tell != NULL);
    version = tell()[0] * 10000 + tell()[1] * 100 + tell()[2];
}

/* cpu with oneDNN, or skipped; without: in pairs. */
static cases_on open_cpu(int with) {
    hone_limits limits;
    find_library();
    if (!with) version = 0;
    const cases_on on = devices_open_as("cpu", recall);
    CHECK(!on.table->limits(on.device[0], &limits));
    if (!strstr(limits.name, "avx512bf16")) test_skip("this machine does not multiply bf16 in pairs");
    return on;
}

static hone_query product(hone_op op, int64_t rows, int64_t from, int64_t to) {
    hone_query q = {.op = op};
    q.in[0] = tensor_of(NULL, HONE_BF16, rows, op == HONE_OP_LINEAR_FWD ? from : to);
    q.in[1] = op == HONE_OP_LINEAR_BWD_W ? tensor_of(NULL, HONE_BF16, rows, from)
                                         : tensor_of(NULL, HONE_BF16, to, from);
    return q;
}

TEST(onednn_plays_products_where_it_is_remembered_as_faster) {
    const cases_on with = open_cpu(1);
    void *choice[3] = {NULL};
    for (int i = 0; i < 3; i++) {
        const hone_query q = product((hone_op)(HONE_OP_LINEAR_FWD + i), 100, 384, 1536);
        CHECK_OK(with.table->choose(with.device[0], &q, &choice[i], err));
        if (!choice[i]) test_fail(__FILE__, __LINE__, "%s is not played by oneDNN", hone_op_find(q.op)->name);
    }
    hone_limits limits;
    CHECK(!with.table->limits(with.device[0], &limits) && strstr(limits.name, ", oneDNN"));
    hone_query wide = product(HONE_OP_LINEAR_FWD, 100, 384, 1536);
    wide.in[0].dtype = wide.in[1].dtype = HONE_F32;
    CHECK_OK(with.table->choose(with.device[0], &wide, &choice[0], err));
    CHECK(!choice[0]);
    const cases_on without = open_cpu(0);
    const hone_query q = product(HONE_OP_LINEAR_FWD, 100, 384, 1536);
    CHECK_OK(without.table->choose(without.device[0], &q, &choice[0], err));
    CHECK(!choice[0]);
}

/* Every case: values against ref in fp64, and bits for 1, 2 and 3 threads and beside other rows. */
TEST(onednn_agrees_with_ref_on_products) {
    const cases_on on = open_cpu(1);
    devices_play(&on, HONE_OP_LINEAR_FWD, HONE_OP_LINEAR_BWD_W, CASES_CHECK);
}

/* Deep ones are cut into blocks of k, and are narrower, or not: shapes that the list has not for others' sake. */
static int play_deep(void *arg, const cases_case *k) {
    static const char *const shape[] = {"N=70,I=2000,O=200", "N=9,I=200,O=3100", "N=5,I=7000,O=50",
                                        "N=3,I=77,O=6400"};
    if (k->dtype != HONE_BF16 || k->extent[CASES_LETTER('N')] != 70 || k->extent[CASES_LETTER('O')] != 8)
        return 1;
    for (size_t i = 0; i < sizeof shape / sizeof *shape; i++) {
        cases_case deep = *k;
        cases_result r;
        CHECK_OK(cases_set_shape(&deep, shape[i], err));
        deep.bound *= 10; /* a sum of a hundred times as many */
        if (cases_check(arg, &deep, &r) != CASES_PASS)
            test_fail(__FILE__, __LINE__, "%s %s: %s", hone_op_find(k->op)->name, shape[i], r.what);
    }
    return 1;
}

TEST(onednn_agrees_with_ref_on_deep_products) {
    const cases_on on = open_cpu(1);
    devices_each(HONE_OP_LINEAR_FWD, HONE_OP_LINEAR_BWD_W, CASES_CHECK, play_deep, (void *)(uintptr_t)&on);
}
