/* norm.cu - layer and root-mean-square norms of rows, with the bias, dropout and residual that stand before
 * them.
 *
 *   forward    s = res + drop(x + bias),   xhat = (s - mean) rstd,   y = drop_out(gamma xhat + beta)
 *     in   x [N,D], bias [D], key [N], res [N,D], gamma [D], beta [D]
 *     out  y [N,D], mean [N] f32, rstd [N] f32, s [N,D], perhaps in x's place
 *   backward   g = gamma drop_out'(dy),   ds = rstd (g - average of g - xhat average of (g xhat)) + (+ds),
 *              dx = drop'(ds),   dgamma = column sums of drop_out'(dy) xhat, dbeta of drop_out'(dy), dbias of dx
 *     in   dy [N,D], s [N,D], mean [N] f32, rstd [N] f32, gamma [D], key [N], +ds [N,D]
 *     out  ds [N,D], perhaps in dy's place, dgamma [D] f32, dbeta [D] f32, dx [N,D], dbias [D] f32
 *
 * Statistics and y are those of the stored s, so the backward's xhat is the forward's; also where s is not
 * bound, so that a forward played again has the bits of the first. dx and dbias come from ds before it is
 * rounded.
 *
 * *_packs: an owner (rows.cuh) keeps its row in registers, PACKS packs of 16 bytes a thread: half a warp, a
 * warp, 2, 4 ... warps; the variance is a second pass over registers. Backward: a block of 4 warps (more
 * where a row needs them) takes a group of rows (fold.cuh), keeps its share of the three column sums in
 * registers over all its rows, and has its next two rows on their way to shared memory while it works on
 * one. *_any: any other width or alignment; a warp or a block of 8 walks a row three times (twice), column d
 * always in the same thread, so sharing storage needs no barrier.
 *
 * Floor: each operand once; dropout's numbers cost no bytes. Partial sums add 2 x 128 x D x 4 bytes for each
 * of dgamma, dbeta, dbias: 2 % of a backward of 20,000 rows. Plain version: kernels/ref/norm.inc. Cases:
 * kernels/cases/norm.c. */
#include "cudnn.cuh"
#include "fold.cuh"
#include "ptx/async.cuh"
#include "rng.cuh"
#include "rows.cuh"

extern "C" {
#include "ops.h"
}

constexpr int BLOCK_WARPS = 4, ANY_WARPS = 8;
/* Widest owners: 8 warps x 4 packs hold 8,192 elements of 2 bytes, 16 as many of 4. */
template <typename T> constexpr int MAX_WARPS = sizeof(T) == 4 ? 16 : 8;

/* ---- forward -------------------------------------------------------------------------------------------------*/
template <typename T> struct NormForward {
    const T *x, *bias, *res, *gamma, *beta; /* all but x may be NULL */
    T *y, *s;                               /* s may be NULL, or x */
    float *mean, *rstd;                     /* may be NULL */
    const hone_key *key;
    int64_t n_rows, ld_x, ld_res, ld_y, ld_s;
    int width, is_rms, warps;
    float eps;
    Drop drop, drop_out;
};
struct NormShared {
    float2 slots[2][16]; /* of two sums in turn */
};

template <typename T> __device__ __forceinline__ void unpack(const Pack<T> &pack, float *v) {
#pragma unroll
    for (int e = 0; e < Pack<T>::size; e++) v[e] = to_float(pack[e]);
}
template <typename T> __device__ __forceinline__ Pack<T> packed(const float *v) {
    Pack<T> pack;
#pragma unroll
    for (int e = 0; e < Pack<T>::size; e++) pack[e] = from_float<T>(v[e]);
    return pack;
}

/* s of one pack from x there. */
template <typename T>
__device__ __forceinline__ void before_norm(const NormForward<T> &a, int64_t n, int i, const Pack<T> &x,
                                            const Pack<T> &res, float *v) {
    constexpr int E = Pack<T>::size;
    unpack(x, v);
    if (a.bias) {
        const Pack<T> bias = Pack<T>::load(a.bias, i);
        for (int e = 0; e < E; e++) v[e] += to_float(bias[e]);
    }
    if (a.drop.threshold) drop_pack<T>(a.drop, a.key[n], i, v);
    if (a.res)
        for (int e = 0; e < E; e++) v[e] += to_float(res[e]);
    const Pack<T> s = packed<T>(v);
    if (a.s) s.store(a.s + n * a.ld_s, i);
    unpack(s, v);
}

