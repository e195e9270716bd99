/* attention_fp16_k256.cu - attention on tensor cores, fp16, heads of 256 columns. */
#include "attention_fragments.cuh"

ATTENTION_OF(f16, 256)
