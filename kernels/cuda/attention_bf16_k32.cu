/* attention_bf16_k32.cu - attention on tensor cores, bf16, heads of 32 columns. */
#include "attention_fragments.cuh"

ATTENTION_OF(bf16, 32)
