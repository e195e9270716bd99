/* attention_fp16_k96.cu - attention on tensor cores, fp16, heads of 96 columns. */
#include "attention_fragments.cuh"

ATTENTION_OF(f16, 96)
