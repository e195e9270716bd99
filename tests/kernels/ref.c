/* ref.c - the specification agrees with itself: gradients with differences, fp32 with fp64. */
#include "devices.h"
#include "ref/limits.h"
#include "test.h"

TEST(ref_gradients_equal_central_differences) {
    const cases_on on = devices_open("ref");
    devices_play(&on, 0, HONE_N_OPS - 1, CASES_GRAD);
}

TEST(ref_in_fp32_agrees_with_ref_in_fp64) {
    const cases_on on = devices_open("ref");
    devices_play(&on, 0, HONE_N_OPS - 1, CASES_CHECK);
}

TEST(every_op_of_the_map_is_in_refs_table_and_has_a_case) {
    const cases_on on = devices_open("ref");
    for (int op = 0; op < HONE_N_OPS; op++) {
        const char *name = hone_op_find(op)->name;
        if (op == HONE_OP_HEAD_XENT) CHECK(!on.ref->op[op]);
        else if (!on.ref->op[op]) test_fail(__FILE__, __LINE__, "%s is absent from ref", name);
        else if (!cases_count(op, CASES_CHECK)) test_fail(__FILE__, __LINE__, "%s has no case", name);
        if (*hone_op_find(op)->rule && op != HONE_OP_HEAD_XENT && !cases_count(op, CASES_GRAD))
            test_fail(__FILE__, __LINE__, "%s has a gradient, but no case that checks it", name);
    }
}

TEST(ref_refuses_narrow_types_by_operand) {
    char why[160];
    hone_query query = {.op = HONE_OP_NORM_FWD};
    query.in[0] = (hone_tensor){.dim = {4, 8, 1}, .ld = 8, .n_dims = 2, .dtype = HONE_F32};
    query.out[0] = query.in[0];
    CHECK(ref_can(&query, why, sizeof why));
    query.in[3] = query.in[0], query.in[3].dtype = HONE_BF16;
    CHECK(!ref_can(&query, why, sizeof why));
    CHECK_STR(why, "ref: NORM_FWD: res is bf16; ref plays fp32 and fp64");
    query.op = HONE_OP_HEAD_XENT;
    CHECK(!ref_can(&query, why, sizeof why));
    CHECK_STR(why, "ref: HEAD_XENT is a macro that the plan expands");
}

TEST(ref_refuses_heads_that_do_not_divide) {
    char why[160];
    hone_query query = {.op = HONE_OP_ATTENTION_FWD};
    for (int i = 0; i < 3; i++)
        query.in[i] = (hone_tensor){.dim = {9, i ? 3 : 4, 8}, .ld = 32, .n_dims = 3, .dtype = HONE_F32};
    CHECK(!ref_can(&query, why, sizeof why));
    CHECK_STR(why, "ref: ATTENTION_FWD: q[N,H,K] has H = 4, no multiple of k[M,G,K]'s G = 3");
    query.in[0].dim[1] = 6;
    CHECK(ref_can(&query, why, sizeof why));
    const size_t few = ref_work_bytes(&query);
    query.in[1].dim[0] = 90;
    CHECK(few > 0 && ref_work_bytes(&query) > few);
}
