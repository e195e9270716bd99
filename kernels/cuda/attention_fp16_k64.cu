/* attention_fp16_k64.cu - attention on tensor cores, fp16, heads of 64 columns. */
#include "attention_fragments.cuh"

ATTENTION_OF(f16, 64)
