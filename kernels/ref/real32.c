/* real32.c - every op of ref in float. An op of the map without an entry in its family's file does not
 * compile. */
#define real float
#include "ref.h"

#include "embed.inc"
#include "norm.inc"
#include "act.inc"
#include "linear.inc"
#include "attention.inc"
#include "gather.inc"
#include "softmax.inc"
#include "loss.inc"
#include "reduce.inc"
#include "optim.inc"
#include "convert.inc"

#define entry_HEAD_XENT NULL /* a macro of the plan */

ref_entry *const ref_entries32[HONE_N_OPS] = {
#define XX(name, line, rule) entry_##name,
    HONE_OP_MAP(XX)
#undef XX
};
