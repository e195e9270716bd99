/* bench.c - a time stands only beside a passed check. */
#include "devices.h"
#include "test.h"

typedef struct {
    hone_op op;
    cases_case found;
    int n;
} search;

static int take_first(void *arg, const cases_case *k) {
    search *s = arg;
    if (k->op != s->op || !(k->modes & CASES_BENCH) || k->dtype != HONE_F32) return 1;
    s->found = *k;
    s->n++;
    return 0;
}

static cases_case bench_case(hone_op op) {
    search s = {.op = op};
    cases_each(take_first, &s);
    CHECK_INT(s.n, 1);
    return s.found;
}

TEST(bench_times_what_passes) {
    const cases_on on = devices_open("ref");
    cases_case k = bench_case(HONE_OP_LINEAR_FWD);
    hone_err err;
    CHECK(cases_set_shape(&k, "N=32,I=16,O=24", &err) == HONE_OK);
    cases_result r;
    pool *p = pool_new(1);
    CHECK(cases_bench(&on, &k, pool_host(p), 0.01, &r) == CASES_PASS);
    CHECK(r.n_runs >= 5 && r.p10_us > 0 && r.p10_us <= r.median_us && r.median_us <= r.p90_us);
    CHECK_NEAR(r.tflops * r.median_us * 1e6, 2.0 * 32 * 16 * 24, 1);
    CHECK_NEAR(r.gb_per_s * r.median_us * 1e3, 4.0 * (32 * 16 + 16 * 24 + 32 * 24), 1);
    CHECK(r.cold_us > 0 && r.bits != 0);
    pool_free(p);
}

TEST(bench_gives_no_time_beside_a_failed_check) {
    const cases_on on = devices_open("ref");
    cases_case k = bench_case(HONE_OP_LINEAR_FWD);
    hone_err err;
    CHECK(cases_set_shape(&k, "N=32,I=16,O=24", &err) == HONE_OK);
    k.bound = 0;
    cases_result r;
    pool *p = pool_new(1);
    CHECK(cases_bench(&on, &k, pool_host(p), 0.01, &r) == CASES_FAIL);
    CHECK(r.n_runs == 0 && r.median_us == 0 && r.what[0]);
    pool_free(p);
}

TEST(bench_refuses_shapes_that_are_none) {
    cases_case k = bench_case(HONE_OP_LINEAR_FWD);
    hone_err err = {.text = ""};
    CHECK(cases_set_shape(&k, "N=", &err) == HONE_EUSAGE);
    CHECK_STR(err.text, "--shape: \"N=\"; expected LETTER=NUMBER,LETTER=NUMBER");
    CHECK(cases_set_shape(&k, "D=3", &err) == HONE_EUSAGE);
    CHECK(strstr(err.text, "LINEAR_FWD has no extent D"));
    cases_case a = bench_case(HONE_OP_ATTENTION_FWD);
    CHECK(cases_set_shape(&a, "S=20,K=16,p=0", &err) == HONE_OK);
    CHECK_INT(a.q_len[0], 20);
    CHECK(a.extent[CASES_LETTER('N')] >= 20 * a.n_sequences &&
          a.extent[CASES_LETTER('N')] == a.extent[CASES_LETTER('M')]);
}

/* The emulated device's events count what is given to it, a millisecond each: what stands between them is known. */
TEST(bench_times_by_the_devices_events) {
    const cases_on on = devices_open("emu");
    cases_case k = bench_case(HONE_OP_LINEAR_FWD), alone;
    hone_err err;
    CHECK(cases_set_shape(&k, "N=32,I=16,O=24", &err) == HONE_OK);
    CHECK(cases_alone(&k, &alone) && !*alone.with && alone.attr.linear.act == HONE_ACT_NONE);
    CHECK(cases_set_shape(&alone, "N=32,I=16,O=24", &err) == HONE_OK);
    k.with[0] = 0;
    k.attr.linear.act = HONE_ACT_GELU;
    cases_result r = {0}, by_itself = {0};
    pool *p = pool_new(1);
    CHECK(cases_bench(&on, &alone, pool_host(p), 0, &by_itself) == CASES_PASS);
    CHECK_NEAR(by_itself.median_us, 1000,
               0); /* the library's call, and neither the copy that flushes nor the host's time */
    CHECK_NEAR(by_itself.cold_us, 1000, 0);
    CHECK(cases_bench(&on, &k, pool_host(p), 0, &r) == CASES_PASS);
    CHECK_NEAR(r.median_us, 2000, 0); /* and our kernel of the activation */
    CHECK_NEAR(r.p10_us, 2000, 0);
    CHECK_NEAR(r.cold_us, 2000, 0);
    CHECK_INT(r.n_runs, 5);
    pool_free(p);
}
