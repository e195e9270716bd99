/* attention_bf16_k64.cu - attention on tensor cores, bf16, heads of 64 columns. */
#include "attention_fragments.cuh"

ATTENTION_OF(bf16, 64)
