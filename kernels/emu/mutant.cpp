/* mutant.cpp - the switch of the seeded bugs, in the device emu of sanitized builds, which have no emu_count. */
#include "cuemu.h"

#include "hone/emu.h"

static void set_mutant(int n) { cuemu::mutant = n; }
extern "C" __attribute__((visibility("default"))) const hone_emu_v1 hone_emu_v1_table = {
    sizeof(hone_emu_v1), sizeof(hone_emu_counts), nullptr, nullptr, nullptr, set_mutant};
