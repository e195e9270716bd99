/* attention_fp16_k32.cu - attention on tensor cores, fp16, heads of 32 columns. */
#include "attention_fragments.cuh"

ATTENTION_OF(f16, 32)