/* y of one pack from xhat there. */
template <typename T>
__device__ __forceinline__ void after_norm(const NormForward<T> &a, int64_t n, int i, float *v) {
    constexpr int E = Pack<T>::size;
    if (a.gamma) {
        const Pack<T> gamma = Pack<T>::load(a.gamma, i);
        for (int e = 0; e < E; e++) v[e] *= to_float(gamma[e]);
    }
    if (a.beta) {
        const Pack<T> beta = Pack<T>::load(a.beta, i);
        for (int e = 0; e < E; e++) v[e] += to_float(beta[e]);
    }
    if (a.drop_out.threshold) drop_pack<T>(a.drop_out, a.key[n], i, v);
    packed<T>(v).store(a.y + n * a.ld_y, i);
}

template <typename T, int LANES, int PACKS>
__global__ void __launch_bounds__(32 * MAX_WARPS<T>) norm_fwd_packs(const NormForward<T> a) {
    constexpr int E = Pack<T>::size;
    NormShared &shared = shared_memory<NormShared>();
    const Owner<LANES> o(a.warps);
    const int64_t n = (int64_t)blockIdx.x * o.count + o.number;
    const int n_packs = n < a.n_rows ? a.width / E : 0; /* an owner without a row still meets the others */

    Pack<T> x[PACKS], res[PACKS];
#pragma unroll
    for (int p = 0; p < PACKS; p++)
        if (p * o.threads + o.thread < n_packs)
            x[p] = Pack<T>::load(a.x + n * a.ld_x, p * o.threads + o.thread);
    if (a.res)
#pragma unroll
        for (int p = 0; p < PACKS; p++)
            if (p * o.threads + o.thread < n_packs)
                res[p] = Pack<T>::load(a.res + n * a.ld_res, p * o.threads + o.thread);

    float v[PACKS][E], sum = 0, square = 0;
#pragma unroll
    for (int p = 0; p < PACKS; p++) {
        const int i = p * o.threads + o.thread;
        if (i >= n_packs) continue;
        before_norm(a, n, i, x[p], res[p], v[p]);
        for (int e = 0; e < E; e++) sum += v[p][e];
    }
    const float mean = a.is_rms ? 0 : owner_sum(o, sum, 0, shared.slots[0]).x / (float)a.width;
#pragma unroll
    for (int p = 0; p < PACKS; p++)
        if (p * o.threads + o.thread < n_packs)
            for (int e = 0; e < E; e++) square += (v[p][e] - mean) * (v[p][e] - mean);
    const float rstd = rsqrtf(owner_sum(o, square, 0, shared.slots[1]).x / (float)a.width + a.eps);
    if (o.thread == 0 && n < a.n_rows) {
        if (a.mean) a.mean[n] = mean;
        if (a.rstd) a.rstd[n] = rstd;
    }
#pragma unroll
    for (int p = 0; p < PACKS; p++) {
        const int i = p * o.threads + o.thread;
        if (i >= n_packs) continue;
        for (int e = 0; e < E; e++) v[p][e] = (v[p][e] - mean) * rstd;
        after_norm(a, n, i, v[p]);
    }
}

/* s of column d, by itself. */
template <typename T>
__device__ __forceinline__ T before_norm_at(const NormForward<T> &a, int64_t n, int d) {
    float v = to_float(a.x[n * a.ld_x + d]) + read_or(a.bias, d, 0);
    if (a.drop.threshold) v = drop_column(a.drop, a.key[n], d, v);
    return from_float<T>(a.res ? v + to_float(a.res[n * a.ld_res + d]) : v);
}

