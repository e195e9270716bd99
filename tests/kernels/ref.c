/* ref.c - the specification agrees with itself: gradients with differences, fp32 with fp64. */
#include "devices.h"
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
