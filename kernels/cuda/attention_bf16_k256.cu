/* attention_bf16_k256.cu - attention on tensor cores, bf16, heads of 256 columns. */
#include "attention_fragments.cuh"

ATTENTION_OF(bf16, 256)
