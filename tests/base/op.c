/* op.c - the op lines, read. */
#include "hone/op.h"
#include "hone/types.h"
#include "test.h"

static const hone_op_info *norm(void) { return hone_op_find(HONE_OP_NORM_BWD); }

TEST(op_line_gives_operands_in_order) {
    const hone_op_info *op = hone_op_find(HONE_OP_NORM_FWD);
    static const char *const in[] = {"x", "bias", "key", "res", "gamma", "beta"}, *const out[] = {"y", "mean",
                                                                                                  "rstd",
                                                                                                  "s"};
    CHECK_STR(op->name, "NORM_FWD");
    CHECK_INT(op->n_in, 6);
    CHECK_INT(op->n_out, 4);
    CHECK_INT(op->n_plus, 0);
    for (int i = 0; i < 6; i++) CHECK_STR(op->in[i].name, in[i]);
    for (int i = 0; i < 4; i++) CHECK_STR(op->out[i].name, out[i]);
    CHECK(op->in[0].n_dims == 2 && op->in[0].dim[0] == 'N' && op->in[0].dim[1] == 'D' && !op->in[0].type &&
          !op->in[0].opt);
    CHECK(op->in[2].type == 'k' && op->in[2].opt && op->in[2].n_dims == 1);
    CHECK(op->out[1].type == 'f' && op->out[1].opt);
    CHECK(op->out[2].type == 'f' && !op->out[2].opt);
    CHECK(op->out[3].opt && op->out[3].shares == 1 && !op->out[3].adds); /* s[N,D]?@x */
}

TEST(op_results_that_add_get_an_input_each) {
    CHECK_INT(norm()->n_in, 6 + 4); /* dy s mean rstd gamma key, then +ds +dgamma +dbeta +dbias */
    CHECK_INT(norm()->n_plus, 4);
    CHECK_INT(norm()->n_out, 5);
    static const char *const plus[] = {"+ds", "+dgamma", "+dbeta", "+dbias"};
    static const int result[] = {0, 1, 2, 4};
    for (int i = 0; i < 4; i++) {
        const hone_operand *in = &norm()->in[6 + i], *out = &norm()->out[result[i]];
        CHECK_STR(in->name, plus[i]);
        CHECK_INT(in->adds, result[i] + 1);
        CHECK_INT(out->adds, 6 + i + 1);
        CHECK(in->opt && !in->shares && in->type == out->type && in->n_dims == out->n_dims &&
              !memcmp(in->dim, out->dim, 3));
    }
    CHECK_INT(norm()->out[0].shares, 1); /* ds[N,D]+@dy */
    CHECK(!norm()->out[0].opt);
    CHECK(norm()->out[1].opt && norm()->out[1].type == 'f'); /* dgamma[D]f?+ */
    CHECK_INT(norm()->out[3].adds, 0);
}

TEST(op_types_and_digits_are_read) {
    const hone_op_info *sum = hone_op_find(HONE_OP_SUM), *copy = hone_op_find(HONE_OP_COPY),
                       *spans = hone_op_find(HONE_OP_SPAN_XENT);
    CHECK(sum->out[0].dim[0] == '1' && sum->out[0].type == 'f' && sum->in[1].adds == 1);
    CHECK(copy->in[0].type == '*' && copy->out[0].type == '*');
    CHECK(spans->in[0].dim[1] == '2' && spans->in[1].type == 'r' && spans->in[2].type == 'i');
    const hone_op_info *adamw = hone_op_find(HONE_OP_ADAMW_STEP);
    CHECK_INT(adamw->n_in, 8);
    CHECK_INT(adamw->n_plus, 3);
    CHECK_STR(adamw->in[7].name, "+v");
    CHECK(adamw->out[3].opt && !adamw->out[3].type && !adamw->out[3].adds);
}

TEST(op_operands_are_found_by_name) {
    CHECK_INT(hone_op_operand(norm(), "dy"), 0);
    CHECK_INT(hone_op_operand(norm(), "+dbias"), 9);
    CHECK_INT(hone_op_operand(norm(), "ds"), 10);
    CHECK_INT(hone_op_operand(norm(), "dbias"), 14);
    CHECK_INT(hone_op_operand(norm(), "d"), -1);
    CHECK_INT(hone_op_operand(norm(), ""), -1);
}

TEST(op_names_and_numbers_match) {
    for (int i = 0; i < HONE_N_OPS; i++) {
        const hone_op_info *op = hone_op_find((hone_op)i);
        CHECK_INT(hone_op_by_name(op->name), i);
        CHECK(op->n_in > 0 && op->n_out > 0 && op->n_plus <= op->n_out);
        for (int k = 0; k < op->n_out; k++) {
            CHECK(op->out[k].shares <= op->n_in - op->n_plus);
            if (op->out[k].adds) CHECK_INT(op->in[op->out[k].adds - 1].adds, k + 1);
        }
    }
    CHECK_INT(hone_op_by_name("NORM"), -1);
    CHECK(hone_op_find(HONE_N_OPS) == NULL && hone_op_find((hone_op)-1) == NULL);
}

TEST(dtypes_have_names_and_sizes) {
    CHECK_STR(hone_dtype_name(HONE_BF16), "bf16");
    CHECK_INT(hone_dtype_bytes(HONE_BF16), 2);
    CHECK_INT(hone_dtype_bytes(HONE_KEY), sizeof(hone_key));
    CHECK_INT(hone_dtype_bytes(HONE_RANGE), sizeof(hone_range));
    CHECK_INT(hone_dtype_bytes(HONE_N_DTYPES), 0);
    CHECK_STR(hone_dtype_name((hone_dtype)99), "unknown");
}