template <typename T> __global__ void __launch_bounds__(32 * ANY_WARPS) norm_fwd_any(const NormForward<T> a) {
    NormShared &shared = shared_memory<NormShared>();
    const Owner<32> o(a.warps);
    const int64_t n = (int64_t)blockIdx.x * o.count + o.number;
    if (n >= a.n_rows)
        return; /* a row of one warp meets nobody; of a whole block, there is none without a row */
    T *s = a.s + n * a.ld_s;
    const auto s_at = [&](int d) { return to_float(a.s ? s[d] : before_norm_at(a, n, d)); };
    float sum = 0, square = 0;
    for (int d = o.thread; d < a.width; d += o.threads) {
        if (a.s) s[d] = before_norm_at(a, n, d);
        sum += s_at(d);
    }
    const float mean = a.is_rms ? 0 : owner_sum(o, sum, 0, shared.slots[0]).x / (float)a.width;
    for (int d = o.thread; d < a.width; d += o.threads) square += (s_at(d) - mean) * (s_at(d) - mean);
    const float rstd = rsqrtf(owner_sum(o, square, 0, shared.slots[1]).x / (float)a.width + a.eps);
    if (o.thread == 0 && a.mean) a.mean[n] = mean;
    if (o.thread == 0 && a.rstd) a.rstd[n] = rstd;
    for (int d = o.thread; d < a.width; d += o.threads) {
        float v = (s_at(d) - mean) * rstd * read_or(a.gamma, d, 1) + read_or(a.beta, d, 0);
        if (a.drop_out.threshold) v = drop_column(a.drop_out, a.key[n], d, v);
        a.y[n * a.ld_y + d] = from_float<T>(v);
    }
}

/* ---- backward ------------------------------------------------------------------------------------------------*/
template <typename T> struct NormBackward {
    const T *dy, *s, *gamma, *plus; /* gamma and plus may be NULL; plus is ds */
    const float *mean, *rstd;       /* mean is NULL for rms */
    const hone_key *key;
    T *ds, *dx; /* ds may be dy; dx may be NULL */
    int64_t n_rows, ld_dy, ld_s, ld_ds, ld_dx;
    int width, is_rms, warps, stages;
    Drop drop, drop_out;
    float *sums[3]; /* partial rows [GROUPS,ld_sums] of dgamma, dbeta, dbias, or NULL */
    int64_t ld_sums;
};
/* A row's statistics and key. Rows that are not there: zeros. */
struct RowFacts {
    float mean, rstd;
    hone_key key;
};
template <typename T> __device__ __forceinline__ RowFacts facts_of(const NormBackward<T> &a, int64_t n) {
    RowFacts f = {0, 0, {0, 0}};
    if (n >= a.n_rows) return f;
    if (!a.is_rms) f.mean = a.mean[n];
    f.rstd = a.rstd[n];
    if (a.drop.threshold || a.drop_out.threshold) f.key = a.key[n];
    return f;
}

/* Shared memory of norm_bwd_packs: rows on their way [stages, 2 or 3 tensors, PACKS, threads] in packs,
 * which each thread copies and reads alone; after the last row, a row of fp32 for the owners to meet in. */
template <typename T> struct NormBackShared {
    NormShared sums;
    Pack<T> packs[1];
};
/* The more warps a row has, the fewer rows are on their way: a stage holds up to 24 KB for 4 warps, 48 for
 * 8. */
static int stages_of(int warps) { return warps <= 4 ? 3 : warps <= 8 ? 2 : 1; }

/* The row of fp32: the first four elements of all packs before the last four, so that lanes side by side use
 * 16 bytes side by side; the second half begins in other banks than the first. */
template <typename T> __host__ __device__ constexpr int half_row(int n_packs) {
    return Pack<T>::size == 4 ? 0 : (n_packs + 7) / 8 * 8 + 4;
}

