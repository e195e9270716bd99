/* attention_fp16_k128.cu - attention on tensor cores, fp16, heads of 128 columns. */
#include "attention_fragments.cuh"

ATTENTION_OF(f16, 128)
