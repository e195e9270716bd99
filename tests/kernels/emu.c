/* emu.c - the CUDA kernels, run on the emulated GPU, against ref: a test for each family of ops. */
#include "devices.h"
#include "test.h"

#define AGREES(family, first, last)                                                                          \
    TEST(emu_agrees_with_ref_on_##family) {                                                                  \
        const cases_on on = devices_open("emu");                                                             \
        devices_play(&on, HONE_OP_##first, HONE_OP_##last, CASES_CHECK);                                     \
    }

AGREES(embeddings, EMBED_FWD, EMBED_BWD)
AGREES(products, LINEAR_FWD, LINEAR_BWD_W)
AGREES(activations, ACT_FWD, ADD)
AGREES(gathers_and_pools, GATHER, POOL_BWD)
AGREES(reductions, SUM, SQSUM)
AGREES(the_optimizer, GUARD, ADAMW_STEP)
AGREES(hashes, HASH, HASH)
AGREES(norm_forward, NORM_FWD, NORM_FWD)
AGREES(norm_backward, NORM_BWD, NORM_BWD)
AGREES(softmax, SOFTMAX_FWD, SOFTMAX_BWD)
AGREES(losses, XENT, SPAN_XENT)
AGREES(attention_forward, ATTENTION_FWD, ATTENTION_FWD)
AGREES(attention_backward, ATTENTION_BWD, ATTENTION_BWD)
AGREES(conversions, COPY, COPY)