/* The owners of a block add their parts of a column sum, in order; all write it out. */
template <typename T, int LANES, int PACKS>
__device__ __forceinline__ void meet_columns(const Owner<LANES> &o, int n_packs,
                                             const float (&part)[PACKS][Pack<T>::size], float *row,
                                             float *to) {
    using Quad = Pack<float>;
    constexpr int QUADS = Pack<T>::size / 4;
    for (int turn = 0; turn < o.count; turn++) {
        __syncthreads();
        if (turn != (MUTANT(22) && blockIdx.x % 2 ? o.count - 1 - o.number : o.number)) continue;
#pragma unroll
        for (int p = 0; p < PACKS; p++) {
            const int i = p * o.threads + o.thread;
            if (i >= n_packs) continue;
#pragma unroll
            for (int h = 0; h < QUADS; h++) {
                const int at = h * half_row<T>(n_packs) + i;
                Quad sum = turn ? Quad::load(row, at) : Quad{};
#pragma unroll
                for (int e = 0; e < 4; e++) sum[e] += part[p][4 * h + e];
                sum.store(row, at);
            }
        }
    }
    __syncthreads();
    for (int i = (int)threadIdx.x; i < n_packs * QUADS; i += (int)blockDim.x)
        Quad::load(row, i % QUADS * half_row<T>(n_packs) + i / QUADS).store(to, i);
}

/* The row that an owner takes in its turn k: of its group's eights, o.count rows at a time. */
template <int LANES> __device__ __forceinline__ int64_t row_of_turn(const Owner<LANES> &o, int k) {
    const int turns = EIGHT / o.count;
    return ((int64_t)(k / turns) * gridDim.x + blockIdx.x) * EIGHT + k % turns * o.count + o.number;
}

/* Where pack p of tensor t (dy, s, +ds) of the row of turn k is or will be; and what came there, by one access. */
template <typename T, int PACKS>
__device__ __forceinline__ Pack<T> *stage_of(const NormBackward<T> &a, Pack<T> *packs, int k, int t, int p) {
    return packs + ((k % a.stages * (a.plus ? 3 : 2) + t) * PACKS + p) * (int)blockDim.x + (int)threadIdx.x;
}

template <typename T, int PACKS>
__device__ __forceinline__ Pack<T> arrived(const NormBackward<T> &a, Pack<T> *packs, int k, int t, int p) {
    return Pack<T>::load(stage_of<T, PACKS>(a, packs, k, t, p)->v);
}

/* Send for the row of turn k; one group of copies, perhaps empty. */
template <typename T, int LANES, int PACKS>
__device__ __forceinline__ void send_for(const NormBackward<T> &a, const Owner<LANES> &o, Pack<T> *packs,
                                         int k) {
    const int64_t n = row_of_turn(o, k);
    const int n_packs = n < a.n_rows ? a.width / Pack<T>::size : 0;
#pragma unroll
    for (int p = 0; p < PACKS; p++) {
        const int i = p * o.threads + o.thread, at = i * Pack<T>::size;
        if (i >= n_packs) continue;
        async_copy16(stage_of<T, PACKS>(a, packs, k, 0, p), a.dy + n * a.ld_dy + at, true);
        async_copy16(stage_of<T, PACKS>(a, packs, k, 1, p), a.s + n * a.ld_s + at, true);
        if (a.plus) async_copy16(stage_of<T, PACKS>(a, packs, k, 2, p), a.plus + n * a.ld_ds + at, true);
    }
    async_commit();
}

/* One pack of dy after dropout on y, and of xhat. */
template <typename T>
__device__ __forceinline__ void back_terms(const NormBackward<T> &a, const RowFacts &f, int i,
                                           const Pack<T> &dy, const Pack<T> &s, float *g, float *xhat) {
    unpack(dy, g);
    if (a.drop_out.threshold) drop_pack<T>(a.drop_out, f.key, i, g);
#pragma unroll
    for (int e = 0; e < Pack<T>::size; e++) xhat[e] = (to_float(s[e]) - f.mean) * f.rstd;
}

/* gamma stays in the first-level cache, for column sums fill the registers. */
template <typename T> __device__ __forceinline__ void times_gamma(const NormBackward<T> &a, int i, float *g) {
    if (!a.gamma) return;
    const Pack<T> gamma = Pack<T>::load(a.gamma, i);
#pragma unroll
    for (int e = 0; e < Pack<T>::size; e++) g[e] *= to_float(gamma[e]);
}

