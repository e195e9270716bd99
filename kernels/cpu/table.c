/* table.c - the ops of this device as one instruction set plays them. */
#include "ops.h"

#define CPU_TEXT2(name) #name
#define CPU_TEXT(name) CPU_TEXT2(name)

const cpu_table ISA(cpu_table) = {
    .name = CPU_TEXT(HONE_ISA),
#ifdef HONE_DOT
    .pairs = 1,
#endif
    .op =
        {
#define XX(op, name) [HONE_OP_##op] = ISA(name),
            CPU_OP_MAP(XX)
#undef XX
        },
};
