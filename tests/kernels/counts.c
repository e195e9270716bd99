/* counts.c - what kernels ask of memory, counted, against the least that they must: bytes between memory and a small cache
 * over operands read once and results written once, and bank conflicts. Sizes are aligned, and larger than the cache. */
#include "devices.h"
#include "test.h"

typedef struct {
    cases_on on;
    const hone_emu_v1 *emu;
    hone_op op;
    hone_dtype dtype;
    const char *shape;
    cases_counts counts;
    int is_found;
} count;

static int take_bench_case(void *arg, const cases_case *given) {
    count *c = arg;
    cases_case k = *given;
    hone_err err;
    char why[256];
    if (k.op != c->op || k.dtype != c->dtype || !(k.modes & CASES_BENCH)) return 1;
    CHECK(cases_set_shape(&k, c->shape, &err) == HONE_OK);
    if (!cases_counted(&c->on, c->emu, &k, &c->counts, why, sizeof why)) test_fail(__FILE__, __LINE__, "%s", why);
    c->is_found = 1;
    return 0;
}

static cases_counts counted(hone_op op, hone_dtype dtype, const char *shape) {
    count c = {.on = devices_open("emu_count"), .op = op, .dtype = dtype, .shape = shape};
    c.emu = device_symbol(c.on.table, HONE_EMU_SYMBOL);
    CHECK(c.emu && c.emu->counts_bytes == sizeof(hone_emu_counts) && c.emu->begin);
    cases_each(take_bench_case, &c);
    CHECK(c.is_found && c.counts.n_kernels > 0);
    return c.counts;
}

/* Partial sums and lists in the workspace are bytes beside those of the floor: listed apart, with a bar of their own. */
static cases_counts stays_apart(double bar, double bar_work, hone_op op, hone_dtype dtype, const char *shape) {
    const cases_counts c = counted(op, dtype, shape);
    const double moved = 32.0 * (double)(c.sum.memory_read + c.sum.memory_written), of_work = 32.0 * (double)c.sum.memory_work;
    fprintf(stderr, "  %s %s: %.4f of the least bytes, %.4f of them partial sums; %llu conflicts of %llu requests, %llu mma\n",
            hone_op_find(op)->name, shape, moved / c.floor_bytes, of_work / c.floor_bytes,
            (unsigned long long)(c.sum.shared_wavefronts - c.sum.shared_requests), (unsigned long long)c.sum.shared_requests,
            (unsigned long long)c.sum.n_mma);
    const double others = (moved - of_work) / c.floor_bytes;
    if (!(others <= bar) || !(others > 0.9) || !(of_work / c.floor_bytes <= bar_work))
        test_fail(__FILE__, __LINE__, "%s moves %.4f of the least bytes and %.4f in its workspace; expected at most %.2f, %.4f",
                  hone_op_find(op)->name, others, of_work / c.floor_bytes, bar, bar_work);
    return c;
}
static cases_counts stays_within(double bar, hone_op op, hone_dtype dtype, const char *shape) {
    const cases_counts c = stays_apart(bar, bar, op, dtype, shape);
    const double moved = 32.0 * (double)(c.sum.memory_read + c.sum.memory_written);
    if (!(moved <= bar * c.floor_bytes)) /* workspace and all */
        test_fail(__FILE__, __LINE__, "%s moves %.4f of the least bytes; expected at most %.2f", hone_op_find(op)->name,
                  moved / c.floor_bytes, bar);
    return c;
}
static void without_conflicts(cases_counts c) { CHECK_INT(c.sum.shared_wavefronts, c.sum.shared_requests); }

