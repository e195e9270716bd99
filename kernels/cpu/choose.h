/* choose.h - what the device measures once on a machine. */
#ifndef CPU_CHOOSE_H
#define CPU_CHOOSE_H
#include "cpu.h"

/* Before a product of bf16 numbers is played: does this machine multiply them faster in pairs, by its own instruction, or
 * widened to fp32? Both sum in fp32, but not in the same order: the host remembers the answer, and a run keeps it. */
void choose_pairs(hone_device *device, const hone_query *query);
#endif
