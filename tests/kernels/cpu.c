/* cpu.c - the device cpu against ref, a test for each family of ops. */
#include <string.h>

#include "devices.h"
#include "test.h"

TEST(cpu_has_every_op_of_the_map) {
    const cases_on on = devices_open("cpu");
    for (int op = 0; op < HONE_N_OPS; op++)
        if (op != HONE_OP_HEAD_XENT && !on.table->op[op])
            test_fail(__FILE__, __LINE__, "%s is absent", hone_op_find(op)->name);
}

#define AGREES(family, first, last)                                                                          \
    TEST(cpu_agrees_with_ref_on_##family) {                                                                  \
        const cases_on on = devices_open("cpu");                                                             \
        devices_play(&on, HONE_OP_##first, HONE_OP_##last, CASES_CHECK);                                     \
    }

AGREES(embeddings, EMBED_FWD, EMBED_BWD)
AGREES(norms, NORM_FWD, NORM_BWD)
AGREES(products, LINEAR_FWD, LINEAR_BWD_W)
AGREES(activations, ACT_FWD, ADD)
AGREES(attention_forward, ATTENTION_FWD, ATTENTION_FWD)
AGREES(attention_backward, ATTENTION_BWD, ATTENTION_BWD)
AGREES(gathers_and_pools, GATHER, POOL_BWD)
AGREES(softmax, SOFTMAX_FWD, SOFTMAX_BWD)
AGREES(losses, XENT, SPAN_XENT)
AGREES(reductions, SUM, SQSUM)
AGREES(the_optimizer, GUARD, ADAMW_MISSED)
AGREES(bits_and_conversions, HASH, COPY)

/* ---- bf16 products in pairs, or widened ---- */

enum { SIDE = 40 };
static int remembered, n_measured;

static int recall_answer(void *context, const char *key, void *bytes, size_t n) {
    (void)context;
    if (strstr(key, "by oneDNN")) return memset(bytes, 0, n), 1; /* that one was not faster */
    if (remembered < 0 || n != 1 || !strstr(key, "bf16 products in pairs")) return 0;
    *(unsigned char *)bytes = (unsigned char)remembered;
    return 1;
}
static void note_answer(void *context, const char *key, const void *bytes, size_t n) {
    (void)context, (void)key;
    n_measured++;
    if (n == 1) remembered = *(const unsigned char *)bytes;
}

/* A product on the instruction set `ordinal`, the answer remembered as it is (-1: none is). */
static void multiply_on(const hone_device_v1 *table, const hone_host_v1 *host, int ordinal, uint16_t y[SIDE * SIDE]) {
    static uint16_t x[SIDE * SIDE], w[SIDE * SIDE];
    hone_device *d;
    hone_queue *q;
    void *choice;
    hone_query asked = {.op = HONE_OP_LINEAR_FWD};
    hone_call c = {.op = HONE_OP_LINEAR_FWD};
    for (int i = 0; i < SIDE * SIDE; i++) x[i] = (uint16_t)(0x3f00 + i % 97), w[i] = (uint16_t)(0xbe80 + i % 89 * 3);
    const hone_tensor square = {.n_dims = 2, .dim = {SIDE, SIDE, 1}, .ld = SIDE, .dtype = HONE_BF16};
    asked.in[0] = asked.in[1] = asked.out[0] = c.in[0] = c.in[1] = c.out[0] = square;
    c.in[0].p = x, c.in[1].p = w, c.out[0].p = y;
    CHECK_OK(table->open(&d, host, ordinal, err));
    CHECK_OK(table->choose(d, &asked, &choice, err));
    CHECK(!table->queue_new(d, &q) && !table->op[HONE_OP_LINEAR_FWD](q, &c));
    table->queue_free(q);
    table->close(d);
}

TEST(cpu_products_of_bf16_are_made_as_was_measured_once) {
    hone_err err = {0};
    const hone_device_v1 *table = device_load("cpu", &err);
    pool *p = pool_new(2);
    hone_host_v1 host = *pool_host(p);
    hone_device *d;
    hone_limits limits;
    host.recall = recall_answer, host.remember = note_answer;
    CHECK_OK(table->open(&d, &host, 0, err));
    CHECK(!table->limits(d, &limits));
    CHECK(limits.measures);
    table->close(d);
    if (!strstr(limits.name, "avx512bf16")) test_skip("this machine does not multiply bf16 in pairs");
    uint16_t pairs[SIDE * SIDE], widened[SIDE * SIDE], other[SIDE * SIDE], again[SIDE * SIDE];
    remembered = 1, multiply_on(table, &host, 0, pairs);
    remembered = 0, multiply_on(table, &host, 0, widened);
    CHECK_INT(n_measured, 0);
    multiply_on(table, &host, 1, other); /* AVX-512 without the instruction */
    CHECK(!memcmp(widened, other, sizeof other));
    remembered = -1, multiply_on(table, &host, 0, again);
    CHECK_INT(n_measured, 1);
    CHECK(!memcmp(again, remembered ? pairs : widened, sizeof again));
    pool_free(p);
}
