/* attention_fragments.cuh - one head width of attention on tensor cores: bins, then the longer sequences. What the files
 * attention_TYPE_kWIDTH.cu are instances of, that a build may make in parallel. */
#ifndef CUDA_ATTENTION_FRAGMENTS_CUH
#define CUDA_ATTENTION_FRAGMENTS_CUH
#include "attention_short.cuh"
#include "attention_sm80.cuh"
#include "attention_wide.cuh"

template <typename T, int K> hone_status attention_sm80_fwd(hone_queue *q, const Attention<T> &a, const attention_cut &cut) {
    const hone_status status = attention::short_fwd<T, K>(q, a, cut);
    return status ? status : attention::tile_fwd<T, K>(q, a, cut);
}
template <typename T, int K> hone_status attention_sm80_bwd(hone_queue *q, const Attention<T> &a, const attention_cut &cut) {
    if constexpr (attention::IS_WIDE<K>) return attention::wide_bwd<T, K>(q, a, cut);
    else {
        const hone_status status = attention::short_bwd<T, K>(q, a, cut);
        return status ? status : attention::tile_bwd<T, K>(q, a, cut);
    }
}
#define ATTENTION_OF(T, K)                                                                                   \
    template hone_status attention_sm80_fwd<T, K>(hone_queue *, const Attention<T> &, const attention_cut &); \
    template hone_status attention_sm80_bwd<T, K>(hone_queue *, const Attention<T> &, const attention_cut &);
#endif
