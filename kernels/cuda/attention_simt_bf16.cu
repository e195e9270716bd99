/* attention_simt_bf16.cu - attention_simt.cuh for bf16: an instance of its own, that a build may make in parallel. */
#include "attention_simt.cuh"

ATTENTION_SIMT_OF(bf16)