template <typename T, int LANES, int PACKS>
__global__ void __launch_bounds__(sizeof(T) == 4 ? 512 : 384) norm_bwd_packs(const NormBackward<T> a) {
    constexpr int E = Pack<T>::size;
    NormBackShared<T> &shared = shared_memory<NormBackShared<T>>();
    const Owner<LANES> o(a.warps);
    const int n_packs = a.width / E;
    const int n_turns = (int)ceil_div(ceil_div(a.n_rows, EIGHT) - blockIdx.x, gridDim.x) * (EIGHT / o.count);

    for (int k = 0; k < a.stages - 1; k++) send_for<T, LANES, PACKS>(a, o, shared.packs, k);
    RowFacts next = facts_of(a, row_of_turn(o, 0));
    float dgamma[PACKS][E] = {}, dbeta[PACKS][E] = {}, dbias[PACKS][E] = {};
    for (int k = 0; k < n_turns; k++) {
        const int64_t n = row_of_turn(o, k);
        const int n_here = n < a.n_rows ? n_packs : 0; /* an owner without a row still meets the others */
        const RowFacts f = next;
        send_for<T, LANES, PACKS>(a, o, shared.packs, k + a.stages - 1);
        next = facts_of(a, row_of_turn(o, k + 1));
        if (MUTANT(32)) async_wait<3>();
        else if (a.stages == 3) async_wait<2>();
        else if (a.stages == 2) async_wait<1>();
        else async_wait<0>();

        float average = 0, along = 0, g[E], xhat[E];
#pragma unroll
        for (int p = 0; p < PACKS; p++) {
            const int i = p * o.threads + o.thread;
            if (i >= n_here) continue;
            back_terms(a, f, i, arrived<T, PACKS>(a, shared.packs, k, 0, p),
                       arrived<T, PACKS>(a, shared.packs, k, 1, p), g, xhat);
#pragma unroll
            for (int e = 0; e < E; e++) {
                dgamma[p][e] += g[e] * xhat[e];
                dbeta[p][e] += g[e];
            }
            times_gamma(a, i, g);
#pragma unroll
            for (int e = 0; e < E; e++) {
                average += g[e];
                along += g[e] * xhat[e];
            }
        }
        const float2 sums = owner_sum(o, average, along, shared.sums.slots[k % 2]);
        average = a.is_rms ? 0 : sums.x / (float)a.width;
        along = sums.y / (float)a.width;
#pragma unroll
        for (int p = 0; p < PACKS; p++) {
            const int i = p * o.threads + o.thread;
            if (i >= n_here) continue;
            back_terms(a, f, i, arrived<T, PACKS>(a, shared.packs, k, 0, p),
                       arrived<T, PACKS>(a, shared.packs, k, 1, p), g, xhat);
            times_gamma(a, i, g);
#pragma unroll
            for (int e = 0; e < E; e++) g[e] = f.rstd * (g[e] - average - xhat[e] * along);
            if (a.plus) {
                const Pack<T> plus = arrived<T, PACKS>(a, shared.packs, k, 2, p);
#pragma unroll
                for (int e = 0; e < E; e++) g[e] += to_float(plus[e]);
            }
            packed<T>(g).store(a.ds + n * a.ld_ds, i);
            if (a.drop.threshold) drop_pack<T>(a.drop, f.key, i, g);
            if (a.dx) packed<T>(g).store(a.dx + n * a.ld_dx, i);
#pragma unroll
            for (int e = 0; e < E; e++) dbias[p][e] += g[e];
        }
    }
    async_wait<0>();
    float *row = reinterpret_cast<float *>(shared.packs);
    const int64_t at = blockIdx.x * a.ld_sums;
    if (a.sums[0]) meet_columns<T>(o, n_packs, dgamma, row, a.sums[0] + at);
    if (a.sums[1]) meet_columns<T>(o, n_packs, dbeta, row, a.sums[1] + at);
    if (a.sums[2]) meet_columns<T>(o, n_packs, dbias, row, a.sums[2] + at);
}

__device__ __forceinline__ void add_partial(float *sum, int64_t at, bool is_first, float x) {
    if (sum) sum[at] = is_first ? x : sum[at] + x;
}