TEST(count_of_a_copy_is_exact) {
    const cases_counts c = counted(HONE_OP_COPY, HONE_F32, "P=1048576");
    CHECK_INT(c.sum.bytes_read, 4194304);
    CHECK_INT(c.sum.memory_read, 131072);
    CHECK_INT(c.sum.memory_written, 131072);
    CHECK_INT(c.n_kernels, 1);
    CHECK_STR(c.kernel[0].kernel, "copy_flat<float, float>");
}
TEST(norm_forward_moves_each_byte_once) {
    without_conflicts(stays_within(1.02, HONE_OP_NORM_FWD, HONE_BF16, "D=768,N=1024"));
}
/* 128 partial rows of three sums, written and read: 2 x 128 x 3 x 4 bytes a column beside 8 N. */
TEST(norm_backward_moves_each_byte_once_beside_its_partial_sums) {
    without_conflicts(
        stays_apart(1.001, 2.0 * 128 * 3 * 4 / (8 * 4096), HONE_OP_NORM_BWD, HONE_BF16, "D=384,N=4096"));
    without_conflicts(stays_within(1.02, HONE_OP_NORM_BWD, HONE_BF16, "D=64,N=20480"));
}
/* 16 partial rows: 2 x 16 x 4 bytes a column beside 6 N. */
TEST(activation_backward_moves_each_byte_once_beside_its_partial_sums) {
    without_conflicts(stays_apart(1.001, 2.0 * 16 * 4 / (6 * 1024), HONE_OP_ACT_BWD, HONE_BF16, "F=384,N=1024"));
}
/* Zeros once, sums once. */
TEST(embedding_backward_moves_each_byte_once) {
    without_conflicts(stays_within(1.02, HONE_OP_EMBED_BWD, HONE_BF16, "D=128,N=1024,V=5000"));
}
TEST(softmax_moves_each_byte_once) {
    stays_within(1.02, HONE_OP_SOFTMAX_FWD, HONE_BF16, "C=1024,M=1024");
    stays_within(1.02, HONE_OP_SOFTMAX_BWD, HONE_BF16, "C=1024,M=1024");
}
TEST(cross_entropy_moves_each_byte_once) { stays_within(1.02, HONE_OP_XENT, HONE_BF16, "C=1024,M=1024"); }
TEST(adamw_moves_each_byte_once) { stays_within(1.02, HONE_OP_ADAMW_STEP, HONE_BF16, "P=1048576"); }
TEST(activation_moves_each_byte_once) { stays_within(1.02, HONE_OP_ACT_FWD, HONE_BF16, "F=1024,N=512"); }
/* 128 keys are a bin's, 256 a block's. */
static void attention_moves(double bar, hone_op op) {
    without_conflicts(stays_within(bar, op, HONE_BF16, "S=128,K=64,H=2,G=2"));
    without_conflicts(stays_within(bar, op, HONE_BF16, "S=256,K=64,H=2,G=2"));
}
TEST(attention_forward_moves_each_byte_once) { attention_moves(1.05, HONE_OP_ATTENTION_FWD); }
TEST(attention_backward_moves_each_byte_once) { attention_moves(1.15, HONE_OP_ATTENTION_BWD); }
/* Other widths, on tensor cores and without: bank conflicts alone, as blocks of one side read the other again. */
static void attention_meets_no_bank_twice(hone_dtype dtype, const char *shape) {
    for (int op = 0; op < 2; op++) {
        const cases_counts c = counted(op ? HONE_OP_ATTENTION_BWD : HONE_OP_ATTENTION_FWD, dtype, shape);
        fprintf(stderr, "  %s %s: %llu conflicts of %llu requests\n", shape, op ? "backward" : "forward",
                (unsigned long long)(c.sum.shared_wavefronts - c.sum.shared_requests),
                (unsigned long long)c.sum.shared_requests);
        without_conflicts(c);
    }
}
TEST(attention_of_width_32_meets_no_bank_twice) { attention_meets_no_bank_twice(HONE_BF16, "S=40,K=32,H=1,G=1"); }
TEST(attention_of_width_96_meets_no_bank_twice) { attention_meets_no_bank_twice(HONE_BF16, "S=140,K=96,H=1,G=1"); }
TEST(attention_of_width_96_in_bins_meets_no_bank_twice) { attention_meets_no_bank_twice(HONE_BF16, "S=72,K=96,H=1,G=1"); }
TEST(attention_of_width_128_meets_no_bank_twice) { attention_meets_no_bank_twice(HONE_BF16, "S=40,K=128,H=1,G=1"); }
TEST(attention_of_width_256_meets_no_bank_twice) { attention_meets_no_bank_twice(HONE_BF16, "S=40,K=256,H=1,G=1"); }
TEST(attention_in_fp32_meets_no_bank_twice) { attention_meets_no_bank_twice(HONE_F32, "S=70,K=64,H=1,G=1"); }
