/* cpu.c - the device cpu against ref, a test for each family of ops. */
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
AGREES(the_optimizer, GUARD, ADAMW_STEP)
AGREES(bits_and_conversions, HASH, COPY)
