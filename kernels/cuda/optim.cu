/* optim.cu - the end of an optimizer step.
 *   GUARD       in  part [Q] loss [1] clip [1]                       out  factor [1] norm [1] ok [1] tick [16]
 *   ADAMW_STEP  in  g [P] chunk [Q,3] rate [G,2] factor [1] ok [1]   out  w m v [P] fp32, copy? [P]
 * GUARD is one block: a thread adds every 256th part in fp64, a fixed tree the threads; then thread 0 judges and
 * moves the tick on. ADAMW_STEP: a block owns a chunk of up to 8,192 elements of any tensor; a thread has two
 * packs of each of g, w, m, v in flight. Not ok: nothing is written. The bias corrections come from the tick, so
 * a captured step replays. Floor: g w m v read, w m v written, 28 bytes an element, and the copy; a chunk's 12
 * bytes beside it.
 * Plain version: kernels/ref/optim.inc; cases: kernels/cases/optim.c. */
#include "block.cuh"
#include "rng.cuh"

extern "C" {
#include "ops.h"
}

/* The loss scale after this step has been judged; hone_tick in device.h tells the rule. */
__device__ static void move_scale(hone_tick *tick, const hone_attr &attr, int ok) {
    const float lowest = attr.guard.min_scale;
    float scale = loss_scale_of(tick);
    if (ok && tick->good_steps < attr.guard.window) return;
    tick->good_steps = 0;
    if (ok) {
        tick->hysteresis = attr.guard.hysteresis;
        if (scale < HONE_LOSS_SCALE_MAX) scale = fminf(2 * scale, HONE_LOSS_SCALE_MAX);
    } else if (tick->hysteresis > 1) tick->hysteresis--;
    else if (scale > lowest) scale = fmaxf(scale / 2, lowest);
    else tick->latch = 1;
    tick->loss_scale = float_bits(scale);
}

/* The words of the tick after this step has been judged. */
__device__ static void move_tick(hone_tick *tick, const hone_attr &attr, int ok) {
    const uint4 key = philox((uint32_t)++tick->step, 0, 0, 0, tick->seed[0], tick->seed[1]);
    tick->step_key[0] = key.x, tick->step_key[1] = key.y;
    if (ok) {
        tick->adam_t++;
        tick->good_steps++;
    } else tick->skipped++;
    if (attr.guard.dynamic && !tick->latch) move_scale(tick, attr, ok);
    else if (!ok) tick->latch = 1;
}

struct Guard {
    const float *part, *loss, *clip;
    float *factor, *norm;
    int32_t *ok;
    hone_tick *tick;
    int64_t Q;
    hone_attr attr;
};

__global__ void __launch_bounds__(BLOCK_THREADS) guard_block(Guard a) {
    double sum = 0;
#pragma unroll 4
    for (int64_t i = threadIdx.x; i < a.Q; i += BLOCK_THREADS) sum += (double)a.part[i];
    sum = block_sum(sum);
    if (threadIdx.x > 0) return;
    const double norm = sqrt(sum), limit = (double)a.clip[0] / (norm + 1e-6);
    const double clipped = a.clip[0] > 0 && limit < 1 ? limit : 1;
    const int ok = isfinite((float)norm) && isfinite(a.loss[0]) && !a.tick->latch;
    a.factor[0] = (float)(clipped / (double)loss_scale_of(a.tick));
    a.norm[0] = (float)norm;
    a.ok[0] = ok;
    move_tick(a.tick, a.attr, ok);
}
hone_status guard(hone_queue *q, const hone_call *c) {
    const Guard a = {(const float *)c->in[0].p, (const float *)c->in[1].p, (const float *)c->in[2].p,
                     ptr<float>(c->out[0]),     ptr<float>(c->out[1]),     ptr<int32_t>(c->out[2]),
                     ptr<hone_tick>(c->out[3]), c->in[0].dim[0],           c->attr};
    return launch(q, guard_block, 1, BLOCK_THREADS, sizeof(BlockSums<double>), a);
}

/* ---- AdamW ---------------------------------------------------------------------------------------------------*/
constexpr int PACKS_IN_FLIGHT = 2;

template <typename T> struct AdamW {
    const float *g, *rate, *factor; /* rate: rate_ld elements from group to group */
    Chunks chunk;
    const int32_t *ok;
    int64_t rate_ld;
    const hone_tick *tick;
    float *w, *m, *v;
    T *copy; /* or NULL */
    double log_beta1, log_beta2;
    float beta1, rest1, beta2, rest2, eps; /* rest: 1 - beta */
    int is_packed;
};