/* A block walks its group's rows; the partial rows in the workspace are the running sums. */
template <typename T>
__global__ void __launch_bounds__(32 * ANY_WARPS) norm_bwd_any(const NormBackward<T> a) {
    NormShared &shared = shared_memory<NormShared>();
    const Owner<32> o(a.warps);
    const int64_t partial = blockIdx.x * a.ld_sums;
    int k = 0;
    for (int64_t n = (int64_t)blockIdx.x * EIGHT; n < a.n_rows;
         n += n % EIGHT == EIGHT - 1 ? (int64_t)(gridDim.x - 1) * EIGHT + 1 : 1) {
        const RowFacts f = facts_of(a, n);
        float average = 0, along = 0;
        for (int d = o.thread; d < a.width; d += o.threads) {
            float g = to_float(a.dy[n * a.ld_dy + d]);
            if (a.drop_out.threshold) g = drop_column(a.drop_out, f.key, d, g);
            const float xhat = (to_float(a.s[n * a.ld_s + d]) - f.mean) * f.rstd;
            add_partial(a.sums[0], partial + d, k == 0, g * xhat);
            add_partial(a.sums[1], partial + d, k == 0, g);
            g *= read_or(a.gamma, d, 1);
            average += g;
            along += g * xhat;
        }
        const float2 sums = owner_sum(o, average, along, shared.slots[k % 2]);
        average = a.is_rms ? 0 : sums.x / (float)a.width;
        along = sums.y / (float)a.width;
        for (int d = o.thread; d < a.width; d += o.threads) {
            float g = to_float(a.dy[n * a.ld_dy + d]);
            if (a.drop_out.threshold) g = drop_column(a.drop_out, f.key, d, g);
            const float xhat = (to_float(a.s[n * a.ld_s + d]) - f.mean) * f.rstd;
            g = f.rstd * (g * read_or(a.gamma, d, 1) - average - xhat * along);
            if (a.plus) g += to_float(a.plus[n * a.ld_ds + d]);
            a.ds[n * a.ld_ds + d] = from_float<T>(g);
            if (a.drop.threshold) g = drop_column(a.drop, f.key, d, g);
            if (a.dx) a.dx[n * a.ld_dx + d] = from_float<T>(g);
            add_partial(a.sums[2], partial + d, k == 0, g);
        }
        k++;
    }
}

/* ---- entries -------------------------------------------------------------------------------------------------*/
/* How a width is owned; packs 0: by the kernel for any width. */
struct Ownership {
    int lanes, warps, packs;
};
template <typename T> static Ownership ownership_of(int64_t width, bool is_packed) {
    const int64_t n_packs = width / Pack<T>::size;
    if (is_packed && n_packs <= 16 * 3) return {16, 1, 3};
    for (int warps = 1; is_packed && warps <= MAX_WARPS<T>; warps *= 2)
        for (int packs = 3; packs <= 4; packs++)
            if (n_packs <= 32 * warps * packs) return {32, warps, packs};
    return {32, width <= 1024 ? 1 : ANY_WARPS, 0};
}

template <typename T> static hone_status norm_fwd_type(hone_queue *q, const hone_call *c) {
    const hone_tensor *in = c->in, *out = c->out;
    const bool can_pack = is_packed<T>(in[0]) && is_packed<T>(in[3]) && is_packed<T>(out[0]) &&
                          is_packed<T>(out[3]) && is_packed_vector(in[1]) && is_packed_vector(in[4]) &&
                          is_packed_vector(in[5]);
    const Ownership how = ownership_of<T>(width(in[0]), can_pack);
    NormForward<T> a = {};
    a.x = ptr<T>(in[0]), a.bias = ptr<T>(in[1]), a.key = ptr<hone_key>(in[2]), a.res = ptr<T>(in[3]);
    a.gamma = ptr<T>(in[4]), a.beta = ptr<T>(in[5]);
    a.is_rms = c->attr.norm.kind == HONE_NORM_RMS;
    a.y = ptr<T>(out[0]), a.mean = a.is_rms ? NULL : ptr<float>(out[1]), a.rstd = ptr<float>(out[2]),
    a.s = ptr<T>(out[3]);
    a.n_rows = in[0].dim[0], a.ld_x = in[0].ld, a.ld_res = in[3].ld, a.ld_y = out[0].ld, a.ld_s = out[3].ld;
    a.width = (int)width(in[0]), a.warps = how.warps, a.eps = (float)c->attr.norm.eps;
    a.drop = drop_of(c, c->attr.p, c->attr.site), a.drop_out = drop_of(c, c->attr.p_out, c->attr.site_out);
    const int block_warps = how.warps > BLOCK_WARPS ? how.warps : BLOCK_WARPS;
    const auto kernel = how.packs == 0    ? norm_fwd_any<T>
                        : how.lanes == 16 ? norm_fwd_packs<T, 16, 3>
                        : how.packs == 3  ? norm_fwd_packs<T, 32, 3>
                                          : norm_fwd_packs<T, 32, 4>;
    const int rows = block_warps * 32 / (how.lanes * how.warps);
    return launch(q, kernel, (unsigned)ceil_div(a.n_rows, rows), 32 * block_warps, sizeof(NormShared), a);
}
hone_status norm_fwd(hone_queue *q, const hone_call *c) {
    if (c->choice) return cudnn_norm_play(q, c);
    return BY_TYPE(c->in[0].dtype, norm_fwd_type, q, c);
}

