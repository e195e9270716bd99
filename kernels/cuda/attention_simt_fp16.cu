/* attention_simt_fp16.cu - attention_simt.cuh for fp16: an instance of its own, that a build may make in parallel. */
#include "attention_simt.cuh"

ATTENTION_SIMT_OF(f16)
