/* attention_bf16_k128.cu - attention on tensor cores, bf16, heads of 128 columns. */
#include "attention_fragments.cuh"

ATTENTION_OF(bf16, 128)