template <typename T> static hone_status norm_bwd_type(hone_queue *q, const hone_call *c) {
    const hone_tensor *in = c->in, *out = c->out;
    const bool can_pack = is_packed<T>(in[0]) && is_packed<T>(in[1]) && is_packed<T>(out[0]) &&
                          is_packed<T>(out[3]) && is_packed_vector(in[4]);
    const Ownership how = ownership_of<T>(width(in[0]), can_pack);
    Folds f = fold_begin(q, in[0].dim[0], width(in[0]));
    NormBackward<T> a = {};
    a.dy = ptr<T>(in[0]), a.s = ptr<T>(in[1]), a.mean = ptr<float>(in[2]), a.rstd = ptr<float>(in[3]);
    a.gamma = ptr<T>(in[4]), a.key = ptr<hone_key>(in[5]), a.plus = ptr<T>(in[6]);
    a.ds = ptr<T>(out[0]), a.dx = ptr<T>(out[3]);
    a.n_rows = in[0].dim[0], a.ld_dy = in[0].ld, a.ld_s = in[1].ld, a.ld_ds = out[0].ld, a.ld_dx = out[3].ld;
    a.width = (int)width(in[0]), a.is_rms = c->attr.norm.kind == HONE_NORM_RMS;
    a.drop = drop_of(c, c->attr.p, c->attr.site), a.drop_out = drop_of(c, c->attr.p_out, c->attr.site_out);
    a.sums[0] = fold_add(&f, c, out[1], in[7]), a.sums[1] = fold_add(&f, c, out[2], in[8]);
    a.sums[2] = fold_add(&f, c, out[4], in[9]), a.ld_sums = f.ld;
    hone_status status;
    if (how.packs) {
        a.warps = how.warps, a.stages = stages_of(how.warps);
        const int block_warps = how.warps > BLOCK_WARPS ? how.warps : BLOCK_WARPS,
                  n_packs = a.width / Pack<T>::size;
        const auto kernel = how.lanes == 16  ? norm_bwd_packs<T, 16, 3>
                            : how.packs == 3 ? norm_bwd_packs<T, 32, 3>
                                             : norm_bwd_packs<T, 32, 4>;
        const size_t stages =
            (size_t)a.stages * (a.plus ? 3 : 2) * how.packs * 32 * block_warps * sizeof(Pack<T>);
        const size_t row = (size_t)(half_row<T>(n_packs) + n_packs) * sizeof(Pack<float>);
        status = launch(q, kernel, (unsigned)f.n_groups, 32 * block_warps,
                        sizeof(NormShared) + (stages > row ? stages : row), a);
    } else {
        a.warps = ANY_WARPS;
        status = launch(q, norm_bwd_any<T>, (unsigned)f.n_groups, 32 * ANY_WARPS, sizeof(NormShared), a);
    }
    return status || f.n == 0 ? status : fold(q, f);
}
hone_status norm_bwd(hone_queue *q, const hone_call *c) {
    if (c->choice) return cudnn_norm_play(q, c);
    return BY_TYPE(c->in[0].dtype, norm_bwd_type, q, c);
}
