/* attention_bf16_k96.cu - attention on tensor cores, bf16, heads of 96 columns. */
#include "attention_fragments.cuh"

ATTENTION_OF(bf16, 96)
