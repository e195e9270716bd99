/* choose.h - what the device measures once on a machine. */
#ifndef CPU_CHOOSE_H
#define CPU_CHOOSE_H
#include "cpu.h"

/* Before a product of bf16 numbers is played: does this machine multiply them faster in pairs, by its own instruction, or
 * widened to fp32? And where it has AMX: clearly faster by oneDNN (onednn.h)? All sum in fp32, but not in the same order: the
 * host remembers the answers, and a run keeps them. Of oneDNN it remembers the version that was faster, or 0; another
 * version that lies here today is measured anew. *out: the call's onednn_product, or NULL. */
void choose_product(hone_device *device, const hone_query *query, void **out);
#endif