/* What is the same for all elements of a chunk. */
struct AdamWChunk {
    float unscale, keep, step,
        spread; /* factor; 1 - rate decay; rate / (1 - beta1^t); 1 / sqrt(1 - beta2^t) */
};
template <typename T> __device__ __forceinline__ AdamWChunk adamw_chunk(const AdamW<T> &a, int group) {
    const double t = (double)a.tick->adam_t - MUTANT(24); /* 1 - beta^t without cancelling, and without a power in fp64 */
    const float unbias1 = -expm1f((float)(t * a.log_beta1)), unbias2 = -expm1f((float)(t * a.log_beta2));
    const float rate = a.rate[group * a.rate_ld], decay = a.rate[group * a.rate_ld + 1];
    return {a.factor[0], fmaf(-rate, decay, 1.0f), rate / unbias1, 1.0f / sqrtf(unbias2)};
}

/* As torch's AdamW: decay as one factor, then the step. */
template <typename T>
__device__ __forceinline__ void adamw_one(const AdamW<T> &a, const AdamWChunk &k, float g, float &w, float &m,
                                          float &v) {
    const float e = k.unscale * g;
    m = fmaf(a.beta1, m, a.rest1 * e);
    v = fmaf(a.beta2, v, a.rest2 * e * e);
    w = fmaf(w, k.keep, -k.step * (m / fmaf(sqrtf(v), k.spread, a.eps)));
}

template <typename T> __device__ __forceinline__ void store_copy(T *copy, const Pack<float> &w) {
    if constexpr (sizeof(T) == 2) store8(copy, uint2{pack2<T>(w[0], w[1]), pack2<T>(w[2], w[3])});
    else w.store(copy);
}

template <typename T> __global__ void __launch_bounds__(BLOCK_THREADS) adamw_chunks(AdamW<T> a) {
    if (!*a.ok && !MUTANT(25)) return;
    const Chunk range = a.chunk.at(blockIdx.x);
    const AdamWChunk k = adamw_chunk(a, range.group);
    a.g += range.first, a.w += range.first, a.m += range.first, a.v += range.first;
    if (a.copy) a.copy += range.first;
    const int n_packs = a.is_packed ? range.n / 4 : 0;
    for (int i = threadIdx.x; i < n_packs; i += BLOCK_THREADS * PACKS_IN_FLIGHT) {
        Pack<float> g[PACKS_IN_FLIGHT], w[PACKS_IN_FLIGHT], m[PACKS_IN_FLIGHT], v[PACKS_IN_FLIGHT];
#pragma unroll
        for (int p = 0; p < PACKS_IN_FLIGHT; p++) {
            const int at = i + p * BLOCK_THREADS;
            if (at >= n_packs) continue;
            g[p] = Pack<float>::load(a.g, at), w[p] = Pack<float>::load(a.w, at);
            m[p] = Pack<float>::load(a.m, at), v[p] = Pack<float>::load(a.v, at);
        }
#pragma unroll
        for (int p = 0; p < PACKS_IN_FLIGHT; p++) {
            const int at = i + p * BLOCK_THREADS;
            if (at >= n_packs) continue;
#pragma unroll
            for (int e = 0; e < 4; e++) adamw_one(a, k, g[p][e], w[p][e], m[p][e], v[p][e]);
            w[p].store(a.w, at), m[p].store(a.m, at), v[p].store(a.v, at);
            if (a.copy) store_copy(a.copy + 4 * at, w[p]);
        }
    }
    for (int i = n_packs * 4 + threadIdx.x; i < range.n; i += BLOCK_THREADS) {
        adamw_one(a, k, a.g[i], a.w[i], a.m[i], a.v[i]);
        if (a.copy) a.copy[i] = from_float<T>(a.w[i]);
    }
}

template <typename T> static hone_status adamw_of(hone_queue *q, const hone_call *c) {
    const double b1 = c->attr.adamw.beta1, b2 = c->attr.adamw.beta2;
    const hone_tensor *in = c->in, *out = c->out;
    const uintptr_t all = (uintptr_t)in[0].p | (uintptr_t)out[0].p | (uintptr_t)out[1].p |
                          (uintptr_t)out[2].p | (uintptr_t)out[3].p;
    AdamW<T> a = {};
    a.g = (const float *)in[0].p, a.chunk = chunks(in[1]);
    a.rate = (const float *)in[2].p, a.rate_ld = in[2].ld;
    a.factor = (const float *)in[3].p, a.ok = (const int32_t *)in[4].p, a.tick = c->tick;
    a.w = ptr<float>(out[0]), a.m = ptr<float>(out[1]), a.v = ptr<float>(out[2]), a.copy = ptr<T>(out[3]);
    a.log_beta1 = log(b1), a.log_beta2 = log(b2), a.eps = (float)c->attr.adamw.eps;
    a.beta1 = (float)b1, a.rest1 = (float)(1 - b1), a.beta2 = (float)b2, a.rest2 = (float)(1 - b2);
    a.is_packed = all % 16 == 0;
    return launch(q, adamw_chunks<T>, (unsigned)in[1].dim[0], BLOCK_THREADS, 0, a);
}
hone_status adamw_step(hone_queue *q, const hone_call *c) { return BY_TYPE(c->out[3].dtype, adamw_of, q, c); }
